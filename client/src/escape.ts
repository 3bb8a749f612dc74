/** Names of models, paths and errors are others' text: nothing in it may become a link or an icon. */

/** For a message, where VS Code makes `[text](address)` a link, commands included. */
export function forMessage(text: string): string {
  return text.replaceAll("](", "] (");
}

/** For a label, where VS Code makes `$(name)` an icon. */
export function forLabel(text: string): string {
  return text.replaceAll("$(", "\\$(");
}
