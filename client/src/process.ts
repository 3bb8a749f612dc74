/** Runs a program to its end and hands over what it prints. */
import { spawn } from "node:child_process";
import { createInterface } from "node:readline";

export interface RunOptions {
  readonly cwd?: string;
  readonly signal?: AbortSignal;
  /** Called with each line of stdout and stderr as it comes. */
  readonly onLine?: (line: string) => void;
}

export interface Outcome {
  /** The exit status; null where the program could not be started or was stopped. */
  readonly status: number | null;
  readonly stdout: string;
  /** Everything that was printed, for the person who has to find out what went wrong. */
  readonly output: string;
}

/** Never rejects: a program that cannot be started is an outcome without a status. */
export function run(
  command: string,
  args: readonly string[],
  options: RunOptions = {},
): Promise<Outcome> {
  return new Promise((resolve) => {
    const stdout: string[] = [];
    const output: string[] = [];
    const child = spawn(command, args, {
      cwd: options.cwd,
      signal: options.signal,
      env: { ...process.env, PYTHONUTF8: "1", PYTHONUNBUFFERED: "1" },
      stdio: ["ignore", "pipe", "pipe"],
      windowsHide: true,
    });
    const receive = (line: string): void => {
      output.push(line);
      options.onLine?.(line);
    };
    createInterface({ input: child.stdout }).on("line", (line) => {
      stdout.push(line);
      receive(line);
    });
    createInterface({ input: child.stderr }).on("line", receive);
    const finish = (status: number | null): void => {
      resolve({ status, stdout: stdout.join("\n"), output: output.join("\n") });
    };
    child.on("error", (error) => {
      output.push(error.message);
      finish(null);
    });
    child.on("close", finish);
  });
}
