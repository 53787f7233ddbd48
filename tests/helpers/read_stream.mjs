// Reads streams by fetch: one request a line on stdin, one line for its whole answer on stdout.
import { createInterface } from "node:readline";

for await (const line of createInterface({ input: process.stdin })) {
  const { url, accept, body } = JSON.parse(line);
  const answer = await fetch(url, { method: "POST", headers: { accept }, body });
  const parts = [];
  for await (const part of answer.body) parts.push(Buffer.from(part));
  console.log(JSON.stringify({
    status: answer.status,
    type: answer.headers.get("content-type"),
    hex: Buffer.concat(parts).toString("hex"),
  }));
}
