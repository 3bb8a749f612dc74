/** The menu behind the status bar item, and the choices it offers. */
import * as vscode from "vscode";
import { forLabel } from "./escape";
import type { Session } from "./session";

interface Choice extends vscode.QuickPickItem {
  readonly run?: () => unknown;
}

/** A model as the server lists it. */
interface Model {
  readonly name: string;
  readonly detail: string;
  readonly cached: boolean;
  /** Bytes on disk where it is cached, else those to fetch. */
  readonly size: number | null;
}

const HUB_ID = /^[\w.-]+(\/[\w.-]+)?$/;

export async function showMenu(session: Session): Promise<void> {
  const mode = read("completion.mode");
  const unit = read("completion.unit");
  const lookAhead = read("lookAhead");
  const quiet = read("quiet");
  const enabled = read("enabled");
  const running = session.isRunning;
  const settings: Choice[] = [
    {
      label: "$(symbol-misc) Model",
      description: forLabel(String(read("model"))),
      run: () => chooseModel(session),
    },
    { label: "$(list-ordered) Candidates (k)", description: String(read("k")), run: chooseK },
    {
      label: "$(target) Mode",
      description:
        mode === "exact" ? "exact: after the characters typed" : "raw: after whole tokens",
      run: () => write("completion.mode", mode === "exact" ? "raw" : "exact"),
    },
    {
      label: "$(whole-word) Unit",
      description: unit === "token" ? "token" : "word: whole words",
      run: () => write("completion.unit", unit === "token" ? "word" : "token"),
    },
    {
      label: "$(rocket) Look Ahead",
      description: lookAhead ? "on: works while you pause" : "off: saves power",
      run: () => write("lookAhead", !lookAhead),
    },
    {
      label: "$(mute) Quiet",
      description: quiet
        ? "on: the list only when asked for"
        : "off: the list while you type prose",
      run: () => write("quiet", !quiet),
    },
    { label: "$(settings-gear) All Settings…", run: openSettings },
  ];
  const server: Choice[] = [
    { label: "$(output) Show Log", run: command("likely.showLog") },
    { label: "$(debug-restart) Restart Server", run: command("likely.restart") },
  ];
  const power: Choice = {
    label: enabled ? "$(circle-slash) Turn Off in This Workspace" : "$(play) Turn On",
    run: command("likely.toggle"),
  };
  const table: Choice = {
    label: "$(table) Next-Token Table at Cursor",
    run: command("likely.nextTokens"),
  };
  const start: Choice = { label: "$(play) Set Up and Start", run: command("likely.start") };
  const choices = [
    ...(enabled && !running ? [start] : []),
    ...(running ? [table] : []),
    heading("Settings"),
    ...settings,
    heading("Server"),
    power,
    ...(enabled ? server : server.slice(0, 1)),
  ];
  await pick(choices, { title: "Likely" });
}

export async function chooseModel(session: Session): Promise<void> {
  const current = String(read("model"));
  const known = await session
    .request<{ models: Model[] }>("likely/models", {})
    .catch(() => undefined);
  const models = known?.models ?? [];
  const choices: Choice[] = models.map(({ name, detail, cached, size }) => ({
    label: `${name === current ? "$(check)" : cached ? "$(database)" : "$(cloud-download)"} ${forLabel(name)}`,
    description: forLabel([sizeText(size, cached), detail].filter(Boolean).join(" · ")),
    run: () => write("model", name),
  }));
  await pick(
    [
      ...choices,
      heading("Another model"),
      { label: "$(globe) Hugging Face Model…", description: "by its id", run: chooseHubModel },
      {
        label: "$(folder) Folder…",
        description: "with config.json, safetensors and tokenizer",
        run: () => chooseFile({ canSelectFolders: true, canSelectFiles: false }),
      },
      {
        label: "$(file-binary) GGUF File…",
        run: () => chooseFile({ filters: { "GGUF model": ["gguf"] } }),
      },
    ],
    { title: "Language Model", placeHolder: `Now: ${current}`, matchOnDescription: true },
  );
}

export async function chooseK(): Promise<void> {
  const value = await vscode.window.showInputBox({
    title: "How many candidates to show (k)",
    value: String(read("k")),
    validateInput: (text) => {
      const k = Number(text);
      return Number.isInteger(k) && k >= 1 && k <= 100 ? undefined : "A whole number, 1 to 100.";
    },
  });
  if (value !== undefined) await write("k", Number(value));
}

/** Switches Likely off in this workspace (or everywhere, without one), or on again. */
export async function toggle(): Promise<void> {
  await write("enabled", !read("enabled"), vscode.workspace.workspaceFolders !== undefined);
}

function sizeText(bytes: number | null, cached: boolean): string {
  if (bytes === null) return "";
  const megabytes = Math.round(bytes / 1e6);
  const text = megabytes < 1000 ? `${String(megabytes)} MB` : `${(bytes / 1e9).toFixed(1)} GB`;
  return cached ? `${text} on disk` : `${text} to fetch`;
}

async function chooseHubModel(): Promise<void> {
  const id = await vscode.window.showInputBox({
    title: "Model on Hugging Face",
    prompt: "A causal language model, such as distilgpt2 or HuggingFaceTB/SmolLM2-360M",
    placeHolder: "organization/name",
    validateInput: (text) =>
      HUB_ID.test(text.trim()) ? undefined : "An id has the form name or organization/name.",
  });
  if (id !== undefined) await write("model", id.trim());
}

async function chooseFile(options: vscode.OpenDialogOptions): Promise<void> {
  const files = await vscode.window.showOpenDialog({ ...options, openLabel: "Use This Model" });
  if (files?.[0] !== undefined) await write("model", files[0].fsPath);
}

function read(name: string): unknown {
  return vscode.workspace.getConfiguration("likely").get(name);
}

/** Writes where the value in force comes from, or else for the user. */
async function write(name: string, value: unknown, inWorkspace = false): Promise<void> {
  const settings = vscode.workspace.getConfiguration("likely");
  const overridden = settings.inspect(name)?.workspaceValue !== undefined;
  const target =
    inWorkspace || (overridden && vscode.workspace.isTrusted)
      ? vscode.ConfigurationTarget.Workspace
      : vscode.ConfigurationTarget.Global;
  await settings.update(name, value, target);
  // After a click in the status bar its item has the focus, and a space typed on would press it.
  await vscode.commands.executeCommand("workbench.action.focusActiveEditorGroup");
}

async function pick(choices: Choice[], options: vscode.QuickPickOptions): Promise<void> {
  const choice = await vscode.window.showQuickPick(choices, options);
  await choice?.run?.();
}

function heading(label: string): Choice {
  return { label, kind: vscode.QuickPickItemKind.Separator };
}

function command(id: string): () => Thenable<unknown> {
  return () => vscode.commands.executeCommand(id);
}

/** Opens the setting that says where Likely is active. */
export function chooseLanguages(): Thenable<unknown> {
  return vscode.commands.executeCommand("workbench.action.openSettings", "likely.languages");
}

function openSettings(): Thenable<unknown> {
  return vscode.commands.executeCommand("workbench.action.openSettings", "@ext:likely.likely");
}
