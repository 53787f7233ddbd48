// A client of PolyNode: items from pending to confirmed, whatever comes first.

import { setTimeout as sleep } from 'node:timers/promises';
import { inflateRawSync } from 'node:zlib';

import WebSocket from 'ws';

import { Backoff, CHANNELS, KEY, WS_URL, bound, isObject, keepAlive, say, timer } from './common.js';

const BYTES_MAX = 10 << 20;
const ITEMS_MAX = 100_000;
const OVERLAP_MS = 5_000;
const RANK = { pending: 1, timed_out: 2, confirmed: 3 };
const ITEM_FIELDS = ['tx_hash', 'taker_wallet', 'taker_token', 'taker_side'];

export class PolyNodeClient {
  items = new Map();
  ofTransaction = new Map();
  confirmed = new Set(); // Transactions whose confirmation was seen, also before their settlement.
  timers = new Map();
  newestMs = null;
  backoff = new Backoff();

  async run() {
    while (!(await this.converse())) await sleep(this.backoff.pause());
    say('anomaly', { code: 'refused' });
  }

  close() {} // Nothing is kept: what matters is in the histories.

  tellState() {
    say('state', {
      state: Object.fromEntries([...this.items].map(([name, state]) => [name, { state }])),
    });
  }

  /** One connection; true when there is no use in another. */
  converse() {
    return new Promise((resolve) => {
      let [refused, began, presets] = [false, null, [...CHANNELS]];
      let answerDue;
      const socket = new WebSocket(`${WS_URL}?${new URLSearchParams({ key: KEY })}`, {
        handshakeTimeout: timer('CONNECT_TIMEOUT', 10),
        maxPayload: BYTES_MAX,
        perMessageDeflate: false,
      });
      // One at a time: answers say nothing of what they answer.
      const subscribe = () => {
        clearTimeout(answerDue);
        if (presets.length === 0) {
          began = Date.now();
          return;
        }
        const filters = this.newestMs === null ? {} : { since: this.newestMs - OVERLAP_MS };
        socket.send(JSON.stringify({ action: 'subscribe', type: presets.shift(), filters }));
        answerDue = setTimeout(() => socket.terminate(), timer('LOGIN_TIMEOUT', 10));
      };
      socket.on('open', () => {
        keepAlive(socket, timer('PING_INTERVAL', 30), timer('PING_TIMEOUT', 60));
        subscribe();
      });
      socket.on('message', (data, isBinary) => {
        const type = this.receive(data, isBinary);
        if (began === null && (type === 'subscribed' || type === 'error')) subscribe();
      });
      socket.on('unexpected-response', (_, response) => {
        refused = response.statusCode === 401 || response.statusCode === 403;
        socket.terminate(); // Else nothing says that it is over.
      });
      socket.on('error', () => {}); // The end follows.
      socket.on('close', (code) => {
        clearTimeout(answerDue);
        if (began !== null) this.backoff.lasted(Date.now() - began);
        resolve(refused || code === 4401);
      });
    });
  }

  /** Takes a frame and returns its type; what cannot be read is passed over. */
  receive(data, isBinary) {
    let frame;
    try {
      frame = JSON.parse(isBinary ? inflateRawSync(data, { maxOutputLength: BYTES_MAX }) : data);
    } catch {
      frame = null;
    }
    if (!isObject(frame)) {
      say('anomaly', { code: 'unreadable' });
      return '';
    }
    const events = frame.type === 'snapshot' ? frame.events : [frame];
    if (Array.isArray(events)) for (const event of events) this.take(event);
    return frame.type;
  }

  /** An event, wrapped or flat. */
  take(event) {
    const data = event?.data ?? event;
    if (!isObject(data)) return;
    if (Number.isInteger(event.timestamp)) {
      this.newestMs = Math.max(event.timestamp, this.newestMs ?? 0);
    }
    const [type, tx] = [event.type ?? data.event_type, data.tx_hash];
    if (typeof tx !== 'string') return;
    if (type === 'settlement') {
      this.settle(tx, data);
    } else if (type === 'status_update') {
      this.confirmed.add(tx);
      bound(this.confirmed, ITEMS_MAX);
      for (const name of this.ofTransaction.get(tx) ?? []) this.move(name, 'confirmed');
    }
  }

  settle(tx, data) {
    const name = ['settlement', ...ITEM_FIELDS.map((field) => data[field] || '-')].join('/');
    if (!this.items.has(name)) {
      this.ofTransaction.set(tx, [...(this.ofTransaction.get(tx) ?? []), name]);
      bound(this.ofTransaction, ITEMS_MAX);
    }
    const over = data.status === 'confirmed' || this.confirmed.has(tx);
    this.move(name, over ? 'confirmed' : 'pending');
  }

  /** Forward only: an item that was confirmed, or given up, is never pending again. */
  move(name, state) {
    if (RANK[state] <= (RANK[this.items.get(name)] ?? 0)) return;
    this.items.set(name, state);
    bound(this.items, ITEMS_MAX);
    say('item', { key: name, state });
    clearTimeout(this.timers.get(name));
    this.timers.delete(name);
    if (state === 'pending') {
      const expire = () => this.move(name, 'timed_out');
      this.timers.set(name, setTimeout(expire, timer('PENDING_TIMEOUT', 15)));
    }
  }
}
