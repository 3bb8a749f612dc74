/** Drives the real VS Code: code-server in a headless Chromium. */
import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { createWriteStream, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { createServer } from "node:net";
import { join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { chromium } from "playwright-core";
import { setUp } from "./setup.mjs";

const SIZE = { width: 1180, height: 720 };

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
  /** `folder` receives everything: settings, extensions, logs and the private environment. */
  static async start({ folder, vsix, screenshots }) {
    const programs = setUp();
    const bench = new Workbench(folder, screenshots);
    const user = join(folder, "user");
    mkdirSync(join(user, "User"), { recursive: true });
    mkdirSync(join(user, "Machine"), { recursive: true });
    const common = ["--user-data-dir", user, "--extensions-dir", join(folder, "extensions")];
    execFileSync(programs.node, [programs.codeServer, ...common, "--install-extension", vsix], {
      stdio: "pipe",
    });
    const port = await freePort();
    bench.address = `http://127.0.0.1:${port}/`;
    const options = ["--auth", "none", "--bind-addr", `127.0.0.1:${port}`, "--disable-telemetry"];
    bench.server = spawn(
      programs.node,
      [programs.codeServer, ...common, ...options, "--disable-update-check"],
      { stdio: ["ignore", "pipe", "pipe"], detached: true },
    );
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
    mkdirSync(screenshots, { recursive: true });
  }

  async stop() {
    await this.browser?.close();
    if (this.server && this.server.exitCode === null) {
      const exited = once(this.server, "exit");
      process.kill(-this.server.pid, "SIGTERM");
      await exited;
    }
  }

  /** Opens a folder in a new window, in place of the one before. */
  async open(folder) {
    await this.page?.context().close();
    const context = await this.browser.newContext({ viewport: SIZE, deviceScaleFactor: 1.5 });
    this.page = await context.newPage();
    this.page.setDefaultTimeout(20_000);
    await this.page.goto(`${this.address}?folder=${encodeURIComponent(folder)}`);
    await this.page.waitForSelector(".monaco-workbench .part.statusbar", { timeout: 60_000 });
    await until("the extension host runs", () => this.extensionHost());
  }

  /** Answers the question whether the folder's authors are trusted. */
  async trust(answer) {
    const name = answer ? "Yes, I trust the authors" : "No, I don't trust the authors";
    await this.page.getByRole("button", { name }).click({ timeout: 30_000 });
  }

  /** Replaces the user's settings; machine-scoped ones count where the server runs. */
  settings(values) {
    const { user, machine } = Object.entries(values).reduce(
      (split, [name, value]) => {
        split[/^likely\.(server\.|cacheDirectory)/.test(name) ? "machine" : "user"][name] = value;
        return split;
      },
      { user: {}, machine: {} },
    );
    this.writeJson("User/settings.json", user);
    this.writeJson("Machine/settings.json", machine);
  }

  writeJson(path, value) {
    writeFileSync(join(this.folder, "user", path), JSON.stringify(value, null, 2));
  }

  async screenshot(name) {
    await this.page.screenshot({ path: join(this.screenshots, `${name}.png`) });
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
    await this.page
      .locator(".editor-group-container.active .tab.active", { hasText: name })
      .waitFor();
    await this.page.locator(".editor-group-container.active .monaco-editor").first().waitFor();
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

  /** The document as it is saved. */
  async saved(path) {
    await this.press("Control+s");
    await until("the document is saved", async () => {
      return (await this.page.locator(".tab.active.dirty").count()) === 0;
    });
    return readFileSync(path, "utf8");
  }

  /** Text of our item in the status bar. */
  async status() {
    const item = this.page.locator('[id="likely.likely.likely.status"]');
    return (await item.count()) === 0 ? "" : (await item.first().innerText()).trim();
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

async function freePort() {
  const probe = createServer().listen(0, "127.0.0.1");
  await once(probe, "listening");
  const { port } = probe.address();
  probe.close();
  await once(probe, "close");
  return port;
}
