/** The page of the next-token panel: shows what it is sent, and sends back which button was pressed. */

export interface Button {
  readonly label: string;
  readonly command: string;
}

/** What the page shows: rendered Markdown, or plain text with buttons. */
export interface Content {
  readonly html?: string;
  /** The typed part of a word, shown before the rows that go on from it. */
  readonly typed?: string;
  readonly text?: string;
  readonly buttons?: readonly Button[];
}

/** Replacing the whole page for each table would flicker: it is made once, and told what to show. */
export function page(): string {
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
  .typed { opacity: 0.5; }
  code {
    font-family: var(--vscode-editor-font-family);
    color: var(--vscode-editor-foreground);
    background: var(--vscode-textCodeBlock-background);
    padding: 0.1em 0.35em; border-radius: 3px; white-space: pre;
  }
  button {
    margin: 0 0.6em 0.6em 0; padding: 0.35em 0.9em; border: 0; border-radius: 2px;
    font: inherit; cursor: pointer;
    color: var(--vscode-button-foreground); background: var(--vscode-button-background);
  }
  button:hover { background: var(--vscode-button-hoverBackground); }
</style>
</head>
<body>
<main aria-live="polite"></main>
<script nonce="${nonce}">
  const vscode = acquireVsCodeApi();
  const ALLOWED = new Set(
    "P BR EM STRONG CODE PRE TABLE THEAD TBODY TR TH TD UL OL LI HR".split(" "),
  );
  const ALIGNMENT = /^text-align: ?(left|right|center);?$/;

  /** Text in the place of whatever is no part of a table: what a model says is not ours. */
  function clean(fragment) {
    for (const element of [...fragment.querySelectorAll("*")]) {
      if (!ALLOWED.has(element.nodeName)) {
        element.replaceWith(element.textContent);
        continue;
      }
      for (const { name, value } of [...element.attributes]) {
        if (name !== "style" || !ALIGNMENT.test(value)) element.removeAttribute(name);
      }
    }
  }

  /** A bar is made of blocks from U+2588 (the full width) to U+258F (an eighth of it). */
  function drawBars(fragment) {
    for (const cell of fragment.querySelectorAll("td:last-child")) {
      const blocks = cell.textContent;
      if (!/^[\\u2588-\\u258f]+$/.test(blocks)) continue;
      const eighths = [...blocks].reduce((sum, block) => sum + 0x2590 - block.charCodeAt(0), 0);
      const bar = document.createElement("div");
      bar.className = "bar";
      bar.style.width = eighths / 8 + "em";
      cell.replaceChildren(bar);
    }
  }

  /** Rows that go on with the word show it, greyed: "Th" and "e" are read as "The". */
  function showTyped(fragment, typed) {
    if (!typed) return;
    for (const code of fragment.querySelectorAll("td:first-child code")) {
      if (!/^[\\p{L}\\p{N}_]/u.test(code.textContent)) continue;
      const before = document.createElement("span");
      before.className = "typed";
      before.textContent = typed;
      code.prepend(before);
    }
  }

  addEventListener("message", ({ data: { html, typed, text, buttons = [] } }) => {
    const template = document.createElement("template");
    template.innerHTML = html ?? "";
    const { content } = template;
    clean(content);
    drawBars(content);
    showTyped(content, typed);
    if (text !== undefined) {
      const paragraph = document.createElement("p");
      paragraph.textContent = text;
      content.append(paragraph);
    }
    for (const { label, command } of buttons) {
      const button = document.createElement("button");
      button.textContent = label;
      button.addEventListener("click", () => vscode.postMessage(command));
      content.append(button);
    }
    document.querySelector("main").replaceChildren(content);
  });
</script>
</body>
</html>`;
}
