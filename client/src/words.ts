/** What counts as a word, an indentation and a word that goes on: for the list, while typing. */

/** Text before the cursor -> the start of the word that ends there. */
export function wordStart(before: string): number {
  return before.length - (/[\p{L}\p{M}\p{N}_]*$/u.exec(before)?.[0].length ?? 0);
}

/** Whether all of `text` belongs to one word: an apostrophe or a hyphen does not end it. */
export function isOneWord(text: string): boolean {
  return /^[\p{L}\p{M}\p{N}_'’-]*$/u.test(text);
}

/** Whether `typed` is a single character of a word. */
export function isWordCharacter(typed: string): boolean {
  return /^[\p{L}\p{N}_]\p{M}*$/u.test(typed);
}

/** Whether only indentation and marks of list items stand there, where Tab indents. */
export function isIndentation(before: string): boolean {
  return /^\s*(?:(?:[-*+>]|\d+[.)])\s+)*$/.test(before);
}

/** Whether letters there come from an input method, whose composition nothing may disturb. */
export function isComposed(before: string): boolean {
  return /[\p{Script=Han}\p{Script=Hiragana}\p{Script=Katakana}\p{Script=Hangul}]/u.test(before);
}
