/**
 * The completion list: in which languages it opens by itself, and what keeps it away.
 *
 * VS Code asks for a list after a trigger character, and inside words where `editor.quickSuggestions`
 * is on. Where that is off, as in Markdown, it is asked to here: the setting is the user's, and stays
 * as it is. In code the list is there only when asked for.
 */
import * as vscode from "vscode";
import { ListKeys, setContext } from "./listKeys";
import { isServed, SCHEMES } from "./session";
import type { Status } from "./status";
import { isComposed, isIndentation, isOneWord, isWordCharacter, wordStart } from "./words";

/** The server, while it runs. */
export interface Source {
  readonly triggerCharacters: readonly string[];
  complete(
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.CompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.CompletionList | undefined>;
  resolve(
    item: vscode.CompletionItem,
    token: vscode.CancellationToken,
  ): Promise<vscode.CompletionItem | undefined>;
}

/** Why a list is asked for, where that is our doing; VS Code does not say it. */
type Cause = "asked" | "accepted" | "typed";

interface Place {
  readonly document: vscode.TextDocument;
  readonly position: vscode.Position;
}

/** A list that we have told VS Code to ask for. */
interface Expectation extends Place {
  readonly cause: Cause;
  readonly version: number;
}

/** Characters before the cursor that tell whether an input method is in use. */
const COMPOSING_WINDOW = 80;

export class Suggestions implements vscode.CompletionItemProvider, vscode.Disposable {
  readonly #keys = new ListKeys();
  readonly #subscriptions: vscode.Disposable[];
  #source: Source | undefined;
  #registrations: vscode.Disposable[] = [];
  #registered = "";
  #expected: Expectation | undefined;
  /** The word in which the user closed the list. */
  #silenced: Place | undefined;
  /** The version of the document and the place that the last list was asked for. */
  #latest: (Place & { readonly version: number }) | undefined;
  #offering: vscode.CancellationTokenSource | undefined;
  /** Whether answers have candidates in them, which they have not while a model is loaded. */
  #hasCandidates = false;
  #state: Status["state"] | undefined;
  /** Whether VS Code has a list open only because of us, whatever else is in it. */
  #isAlone = false;

  constructor() {
    this.#subscriptions = [
      vscode.workspace.onDidOpenTextDocument(() => {
        this.#register();
      }),
      vscode.workspace.onDidChangeConfiguration((event) => {
        if (event.affectsConfiguration("likely")) this.#register();
      }),
      vscode.workspace.onDidChangeTextDocument((event) => {
        this.#changed(event);
      }),
      vscode.window.onDidChangeTextEditorSelection(() => {
        this.#keys.moved();
      }),
    ];
  }

  /** Offers what `source` answers, or nothing any more. */
  connect(source: Source | undefined): void {
    this.#source = source;
    this.#registered = "";
    this.#register();
    if (source === undefined) void this.#keys.closed();
  }

  /** The answers of a model that has just become ready have candidates, until one has none. */
  show({ state }: Status): void {
    if (state === "ready" && this.#state !== "ready") this.#hasCandidates = true;
    this.#state = state;
  }

  /** The list for the cursor, wanted by the user now: command `likely.suggest`. */
  async ask(): Promise<void> {
    this.#silenced = undefined;
    // VS Code opens no list over another one.
    await vscode.commands.executeCommand("hideSuggestWidget");
    await this.#trigger("asked", cursorPlace(), {});
  }

  /** The next list, after a candidate was accepted. */
  async goOn(): Promise<void> {
    await this.#trigger("accepted", cursorPlace(), { auto: true });
  }

  /** The user went into the open list. */
  async enter(): Promise<void> {
    await this.#keys.entered();
  }

  /** The user closed the list: no other opens before the word is over. */
  async silence(): Promise<void> {
    const editor = vscode.window.activeTextEditor;
    if (editor !== undefined) {
      const { document, selection } = editor;
      const { line } = selection.active;
      const start = wordStart(textBefore(document, selection.active));
      this.#silenced = { document, position: new vscode.Position(line, start) };
    }
    this.#offering?.cancel();
    this.#expected = undefined;
    await this.#keys.closed();
  }

  async provideCompletionItems(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
    context: vscode.CompletionContext,
  ): Promise<vscode.CompletionList | undefined> {
    const expected = this.#expectedAt(document, position, context);
    const source = this.#source;
    if (source === undefined || !this.#isWanted(document, position, context, expected?.cause)) {
      this.#keys.replaced();
      const isSilence = isAutomatic(document) && this.#isSilenced(document, position);
      return isSilence ? nothing(document, position) : undefined;
    }
    this.#latest = { document, position, version: document.version };
    await this.#keys.requested(expected?.cause === "asked");
    const list = await this.#answer(source, document, position, context, token);
    if (token.isCancellationRequested) return undefined;
    if (list === undefined || list.items.length === 0) {
      this.#keys.moved();
      return expected?.cause === "typed" ? nothing(document, position) : list;
    }
    for (const item of list.items) placeAtWord(item, document, position);
    const goesOn =
      context.triggerKind === vscode.CompletionTriggerKind.TriggerForIncompleteCompletions;
    // Other characters than a space may be others' as well, and so may the letters of a word.
    if (!goesOn) this.#isAlone = expected !== undefined || context.triggerCharacter === " ";
    await this.#keys.opened(this.#isAlone, goesOn);
    return list;
  }

  async resolveCompletionItem(
    item: vscode.CompletionItem,
    token: vscode.CancellationToken,
  ): Promise<vscode.CompletionItem> {
    await this.#keys.focused();
    return (await this.#source?.resolve(item, token)) ?? item;
  }

  dispose(): void {
    this.#source = undefined;
    this.#register();
    this.#offering?.cancel();
    void this.#keys.closed();
    for (const subscription of this.#subscriptions) subscription.dispose();
  }

  #isWanted(
    document: vscode.TextDocument,
    position: vscode.Position,
    { triggerKind }: vscode.CompletionContext,
    cause: Cause | undefined,
  ): boolean {
    // VS Code lets only those who are in an open list take it further.
    const kinds = vscode.CompletionTriggerKind;
    if (cause !== undefined || triggerKind === kinds.TriggerForIncompleteCompletions) return true;
    if (!isAutomatic(document)) return this.#isStepBack(document, position);
    if (this.#isSilenced(document, position)) return false;
    return triggerKind === kinds.Invoke || !isIndentation(textBefore(document, position));
  }

  /** Whether the cursor went back inside the word that our open list is for. */
  #isStepBack(document: vscode.TextDocument, position: vscode.Position): boolean {
    const latest = this.#latest;
    return (
      this.#keys.isOpen &&
      latest?.document === document &&
      latest.position.line === position.line &&
      latest.position.isAfter(position)
    );
  }

  #isSilenced(document: vscode.TextDocument, position: vscode.Position): boolean {
    const silenced = this.#silenced;
    if (silenced === undefined) return false;
    const { position: start } = silenced;
    const goesOn =
      silenced.document === document &&
      start.line === position.line &&
      start.isBeforeOrEqual(position) &&
      isOneWord(document.getText(new vscode.Range(start, position)));
    if (!goesOn) this.#silenced = undefined;
    return goesOn;
  }

  #changed({ document, contentChanges, reason }: vscode.TextDocumentChangeEvent): void {
    if (contentChanges.length === 0 || document !== vscode.window.activeTextEditor?.document)
      return;
    this.#keys.moved();
    this.#offering?.cancel();
    const [change, ...others] = contentChanges;
    if (this.#source === undefined || change === undefined || others.length > 0) return;
    if (reason !== undefined || !isWordCharacter(change.text)) return;
    if (!isAutomatic(document) || asksInsideWords(document)) return;
    const position = change.range.start.translate(0, change.text.length);
    if (this.#isSilenced(document, position)) return;
    if (isComposed(textBefore(document, position).slice(-COMPOSING_WINDOW))) return;
    const offering = new vscode.CancellationTokenSource();
    this.#offering = offering;
    // The server hears of the change first, from a listener that may come after this one.
    setImmediate(() => void this.#offer(document, position, offering.token));
  }

  /**
   * Opens a list inside a word, unless VS Code is at it or there was nothing to show last time.
   *
   * At once, not when the answer is there: VS Code puts the focus on the editor whose list it is told
   * to open, and by then the user may be typing elsewhere.
   */
  async #offer(
    document: vscode.TextDocument,
    position: vscode.Position,
    token: vscode.CancellationToken,
  ): Promise<void> {
    const { version } = document;
    const isUnderWay = this.#latest?.document === document && this.#latest.version === version;
    if (token.isCancellationRequested || isUnderWay || this.#source === undefined) return;
    if (this.#hasCandidates) {
      await this.#trigger("typed", { document, position }, { auto: true });
    } else {
      const triggerKind = vscode.CompletionTriggerKind.Invoke;
      const context = { triggerKind, triggerCharacter: undefined };
      await this.#answer(this.#source, document, position, context, token);
    }
  }

  /** The server's answer; remembers whether there was something in it. */
  async #answer(
    source: Source,
    document: vscode.TextDocument,
    position: vscode.Position,
    context: vscode.CompletionContext,
    token: vscode.CancellationToken,
  ): Promise<vscode.CompletionList | undefined> {
    const { version } = document;
    const list = await source.complete(document, position, context, token);
    if (!token.isCancellationRequested && document.version === version) {
      this.#hasCandidates = list !== undefined && list.items.length > 0;
    }
    return list;
  }

  /** Has VS Code ask for a list: at the cursor of the editor in use, which is `place`. */
  async #trigger(cause: Cause, place: Place | undefined, args: object): Promise<void> {
    if (place === undefined) return;
    this.#expected = { cause, ...place, version: place.document.version };
    await vscode.commands.executeCommand("editor.action.triggerSuggest", args);
  }

  /**
   * What is expected, if this request is it.
   *
   * It may come twice: VS Code, about to ask because of what was typed, is then told to ask.
   */
  #expectedAt(
    document: vscode.TextDocument,
    position: vscode.Position,
    { triggerKind }: vscode.CompletionContext,
  ): Expectation | undefined {
    const expected = this.#expected;
    const isIt =
      expected?.document === document &&
      expected.version === document.version &&
      expected.position.isEqual(position) &&
      triggerKind === vscode.CompletionTriggerKind.Invoke;
    return isIt ? expected : undefined;
  }

  /** Registers for the languages of the open documents, as the settings are now. */
  #register(): void {
    const automatic = new Set<string>();
    const byHand = new Set<string>();
    const prose = new Set<string>();
    const source = this.#source;
    if (source !== undefined) {
      for (const document of vscode.workspace.textDocuments) {
        if (!isServed(document)) continue;
        (isAutomatic(document) ? automatic : byHand).add(document.languageId);
        if (opensByItself(document)) prose.add(document.languageId);
      }
    }
    const languages = [...automatic, ...byHand];
    const state = JSON.stringify([[...automatic], [...byHand], [...prose]]);
    if (state === this.#registered) return;
    this.#registered = state;
    for (const registration of this.#registrations) registration.dispose();
    const characters = source?.triggerCharacters ?? [];
    this.#registrations = [
      ...(automatic.size === 0 ? [] : [this.#provideFor(automatic, characters)]),
      ...(byHand.size === 0 ? [] : [this.#provideFor(byHand, [])]),
    ];
    void setContext("likely.languages", languages);
    void setContext("likely.automaticLanguages", [...prose]);
  }

  #provideFor(languages: Set<string>, characters: readonly string[]): vscode.Disposable {
    const selector = [...languages].flatMap((language) =>
      SCHEMES.map((scheme) => ({ scheme, language })),
    );
    return vscode.languages.registerCompletionItemProvider(selector, this, ...characters);
  }
}

function cursorPlace(): Place | undefined {
  const editor = vscode.window.activeTextEditor;
  return editor && { document: editor.document, position: editor.selection.active };
}

/** Whether the list opens by itself in this document. */
function isAutomatic(document: vscode.TextDocument): boolean {
  const quiet = vscode.workspace.getConfiguration("likely").get<boolean>("quiet", false);
  return !quiet && opensByItself(document);
}

/** The same, were Likely not quiet. */
function opensByItself(document: vscode.TextDocument): boolean {
  return vscode.workspace
    .getConfiguration("likely", document)
    .get<boolean>("completion.automatic", false);
}

/** Whether VS Code itself asks for lists inside the words of this document. */
function asksInsideWords(document: vscode.TextDocument): boolean {
  const setting: unknown = vscode.workspace
    .getConfiguration("editor", document)
    .get("quickSuggestions");
  const isObject = typeof setting === "object" && setting !== null && "other" in setting;
  const other = isObject ? setting.other : setting;
  return other === true || other === "on";
}

function textBefore(document: vscode.TextDocument, position: vscode.Position): string {
  return document.getText(new vscode.Range(position.line, 0, position.line, position.character));
}

/**
 * A list that shows nothing, and keeps VS Code from filling the silence with words of the document.
 *
 * The one candidate in it matches no text; without a word to match it would be shown.
 */
function nothing(
  document: vscode.TextDocument,
  position: vscode.Position,
): vscode.CompletionList | undefined {
  const from = wordStart(textBefore(document, position));
  if (from === position.character) return undefined;
  const item = new vscode.CompletionItem("");
  item.filterText = "\0";
  item.range = new vscode.Range(position.line, from, position.line, position.character);
  return new vscode.CompletionList([item]);
}

/**
 * Turns "replace what was typed by itself and more" into "replace the word by itself and more".
 *
 * The text becomes the same, but VS Code orders a list by how well the text in a candidate's range
 * matches, and only then as the server has it. With exactly the word to match, or nothing where there
 * is none, all of ours match equally, and no worse than those of others. VS Code asks again at each
 * character of a word; one at the end that cannot be typed keeps those after a space from counting
 * differently until the answer comes.
 */
function placeAtWord(
  item: vscode.CompletionItem,
  document: vscode.TextDocument,
  position: vscode.Position,
): void {
  const { insertText, range } = item;
  if (typeof insertText !== "string" || range === undefined) return;
  const { start } = range instanceof vscode.Range ? range : range.inserting;
  const typed = document.getText(new vscode.Range(start, position));
  if (!insertText.startsWith(typed)) return;
  const before = textBefore(document, position);
  const from = wordStart(before);
  const word = before.slice(from);
  const text = word + insertText.slice(typed.length);
  item.range = new vscode.Range(position.line, from, position.line, position.character);
  item.insertText = text;
  item.filterText = word || `${text}\0`;
}
