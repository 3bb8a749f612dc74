/** The private environment, made by scripted interpreters: what goes wrong, and how it is said. */
import assert from "node:assert/strict";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, beforeEach, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import { build } from "esbuild";

const home = mkdtempSync(join(tmpdir(), "likely-environment-"));
const source = new URL("../../../client/src/environment.ts", import.meta.url);
const bundled = join(home, "environment.mjs");
await build({
  entryPoints: [fileURLToPath(source)],
  outfile: bundled,
  bundle: true,
  platform: "node",
  format: "esm",
});
const { Environment, progressOf } = await import(pathToFileURL(bundled).href);

/**
 * A `python` for a search path of its own. Asked who it is, it prints its version; `-m venv`
 * makes a folder with another such program; `-m pip` does what `pip` says and notes the call.
 */
function python({ version = "3, 12", pip = "exit 0", venv = "" } = {}) {
  return `#!/bin/sh
case "$*" in
*sys.version_info*)
  likely=null
  if [ -e "$0.likely" ]; then likely='"0.1.0"'; fi
  echo '{"path": "'"$0"'", "version": [${version}], "likely": '$likely'}' ;;
*venv*)
  ${venv}
  for folder; do :; done
  /bin/mkdir -p "$folder/bin"
  /bin/cp "$0" "$folder/bin/python" ;;
*" install uv") exit 1 ;;
*" install "*)
  echo "$*" >> "${home}/calls"
  ${pip} ;;
esac
`;
}

const INSTALLS = `: > "$0.likely"; echo "Downloading torch-2.13.0-cp312-cp312-linux.whl (180 MB)"`;
let folder, path, bundle;

beforeEach(() => {
  folder = mkdtempSync(join(home, "case-"));
  path = join(folder, "path");
  mkdirSync(path);
  rmSync(join(home, "calls"), { force: true });
  process.env.PATH = path;
  bundle = { wheel: join(folder, "likely.whl"), constraints: join(folder, "constraints.txt") };
  writeFileSync(bundle.wheel, "the first version");
  writeFileSync(bundle.constraints, "");
});

after(() => {
  rmSync(home, { recursive: true, force: true });
});

function onPath(name, script) {
  writeFileSync(join(path, name), script);
  chmodSync(join(path, name), 0o755);
}

function environment() {
  return new Environment(join(folder, "storage", "environment"), bundle, () => {});
}

function prepare(made, signal = new AbortController().signal) {
  const steps = [];
  const report = (step) => steps.push(step);
  return made.prepare({ preferred: [], signal, report }).then(() => steps);
}

function installations() {
  const calls = join(home, "calls");
  return existsSync(calls) ? readFileSync(calls, "utf8").trim().split("\n").length : 0;
}

test("made from nothing, then ready", async () => {
  onPath("python3", python({ pip: INSTALLS }));
  assert.equal(await environment().health(), "missing");
  const steps = await prepare(environment());
  assert.equal(await environment().health(), "ready");
  assert.ok(steps.includes("downloading torch"), steps.join());
  const before = installations();
  await prepare(environment());
  assert.equal(installations(), before, "what is ready is left alone");
});

test("a new version of the extension brings it up to date in place", async () => {
  onPath("python3", python({ pip: INSTALLS }));
  await prepare(environment());
  const kept = join(folder, "storage", "environment", "kept");
  writeFileSync(kept, "");
  writeFileSync(bundle.wheel, "the second version");
  assert.equal(await environment().health(), "outdated");
  await prepare(environment());
  assert.equal(await environment().health(), "ready");
  assert.ok(existsSync(kept));
});

test("rebuilt where Python or the packages are gone, or set-up was interrupted", async () => {
  onPath("python3", python({ pip: INSTALLS }));
  await prepare(environment());
  const bin = join(folder, "storage", "environment", "bin");
  const breakages = [
    () => rmSync(join(bin, "python")),
    () => rmSync(join(bin, "python.likely")),
    () => rmSync(join(bin, "..", "likely-installed")),
  ];
  for (const damage of breakages) {
    damage();
    assert.equal(await environment().health(), "broken", String(damage));
    await prepare(environment());
    assert.equal(await environment().health(), "ready", String(damage));
  }
});

test("two windows at once install once", async () => {
  onPath("python3", python({ pip: INSTALLS }));
  await prepare(environment());
  const once = installations();
  await environment().remove();
  rmSync(join(home, "calls"));
  await Promise.all([prepare(environment()), prepare(environment())]);
  assert.equal(installations(), once);
});

test("a lock whose owner is gone holds nobody up", async () => {
  onPath("python3", python({ pip: INSTALLS }));
  mkdirSync(join(folder, "storage"));
  writeFileSync(join(folder, "storage", "environment.lock"), "99999999");
  await prepare(environment());
  assert.equal(await environment().health(), "ready");
});

test("a suitable Python behind an old one is found", async () => {
  onPath("python3", python({ version: "3, 9" }));
  onPath("python3.13", python({ version: "3, 13", pip: INSTALLS }));
  await prepare(environment());
  assert.equal(await environment().health(), "ready");
});

const NO_ENSUREPIP = `echo "ensurepip is not available"; exit 1`;
const TROUBLES = [
  ["no Python", null, "python", /needs Python 3\.11 to 3\.14, and found no Python/],
  ["an old Python", { version: "3, 9" }, "python", /found Python 3\.9 \(.*python3\)/],
  ["too new a Python", { version: "3, 99" }, "python", /found Python 3\.99/],
  ["Debian without venv", { venv: NO_ENSUREPIP }, "venv", /apt install python3-venv/],
  [
    "no network",
    { pip: `echo "Temporary failure in name resolution"; exit 1` },
    "network",
    /Check the network/,
  ],
  [
    "a full disk",
    { pip: `echo "OSError: [Errno 28] No space left on device" >&2; exit 1` },
    "disk",
    /disk is full/,
  ],
  ["a package that does not build", { pip: "exit 1" }, "other", /The log says why/],
  ["an installation without effect", { pip: "exit 0" }, "other", /cannot import it/],
];
for (const [name, script, trouble, message] of TROUBLES) {
  test(`${name}: says what to do`, async () => {
    if (script !== null) onPath("python3", python(script));
    await assert.rejects(prepare(environment()), { trouble, message });
    assert.notEqual(await environment().health(), "ready");
    // Nothing is left that would stand in the way of the next attempt.
    onPath("python3", python({ pip: INSTALLS }));
    await prepare(environment());
    assert.equal(await environment().health(), "ready");
  });
}

test("cancelled: stops, and says so", async () => {
  const abort = new AbortController();
  onPath("python3", python({ pip: "exec /bin/sleep 30" }));
  const running = prepare(environment(), abort.signal);
  setTimeout(() => abort.abort(), 300);
  await assert.rejects(running, { trouble: "cancelled" });
});

test("what pip and uv print becomes a few words", () => {
  const lines = {
    "Collecting torch==2.13.0 (from -c constraints.txt (line 3))": "looking for torch",
    "  Downloading hf_xet-1.2.0-cp37-abi3-manylinux.whl (3.3 MB)": "downloading hf_xet",
    "Downloading torch (183.2MiB)": "downloading torch",
    "Installing collected packages: mpmath, torch": "installing packages (the longest step)",
    "Requirement already satisfied: numpy": undefined,
  };
  for (const [line, words] of Object.entries(lines)) assert.equal(progressOf(line), words);
});
