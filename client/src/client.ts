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
          insertAtCursor(item, document, position);
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
 * Turns "replace what was typed by itself and more" into "insert the more at the cursor".
 *
 * The text becomes the same, but VS Code orders a list by how well the text in a candidate's range
 * matches, and only then as the server has it. With nothing in the range all of them match equally,
 * and no letters are marked that resemble the typed ones by chance. What is typed afterwards is
 * matched from the candidate's first character on; the character behind it, which cannot be typed,
 * keeps a candidate typed in full from counting for more than the others.
 */
function insertAtCursor(
  item: vscode.CompletionItem,
  document: vscode.TextDocument,
  position: vscode.Position,
): void {
  const { insertText, range } = item;
  if (typeof insertText !== "string" || range === undefined) return;
  const { start } = range instanceof vscode.Range ? range : range.inserting;
  const typed = document.getText(new vscode.Range(start, position));
  if (!insertText.startsWith(typed)) return;
  const added = insertText.slice(typed.length);
  item.range = new vscode.Range(position, position);
  item.insertText = added;
  item.filterText = `${added}\0`;
}
