/**
 * What keys mean while a list of ours is open: context keys for the key bindings in package.json.
 *
 * `likely.listOpen`: the focused candidate is ours, so that Enter and the arrows belong to the text.
 * `likely.listAsked`: the user asked for it, and the arrows go into it.
 * `likely.listEntered`: the user went into the list; VS Code's own keys apply.
 *
 * Nobody says when a list closes, and an answer that is overtaken leaves the one before it open. So
 * the keys stay ours a little longer than the list may; without a list they mean nothing.
 */
import * as vscode from "vscode";

/**
 * Milliseconds after which VS Code, had it put the focus on a candidate of ours, would have asked
 * for its details. The focus is then on one of another extension, where Enter is not ours.
 */
const FOCUS_GRACE = 600;
/** Milliseconds after which VS Code, had it kept our list open, would have asked for the next. */
const NEXT_GRACE = 400;
/** Milliseconds after which a list that is asked for without us has replaced ours. */
const REPLACED_GRACE = 100;

type Key = "likely.listOpen" | "likely.listAsked" | "likely.listEntered";

export class ListKeys {
  readonly #values: Record<Key, boolean> = {
    "likely.listOpen": false,
    "likely.listAsked": false,
    "likely.listEntered": false,
  };
  /** Whether the focus is on a candidate of another extension in the list that is open. */
  #isTheirs = false;
  #timer: NodeJS.Timeout | undefined;
  #deadline = Infinity;

  get isOpen(): boolean {
    return this.#values["likely.listOpen"];
  }

  /** A list is asked for; what was open stays so until there is an answer. */
  async requested(isAsked: boolean): Promise<void> {
    this.#keep();
    await this.#set({ "likely.listAsked": isAsked, "likely.listEntered": false });
  }

  /**
   * Before a list of ours is handed over: Enter may be pressed the moment it shows.
   *
   * With `alone` VS Code shows it because of us, whatever has the focus in it; `goesOn`: it takes the
   * place of one with the same candidates of others in it.
   */
  async opened(alone: boolean, goesOn: boolean): Promise<void> {
    this.#keep();
    if (!goesOn) this.#isTheirs = false;
    if (this.#isTheirs) return;
    await this.#set({ "likely.listOpen": true });
    if (!alone) this.#closeWithin(FOCUS_GRACE, true);
  }

  /** VS Code asks for the details of the candidate that has the focus. */
  async focused(): Promise<void> {
    this.#keep();
    this.#isTheirs = false;
    await this.#set({ "likely.listOpen": true });
  }

  async entered(): Promise<void> {
    this.#keep();
    await this.#set({ "likely.listEntered": true });
  }

  /** The text or the cursor changed: an open list either asks for the next one, or is gone. */
  moved(): void {
    this.#closeWithin(NEXT_GRACE);
  }

  /** VS Code asks for a list in which we have no part. */
  replaced(): void {
    this.#closeWithin(REPLACED_GRACE);
  }

  async closed(): Promise<void> {
    this.#keep();
    await this.#set({
      "likely.listOpen": false,
      "likely.listAsked": false,
      "likely.listEntered": false,
    });
  }

  #keep(): void {
    clearTimeout(this.#timer);
    this.#deadline = Infinity;
  }

  #closeWithin(milliseconds: number, isTheirs = false): void {
    const deadline = Date.now() + milliseconds;
    if (!this.isOpen || deadline >= this.#deadline) return;
    clearTimeout(this.#timer);
    this.#deadline = deadline;
    this.#timer = setTimeout(() => {
      this.#isTheirs = isTheirs;
      void this.closed();
    }, milliseconds);
  }

  async #set(values: Partial<Record<Key, boolean>>): Promise<void> {
    const current: Record<string, boolean> = this.#values;
    const changes = Object.entries(values).filter(([name, value]) => current[name] !== value);
    Object.assign(this.#values, values);
    await Promise.all(changes.map(([name, value]) => setContext(name, value)));
  }
}

export function setContext(name: string, value: unknown): Thenable<unknown> {
  return vscode.commands.executeCommand("setContext", name, value);
}
