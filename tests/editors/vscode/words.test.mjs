/** What counts as a word while typing, and what is escaped: pure functions of the client. */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const folder = mkdtempSync(join(tmpdir(), "likely-words-"));
after(() => rmSync(folder, { recursive: true, force: true }));

async function load(name) {
  const outfile = join(folder, `${name}.mjs`);
  const source = fileURLToPath(new URL(`../../../client/src/${name}.ts`, import.meta.url));
  await build({ entryPoints: [source], outfile, bundle: true, format: "esm" });
  return import(pathToFileURL(outfile).href);
}

const { isComposed, isIndentation, isOneWord, isWordCharacter, wordStart } = await load("words");
const { forLabel, forMessage } = await load("escape");

function check(name, decide, cases) {
  for (const [input, expected] of cases) {
    test(`${name}: ${JSON.stringify(input)}`, () => assert.equal(decide(input), expected));
  }
}

check("the word before the cursor starts at", wordStart, [
  ["", 0],
  ["I plan", 2],
  ["I plan ", 7],
  ["don't", 4],
  ["naïve", 0],
  ["x = snake_case2", 4],
  ["слово", 0],
]);

check("one word", isOneWord, [
  ["", true],
  ["plan", true],
  ["don't", true],
  ["so-called", true],
  ["plan ", false],
  ["plan.", false],
]);

check("a character of a word", isWordCharacter, [
  ["a", true],
  ["é", true],
  ["7", true],
  ["_", true],
  ["e\u0301", true],
  [" ", false],
  [".", false],
  ["\n", false],
  ["ab", false],
  ["", false],
]);

check("where Tab indents", isIndentation, [
  ["", true],
  ["    ", true],
  ["- ", true],
  ["  * ", true],
  ["1. ", true],
  ["> - ", true],
  ["-", false],
  ["- word", false],
  ["# ", false],
]);

check("written with an input method", isComposed, [
  ["plain text", false],
  ["слово", false],
  ["今日は", true],
  ["안녕", true],
]);

check("for a message", forMessage, [
  ["[Fix it](command:run)", "[Fix it] (command:run)"],
  ["a model (of ours)", "a model (of ours)"],
]);

check("for a label", forLabel, [
  ["$(trash)model", "\\$(trash)model"],
  ["model", "model"],
]);
