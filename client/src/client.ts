/** The language client, set up for our server. */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import * as vscode from "vscode";
import {
  CloseAction,
  ErrorAction,
  LanguageClient,
  RevealOutputChannelOn,
} from "vscode-languageclient/node";

export interface ClientParts {
  /** Starts the server's process. */
  readonly start: () => Promise<ChildProcess>;
  /** Called when the connection ends without having been asked to. */
  readonly closed: () => void;
  readonly documentSelector: { scheme: string; language: string }[];
  readonly log: vscode.LogOutputChannel;
}

/** Leaves it to its owner to tell the user what went wrong, and to start again. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

export function createClient(parts: ClientParts): LanguageClient {
  return new QuietClient("likely", "Likely", parts.start, {
    documentSelector: parts.documentSelector,
    outputChannel: parts.log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationOptions: () => ({
      likelyStatus: true,
      suggestCommand: "editor.action.triggerSuggest",
      settings: vscode.workspace.getConfiguration().get("likely"),
    }),
    initializationFailedHandler: () => false,
    stdioOptions: {
      stdout: () => undefined,
      // The server's log is on stderr; the library would call every line an error.
      stderr: (stream, channel) => {
        createInterface({ input: stream }).on("line", (line) => {
          channel.info(line);
        });
      },
    },
    errorHandler: {
      error: () => ({ action: ErrorAction.Continue, handled: true }),
      closed: () => {
        parts.closed();
        return { action: CloseAction.DoNotRestart, handled: true };
      },
    },
  });
}
