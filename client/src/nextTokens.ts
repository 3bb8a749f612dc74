/** The next-token table beside the editor, kept up to date as the cursor moves. */
import * as vscode from "vscode";
import { DEBOUNCE } from "./cursor";
import { isServed, SCHEMES, type Session } from "./session";
import type { Status } from "./status";
import { page, type Button, type Content } from "./tablePage";

/** What the panel offers where there is no table, by the command that a button runs. */
const BUTTONS = {
  setUp: { label: "Set Up", command: "likely.start" },
  turnOn: { label: "Turn On", command: "likely.toggle" },
  chooseModel: { label: "Choose Model", command: "likely.chooseModel" },
  tryAgain: { label: "Try Again", command: "likely.restart" },
  showLog: { label: "Show Log", command: "likely.showLog" },
  languages: { label: "Choose Languages", command: "likely.chooseLanguages" },
} as const satisfies Record<string, Button>;

const COMMANDS = new Set<string>(Object.values(BUTTONS).map(({ command }) => command));

interface Answer {
  readonly markdown: string;
  /** Whose table it is; empty where there is none. */
  readonly model: string;
  /** The part of a word before the cursor that the rows go on from. */
  readonly typed: string;
}

export class NextTokensPanel implements vscode.Disposable {
  #panel: vscode.WebviewPanel | undefined;
  #timer: NodeJS.Timeout | undefined;
  #pending: vscode.CancellationTokenSource | undefined;
  #editor: vscode.TextEditor | undefined;
  #status: Status = { state: "idle" };
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
    if (isFollowed(editor)) this.#editor = editor;
    this.refresh();
  }

  /** Takes the state of the server; the table is that of the model which answers now. */
  show(status: Status): void {
    const before = this.#status;
    this.#status = status;
    // A ready server reports the time of each answer; asking again for each would never end.
    const isNews =
      status.state !== "ready" || before.state !== "ready" || status.model !== before.model;
    if (isNews) this.refresh();
  }

  /** Asks again, since something other than the cursor has changed. */
  refresh(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.#update(), DEBOUNCE);
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
    panel.webview.onDidReceiveMessage((command: unknown) => {
      if (typeof command === "string" && COMMANDS.has(command)) {
        void vscode.commands.executeCommand(command);
      }
    });
    panel.webview.html = page();
    panel.onDidChangeViewState(() => {
      this.refresh();
    });
    panel.onDidDispose(() => {
      this.#panel = undefined;
      clearTimeout(this.#timer);
      this.#pending?.cancel();
    });
    return panel;
  }

  #follow(editor: vscode.TextEditor | undefined): void {
    // Output channels and the like are text editors as well; the last document stays.
    if (!isFollowed(editor)) return;
    this.#editor = editor;
    this.refresh();
  }

  async #update(): Promise<void> {
    if (!this.#panel?.visible) return;
    this.#pending?.cancel();
    const cancellation = new vscode.CancellationTokenSource();
    this.#pending = cancellation;
    const content = await this.#content(cancellation.token);
    if (content === undefined || cancellation.token.isCancellationRequested) return;
    await this.#panel.webview.postMessage(content);
  }

  /** What there is to show; undefined where that is what is shown already. */
  async #content(token: vscode.CancellationToken): Promise<Content | undefined> {
    const notice = noticeOf(this.#status);
    // While another model loads, or cannot be had, the one before it goes on.
    const hasServer = ["ready", "loading", "error"].includes(this.#status.state);
    if (!hasServer) return notice;
    const editor = this.#editor;
    if (editor === undefined) return notice ?? { text: "Put the cursor into a document." };
    const { document, selection } = editor;
    if (!isServed(document)) {
      return {
        text: `Likely is not active in documents of the language ${document.languageId}.`,
        buttons: [BUTTONS.languages],
      };
    }
    const place = this.session.place(document, selection.active);
    try {
      const answer =
        place && (await this.session.request<Answer>("likely/nextTokens", place, token));
      if (!answer?.model) return notice;
      const html = await vscode.commands.executeCommand<string>(
        "markdown.api.render",
        answer.markdown,
      );
      return { html, typed: answer.typed, ...notice };
    } catch (error) {
      // The server has just stopped, which its status says next.
      return notice ?? { text: String(error), buttons: [BUTTONS.showLog] };
    }
  }
}

/** What to say in place of a table; undefined where there is a model to ask. */
function noticeOf(status: Status): Content | undefined {
  switch (status.state) {
    case "ready":
      return undefined;
    case "idle":
      return { text: "Put the cursor into a document." };
    case "off":
      return { text: "Likely is off in this workspace.", buttons: [BUTTONS.turnOn] };
    case "unset":
      return { text: "Likely is not set up yet.", buttons: [BUTTONS.setUp] };
    case "starting":
      return { text: "Likely is starting." };
    case "stopped":
      return { text: status.message, buttons: [BUTTONS.tryAgain, BUTTONS.showLog] };
    case "loading": {
      const share = status.percentage === null ? "" : ` ${String(status.percentage)}%`;
      const step = status.message === "" ? "" : `: ${status.message}`;
      return { text: `Loading ${status.model}${step}${share}` };
    }
    case "error": {
      const { chooseModel, tryAgain, showLog } = BUTTONS;
      return { text: status.message, buttons: [chooseModel, tryAgain, showLog] };
    }
  }
}

function isFollowed(editor: vscode.TextEditor | undefined): editor is vscode.TextEditor {
  return editor !== undefined && SCHEMES.includes(editor.document.uri.scheme);
}
