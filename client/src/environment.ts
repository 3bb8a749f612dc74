/** The private Python environment that the extension makes where no other holds the server. */
import { createHash } from "node:crypto";
import { mkdir, open, readFile, rm, stat, writeFile } from "node:fs/promises";
import { dirname, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import { run, type Outcome } from "./process";
import { describe, interpreters, isSupported, probe, SUPPORTED, type Interpreter } from "./python";

/** What travels inside the extension. */
export interface Bundle {
  readonly wheel: string;
  readonly constraints: string;
}

/** `outdated`: it works, and holds another version than the extension brings. */
export type Health = "ready" | "missing" | "broken" | "outdated";

export type Trouble = "python" | "venv" | "network" | "disk" | "cancelled" | "other";

/** Set-up failed; the message says what to do. */
export class SetupError extends Error {
  constructor(
    readonly trouble: Trouble,
    message: string,
  ) {
    super(message);
  }
}

export interface Setup {
  /** Interpreters to try before those on the search path. */
  readonly preferred: readonly string[];
  readonly signal: AbortSignal;
  /** Told what is being done, for a progress display. */
  readonly report: (message: string) => void;
}

export class Environment {
  /** Holds the fingerprint of what was installed; written last, so no mark means unfinished. */
  readonly #mark: string;
  readonly #lock: string;

  constructor(
    readonly folder: string,
    private readonly bundle: Bundle,
    private readonly log: (line: string) => void,
  ) {
    this.#mark = join(folder, "likely-installed");
    this.#lock = `${folder}.lock`;
  }

  get python(): string {
    return process.platform === "win32"
      ? join(this.folder, "Scripts", "python.exe")
      : join(this.folder, "bin", "python");
  }

  async health(): Promise<Health> {
    const installed = await readFile(this.#mark, "utf8").catch(() => undefined);
    const interpreter = await probe(this.python, dirname(this.bundle.wheel));
    if (installed === undefined && interpreter === undefined) return "missing";
    if (installed === undefined || !interpreter?.likely) return "broken";
    return installed === (await this.#fingerprint()) ? "ready" : "outdated";
  }

  /**
   * Makes the environment, or brings it up to date, or rebuilds it.
   *
   * Safe to call from two windows at once: the second waits, then finds the work done.
   * Throws `SetupError`.
   */
  async prepare(setup: Setup): Promise<void> {
    await mkdir(dirname(this.folder), { recursive: true }).catch(rethrowDiskFull(this.folder));
    const release = await this.#acquire(setup);
    try {
      const health = await this.health();
      if (health === "ready") return;
      if (health !== "outdated") await this.#create(setup);
      await this.#install(setup);
      const { python } = this;
      if (!(await probe(python, dirname(this.bundle.wheel)))?.likely) {
        throw new SetupError("other", "Likely was installed, but Python cannot import it.");
      }
      await writeFile(this.#mark, await this.#fingerprint()).catch(rethrowDiskFull(this.folder));
    } finally {
      await release();
    }
  }

  async remove(): Promise<void> {
    await rm(this.folder, { recursive: true, force: true, maxRetries: 3 });
  }

  async #fingerprint(): Promise<string> {
    const hash = createHash("sha256");
    for (const path of [this.bundle.wheel, this.bundle.constraints]) {
      hash.update(await readFile(path));
    }
    return hash.digest("hex");
  }

  /** An empty environment in place of whatever is there. */
  async #create(setup: Setup): Promise<void> {
    setup.report("making a Python environment");
    await this.remove();
    const unsupported: Interpreter[] = [];
    for await (const base of interpreters(setup.preferred, dirname(this.bundle.wheel))) {
      if (!isSupported(base)) {
        unsupported.push(base);
        continue;
      }
      this.log(`Using ${describe(base)}.`);
      const made = await this.#run(setup, base.path, ["-m", "venv", this.folder]);
      if (made.status === 0) return;
      // Debian's Python has no ensurepip; uv does not need it.
      await this.remove();
      const remade = await this.#run(setup, "uv", ["venv", "--python", base.path, this.folder]);
      if (remade.status === 0) return;
      throw explain(made, this.folder);
    }
    // Without a Python on this machine, uv fetches one.
    const fetched = await this.#run(setup, "uv", ["venv", "--python", "3.13", this.folder]);
    if (fetched.status === 0) return;
    const found = unsupported.map(describe).join(", ");
    throw new SetupError(
      "python",
      `Likely needs ${SUPPORTED}, and found ${found || "no Python"}. ` +
        "Install one, or choose one that is not on the search path.",
    );
  }

  async #install(setup: Setup): Promise<void> {
    const requirements = ["--constraint", this.bundle.constraints, this.bundle.wheel];
    const uv = await this.#findUv(setup);
    if (uv !== undefined) {
      setup.report("installing packages");
      const installed = await this.#run(setup, uv, [
        ...["pip", "install", "--python", this.python, "--reinstall-package", "likely"],
        // Elsewhere the plain wheel of torch is for the processor alone; on Linux it brings
        // gigabytes for graphics cards that most machines do not have.
        ...["--torch-backend", "auto", ...requirements],
      ]);
      if (installed.status === 0) return;
      const error = explain(installed, this.folder);
      // Without a network pip may still succeed: it knows sources that uv does not read.
      if (error.trouble !== "network" && error.trouble !== "other") throw error;
      this.log("uv could not install the packages; trying pip.");
    }
    setup.report("installing packages");
    const pip = ["-m", "pip", "--disable-pip-version-check", "--no-input", "install"];
    const installed = await this.#run(setup, this.python, [
      ...pip,
      ...["--progress-bar", "off", "--no-warn-script-location", ...requirements],
    ]);
    if (installed.status !== 0) throw explain(installed, this.folder);
    // pip keeps a package of the same version, even where the wheel holds another program.
    const replaced = await this.#run(setup, this.python, [
      ...pip,
      ...["--no-deps", "--force-reinstall", this.bundle.wheel],
    ]);
    if (replaced.status !== 0) throw explain(replaced, this.folder);
  }

  /** The user's uv; on Linux one installed for the purpose, since only uv finds the small torch. */
  async #findUv(setup: Setup): Promise<string | undefined> {
    if ((await run("uv", ["--version"])).status === 0) return "uv";
    if (process.platform !== "linux") return undefined;
    const args = ["-m", "pip", "--disable-pip-version-check", "--no-input", "install", "uv"];
    const installed = await this.#run(setup, this.python, args);
    return installed.status === 0 ? join(dirname(this.python), "uv") : undefined;
  }

  async #run(setup: Setup, command: string, args: readonly string[]): Promise<Outcome> {
    this.log(`> ${[command, ...args].join(" ")}`);
    const outcome = await run(command, args, {
      cwd: dirname(this.bundle.wheel),
      signal: setup.signal,
      onLine: (line) => {
        this.log(line);
        const step = progressOf(line);
        if (step !== undefined) setup.report(step);
      },
    });
    if (setup.signal.aborted) throw new SetupError("cancelled", "The set-up was cancelled.");
    return outcome;
  }

  /** Waits until no other window works on the environment; returns what ends our turn. */
  async #acquire({ signal, report }: Setup): Promise<() => Promise<void>> {
    for (;;) {
      try {
        const file = await open(this.#lock, "wx");
        await file.writeFile(String(process.pid));
        await file.close();
        return () => rm(this.#lock, { force: true });
      } catch (error) {
        rethrowDiskFull(this.folder, "EEXIST")(error);
      }
      if (signal.aborted) throw new SetupError("cancelled", "The set-up was cancelled.");
      if (await this.#isLockStale()) {
        await rm(this.#lock, { force: true });
        continue;
      }
      report("waiting for another window that is setting up");
      await sleep(500);
    }
  }

  async #isLockStale(): Promise<boolean> {
    try {
      const holder = Number(await readFile(this.#lock, "utf8"));
      const hours = (Date.now() - (await stat(this.#lock)).mtimeMs) / 3_600_000;
      // A new process may have the number of one that is gone; no set-up takes hours.
      return hours > 2 || (holder !== 0 && !isAlive(holder));
    } catch {
      return false;
    }
  }
}

/** What pip or uv is doing, in a few words; undefined for a line of no interest. */
export function progressOf(line: string): string | undefined {
  const match = /^\s*(Collecting|Downloading|Installing collected packages)\W+([\w.-]*)/.exec(line);
  if (!match) return undefined;
  const [, step, subject = ""] = match;
  if (step === "Installing collected packages") return "installing packages (the longest step)";
  const name = /^[A-Za-z][A-Za-z0-9_]*(?:-[A-Za-z][A-Za-z0-9_]*)*/.exec(subject)?.[0] ?? subject;
  return `${step === "Collecting" ? "looking for" : "downloading"} ${name}`;
}

/** The error a person can act on, from what a failed program printed. */
export function explain({ output }: Outcome, folder: string): SetupError {
  if (/No space left|ENOSPC|not enough space|disk.*full/i.test(output)) return diskFull(folder);
  if (/ensurepip/i.test(output)) {
    return new SetupError(
      "venv",
      "This Python cannot make environments. On Debian and Ubuntu, run " +
        "`sudo apt install python3-venv`, or install uv, and try again.",
    );
  }
  const offline =
    /name resolution|resolve host|getaddrinfo|dns error|Name or service not known|Network is unreachable|Failed to establish|Connection (refused|reset|timed out)|ConnectTimeout|Max retries|error sending request|NewConnectionError|ReadTimeout|No matching distribution/i;
  if (offline.test(output)) {
    return new SetupError(
      "network",
      "Likely could not fetch its Python packages. Check the network (and the proxy settings " +
        "of pip, if you are behind one), and try again.",
    );
  }
  return new SetupError(
    "other",
    "Likely could not set up its Python environment. The log says why.",
  );
}

function diskFull(folder: string): SetupError {
  return new SetupError(
    "disk",
    `The disk is full: Likely needs about 2 GB in ${folder}. Free some space, and try again.`,
  );
}

/** A handler for errors of the file system; `expected` is a code to let pass. */
function rethrowDiskFull(folder: string, expected?: string): (error: unknown) => void {
  return (error) => {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOSPC") throw diskFull(folder);
    if (code === undefined || code !== expected) throw error;
  };
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    // A process of another user exists, although it may not be asked.
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
