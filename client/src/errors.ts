/** Says why there is no model, with the buttons that help. */
import * as vscode from "vscode";
import { forMessage } from "./escape";
import type { Status } from "./status";

const REMEDIES: Readonly<Record<string, string>> = {
  "Choose Model": "likely.chooseModel",
  "Try Again": "likely.restart",
  "Show Log": "likely.showLog",
};

export class ModelErrors {
  /** The error on show: the status comes again and again, the message once. */
  #shown: string | undefined;

  show(status: Status): void {
    if (status.state !== "error") {
      this.#shown = undefined;
      return;
    }
    if (status.message === this.#shown) return;
    this.#shown = status.message;
    void offer(status.message);
  }
}

async function offer(message: string): Promise<void> {
  const text = forMessage(`Likely: ${message}`);
  const answer = await vscode.window.showErrorMessage(text, ...Object.keys(REMEDIES));
  const command = answer === undefined ? undefined : REMEDIES[answer];
  if (command !== undefined) await vscode.commands.executeCommand(command);
}
