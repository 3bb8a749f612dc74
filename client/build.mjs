/**
 * Bundles the extension into client/dist.
 *
 * The language client is a file of its own: reading it would take most of the activation.
 */
import { fileURLToPath } from "node:url";
import { build } from "esbuild";

const root = fileURLToPath(new URL("..", import.meta.url));

await build({
  absWorkingDir: root,
  entryPoints: ["client/src/extension.ts", "client/src/client.ts"],
  outdir: "client/dist",
  bundle: true,
  platform: "node",
  format: "cjs",
  target: "node20",
  external: ["vscode", "./client.js"],
  // VS Code hands out the module "vscode" through require.
  supported: { "dynamic-import": false },
  minify: true,
  legalComments: "none",
  logLevel: "warning",
});
