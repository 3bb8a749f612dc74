/** Drives the real VS Code: code-server in a headless Chromium. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { setUp } from "./setup.mjs";

export const SIZE = { width: 1180, height: 720 };
/** Nothing but the editor, so that the screenshots show what they are about. */
const SETTINGS = {
  "chat.disableAIFeatures": true,
  "editor.autoClosingBrackets": "never",
  "editor.autoClosingQuotes": "never",
  "editor.minimap.enabled": false,
  "files.autoSave": "off",
  "security.workspace.trust.startupPrompt": "always",
  "telemetry.telemetryLevel": "off",
  "window.autoDetectColorScheme": true,
  "window.commandCenter": false,
  "workbench.editor.empty.hint": "hidden",
  "workbench.preferredDarkColorTheme": "Dark Modern",
  "workbench.preferredLightColorTheme": "Light Modern",
  "workbench.secondarySideBar.defaultVisibility": "hidden",
  "workbench.startupEditor": "none",
  "workbench.tips.enabled": false,
};

/** Waits for `probe` to return something true, and returns that. */
export async function until(what, probe, timeout = 30_000) {
  const end = Date.now() + timeout;
  for (;;) {
    const result = await probe();
    if (result) return result;
    if (Date.now() > end) throw new Error(`waited ${timeout / 1000} s in vain: ${what}`);
    await sleep(100);
  }
}

export class Workbench {
  /**
   * `folder` receives everything: settings, extensions, logs and the private environment. Without
   * `vsix` it is VS Code as it comes.
   */
  static async start({ folder, vsix, screenshots }) {
    const programs = setUp();
    const bench = new Workbench(folder, screenshots);
    const user = join(folder, "user");
    mkdirSync(join(user, "User"), { recursive: true });
    mkdirSync(join(user, "Machine"));
    writeJson(join(user, "User", "settings.json"), SETTINGS);
    const common = ["--user-data-dir", user, "--extensions-dir", join(folder, "extensions")];
    if (vsix !== undefined) {
      const install = [programs.codeServer, ...common, "--install-extension", vsix];
      execFileSync(programs.node, install, { stdio: "pipe" });
    }
    const port = await freePort();
    bench.address = `http://127.0.0.1:${port}/`;
    const options = ["--auth", "none", "--bind-addr", `127.0.0.1:${port}`, "--disable-telemetry"];
    bench.server = spawn(
      programs.node,
      [programs.codeServer, ...common, ...options, "--disable-update-check"],
      { stdio: ["ignore", "pipe", "pipe"], detached: true },
    );
    // A group of its own, with the extension host in it; it must not outlive the test.
    process.once("exit", () => bench.#kill("SIGKILL"));
    const log = createWriteStream(join(folder, "code-server.log"));
    bench.server.stdout.pipe(log);
    bench.server.stderr.pipe(log);
    await until("code-server answers", () =>
      fetch(bench.address).then(
        (r) => r.ok,
        () => false,
      ),
    );
    bench.browser = await chromium.launch({
      executablePath: programs.chromium,
      args: ["--no-sandbox"],
    });
    return bench;
  }

  constructor(folder, screenshots) {
    this.folder = folder;
    this.screenshots = screenshots;
    this.settings = {};
    this.changes = 0;
    mkdirSync(screenshots, { recursive: true });
  }

  async stop() {
    await this.browser?.close();
    if (this.server && this.server.exitCode === null) {
      const exited = once(this.server, "exit");
      this.#kill("SIGTERM");
      await exited;
    }
  }

  #kill(signal) {
    try {
      process.kill(-this.server.pid, signal);
    } catch {
      // It has ended already.
    }
  }

  /** Opens a folder in a new window, in place of the one before. */
  async open(folder) {
    await this.#closePage();
    // What the user has trusted is remembered by the browser.
    this.context ??= await this.browser.newContext({
      viewport: SIZE,
      deviceScaleFactor: 1.5,
      colorScheme: "dark",
    });
    this.opened = folder;
    this.settings = {};
    this.page = await this.context.newPage();
    this.page.setDefaultTimeout(20_000);
    await this.page.goto(`${this.address}?folder=${encodeURIComponent(folder)}`);
    await this.page.waitForSelector(".monaco-workbench .part.statusbar", { timeout: 60_000 });
    await until("the extension host runs", () => this.extensionHost());
  }

  /** Closes the window as a user does; without a farewell the server would wait for its return. */
  async #closePage() {
    if (this.page === undefined) return;
    const closed = this.page.waitForEvent("close");
    await this.page.close({ runBeforeUnload: true });
    await closed;
    await until("the extension host has ended", () => !this.extensionHost());
  }

  /** Answers the question whether the folder's authors are trusted. */
  async trust(answer) {
    const name = answer ? "Yes, I trust the authors" : "No, I don't trust the authors";
    await this.page.getByRole("button", { name }).click({ timeout: 30_000 });
  }

  /**
   * Changes settings, as another program or another window would: in the settings.json of the
   * folder, or for machine-scoped ones in that of the machine where the server runs. (code-server
   * does not watch the user's own.) Returns when those of the folder are in force.
   */
  async configure(values) {
    // The window's title tells that the file was read: a character without width for each change.
    const mark = "\u200b".repeat(++this.changes);
    const machine = {};
    const folder = { "window.title": `\${activeEditorShort} - \${rootName}${mark}` };
    for (const [name, value] of Object.entries(Object.assign(this.settings, values))) {
      (/^likely\.(server\.|cacheDirectory)/.test(name) ? machine : folder)[name] = value;
    }
    writeJson(join(this.folder, "user", "Machine", "settings.json"), machine);
    writeJson(join(this.opened, ".vscode", "settings.json"), folder);
    await until("the settings are in force", async () => (await this.page.title()).endsWith(mark));
    // From the window it goes on to the extension, and to the server.
    await sleep(500);
  }

  async screenshot(name) {
    await this.page.screenshot({ path: join(this.screenshots, `${name}.png`) });
  }

  /**
   * The same screenshot in the light and the dark theme; with `picture` its upper left part too,
   * as a picture with that title for the documentation, where that is wanted (LIKELY_PICTURES names
   * the folder).
   */
  async inBothThemes(name, picture = undefined) {
    for (const [colorScheme, mark] of Object.entries({ light: ".vs", dark: ".vs-dark" })) {
      await this.page.emulateMedia({ colorScheme });
      await this.page.locator(`.monaco-workbench${mark}`).waitFor();
      await sleep(400);
      await this.screenshot(`${name}-${colorScheme}`);
      if (picture !== undefined && process.env.LIKELY_PICTURES !== undefined) {
        const { title, ...clip } = picture;
        const file = `${title}-${colorScheme}.png`;
        await this.page.screenshot({ path: join(process.env.LIKELY_PICTURES, file), clip });
      }
    }
  }

  /** Runs a command by its title in the palette. */
  async command(title) {
    await this.page.keyboard.press("F1");
    const input = this.page.locator(".quick-input-widget input.input");
    await input.fill(`>${title}`);
    const row = this.page.locator(".quick-input-list .monaco-list-row").first();
    await row.filter({ hasText: title }).waitFor();
    await this.page.keyboard.press("Enter");
  }

  async openFile(name) {
    await this.page.keyboard.press("Control+p");
    const input = this.page.locator(".quick-input-widget input.input");
    await input.fill(name);
    const row = this.page.locator(".quick-input-list .monaco-list-row").first();
    await row.filter({ hasText: name }).waitFor();
    await this.page.keyboard.press("Enter");
    const group = this.page.locator(".editor-group-container.active");
    await group.locator(".tab.active", { hasText: name }).waitFor();
    await group.locator(".monaco-editor, .notebook-editor").first().waitFor();
  }

  type(text, delay = 30) {
    return this.page.keyboard.type(text, { delay });
  }

  press(key) {
    return this.page.keyboard.press(key);
  }

  /** The rows of the open suggestion list, from the top; empty where it is closed. */
  candidates() {
    return this.page.evaluate(() => {
      const rows = [...document.querySelectorAll(".suggest-widget.visible .monaco-list-row")];
      return rows
        .map((row) => ({
          index: Number(row.getAttribute("data-index")),
          label: row.querySelector(".label-name")?.textContent ?? "",
          figure: row.querySelector(".details-label")?.textContent ?? "",
          focused: row.classList.contains("focused"),
        }))
        .sort((a, b) => a.index - b.index);
    });
  }

  /** The list once it satisfies `condition` (by default: once it is open). */
  list(condition = () => true, timeout = 30_000) {
    return until(
      `a list that satisfies ${condition}`,
      async () => {
        const candidates = await this.candidates();
        return candidates.length > 0 && condition(candidates) ? candidates : undefined;
      },
      timeout,
    );
  }

  /** Moves the mouse over the middle of `word` in the editor; returns the hover's text. */
  async hover(word) {
    const place = await this.page.evaluate((searched) => {
      const selector = ".editor-group-container.active .view-lines";
      const walker = document.createTreeWalker(
        document.querySelector(selector),
        NodeFilter.SHOW_TEXT,
      );
      while (walker.nextNode()) {
        // The editor shows ordinary spaces as no-break spaces.
        const start = walker.currentNode.data.replaceAll("\u00a0", " ").indexOf(searched);
        if (start < 0) continue;
        const range = document.createRange();
        range.setStart(walker.currentNode, start);
        range.setEnd(walker.currentNode, start + searched.length);
        const box = range.getBoundingClientRect();
        return { x: box.x + box.width / 2, y: box.y + box.height / 2 };
      }
      return null;
    }, word);
    if (place === null) throw new Error(`${word} is not in sight`);
    await this.page.mouse.move(place.x - 40, place.y + 60);
    await this.page.mouse.move(place.x, place.y, { steps: 4 });
    const hover = this.page.locator(".monaco-hover:not(.hidden) .hover-contents").first();
    await hover.waitFor();
    return hover.innerText();
  }

  /** Empties the document. */
  async clear() {
    await this.press("Control+a");
    await this.press("Delete");
  }

  /** The document as it is saved. */
  async saved(path) {
    await this.press("Control+s");
    await until("the document is saved", async () => {
      return (await this.page.locator(".tab.active.dirty").count()) === 0;
    });
    return readFileSync(path, "utf8");
  }

  /** Our item in the status bar: the name of its icon, and its text. */
  async status() {
    const item = this.page.locator('[id="likely.likely.likely.status"]');
    if ((await item.count()) === 0) return { icon: "", text: "" };
    const icon = await item.locator(".codicon").first().getAttribute("class");
    const [, name] = /codicon-([\w-]+)/.exec(icon);
    return { icon: name, text: (await item.first().innerText()).trim() };
  }

  notification(text) {
    return this.page.locator(".notification-toast", { hasText: text });
  }

  /** Process ids of the running language servers, as descendants of this code-server. */
  languageServers() {
    return this.#descendants().filter(({ command }) => /\blikely\b.*\bserve\b/.test(command));
  }

  extensionHost() {
    return this.#descendants().find(({ command }) => command.includes("--type=extensionHost"));
  }

  #descendants() {
    const output = execFileSync("ps", ["-e", "-o", "pid=,ppid=,args="], { encoding: "utf8" });
    const processes = output
      .split("\n")
      .map((line) => /^\s*(\d+)\s+(\d+)\s+(.*)$/.exec(line))
      .filter(Boolean)
      .map(([, pid, parent, command]) => ({ pid: Number(pid), parent: Number(parent), command }));
    const family = new Set([this.server.pid]);
    // A parent may come after its child in the listing, once process numbers start over.
    for (let size = 0; size !== family.size;) {
      size = family.size;
      for (const { pid, parent } of processes) if (family.has(parent)) family.add(pid);
    }
    return processes.filter(({ pid }) => family.has(pid));
  }
}

function writeJson(path, value) {
  mkdirSync(dirname(path), { recursive: true });
  writeFileSync(path, JSON.stringify(value, null, 2));
}

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
