/**
 * Likely in the real VS Code, from the packaged extension, on the default model.
 *
 * The tests are one session of one user: each goes on where the one before it ended. Every step
 * leaves a screenshot in the folder `output`.
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, test } from "node:test";
import { setTimeout as sleep } from "node:timers/promises";
import { fileURLToPath } from "node:url";
import { Recording } from "./recording.mjs";
import {
  asMuchAsIsTyped,
  CELL,
  keysOverAList,
  LATEX_PAGE,
  perform,
  PROGRAM,
  prose,
  typeLikeAPerson,
} from "./typing.mjs";
import { SIZE, until, Workbench } from "./workbench.mjs";

const MINUTE = 60_000;
/** The parts of the window that the pictures in the documentation show. */
const PICTURES = {
  list: { title: "list", x: 52, y: 30, width: 720, height: 290 },
  hover: { title: "hover", x: 52, y: 30, width: 720, height: 340 },
  table: { title: "table", x: 52, y: 30, width: 1128, height: 400 },
  menu: { title: "menu", x: 280, y: 0, width: 620, height: 320 },
};
const SLOW = { timeout: 10 * MINUTE };
const root = fileURLToPath(new URL("../../..", import.meta.url));
const here = fileURLToPath(new URL(".", import.meta.url));
const folder = mkdtempSync(join(tmpdir(), "likely-vscode-"));
const workspace = join(folder, "workspace");
const environment = join(folder, "user/User/globalStorage/likely.likely/environment");
const python = join(environment, "bin", "python");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const EMOJI_BEFORE = "Café 👩‍👩‍👧 🙂 漢字\r\n🙂 This weekend I plan to";
const EMOJI_AFTER = "\r\nafter";
const FILES = {
  "note.txt": "",
  "typing.txt": "",
  "page.md": "",
  "emoji.txt": EMOJI_BEFORE + EMOJI_AFTER,
  "cells.ipynb": notebook("import"),
  "typed.ipynb": notebook(""),
  "typed.txt": "",
  "typed.md": "",
  "typed.tex": "",
  "typed.sty": "",
  "typed.rst": "",
  "typed.py": "",
};
/** Where the list opens by itself: after a space and a word. */
const OPENS = [{ text: "I plan to", list: () => true }];
/** In code it is asked for, and then goes on with what is typed. */
const ASKED = [
  { text: "tot", ask: true, list: ours },
  { text: "a", renews: true },
];
const DEFAULT_LANGUAGES = {
  "typed.txt": OPENS,
  "typed.md": OPENS,
  "typed.tex": OPENS,
  "typed.sty": OPENS,
  "typed.rst": OPENS,
  "typed.py": ASKED,
};
/** What VS Code itself would add to, or take for, what is typed. */
const VERBATIM = { "editor.autoIndent": "none", "editor.wordBasedSuggestions": "off" };
/** What is typed key by key: over 200 characters of prose with figures, quotes and brackets. */
const TYPED =
  "The train to Zürich leaves at 10:45, so we'll have about 20 minutes for a coffee (or two). " +
  "Don't forget the tickets! She said: \"I unpacked everything; the map isn't here.\" In Python, " +
  "a list is written as [1, 2, 3] & so on.";
const vsix = join(root, "dist", `likely-${version}.vsix`);

/** @type {Workbench} */
let bench;
let isSetUp = false;

before(async () => {
  const screenshots = join(here, "output");
  rmSync(screenshots, { recursive: true, force: true });
  mkdirSync(workspace);
  for (const [name, text] of Object.entries(FILES)) writeFileSync(join(workspace, name), text);
  writeFileSync(join(workspace, "emoji.txt"), EMOJI_BEFORE + EMOJI_AFTER);
  execFileSync("npm", ["run", "--silent", "package"], { cwd: root, stdio: "inherit" });
  bench = await Workbench.start({ folder, vsix, screenshots });
});

for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(1));

after(async () => {
  await bench?.stop();
  rmSync(folder, { recursive: true, force: true });
});

function notebook(source) {
  const cell = { cell_type: "code", execution_count: null, metadata: {}, outputs: [] };
  return JSON.stringify({
    cells: [{ ...cell, source: [source] }],
    metadata: { language_info: { name: "python" } },
    nbformat: 4,
    nbformat_minor: 5,
  });
}

/** Whether a list is ours: its rows have figures, up to the snippets of the language. */
function ours(candidates) {
  return /%$/.test(candidates[0].figure);
}

function percentages(candidates) {
  return candidates.map(({ figure }) => {
    assert.match(figure, /^<?\d+\.\d\d%$/);
    return parseFloat(figure.replace("<", ""));
  });
}

function descending(figures) {
  return figures.toSorted((a, b) => b - a);
}

function assertDescending(candidates) {
  const figures = percentages(candidates);
  assert.deepEqual(figures, descending(figures));
  assert.ok(figures.reduce((sum, figure) => sum + figure, 0) <= 100.1);
}

/** Waits until the status bar shows the model at rest. */
function ready(model, timeout = MINUTE) {
  return until(
    `${model} is ready`,
    async () => {
      const { icon, text } = await bench.status();
      return icon === "graph" && (text === model || text.startsWith(`${model} `));
    },
    timeout,
  );
}

/** A test that goes on where the one before it ended; lost where the environment was not made. */
function step(name, ...rest) {
  const body = rest.pop();
  test(name, ...rest, async () => {
    assert.ok(isSetUp, "the environment was not made");
    try {
      await body();
    } catch (error) {
      await bench.screenshot(`failed-${name.replace(/\W+/g, "-").slice(0, 50)}`);
      // What the failed test left open must not fail the others.
      for (let i = 0; i < 3; i++) await bench.press("Escape");
      throw error;
    }
  });
}

/** What is in the panel with the table; an open notebook has a page of its own. */
function tablePage() {
  const outer = 'iframe.webview.ready[src*="extensionId=likely.likely"]';
  return bench.page.frameLocator(outer).frameLocator("iframe");
}

/** A list for the text as it stands now: the one before may still be in sight. */
async function freshList(condition) {
  await bench.press("Escape");
  await bench.press("Control+Space");
  return bench.list(condition);
}

test("the package is small, and little of it is read before a server is needed", () => {
  assert.ok(statSync(vsix).size < 1_000_000, `${statSync(vsix).size} bytes`);
  // The language client is most of it; importing it at once would slow every start of VS Code.
  const activation = readFileSync(join(root, "client/dist/extension.js"), "utf8");
  assert.ok(activation.length < 60_000, `${activation.length} characters`);
  assert.doesNotMatch(activation, /Content-Length/);
});

test("two clicks: consent, then an environment of its own", { timeout: 20 * MINUTE }, async () => {
  await bench.open(workspace);
  await bench.trust(true);
  await bench.openFile("note.txt");
  await bench.press("Control+b");
  const question = bench.notification("needs a Python environment of its own");
  await question.waitFor();
  await bench.inBothThemes("01-consent");
  await question.getByRole("button", { name: "Set Up" }).click();
  await until("the set-up has begun", () => existsSync(environment));
  await until("packages arrive", async () =>
    /downloading|looking for|installing/.test(
      await bench.notification("Setting up Likely").innerText(),
    ),
  );
  await bench.screenshot("02-setting-up");
  await ready("smollm2-135m", 18 * MINUTE);
  await bench.screenshot("03-ready");
  isSetUp = true;
  const [server, ...others] = bench.languageServers();
  assert.deepEqual(others, []);
  assert.ok(server.command.startsWith(python), server.command);
  const packages = readdirSync(
    join(environment, "lib", readdirSync(join(environment, "lib"))[0], "site-packages"),
  );
  if (!existsSync("/dev/nvidia0")) assert.ok(!packages.includes("nvidia"), "torch for CUDA");
});

step("typing opens a list with percentages in descending order", async () => {
  await bench.page.locator(".editor-group-container.active .monaco-editor").first().click();
  await bench.type("This weekend I plan to");
  const candidates = await bench.list((list) => list.length === 10);
  assertDescending(candidates);
  assert.ok(candidates[0].focused);
  assert.ok(
    candidates.every(({ label }) => !label.includes(" ")),
    "white space is visible",
  );
  await bench.inBothThemes("04-list", PICTURES.list);
  await bench.press("Control+Space");
  await bench.page.locator(".suggest-details").waitFor();
  await until("the details are resolved", async () =>
    /surprisal/.test(await bench.page.locator(".suggest-details").innerText()),
  );
  await bench.inBothThemes("05-details");
  await bench.press("Control+Space");
});

step("a changed k is in force at the next keystroke", async () => {
  await bench.configure({ "likely.k": 4 });
  await bench.type(" ");
  assert.equal((await bench.list((list) => list.length === 4)).length, 4);
  await bench.screenshot("06-k-is-4");
  await bench.configure({ "likely.k": 10 });
});

step("another character narrows the list to candidates in probability order", async () => {
  await bench.type("v");
  const candidates = await bench.list((list) => list.every(({ label }) => /^·v/.test(label)));
  assertDescending(candidates);
  assert.equal(candidates[0].label, "·visit");
  await bench.inBothThemes("07-narrowed");
});

step("accepting gives exactly the text, and the next list opens by itself", async () => {
  await bench.press("Tab");
  const next = await bench.list((list) => list.every(({ label }) => label !== "·visit"));
  assertDescending(next);
  await bench.screenshot("08-next-list");
  await bench.press("Tab");
  await bench.list();
  await bench.press("Escape");
  assert.equal(
    await bench.saved(join(workspace, "note.txt")),
    `This weekend I plan to visit${next[0].label.replaceAll("·", " ")}`,
  );
});

step("hovering over a word shows its probability and surprisal", async () => {
  const text = await bench.hover("weekend");
  assert.match(text, /probability\s+<?[\d.]+%/);
  assert.match(text, /surprisal\s+[\d.]+ bits/);
  assert.match(text, /rank\s+\d+/);
  assert.match(text, /expected here/);
  await bench.inBothThemes("09-hover", PICTURES.hover);
  await bench.page.mouse.move(5, 300);
});

step("the next-token table follows the cursor", async () => {
  await bench.command("Likely: Next-Token Table at Cursor");
  const table = tablePage().locator("table");
  await table.waitFor();
  const atEnd = await table.innerText();
  assert.match(atEnd, /\d+\.\d\d%/);
  await bench.press("Home");
  await until("the table has changed", async () => (await table.innerText()) !== atEnd);
  await bench.press("End");
  await until("the table is back", async () => (await table.innerText()) === atEnd);
  // Away from the border between the two, which lights up under the mouse.
  await bench.page.mouse.move(300, 400);
  await bench.inBothThemes("10-table", PICTURES.table);
  await bench.command("View: Single Column Editor Layout");
});

step("the status bar opens a menu, and the menu the choice of a model", async () => {
  await bench.page.locator('[id="likely.likely.likely.status"]').click();
  const rows = bench.page.locator(".quick-input-list .monaco-list-row");
  await rows.filter({ hasText: "Candidates (k)" }).waitFor();
  await bench.inBothThemes("11-menu", PICTURES.menu);
  await rows.filter({ hasText: "Model" }).first().click();
  await rows.filter({ hasText: "GGUF File" }).waitFor();
  await rows.filter({ hasText: "smollm2-135m" }).first().waitFor();
  await bench.inBothThemes("12-models");
  await bench.press("Escape");
});

step("emoji and CRLF before the cursor", async () => {
  const path = join(workspace, "emoji.txt");
  await bench.openFile("emoji.txt");
  await bench.press("Control+Home");
  await bench.press("ArrowDown");
  await bench.press("End");
  // VS Code cuts the figure of a row that is under the mouse, for an arrow.
  await bench.page.mouse.move(300, 600);
  const candidates = await freshList();
  assertDescending(candidates);
  await bench.screenshot("13-emoji");
  await bench.press("Tab");
  await bench.press("Escape");
  const word = candidates[0].label.replaceAll("·", " ");
  assert.equal(await bench.saved(path), EMOJI_BEFORE + word + EMOJI_AFTER);
});

step("the server killed: it comes back, and nothing of the text is lost", async () => {
  await bench.openFile("note.txt");
  await bench.press("Control+End");
  await bench.type(" unsaved");
  const [server] = bench.languageServers();
  process.kill(server.pid, "SIGKILL");
  await until("the server is gone", () => !bench.languageServers().some(isProcess(server)));
  await bench.screenshot("14-killed");
  await until("another server runs", () => bench.languageServers().length === 1);
  await ready("smollm2-135m");
  await bench.type(" words");
  assertDescending(await bench.list());
  await bench.screenshot("15-back-again");
  await bench.press("Escape");
  assert.match(await bench.saved(join(workspace, "note.txt")), / unsaved words$/);
});

step("the model switched to a folder", SLOW, async () => {
  const path = execFileSync(python, ["-m", "likely", "models", "path", "smollm2-135m"], {
    encoding: "utf8",
    cwd: folder,
  }).trim();
  const model = join(folder, "my-model");
  mkdirSync(model);
  for (const name of readdirSync(path)) symlinkSync(join(path, name), join(model, name));
  await bench.configure({ "likely.model": model });
  await ready("my-model");
  assertDescending(await freshList());
  await bench.screenshot("16-folder");
  await bench.configure({ "likely.model": join(folder, "no-model") });
  await bench.notification("no-model").first().waitFor();
  await sleep(500);
  await bench.screenshot("17-no-such-folder");
  await bench.command("Notifications: Clear All Notifications");
  await bench.configure({ "likely.model": "smollm2-135m" });
  await ready("smollm2-135m");
});

step("a command that cannot be started is named", async () => {
  await bench.configure({ "likely.server.path": "/nowhere/likely" });
  const message = bench.notification("/nowhere/likely, which cannot be started");
  await message.waitFor();
  assert.equal((await bench.status()).icon, "error");
  await sleep(500);
  await bench.screenshot("17-no-such-command");
  await bench.command("Notifications: Clear All Notifications");
  await bench.configure({ "likely.server.path": null });
  await ready("smollm2-135m");
});

step("switched off in this workspace, and on again", async () => {
  await bench.command("Likely: Turn On or Off in This Workspace");
  await until("the server has stopped", () => bench.languageServers().length === 0);
  await until("the status says so", async () => (await bench.status()).icon === "circle-slash");
  await bench.screenshot("18-off");
  await bench.command("Likely: Turn On or Off in This Workspace");
  await ready("smollm2-135m");
});

/** What the document is after `strokes`, with Likely off: VS Code's own answer. */
async function typedWithout(name, strokes) {
  await bench.openFile(name);
  await bench.clear();
  await perform(bench, strokes, false);
  return bench.saved(join(workspace, name));
}

step("keys over an open list do what they do without one, in every language", SLOW, async () => {
  await bench.configure({ ...VERBATIM, "likely.enabled": false });
  await until("the server has stopped", () => bench.languageServers().length === 0);
  const expected = {};
  for (const [name, opening] of Object.entries(DEFAULT_LANGUAGES)) {
    expected[name] = await typedWithout(name, keysOverAList(opening));
  }
  await bench.configure({ "likely.enabled": true });
  await ready("smollm2-135m");
  for (const [name, opening] of Object.entries(DEFAULT_LANGUAGES)) {
    await bench.openFile(name);
    await bench.clear();
    await perform(bench, keysOverAList(opening), true);
    assert.equal(await bench.saved(join(workspace, name)), expected[name], name);
  }
  await bench.screenshot("19-keys-over-a-list");
});

step("what is typed at speed stands there, with lists open at line ends", SLOW, async () => {
  await bench.configure(VERBATIM);
  const texts = { "typed.md": prose(), "typed.tex": LATEX_PAGE, "typed.py": PROGRAM };
  for (const [name, whole] of Object.entries(texts)) {
    const text = asMuchAsIsTyped(whole);
    await bench.openFile(name);
    await bench.clear();
    const seen = await typeLikeAPerson(bench, text, { asking: name.endsWith(".py") });
    assert.equal(await bench.saved(join(workspace, name)), text, name);
    assert.ok(seen.lists > 0, `${name}: no list at any of ${seen.ends} line ends`);
  }
  await bench.openFile("typed.ipynb");
  await bench.page.locator(".cell .monaco-editor .view-lines").first().click();
  await typeLikeAPerson(bench, CELL, { asking: true });
  await bench.press("Escape");
  const saved = JSON.parse(await bench.saved(join(workspace, "typed.ipynb")));
  assert.equal(saved.cells[0].source.join(""), CELL);
  await bench.screenshot("19-typed");
});

for (const name of ["typed.md", "typed.txt"]) {
  step(`the list is entered with a key, and Escape silences it for a word: ${name}`, async () => {
    await bench.configure({ ...VERBATIM, "editor.wordBasedSuggestions": "currentDocument" });
    const path = join(workspace, name);
    await bench.openFile(name);
    await bench.clear();
    await bench.type("Sometimes, somewhere: this weekend I plan to");
    // Not the list of the letter before.
    const whole = (list) => ours(list) && list.length > 2 && list[0].label.startsWith("·");
    const [, , third] = await bench.list(whole);
    await bench.press("Control+ArrowDown");
    await bench.list((list) => list[1].focused);
    await bench.press("ArrowDown");
    await bench.list((list) => list[2].focused);
    await bench.press("Enter");
    await bench.list((list) => list.every(({ label }) => label !== third.label));
    const text = "Sometimes, somewhere: this weekend I plan to" + third.label.replaceAll("·", " ");
    assert.equal(await bench.saved(path), text);
    await bench.type(" so");
    await bench.list((list) => ours(list) && list[0].label.startsWith("·so"));
    await bench.press("Escape");
    await bench.type("me", 150);
    await sleep(1000);
    assert.deepEqual(await bench.candidates(), [], "neither ours nor words of the document");
    await bench.type(" ");
    await bench.list(ours);
    await bench.press("Enter");
    await bench.type("- ");
    await sleep(1000);
    assert.deepEqual(await bench.candidates(), [], "where Tab indents");
    assert.equal(await bench.saved(path), `${text} some \n- `);
  });
}

step("in code the list comes when asked for, beside the others", async () => {
  await bench.configure({ "editor.wordBasedSuggestions": "currentDocument" });
  const path = join(workspace, "typed.py");
  await bench.openFile("typed.py");
  await bench.clear();
  await bench.type("value = 1\nva", 80);
  const words = await bench.list();
  assert.deepEqual(
    words.map(({ label }) => label.trim()),
    ["value"],
  );
  await bench.press("Alt+/");
  assertDescending(await bench.list((list) => list.length > 3 && ours(list)));
  await bench.screenshot("19-asked-for");
  await bench.press("Escape");
  await bench.press("Control+Space");
  await bench.list((list) => list.length === 1);
  await bench.press("Enter");
  await bench.press("Alt+/");
  const [, second] = await bench.list(ours);
  await bench.press("ArrowDown");
  await bench.list((list) => list[1].focused);
  await bench.press("Enter");
  const accepted = second.label.replaceAll("·", " ").replaceAll("⏎", "\n");
  await bench.press("Escape");
  assert.equal(await bench.saved(path), `value = 1\nvalue${accepted}`, "entered, then Enter");
});

step("quiet: the list only when asked for, everywhere", async () => {
  await bench.openFile("typed.md");
  await bench.clear();
  await bench.page.locator('[id="likely.likely.likely.status"]').click();
  const rows = bench.page.locator(".quick-input-list .monaco-list-row");
  await rows.filter({ hasText: "Quiet" }).click();
  await sleep(500);
  await bench.type("This weekend I plan to ", 60);
  await sleep(1500);
  assert.deepEqual(await bench.candidates(), []);
  await bench.press("Control+Space");
  await bench.list(ours);
  assert.match(await bench.hover("weekend"), /surprisal/);
  await bench.press("Escape");
  await bench.page.locator('[id="likely.likely.likely.status"]').click();
  await rows.filter({ hasText: "only when asked for" }).click();
  await sleep(500);
  await bench.press("Control+End");
  await bench.type("go ", 60);
  await bench.list(ours);
  await bench.press("Escape");
});

step("a list that comes late takes the focus from nothing", async () => {
  await bench.openFile("typed.md");
  await bench.clear();
  await bench.type("This weekend I plan to ");
  await bench.list(ours);
  await bench.press("Enter");
  const input = bench.page.locator(".quick-input-widget input.input");
  const servers = bench.languageServers();
  assert.ok(servers.length > 0);
  for (const { pid } of servers) process.kill(pid, "SIGSTOP");
  try {
    await bench.type("S");
    await sleep(1000);
    await bench.press("F1");
    await input.waitFor();
  } finally {
    for (const { pid } of servers) process.kill(pid, "SIGCONT");
  }
  await sleep(2000);
  await bench.type("abc");
  assert.equal(await input.inputValue(), ">abc");
  await bench.press("Escape");
  assert.equal(await bench.saved(join(workspace, "typed.md")), "This weekend I plan to \nS");
});

step("the table follows the state of the server, and offers what helps", async () => {
  await bench.openFile("typed.md");
  await bench.clear();
  await bench.type("Th");
  await bench.list(ours);
  await bench.press("Escape");
  await bench.command("Likely: Next-Token Table at Cursor");
  const page = tablePage();
  await page.locator("td", { hasText: /^The$/ }).waitFor();
  assert.equal(await page.locator("td .typed").first().innerText(), "Th");
  await bench.inBothThemes("19-table-in-a-word");
  await bench.configure({ "likely.enabled": false });
  await page.getByText("Likely is off in this workspace.").waitFor();
  await page.getByRole("button", { name: "Turn On" }).waitFor();
  await bench.configure({ "likely.enabled": true });
  await page.locator("td", { hasText: /^The$/ }).waitFor({ timeout: MINUTE });
  await bench.configure({ "likely.model": join(folder, "no-model") });
  await page.getByRole("button", { name: "Choose Model" }).waitFor();
  await page.getByText("there is no file or folder").waitFor();
  await bench.configure({ "likely.model": "smollm2-135m" });
  await page.getByRole("button", { name: "Choose Model" }).waitFor({ state: "detached" });
  await bench.command("View: Single Column Editor Layout");
});

step("what a model's files say becomes no link and runs no command", async () => {
  const model = join(folder, "$(trash)hostile");
  const link = "[Fix it](command:workbench.action.terminal.new)";
  mkdirSync(model);
  const config = { model_type: `${link} <b>bold</b>`, architectures: [link] };
  writeFileSync(join(model, "config.json"), JSON.stringify(config));
  writeFileSync(join(model, "tokenizer.json"), "{}");
  writeFileSync(join(model, "model.safetensors"), "");
  await bench.openFile("typed.md");
  await bench.command("Likely: Next-Token Table at Cursor");
  await bench.configure({ "likely.model": model });
  const message = bench.notification("hostile");
  await message.waitFor();
  const buttons = ["Choose Model", "Try Again", "Show Log"];
  for (const name of buttons) await message.getByRole("button", { name }).waitFor();
  assert.match(await message.innerText(), /Fix it/);
  assert.equal(await message.locator("a", { hasText: "Fix it" }).count(), 0);
  await bench.screenshot("19-hostile");
  const status = bench.page.locator('[id="likely.likely.likely.status"]');
  assert.equal(await status.locator(".codicon-trash").count(), 0);
  await status.hover();
  const tooltip = bench.page.locator(".monaco-hover", { hasText: "Fix it" });
  await tooltip.waitFor();
  assert.equal(await tooltip.locator("a", { hasText: "Fix it" }).count(), 0);
  await status.click();
  const rows = bench.page.locator(".quick-input-list .monaco-list-row");
  await rows.filter({ hasText: "hostile" }).waitFor();
  assert.equal(await rows.locator(".codicon-trash").count(), 0);
  await bench.press("Escape");
  // The tooltip of the status bar, which stays while the mouse is on it, covers the button.
  await bench.page.mouse.move(300, 300);
  await tooltip.waitFor({ state: "hidden" });
  await message.getByRole("button", { name: "Show Log" }).click();
  await bench.page.locator(".output-view", { hasText: "Fix it" }).waitFor();
  await bench.command("View: Toggle Panel Visibility");
  const page = tablePage();
  await page.getByText("Fix it").first().waitFor();
  assert.equal(await page.locator("a, b").count(), 0);
  assert.equal(await bench.page.locator(".terminal").count(), 0);
  await bench.command("View: Single Column Editor Layout");
  await bench.configure({ "likely.model": "smollm2-135m" });
  await ready("smollm2-135m");
});

step("where Likely is off, VS Code is as it comes", SLOW, async () => {
  await bench.configure({
    "editor.wordBasedSuggestions": "currentDocument",
    "likely.enabled": false,
  });
  await until("the server has stopped", () => bench.languageServers().length === 0);
  const seen = await popups(bench, workspace);
  await bench.configure({ "likely.enabled": true });
  const plain = join(folder, "plain");
  mkdirSync(join(plain, "workspace"), { recursive: true });
  for (const name of Object.keys(DEFAULT_LANGUAGES))
    writeFileSync(join(plain, "workspace", name), "");
  const other = await Workbench.start({ folder: plain, screenshots: join(plain, "screenshots") });
  try {
    await other.open(join(plain, "workspace"));
    await other.trust(true);
    await other.configure(VERBATIM);
    await other.configure({ "editor.wordBasedSuggestions": "currentDocument" });
    assert.deepEqual(seen, await popups(other, join(plain, "workspace")));
  } finally {
    await other.stop();
  }
  await ready("smollm2-135m");
});

/** What pops up while typing, and what Enter and the arrows do then, in each default language. */
async function popups(window, directory) {
  const seen = {};
  for (const name of Object.keys(DEFAULT_LANGUAGES)) {
    await window.openFile(name);
    await window.clear();
    // A single letter of the last word: more of it, typed on, may be taken for another word.
    await window.type("wonderful words\nw", 80);
    await sleep(1200);
    const list = (await window.candidates()).map(({ label }) => label);
    await window.press("ArrowDown");
    await window.press("Enter");
    await window.press("Alt+/");
    await sleep(300);
    const asked = await window.candidates();
    await window.press("Escape");
    seen[name] = { list, asked, text: await window.saved(join(directory, name)) };
  }
  return seen;
}

step("the real list is the server's answer, over 200 keystrokes", SLOW, async () => {
  const recording = new Recording(join(folder, "messages.jsonl"));
  const recorder = `"${process.execPath}" "${join(here, "recorder.mjs")}" "${recording.path}"`;
  const command = join(folder, "recorded-likely");
  writeFileSync(command, `#!/bin/sh\nexec ${recorder} "${python}" -m likely "$@"\n`);
  chmodSync(command, 0o755);
  await bench.openFile("typing.txt");
  await bench.configure({ "likely.server.path": command });
  try {
    await until("the recorder runs", () => existsSync(recording.path));
    await ready("smollm2-135m");
    await typeAndCompare(recording);
    await bench.screenshot("19-200-keystrokes");
    await bench.press("Control+Home");
    await until("the server is told where the cursor went", () => {
      const [last] = recording.messagesOf("likely/cursorMoved").slice(-1);
      const { line, character } = last?.params.position ?? {};
      return line === 0 && character === 0;
    });
  } finally {
    await bench.configure({ "likely.server.path": null });
    await until("the recorder has ended", () => !bench.languageServers().some(isRecorder));
  }
  await ready("smollm2-135m");
});

async function typeAndCompare(recording) {
  // VS Code takes the first character after a change of documents for a jump of the cursor.
  await bench.type(" ");
  await bench.press("Backspace");
  await bench.press("Escape");
  let typed = "";
  for (const [index, character] of [...TYPED].entries()) {
    await bench.type(character);
    typed += character;
    const { items } = await recording.answerTo("typing.txt", typed);
    const expected = items.map((item) => `${item.label} ${item.labelDetails.description}`);
    let seen;
    await until(`the list after ${JSON.stringify(typed)} is the server's`, async () => {
      seen = (await bench.candidates()).map(({ label, figure }) => `${label} ${figure}`);
      return seen.join("\n") === expected.join("\n");
    }).catch((error) => assert.deepEqual(seen, expected, error.message));
    const figures = items.map(({ data }) => data.probability);
    assert.deepEqual(figures, descending(figures));
    for (const { textEdit } of items) {
      assert.deepEqual(textEdit.range.end, { line: 0, character: typed.length });
      assert.equal(textEdit.range.start.line, 0);
    }
    if (index % 20 === 19 && items.length > 2) await acceptAndUndo(recording, items[2], typed);
  }
}

/** Accepts the third candidate, compares the document with the server's edit, and goes back. */
async function acceptAndUndo(recording, { textEdit }, typed) {
  const { newText, range } = textEdit;
  await bench.press("Control+ArrowDown");
  await bench.list((list) => list[1].focused);
  await bench.press("ArrowDown");
  await bench.press("Tab");
  const accepted = typed.slice(0, range.start.character) + newText;
  await until(
    `the document is ${JSON.stringify(accepted)}`,
    () => recording.text("typing.txt") === accepted,
  );
  await bench.press("Control+z");
  await until("the document is as before", () => recording.text("typing.txt") === typed);
}

step("a reload and a lost extension host leave no server behind", async () => {
  const [first] = bench.languageServers();
  await bench.command("Developer: Reload Window");
  await until("the first server has ended", () => !isAlive(first.pid));
  const second = await until("a second server runs", () => bench.languageServers()[0]);
  process.kill(bench.extensionHost().pid, "SIGKILL");
  await until("the second server has ended", () => !isAlive(second.pid));
});

step("the extension starts with VS Code, and is listed with what that took", async () => {
  await bench.open(workspace);
  await bench.openFile("note.txt");
  await ready("smollm2-135m");
  await bench.page.setViewportSize({ ...SIZE, height: 2400 });
  await bench.command("Developer: Show Running Extensions");
  await bench.page
    .locator(".monaco-list-row", { hasText: /Likely.*Activation/s })
    .first()
    .waitFor();
  await bench.screenshot("20-activation");
  await bench.page.setViewportSize(SIZE);
});

step("a new version of the extension updates the environment", SLOW, async () => {
  const mark = join(environment, "likely-installed");
  const installed = readFileSync(mark, "utf8");
  writeFileSync(mark, "what another version installed");
  await bench.open(workspace);
  await bench.openFile("note.txt");
  await bench.notification("Updating Likely").waitFor();
  await bench.screenshot("20-updating");
  await ready("smollm2-135m", 5 * MINUTE);
  assert.equal(readFileSync(mark, "utf8"), installed);
});

step("a workspace that is not trusted cannot choose the model", async () => {
  const untrusted = join(folder, "untrusted");
  mkdirSync(join(untrusted, ".vscode"), { recursive: true });
  writeFileSync(join(untrusted, "note.txt"), "");
  writeFileSync(
    join(untrusted, ".vscode", "settings.json"),
    JSON.stringify({
      "likely.k": 3,
      "likely.model": join(folder, "my-model"),
      "likely.server.path": join(folder, "recorded-likely"),
    }),
  );
  rmSync(join(folder, "messages.jsonl"), { force: true });
  await bench.open(untrusted);
  await bench.trust(false);
  await bench.openFile("note.txt");
  await ready("smollm2-135m");
  await bench.type("To be or not to");
  assert.equal((await bench.list((list) => list.length === 3)).length, 3);
  await bench.screenshot("21-not-trusted");
  assert.match((await bench.status()).text, /^smollm2-135m/);
  assert.ok(!existsSync(join(folder, "messages.jsonl")), "a program of the workspace ran");
});

step("Markdown gets suggestions while typing, and settings are described", async () => {
  await bench.open(workspace);
  await bench.openFile("page.md");
  await ready("smollm2-135m");
  await bench.type("# The mitochondria is the power");
  assertDescending(await bench.list());
  await bench.inBothThemes("22-markdown");
  await bench.press("Escape");
  await bench.command("Preferences: Open Settings (UI)");
  await bench.type("@ext:likely.likely");
  await bench.page.locator(".settings-toc-entry", { hasText: "Likely" }).first().click();
  await bench.page.locator(".settings-editor .setting-item").first().waitFor();
  await sleep(800);
  await bench.inBothThemes("23-settings");
});

step("the walkthrough shows the way", async () => {
  await bench.press("Escape");
  await bench.command("Welcome: Open Walkthrough...");
  await bench.type("See how likely");
  await bench.press("Enter");
  const step = bench.page.getByRole("button", { name: "Set Up and Start" });
  await step.waitFor();
  await until("its picture is there", () =>
    bench.page.evaluate(() =>
      [...document.querySelectorAll(".getting-started-media img")].some(
        (img) => img.naturalWidth > 0,
      ),
    ),
  );
  await bench.inBothThemes("24-walkthrough");
});

step("a cell of a notebook", async () => {
  await bench.press("Escape");
  await bench.openFile("cells.ipynb");
  const cell = bench.page.locator(".cell .monaco-editor .view-line").first();
  await cell.click();
  await bench.press("End");
  await bench.type(" ");
  await bench.press("Alt+/");
  const candidates = await bench.list();
  assertDescending(candidates);
  assert.ok(
    candidates.some(({ label }) => label.endsWith("numpy")),
    JSON.stringify(candidates),
  );
  await bench.inBothThemes("25-notebook");
  await bench.press("Escape");
});

step("a server that crashes again and again is not started for ever", SLOW, async () => {
  const message = bench.notification("stopped several times");
  const killed = new Set();
  while ((await message.count()) === 0) {
    for (const { pid } of bench.languageServers()) {
      if (isAlive(pid)) process.kill(pid, "SIGKILL");
      killed.add(pid);
    }
    await sleep(50);
  }
  assert.equal(killed.size, 5, "the first start, and four more");
  assert.equal((await bench.status()).icon, "error");
  await bench.inBothThemes("26-crashes");
  await message.getByRole("button", { name: "Restart" }).click();
  await ready("smollm2-135m");
});

step("nothing is left running", async () => {
  const servers = bench.languageServers();
  assert.ok(servers.length > 0);
  await bench.stop();
  for (const { pid } of servers) await until("the server has ended", () => !isAlive(pid));
});

function isRecorder({ command }) {
  return command.includes("recorder.mjs");
}

function isProcess({ pid }) {
  return (other) => other.pid === pid;
}

function isAlive(pid) {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
