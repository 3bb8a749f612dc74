/** Makes dist/likely-VERSION.vsix: the bundle, the server's wheel and its pinned dependencies. */
import { execFileSync } from "node:child_process";
import { copyFileSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const root = fileURLToPath(new URL("..", import.meta.url));
const content = join(root, "client", "dist");
const { version } = JSON.parse(readFileSync(join(root, "package.json"), "utf8"));
const result = join(root, "dist", `likely-${version}.vsix`);

// With one time for all files in the archives, the same sources give the same bytes.
const environment = { SOURCE_DATE_EPOCH: "1577836800", ...process.env };

function run(command, ...args) {
  execFileSync(command, args, { cwd: root, stdio: "inherit", env: environment });
}

rmSync(content, { recursive: true, force: true });
run(process.execPath, join("client", "build.mjs"));
const python = process.env.PYTHON ?? "python3";
run(python, "-m", "pip", "wheel", "-q", "--no-deps", "--wheel-dir", content, ".");
copyFileSync(join(root, "constraints.txt"), join(content, "constraints.txt"));
mkdirSync(join(root, "dist"), { recursive: true });
const vsce = join(root, "node_modules", "@vscode", "vsce", "vsce");
run(
  process.execPath,
  ...[vsce, "package", "--no-dependencies", "--readme-path", join("client", "README.md")],
  ...["--no-rewrite-relative-links", "--out", result],
);
