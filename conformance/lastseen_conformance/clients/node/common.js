// What both clients need: settings, the report, and the pauses between attempts.

export const KEY = process.env.LASTSEEN_API_KEY ?? '';
export const WS_URL = process.env.LASTSEEN_WS_URL ?? '';
export const HTTP_URL = process.env.LASTSEEN_HTTP_URL ?? '';
export const CHANNELS = (process.env.LASTSEEN_CHANNELS ?? '').split(',');
export const STATE_DIR = process.env.LASTSEEN_STATE_DIR ?? '.';

/** A timer of the suite, or what is used against the vendor; in milliseconds. */
export const timer = (name, seconds) =>
  1000 * Number(process.env[`LASTSEEN_${name}_S`] ?? seconds);

/** One line of the report; a peer may have repeated the key in what is told. */
export function say(event, members = {}) {
  const line = JSON.stringify({ event, ...members });
  process.stdout.write(`${line.replaceAll(KEY, '***')}\n`);
}

export const isObject = (value) =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

/** Pauses that double and are jittered; they start anew after a login that lasted. */
export class Backoff {
  failures = 0;

  constructor(base = timer('BACKOFF_BASE', 1), cap = timer('BACKOFF_CAP', 30)) {
    this.base = base;
    this.cap = cap;
  }

  pause() {
    const whole = Math.min(this.cap, this.base * 2 ** Math.min(this.failures, 30));
    this.failures += 1;
    return whole * (0.5 + Math.random() / 2);
  }

  lasted(ms) {
    if (ms >= timer('STABLE_AFTER', 10)) this.failures = 0;
  }
}

/** Forgets what was put into a Map or Set first, until it is small enough. */
export function bound(table, max) {
  for (const key of table.keys()) {
    if (table.size <= max) return;
    table.delete(key);
  }
}

/** Pings until nothing is heard for too long; then the socket is cut. */
export function keepAlive(socket, interval, timeout) {
  let heard = Date.now();
  for (const event of ['message', 'pong', 'ping']) {
    socket.on(event, () => {
      heard = Date.now();
    });
  }
  const beat = setInterval(() => {
    if (Date.now() - heard > interval + timeout) socket.terminate();
    else socket.ping();
  }, interval);
  socket.once('close', () => clearInterval(beat));
}
