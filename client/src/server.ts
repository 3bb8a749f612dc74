/** Decides which program serves: a command, a Python that holds it, or the private environment. */
import { homedir } from "node:os";
import { join } from "node:path";
import { PVSC_EXTENSION_ID, PythonExtension } from "@vscode/python-extension";
import * as vscode from "vscode";
import { Environment, SetupError, type Trouble } from "./environment";
import { forMessage } from "./escape";
import { describe, probe } from "./python";
import type { Status } from "./status";

/** A program to start, and where it comes from. */
export interface Launch {
  readonly command: string;
  readonly args: readonly string[];
  readonly cwd: string;
  readonly source: "path" | "python" | "private";
}

/** `again`: something changed that makes another look worthwhile. */
type Answer = "ready" | "again" | "no";

const SERVE = ["-m", "likely", "serve"];
const DOWNLOADS = "https://www.python.org/downloads/";

export class ServerFinder {
  readonly #environment: Environment;
  /** Python looks for modules in the current folder first: this one holds none. */
  readonly #safeFolder: string;
  #declined = false;

  constructor(
    context: vscode.ExtensionContext,
    private readonly log: vscode.LogOutputChannel,
    private readonly show: (status: Status) => void,
  ) {
    this.#safeFolder = context.asAbsolutePath("client/dist");
    const { version } = context.extension.packageJSON as { version: string };
    this.#environment = new Environment(
      join(context.globalStorageUri.fsPath, "environment"),
      {
        wheel: join(this.#safeFolder, `likely-${version}-py3-none-any.whl`),
        constraints: join(this.#safeFolder, "constraints.txt"),
      },
      (line) => {
        log.info(line);
      },
    );
  }

  /**
   * What to start; undefined where there is nothing and the user did not want it made.
   *
   * With `asked` the user has just requested the private environment, and is not asked again.
   */
  async find(asked: boolean): Promise<Launch | undefined> {
    const settings = vscode.workspace.getConfiguration("likely");
    const path = settings.get<string | null>("server.path");
    if (path) {
      return {
        command: path.replace(/^~(?=[\\/])/, homedir()),
        args: ["serve"],
        cwd: this.#safeFolder,
        source: "path",
      };
    }
    const python = await this.#pythonWithLikely();
    if (python !== undefined) {
      return { command: python, args: SERVE, cwd: this.#safeFolder, source: "python" };
    }
    switch (await this.#prepareEnvironment(asked)) {
      case "ready":
        return {
          command: this.#environment.python,
          args: SERVE,
          cwd: this.#safeFolder,
          source: "private",
        };
      case "again":
        return this.find(true);
      case "no":
        return undefined;
    }
  }

  /** Forgets the private environment, so that the next start builds it anew. */
  async discardEnvironment(): Promise<void> {
    await this.#environment.remove();
  }

  async #pythonWithLikely(): Promise<string | undefined> {
    for (const path of await this.#chosenPythons()) {
      const found = await probe(path, this.#safeFolder);
      if (found?.likely) {
        this.log.info(`Using Likely ${found.likely} of ${describe(found)}.`);
        return found.path;
      }
      this.log.info(`Likely is not installed for ${found ? describe(found) : path}.`);
    }
    return undefined;
  }

  /** The interpreters that the user has chosen, in the setting or in the Python extension. */
  async #chosenPythons(): Promise<string[]> {
    const chosen = vscode.workspace.getConfiguration("likely").get<string | null>("server.python");
    if (chosen) return [chosen.replace(/^~(?=[\\/])/, homedir())];
    // An interpreter inside a folder that is not trusted must not run.
    if (!vscode.workspace.isTrusted || !vscode.extensions.getExtension(PVSC_EXTENSION_ID))
      return [];
    try {
      const { environments } = await PythonExtension.api();
      const active = await environments.resolveEnvironment(environments.getActiveEnvironmentPath());
      const path = active?.executable.uri?.fsPath;
      return path === undefined ? [] : [path];
    } catch (error) {
      this.log.warn(`The Python extension did not answer: ${String(error)}`);
      return [];
    }
  }

  /** Makes or mends the private environment, where it has to be and the user agrees. */
  async #prepareEnvironment(asked: boolean): Promise<Answer> {
    const health = await this.#environment.health();
    if (health === "ready") return "ready";
    // Whoever has an environment agreed to it once; mending it needs no second question.
    if (health === "missing" && !asked) return this.#askForConsent();
    const title = {
      missing: "Setting up Likely",
      broken: "Repairing Likely",
      outdated: "Updating Likely",
    }[health];
    try {
      await this.#prepareWithProgress(title);
      return "ready";
    } catch (error) {
      this.log.error(String(error));
      if (health === "outdated" && (await this.#environment.health()) === "outdated") {
        this.log.warn("The update failed; the older version goes on.");
        return "ready";
      }
      const { trouble, message } =
        error instanceof SetupError ? error : new SetupError("other", String(error));
      return trouble === "cancelled" ? "no" : this.#offerRemedy(trouble, message);
    }
  }

  async #askForConsent(): Promise<Answer> {
    if (this.#declined) return "no";
    this.show({ state: "unset" });
    const setUp = "Set Up";
    const choose = "Choose Python…";
    const answer = await vscode.window.showInformationMessage(
      "Likely runs a small language model on this computer, and needs a Python environment of " +
        "its own for that (about 2 GB on disk with the model, once). Your other environments stay as they are.",
      setUp,
      choose,
      "Not Now",
    );
    if (answer === setUp || (answer === choose && (await choosePython()))) return "again";
    this.#declined = true;
    return "no";
  }

  async #prepareWithProgress(title: string): Promise<void> {
    const options = {
      location: vscode.ProgressLocation.Notification,
      title,
      cancellable: true,
    };
    this.show({ state: "starting" });
    await vscode.window.withProgress(options, async (progress, token) => {
      const abort = new AbortController();
      token.onCancellationRequested(() => {
        abort.abort();
      });
      await this.#environment.prepare({
        preferred: await this.#chosenPythons(),
        signal: abort.signal,
        report: (message) => {
          progress.report({ message });
        },
      });
    });
  }

  /** Says what went wrong, with the button that helps. */
  async #offerRemedy(trouble: Trouble, message: string): Promise<Answer> {
    const again = "Try Again";
    const choose = "Choose Python…";
    const get = "Get Python";
    const showLog = "Show Log";
    const buttons = trouble === "python" ? [get, choose, again] : [again, showLog];
    const answer = await vscode.window.showErrorMessage(forMessage(message), ...buttons);
    if (answer === get) await vscode.env.openExternal(vscode.Uri.parse(DOWNLOADS));
    if (answer === showLog) this.log.show();
    if (answer === again || (answer === choose && (await choosePython()))) return "again";
    return "no";
  }
}

/** Lets the user point at an interpreter; true where one was chosen. */
async function choosePython(): Promise<boolean> {
  const files = await vscode.window.showOpenDialog({
    title: "Python for Likely",
    openLabel: "Use This Python",
  });
  if (files?.[0] === undefined) return false;
  await vscode.workspace
    .getConfiguration("likely")
    .update("server.python", files[0].fsPath, vscode.ConfigurationTarget.Global);
  return true;
}
