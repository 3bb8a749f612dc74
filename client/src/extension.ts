/** Entry point: puts the parts together and registers the commands. */
import * as vscode from "vscode";
import { followCursor } from "./cursor";
import { ModelErrors } from "./errors";
import { chooseK, chooseLanguages, chooseModel, showMenu, toggle } from "./menu";
import { NextTokensPanel } from "./nextTokens";
import { Session } from "./session";
import { StatusItem } from "./status";
import { Suggestions } from "./suggestions";

/** Settings that the server cannot take over while it runs. */
const RESTARTING = ["likely.enabled", "likely.languages", "likely.server"];

let session: Session | undefined;

export function activate(context: vscode.ExtensionContext): void {
  const log = vscode.window.createOutputChannel("Likely", { log: true });
  const item = new StatusItem();
  const errors = new ModelErrors();
  const suggestions = new Suggestions();
  const current = new Session(context, log, suggestions, (status) => {
    item.show(status);
    errors.show(status);
    table.show(status);
    suggestions.show(status);
  });
  session = current;
  const icon = vscode.Uri.joinPath(context.extensionUri, "client", "media", "icon.png");
  const table = new NextTokensPanel(current, icon);
  const commands: Record<string, () => unknown> = {
    "likely.showMenu": () => showMenu(current),
    "likely.nextTokens": () => {
      table.open();
    },
    "likely.chooseModel": () => chooseModel(current),
    "likely.setK": chooseK,
    "likely.chooseLanguages": chooseLanguages,
    "likely.suggest": () => suggestions.ask(),
    "likely.nextList": () => suggestions.goOn(),
    "likely.enterList": () => suggestions.enter(),
    "likely.silence": () => suggestions.silence(),
    "likely.toggle": toggle,
    "likely.start": () => (current.isRunning ? undefined : current.restart(true)),
    "likely.restart": () => current.restart(true),
    "likely.rebuildEnvironment": () => current.rebuild(),
    "likely.showLog": () => {
      log.show();
    },
  };
  for (const [id, run] of Object.entries(commands)) {
    context.subscriptions.push(vscode.commands.registerCommand(id, run));
  }
  context.subscriptions.push(
    ...[log, item, table, suggestions, followCursor(current)],
    vscode.workspace.onDidOpenTextDocument(() => void current.startIfNeeded()),
    vscode.workspace.onDidGrantWorkspaceTrust(() => void current.restart()),
    vscode.workspace.onDidChangeConfiguration((event) => {
      if (RESTARTING.some((section) => event.affectsConfiguration(section))) {
        void current.restart();
      } else if (event.affectsConfiguration("likely")) {
        table.refresh();
      }
    }),
  );
  void current.startIfNeeded();
}

export async function deactivate(): Promise<void> {
  await session?.stop();
}
