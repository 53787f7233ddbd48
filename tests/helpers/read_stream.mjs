// Reads a stream by fetch until it ends, and writes its body to stdout as hex.
const [url, accept, body] = process.argv.slice(2);
const answer = await fetch(url, { method: "POST", headers: { accept }, body });
const parts = [];
for await (const part of answer.body) parts.push(Buffer.from(part));
console.log(JSON.stringify({
  status: answer.status,
  type: answer.headers.get("content-type"),
  hex: Buffer.concat(parts).toString("hex"),
}));
