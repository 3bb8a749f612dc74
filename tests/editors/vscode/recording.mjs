/** What the editor and the server said to each other, as `recorder.mjs` wrote it down. */
import { readFileSync } from "node:fs";
import { until } from "./workbench.mjs";

export class Recording {
  constructor(path) {
    this.path = path;
  }

  /** The messages so far; a line that is still being written comes the next time. */
  messages() {
    const lines = readFileSync(this.path, "utf8").split("\n").slice(0, -1);
    return lines.map((line) => JSON.parse(line));
  }

  /** All messages of one method so far. */
  messagesOf(method) {
    return this.messages()
      .map(({ message }) => message)
      .filter((message) => message.method === method);
  }

  /** The server's last answer to a completion request since the document became `text`. */
  answerTo(file, text) {
    return until(`an answer for ${JSON.stringify(text)}`, () => {
      if (this.text(file) !== text) return undefined;
      const messages = this.messages();
      const changed = messages.findLastIndex(
        ({ message }) => message.method === "textDocument/didChange" && isAbout(message, file),
      );
      const since = messages.slice(changed);
      const asked = since.findLast(
        ({ message }) => message.method === "textDocument/completion" && isAbout(message, file),
      );
      const answered = since.find(
        ({ from, message }) =>
          from === "server" && message.id === asked?.message.id && "result" in message,
      );
      return answered?.message.result;
    });
  }

  /** The document as the server has it; positions count UTF-16 units, as strings here do. */
  text(file) {
    let text = "";
    for (const { from, message } of this.messages()) {
      if (from !== "client" || !isAbout(message, file)) continue;
      if (message.method === "textDocument/didOpen") text = message.params.textDocument.text;
      if (message.method !== "textDocument/didChange") continue;
      for (const { range, text: replacement } of message.params.contentChanges) {
        if (range === undefined) text = replacement;
        else {
          const [start, end] = [range.start, range.end].map((place) => offset(text, place));
          text = text.slice(0, start) + replacement + text.slice(end);
        }
      }
    }
    return text;
  }
}

function isAbout(message, file) {
  return message.params?.textDocument?.uri?.endsWith(file) ?? false;
}

function offset(text, { line, character }) {
  const lines = text.split("\n").slice(0, line);
  return lines.reduce((sum, { length }) => sum + length + 1, 0) + character;
}
