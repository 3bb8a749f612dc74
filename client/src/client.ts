/** The language client, set up for our server. */
import type { ChildProcess } from "node:child_process";
import { createInterface } from "node:readline";
import * as vscode from "vscode";
import {
  CancellationToken,
  CloseAction,
  CompletionRequest,
  CompletionResolveRequest,
  ErrorAction,
  LanguageClient,
  MessageType,
  RevealOutputChannelOn,
  ShowMessageNotification,
  type CompletionOptions,
} from "vscode-languageclient/node";
import { forLabel, forMessage } from "./escape";
import type { Source, Suggestions } from "./suggestions";

export interface ClientParts {
  /** Starts the server's process. */
  readonly start: () => Promise<ChildProcess>;
  /** Called when the connection ends without having been asked to. */
  readonly closed: () => void;
  readonly documentSelector: { scheme: string; language: string }[];
  readonly suggestions: Suggestions;
  readonly log: vscode.LogOutputChannel;
}

const COMPLETION = CompletionRequest.method;

/** Leaves it to its owner to tell the user what went wrong, and to start again. */
class QuietClient extends LanguageClient {
  override error(message: string, data?: unknown): void {
    super.error(message, data, false);
  }
}

export function createClient(parts: ClientParts): LanguageClient {
  const client: LanguageClient = new QuietClient("likely", "Likely", parts.start, {
    documentSelector: parts.documentSelector,
    outputChannel: parts.log,
    revealOutputChannelOn: RevealOutputChannelOn.Never,
    initializationOptions: () => ({
      likelyStatus: true,
      markdownTables: true,
      suggestCommand: "likely.nextList",
      settings: vscode.workspace.getConfiguration().get("likely"),
    }),
    initializationFailedHandler: () => false,
    middleware: {
      // Completion is registered by the one that knows where a list may open by itself.
      handleRegisterCapability: async ({ registrations }, next) => {
        for (const { method, registerOptions } of registrations) {
          if (method !== COMPLETION) continue;
          const { triggerCharacters } = registerOptions as CompletionOptions;
          parts.suggestions.connect(sourceOf(client, triggerCharacters ?? []));
        }
        const others = registrations.filter(({ method }) => method !== COMPLETION);
        if (others.length > 0) await next({ registrations: others }, CancellationToken.None);
      },
      handleWorkDoneProgress: (token, progress, next) => {
        const escaped = { ...progress };
        if ("title" in escaped) escaped.title = forLabel(escaped.title);
        if (escaped.message !== undefined) escaped.message = forLabel(escaped.message);
        next(token, escaped);
      },
      handleUnregisterCapability: async ({ unregisterations }, next) => {
        const others = unregisterations.filter(({ method }) => method !== COMPLETION);
        if (others.length > 0) await next({ unregisterations: others }, CancellationToken.None);
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
  client.onNotification(ShowMessageNotification.type, ({ type, message }) => {
    const shows = {
      [MessageType.Error]: "showErrorMessage",
      [MessageType.Warning]: "showWarningMessage",
    } as const;
    const show = type in shows ? shows[type as keyof typeof shows] : "showInformationMessage";
    void vscode.window[show](forMessage(message));
  });
  return client;
}

/** The completion requests of a running client; where one fails there is no answer. */
function sourceOf(client: LanguageClient, triggerCharacters: readonly string[]): Source {
  const outbound = client.code2ProtocolConverter;
  const inbound = client.protocol2CodeConverter;
  const log = (error: unknown): void => {
    client.error("A completion request failed.", error);
  };
  return {
    triggerCharacters,
    complete: async (document, position, context, token) => {
      const parameters = outbound.asCompletionParams(document, position, context);
      try {
        const result = await client.sendRequest(CompletionRequest.type, parameters, token);
        const list = await inbound.asCompletionResult(result, undefined, token);
        return Array.isArray(list) ? new vscode.CompletionList(list) : (list ?? undefined);
      } catch (error) {
        if (!token.isCancellationRequested) log(error);
        return undefined;
      }
    },
    resolve: async (item, token) => {
      const parameters = outbound.asCompletionItem(item, true);
      try {
        const result = await client.sendRequest(CompletionResolveRequest.type, parameters, token);
        return inbound.asCompletionItem(result);
      } catch (error) {
        if (!token.isCancellationRequested) log(error);
        return undefined;
      }
    },
  };
}
