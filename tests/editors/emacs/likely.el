(require 'eglot)

(add-to-list 'eglot-server-programs '(text-mode "likely" "serve"))
(setq-default eglot-workspace-configuration '(:likely (:k 10)))

(defvar likely-answer nil "Where the last candidates were asked for, and the candidates.")

(defun likely-candidate (item start)
  "The text from START on if ITEM is accepted; the list shows the item's label."
  (let* ((edit (plist-get item :textEdit))
         (replaced (eglot--lsp-position-to-point
                    (plist-get (plist-get edit :range) :start)))
         (added (substring (plist-get edit :newText) (- (point) replaced))))
    (propertize (concat (buffer-substring-no-properties start (point)) added)
                'display (plist-get item :label) 'likely item)))

(defun likely-candidates (start)
  "The likeliest candidates first; asked for anew after each character typed."
  (let ((here (list (point) (buffer-chars-modified-tick))))
    (unless (or (minibufferp) (equal here (car likely-answer)))
      (let ((answer (jsonrpc-request (eglot-current-server) :textDocument/completion
                                     (eglot--TextDocumentPositionParams)
                                     :deferred t :cancel-on-input t)))
        (setq likely-answer
              (cons here (mapcar (lambda (item) (likely-candidate item start))
                                 (plist-get answer :items))))))
    (cdr likely-answer)))

(defun likely-table (start string predicate action)
  "The completion table of the word that begins at START."
  (if (eq action 'metadata)
      '(metadata (category . likely) (display-sort-function . identity))
    (let ((candidates (likely-candidates start)))
      (if (and (null action) (cdr (all-completions string candidates predicate)))
          string                        ; inserts nothing before one is chosen
        (complete-with-action action candidates string predicate)))))

(defun likely-annotation (candidate)
  "The probability of CANDIDATE."
  (let ((item (get-text-property 0 'likely candidate)))
    (concat " " (or (plist-get item :detail)
                    (plist-get (plist-get item :labelDetails) :description)))))

(defun likely-completion-at-point ()
  "Complete with the model's next tokens."
  (let ((start (save-excursion (skip-syntax-backward "w_") (point))))
    (setq likely-answer nil)
    (list start (point) (apply-partially #'likely-table start)
          :annotation-function #'likely-annotation :company-prefix-length t)))

(defun likely-setup ()
  "Have `completion-at-point' ask Likely in this buffer."
  (when (derived-mode-p 'text-mode)
    (setq-local completion-at-point-functions '(likely-completion-at-point))
    (setq-local completion-styles '(basic))  ; others would sort the list anew
    (local-set-key (kbd "C-M-i") #'completion-at-point)))

(add-hook 'eglot-managed-mode-hook #'likely-setup)
(add-hook 'text-mode-hook #'eglot-ensure)
