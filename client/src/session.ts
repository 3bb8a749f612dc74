/** The life of the language server: started when needed, restarted after a crash, stopped. */
import { spawn, type ChildProcess } from "node:child_process";
import { once } from "node:events";
import * as vscode from "vscode";
import type { LanguageClient } from "vscode-languageclient/node";
import { forMessage } from "./escape";
import { ServerFinder, type Launch } from "./server";
import type { ServerStatus, Status } from "./status";
import type { Suggestions } from "./suggestions";

/** Pauses before restarts; a crash more than this many times in `CRASH_WINDOW` ends it. */
const BACK_OFF = [500, 2_000, 5_000, 10_000];
const CRASH_WINDOW = 180_000;
const STOP_TIMEOUT = 1_500;
export const SCHEMES = ["file", "untitled", "vscode-notebook-cell"];

export class Session implements vscode.Disposable {
  readonly #finder: ServerFinder;
  #client: LanguageClient | undefined;
  #process: ChildProcess | undefined;
  #launch: Launch | undefined;
  /** Counts starts and stops: whoever finds it changed after waiting has been overtaken. */
  #turn = 0;
  #busy = false;
  #crashes: number[] = [];
  #pause: NodeJS.Timeout | undefined;

  constructor(
    context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly suggestions: Suggestions,
    private readonly show: (status: Status) => void,
  ) {
    this.#finder = new ServerFinder(context, log, show);
  }

  /** Starts the server if it is wanted, some document needs it, and it is not running. */
  async startIfNeeded(): Promise<void> {
    if (!isEnabled()) {
      this.show({ state: "off" });
    } else if (!vscode.workspace.textDocuments.some(isServed)) {
      if (this.#client === undefined) this.show({ state: "idle" });
    } else if (this.#isIdle() && this.#crashes.length <= BACK_OFF.length) {
      await this.start(false);
    }
  }

  /** With `asked` the user wants it now, so that nobody need ask about the environment. */
  async start(asked: boolean): Promise<void> {
    const turn = ++this.#turn;
    clearTimeout(this.#pause);
    this.#pause = undefined;
    this.#busy = true;
    this.show({ state: "starting" });
    try {
      const launch = await this.#finder.find(asked);
      if (turn !== this.#turn) return;
      if (launch === undefined) {
        this.show({ state: "unset" });
        return;
      }
      this.#launch = launch;
      await this.#connect(launch, turn);
    } catch (error) {
      if (turn !== this.#turn) return;
      if (this.#launch?.source === "path" && this.#process === undefined) {
        await this.#reportBadPath(this.#launch.command, String(error));
      } else {
        await this.#handleCrash(String(error));
      }
    } finally {
      if (turn === this.#turn) this.#busy = false;
    }
  }

  /** Returns within two seconds, with no process left behind. */
  async stop(): Promise<void> {
    this.#turn++;
    this.#busy = false;
    clearTimeout(this.#pause);
    this.#pause = undefined;
    const [client, child] = [this.#client, this.#process];
    this.#client = undefined;
    this.#process = undefined;
    this.suggestions.connect(undefined);
    try {
      await client?.stop(STOP_TIMEOUT);
    } catch (error) {
      this.log.debug(`The server did not stop when asked: ${String(error)}`);
    }
    if (child !== undefined) await end(child);
  }

  async restart(asked = false): Promise<void> {
    this.#crashes = [];
    await this.stop();
    if (asked) await this.start(true);
    else await this.startIfNeeded();
  }

  /** Makes the private environment from nothing, then starts from it. */
  async rebuild(): Promise<void> {
    await this.stop();
    await this.#finder.discardEnvironment();
    await this.restart(true);
  }

  get isRunning(): boolean {
    return this.#client?.isRunning() ?? false;
  }

  /** Undefined where no server is running. */
  async request<Result>(
    method: string,
    parameters: object,
    token?: vscode.CancellationToken,
  ): Promise<Result | undefined> {
    const client = this.#client;
    if (!client?.isRunning()) return undefined;
    return client.sendRequest<Result>(method, parameters, token);
  }

  /** Does nothing where no server is running. */
  async notify(method: string, parameters: object): Promise<void> {
    if (this.#client?.isRunning()) await this.#client.sendNotification(method, parameters);
  }

  /** The parameters that name a place in a document, as the protocol has them. */
  place(document: vscode.TextDocument, position: vscode.Position): object | undefined {
    return this.#client?.code2ProtocolConverter.asTextDocumentPositionParams(document, position);
  }

  dispose(): void {
    void this.stop();
  }

  #isIdle(): boolean {
    return this.#client === undefined && this.#pause === undefined && !this.#busy;
  }

  async #connect(launch: Launch, turn: number): Promise<void> {
    this.log.info(`Starting ${[launch.command, ...launch.args].join(" ")}`);
    // A file of its own, read only here: see build.mjs.
    const { createClient } = await import("./client.js");
    if (turn !== this.#turn) return;
    const client = createClient({
      start: async () => {
        const child = await startProcess(launch);
        if (turn !== this.#turn) {
          child.kill();
          throw new Error("The server was stopped while it started.");
        }
        this.#process = child;
        return child;
      },
      closed: () => {
        if (turn === this.#turn && !this.#busy) void this.#handleCrash("The server stopped.");
      },
      documentSelector: documentSelector(),
      suggestions: this.suggestions,
      log: this.log,
    });
    client.onNotification("likely/status", (status: ServerStatus) => {
      if (turn === this.#turn) this.show(status);
    });
    this.#client = client;
    await client.start();
  }

  async #reportBadPath(path: string, reason: string): Promise<void> {
    await this.stop();
    const message = `The setting likely.server.path names ${path}, which cannot be started.`;
    this.log.error(`${message} ${reason}`);
    this.show({ state: "stopped", message });
    const buttons = ["Open Setting", "Show Log"];
    const answer = await vscode.window.showErrorMessage(forMessage(message), ...buttons);
    if (answer === "Show Log") this.log.show();
    if (answer !== "Open Setting") return;
    await vscode.commands.executeCommand("workbench.action.openSettings", "likely.server.path");
  }

  async #handleCrash(reason: string): Promise<void> {
    this.log.error(reason);
    const source = this.#launch?.source;
    const child = this.#process;
    await this.stop();
    if (child?.exitCode != null) this.log.error(`Exit status: ${String(child.exitCode)}`);
    const now = Date.now();
    this.#crashes = [...this.#crashes.filter((time) => now - time < CRASH_WINDOW), now];
    const pause = BACK_OFF[this.#crashes.length - 1];
    if (pause !== undefined) {
      this.show({ state: "starting" });
      this.#pause = setTimeout(() => void this.start(false), pause);
      return;
    }
    const message = "The Likely server stopped several times in a row. Its log may say why.";
    this.show({ state: "stopped", message });
    const repair = source === "private" ? ["Rebuild Environment"] : [];
    const answer = await vscode.window.showErrorMessage(message, "Show Log", "Restart", ...repair);
    if (answer === "Show Log") this.log.show();
    if (answer === "Restart") await this.restart();
    if (answer === "Rebuild Environment") await this.rebuild();
  }
}

/** Whether Likely is switched on here. */
export function isEnabled(): boolean {
  return vscode.workspace.getConfiguration("likely").get("enabled", true);
}

/** Whether a document is of a chosen language, and of a kind that has text to predict. */
export function isServed(document: vscode.TextDocument): boolean {
  return vscode.languages.match(documentSelector(), document) > 0;
}

function documentSelector(): { scheme: string; language: string }[] {
  const languages = vscode.workspace.getConfiguration("likely").get<string[]>("languages", []);
  return languages.flatMap((language) => SCHEMES.map((scheme) => ({ scheme, language })));
}

/** Throws where there is no such program. */
async function startProcess(launch: Launch): Promise<ChildProcess> {
  const child = spawn(launch.command, launch.args, {
    cwd: launch.cwd,
    env: { ...process.env, PYTHONUTF8: "1", PYTHONUNBUFFERED: "1" },
    windowsHide: true,
  });
  await once(child, "spawn");
  return child;
}

/** Ends a process that may have ended already. */
async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const exited = once(child, "exit");
  const grace = setTimeout(() => child.kill("SIGKILL"), 300);
  await exited;
  clearTimeout(grace);
}
