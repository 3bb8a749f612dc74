/** Python interpreters: which there are, and whether one can run the server. */
import { run } from "./process";

/** Minor versions of Python 3 that the server and its pinned dependencies run on. */
const MINORS = [14, 13, 12, 11];

export interface Interpreter {
  /** Absolute path of the program, as it says itself. */
  readonly path: string;
  readonly version: readonly [number, number];
  /** Version of the `likely` package that it can import, with what that needs; or null. */
  readonly likely: string | null;
}

// Old interpreters run this too, so that the message can say which version was found.
// Looking for the large packages is enough: importing them takes seconds.
const PROBE = `
import json, sys
version = list(sys.version_info[:2])
likely = None
try:
    from importlib.util import find_spec
    if all(find_spec(name) for name in ("pygls", "tokenizers", "torch", "transformers")):
        import likely as package
        likely = package.__version__
except Exception:
    pass
print(json.dumps({"path": sys.executable, "version": version, "likely": likely}))
`;

/** Asks an interpreter who it is; undefined where it cannot be run. */
export async function probe(
  command: string,
  safeFolder: string,
  args: readonly string[] = [],
): Promise<Interpreter | undefined> {
  // Python imports from the current folder first, which must not be the user's workspace.
  const outcome = await run(command, [...args, "-c", PROBE], {
    cwd: safeFolder,
    signal: AbortSignal.timeout(30_000),
  });
  if (outcome.status !== 0) return undefined;
  try {
    return JSON.parse(outcome.stdout) as Interpreter;
  } catch {
    return undefined;
  }
}

/** Whether the pinned dependencies can be installed for this interpreter. */
export function isSupported({ version: [major, minor] }: Interpreter): boolean {
  return major === 3 && MINORS.includes(minor);
}

export function describe({ path, version }: Interpreter): string {
  return `Python ${version.join(".")} (${path})`;
}

export const SUPPORTED = `Python 3.${String(Math.min(...MINORS))} to 3.${String(Math.max(...MINORS))}`;

/** The interpreters on this machine: `preferred` first, then what the search path holds. */
export async function* interpreters(
  preferred: readonly string[],
  safeFolder: string,
): AsyncGenerator<Interpreter> {
  const seen = new Set<string>();
  for (const [command, ...args] of [...preferred.map((path) => [path]), ...wellKnown()]) {
    if (command === undefined) continue;
    const found = await probe(command, safeFolder, args);
    if (found && !seen.has(found.path)) {
      seen.add(found.path);
      yield found;
    }
  }
}

function wellKnown(): string[][] {
  if (process.platform === "win32") return [["py", "-3"], ["python"], ["python3"]];
  const named = MINORS.map((minor) => [`python3.${String(minor)}`]);
  return [["python3"], ...named, ["python"]];
}
