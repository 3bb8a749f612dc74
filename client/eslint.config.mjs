import js from "@eslint/js";
import { defineConfig, globalIgnores } from "eslint/config";
import tseslint from "typescript-eslint";

const NODE = [
  "AbortController",
  "Buffer",
  "clearTimeout",
  "console",
  "fetch",
  "process",
  "setTimeout",
  "URL",
];
/** Known to the functions that the tests send into the page. */
const BROWSER = ["document", "NodeFilter"];

export default defineConfig(
  globalIgnores(["client/dist", "**/output"]),
  js.configs.recommended,
  {
    files: ["client/src/**/*.ts"],
    extends: [tseslint.configs.strictTypeChecked, tseslint.configs.stylisticTypeChecked],
    languageOptions: {
      parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname },
    },
    rules: {
      "@typescript-eslint/explicit-function-return-type": ["error", { allowExpressions: true }],
    },
  },
  {
    files: ["**/*.mjs"],
    languageOptions: {
      globals: Object.fromEntries([...NODE, ...BROWSER].map((name) => [name, "readonly"])),
    },
  },
);
