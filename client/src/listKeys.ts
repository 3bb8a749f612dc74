/**
 * What keys mean while a list of ours is open: two context keys for the key bindings in package.json.
 *
 * `likely.listOpen`: the focused candidate is ours, so that Enter and the arrows belong to the text.
 * `likely.listEntered`: the user went into the list or asked for it; VS Code's own keys apply.
 */
import * as vscode from "vscode";

/**
 * Milliseconds after which VS Code, had it put the focus on a candidate of ours, would have asked
 * for its details. The focus is then on one of another extension, where Enter is not ours.
 */
const FOCUS_GRACE = 300;
/** Milliseconds after which VS Code, had it kept our list open, would have asked for the next. */
const NEXT_GRACE = 400;

export class ListKeys {
  #open = false;
  #entered = false;
  #timer: NodeJS.Timeout | undefined;

  get isOpen(): boolean {
    return this.#open;
  }

  /** A list is asked for; what was open stays so until there is an answer. */
  async asked(entered: boolean): Promise<void> {
    clearTimeout(this.#timer);
    await this.#set(this.#open, entered);
  }

  /**
   * Before a list of ours is handed over: Enter may be pressed the moment it shows.
   * With `alone` VS Code shows it because of us, whatever has the focus in it.
   */
  async opened(alone: boolean): Promise<void> {
    clearTimeout(this.#timer);
    await this.#set(true, this.#entered);
    if (!alone) this.#closeAfter(FOCUS_GRACE);
  }

  /** VS Code asks for the details of the candidate that has the focus. */
  async focused(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#set(true, this.#entered);
  }

  async entered(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#set(this.#open, true);
  }

  /** The text or the cursor changed: an open list either asks for the next one, or is gone. */
  moved(): void {
    if (!this.#open) return;
    clearTimeout(this.#timer);
    this.#closeAfter(NEXT_GRACE);
  }

  async closed(): Promise<void> {
    clearTimeout(this.#timer);
    await this.#set(false, false);
  }

  #closeAfter(milliseconds: number): void {
    this.#timer = setTimeout(() => void this.closed(), milliseconds);
  }

  async #set(open: boolean, entered: boolean): Promise<void> {
    const changes: Thenable<unknown>[] = [];
    if (open !== this.#open) changes.push(setContext("likely.listOpen", open));
    if (entered !== this.#entered) changes.push(setContext("likely.listEntered", entered));
    this.#open = open;
    this.#entered = entered;
    await Promise.all(changes);
  }
}

export function setContext(name: string, value: unknown): Thenable<unknown> {
  return vscode.commands.executeCommand("setContext", name, value);
}
