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
    middleware: {
      provideCompletionItem: async (document, position, context, token, next) => {
        const answer = await next(document, position, context, token);
        for (const item of Array.isArray(answer) ? answer : (answer?.items ?? [])) {
          keepInOrder(item, document, position);
        }
        return answer;
      },
    },
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

/**
 * Makes all candidates of a list match the typed text equally well, whatever they are.
 *
 * VS Code orders by how well the filter text matches before it looks at the server's order, and it
 * ignores white space in front of what was typed, but not in front of the filter text. Without that
 * white space each candidate matches from its first character on; and with something behind it that
 * cannot be typed, none of them is ever a match of full length, which would count for more.
 */
function keepInOrder(
  item: vscode.CompletionItem,
  document: vscode.TextDocument,
  position: vscode.Position,
): void {
  const { filterText, range } = item;
  if (filterText === undefined || range === undefined) return;
  const { start } = range instanceof vscode.Range ? range : range.inserting;
  const typed = document.getText(new vscode.Range(start, position));
  const [space] = /^[ \t]*/.exec(typed) ?? [""];
  if (filterText.startsWith(space)) {
    item.filterText = filterText.slice(space.length) + "\0".repeat(space.length + 1);
  }
}
