/** The status bar item: which model, what it is doing, how fast it answered. */
import * as vscode from "vscode";
import { forLabel } from "./escape";

/** What the server says of itself in the notification `likely/status`. */
export interface ServerStatus {
  readonly state: "loading" | "ready" | "error";
  readonly model: string;
  readonly message: string;
  readonly percentage: number | null;
  /** Milliseconds that the last answer took. */
  readonly latency: number | null;
}

/** `idle`: no document of a chosen language is open. `unset`: there is no environment yet. */
export type Status =
  | ServerStatus
  | { readonly state: "idle" | "off" | "unset" | "starting" }
  | { readonly state: "stopped"; readonly message: string };

export class StatusItem implements vscode.Disposable {
  readonly #item: vscode.StatusBarItem;

  constructor() {
    // Left of the cursor's line and column, so that changing figures push nothing about.
    this.#item = vscode.window.createStatusBarItem(
      "likely.status",
      vscode.StatusBarAlignment.Right,
      101,
    );
    this.#item.name = "Likely";
    this.#item.command = "likely.showMenu";
  }

  show(status: Status): void {
    const { text, tooltip, color } = appearance(status);
    this.#item.text = text;
    // Appended as text: a model's name or an error may hold marks of Markdown.
    this.#item.tooltip = new vscode.MarkdownString("**Likely**: ")
      .appendText(tooltip)
      .appendMarkdown("\n\nClick for the menu.");
    this.#item.backgroundColor =
      color === undefined ? undefined : new vscode.ThemeColor(`statusBarItem.${color}Background`);
    if (status.state === "idle") this.#item.hide();
    else this.#item.show();
  }

  dispose(): void {
    this.#item.dispose();
  }
}

interface Appearance {
  readonly text: string;
  readonly tooltip: string;
  readonly color?: "error" | "warning";
}

function appearance(status: Status): Appearance {
  switch (status.state) {
    case "idle":
      return { text: "$(graph) Likely", tooltip: "waiting for a document" };
    case "off":
      return { text: "$(circle-slash) Likely", tooltip: "off in this workspace" };
    case "unset":
      return { text: "$(graph) Likely: set up", tooltip: "not set up yet", color: "warning" };
    case "starting":
      return { text: "$(loading~spin) Likely", tooltip: "starting" };
    case "stopped":
      return { text: "$(error) Likely", tooltip: status.message, color: "error" };
    case "loading": {
      const share = status.percentage === null ? "" : ` ${String(status.percentage)}%`;
      return {
        text: `$(loading~spin) ${shortName(status.model)}${share}`,
        tooltip: status.message || `loading ${status.model}`,
      };
    }
    case "error":
      return {
        text: `$(error) ${shortName(status.model)}`,
        tooltip: status.message,
        color: "error",
      };
    case "ready": {
      const { latency, model } = status;
      const time = latency === null ? "" : ` ${milliseconds(latency)}`;
      const last = latency === null ? "" : `, last answer in ${milliseconds(latency)}`;
      return {
        text: `$(graph) ${shortName(model)}${time}`,
        tooltip: `${model} is ready${last}`,
      };
    }
  }
}

function milliseconds(latency: number): string {
  return latency < 1 ? "<1 ms" : `${latency.toFixed(0)} ms`;
}

/** The last part of a path or hub id, short enough for the status bar. */
function shortName(model: string): string {
  const name = model.split(/[\\/]/).filter(Boolean).at(-1) ?? model;
  return forLabel(name.length <= 30 ? name : `${name.slice(0, 29)}…`);
}
