/** Tells the server where the cursor went, so that the first answer there is ready. */
import * as vscode from "vscode";
import { isServed, type Session } from "./session";

/** Milliseconds: long enough to skip the positions that a moving cursor only passes, and typing. */
export const DEBOUNCE = 80;

export function followCursor(session: Session): vscode.Disposable {
  let timer: NodeJS.Timeout | undefined;
  const subscription = vscode.window.onDidChangeTextEditorSelection(({ textEditor }) => {
    clearTimeout(timer);
    timer = setTimeout(() => {
      const { document, selection } = textEditor;
      const place = session.place(document, selection.active);
      if (place && isServed(document)) void session.notify("likely/cursorMoved", place);
    }, DEBOUNCE);
  });
  return new vscode.Disposable(() => {
    clearTimeout(timer);
    subscription.dispose();
  });
}
