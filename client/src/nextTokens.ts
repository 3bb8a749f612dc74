/** The next-token table beside the editor, kept up to date as the cursor moves. */
import * as vscode from "vscode";
import { DEBOUNCE } from "./cursor";
import { isServed, type Session } from "./session";

export class NextTokensPanel implements vscode.Disposable {
  #panel: vscode.WebviewPanel | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pending: vscode.CancellationTokenSource | undefined;
  #editor: vscode.TextEditor | undefined;
  readonly #subscriptions: vscode.Disposable[];

  constructor(
    private readonly session: Session,
    private readonly iconPath: vscode.Uri,
  ) {
    this.#subscriptions = [
      vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
        this.#follow(textEditor);
      }),
      vscode.window.onDidChangeActiveTextEditor((editor) => {
        this.#follow(editor);
      }),
      vscode.workspace.onDidChangeTextDocument(({ document }) => {
        if (document === this.#editor?.document) this.#follow(this.#editor);
      }),
    ];
  }

  open(): void {
    const editor = vscode.window.activeTextEditor;
    if (this.#panel === undefined) this.#panel = this.#createPanel();
    else this.#panel.reveal(undefined, true);
    this.#follow(editor);
    if (editor === undefined) void this.#display("Put the cursor into a document.");
  }

  /** Asks again, since something other than the cursor has changed. */
  refresh(): void {
    this.#follow(this.#editor);
  }

  dispose(): void {
    this.#panel?.dispose();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #createPanel(): vscode.WebviewPanel {
    const panel = vscode.window.createWebviewPanel(
      "likely.nextTokens",
      "Next Tokens",
      { viewColumn: vscode.ViewColumn.Beside, preserveFocus: true },
      { enableScripts: true, localResourceRoots: [], retainContextWhenHidden: true },
    );
    panel.iconPath = this.iconPath;
    panel.webview.html = page();
    panel.onDidDispose(() => {
      this.#panel = undefined;
      clearTimeout(this.#timer);
      this.#pending?.cancel();
    });
    return panel;
  }

  #follow(editor: vscode.TextEditor | undefined): void {
    if (!this.#panel?.visible || editor === undefined) return;
    // Output channels and the like are text editors as well; the last document stays.
    if (!["file", "untitled", "vscode-notebook-cell"].includes(editor.document.uri.scheme)) return;
    this.#editor = editor;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#update(editor), DEBOUNCE);
  }

  async #update({ document, selection }: vscode.TextEditor): Promise<void> {
    this.#pending?.cancel();
    const cancellation = new vscode.CancellationTokenSource();
    this.#pending = cancellation;
    if (!isServed(document)) {
      await this.#display(
        `Likely is not active for ${document.languageId}: see \`likely.languages\`.`,
      );
      return;
    }
    const place = this.session.place(document, selection.active);
    try {
      const answer =
        place &&
        (await this.session.request<{ markdown: string }>(
          "likely/nextTokens",
          place,
          cancellation.token,
        ));
      if (!cancellation.token.isCancellationRequested) {
        await this.#display(answer?.markdown ?? "Likely is not running yet.");
      }
    } catch (error) {
      // A newer request has overtaken this one, or the server has just stopped.
      if (!cancellation.token.isCancellationRequested) await this.#display(String(error));
    }
  }

  async #display(markdown: string): Promise<void> {
    const html = await vscode.commands.executeCommand<string>("markdown.api.render", markdown);
    await this.#panel?.webview.postMessage(html);
  }
}

/** A page that shows the HTML it is sent; replacing the whole page instead would flicker. */
function page(): string {
  const nonce = crypto.randomUUID();
  return `<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy"
  content="default-src 'none'; style-src 'unsafe-inline'; script-src 'nonce-${nonce}'">
<style>
  body { padding: 0.4em 1.2em; }
  table { border-collapse: collapse; margin: 0.8em 0; font-variant-numeric: tabular-nums; }
  th, td { padding: 0.22em 0.8em; border-bottom: 1px solid var(--vscode-widget-border, #8884); }
  th { font-weight: 600; color: var(--vscode-descriptionForeground); }
  .bar { height: 0.85em; border-radius: 2px; background: var(--vscode-charts-blue); }
  code {
    font-family: var(--vscode-editor-font-family);
    color: var(--vscode-editor-foreground);
    background: var(--vscode-textCodeBlock-background);
    padding: 0.1em 0.35em; border-radius: 3px; white-space: pre;
  }
</style>
</head>
<body>
<main aria-live="polite"></main>
<script nonce="${nonce}">
  addEventListener("message", ({ data }) => {
    const main = document.querySelector("main");
    main.innerHTML = data;
    // A bar is made of blocks from U+2588 (the full width) to U+258F (an eighth of it).
    for (const cell of main.querySelectorAll("td:last-child")) {
      const blocks = cell.textContent;
      if (!/^[\u2588-\u258f]+$/.test(blocks)) continue;
      const eighths = [...blocks].reduce((sum, block) => sum + 0x2590 - block.charCodeAt(0), 0);
      const bar = document.createElement("div");
      bar.className = "bar";
      bar.style.width = eighths / 8 + "em";
      cell.replaceChildren(bar);
    }
  });
</script>
</body>
</html>`;
}
