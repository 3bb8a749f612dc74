/**
 * Stands between the editor and the server, and records every message.
 *
 *     node recorder.mjs LOG COMMAND ARGUMENT...
 *
 * LOG receives one JSON object a line: {"from": "client" | "server", "message": {...}}.
 */
import { spawn } from "node:child_process";
import { appendFileSync } from "node:fs";

const [log, command, ...args] = process.argv.slice(2);
const server = spawn(command, args, { stdio: ["pipe", "pipe", "inherit"] });

/** Passes bytes on at once, and notes the messages among them. */
function relay(from, source, sink) {
  let buffer = Buffer.alloc(0);
  source.on("data", (data) => {
    buffer = Buffer.concat([buffer, data]);
    for (;;) {
      const end = buffer.indexOf("\r\n\r\n");
      if (end < 0) break;
      const length = Number(/Content-Length: (\d+)/i.exec(buffer.subarray(0, end).toString())[1]);
      const body = buffer.subarray(end + 4, end + 4 + length);
      if (body.length < length) break;
      buffer = buffer.subarray(end + 4 + length);
      appendFileSync(log, `${JSON.stringify({ from, message: JSON.parse(body.toString()) })}\n`);
    }
    // Noted first: who sees an effect of a message in the editor finds it in the log.
    sink.write(data);
  });
  source.on("end", () => sink.end());
}

relay("client", process.stdin, server.stdin);
relay("server", server.stdout, process.stdout);
server.on("exit", (status) => process.exit(status ?? 1));
