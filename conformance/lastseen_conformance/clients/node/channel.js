// One channel: where it is, what of it has a base, and what waits for one.

import { bound } from './common.js';
import { LIVE_ONLY, stamp } from './units.js';

const SEEN_MAX = 4096;

/** An id as two numbers (they may have nineteen digits); null when it is none. */
export function orderOf(id) {
  const match = typeof id === 'string' ? /^([0-9]{1,19})-([0-9]{1,19})$/.exec(id) : null;
  return match && [BigInt(match[1]), BigInt(match[2])];
}

const compare = (a, b) => (a[0] === b[0] ? Number(a[1] > b[1]) - Number(a[1] < b[1]) : a[0] > b[0] ? 1 : -1);

/** What one answer restores: a channel, or one fixture of it. */
export class Scope {
  state = new Map();
  synced = false;
  doubts = 0; // Counts; an answer that was asked for before the last one is no base.
  held = []; // Since the last doubt, to go on top of a snapshot; null once it was looked at twice.
  fetched = new Set(); // Rows that no entry has touched; one of them may be the newer.

  doubt() {
    this.synced = false;
    this.held = [];
    this.doubts += 1;
  }

  put(fresh) {
    for (const [key, value] of fresh) {
      if (this.fetched.has(key)) {
        const [ours, theirs] = [stamp(value), stamp(this.state.get(key))];
        if (ours != null && theirs != null && ours < theirs) continue;
        this.fetched.delete(key);
      }
      this.state.set(key, value);
    }
  }

  /** Puts a snapshot in place, and on top of it what came since; returns what had waited. */
  replace(rows) {
    const [first, held] = [!this.synced, this.held ?? []];
    this.state = new Map(rows);
    this.fetched = new Set(this.state.keys());
    this.synced = true;
    for (const { fresh } of held) this.put(fresh);
    if (!first) this.held = null;
    return first ? held.map(({ id }) => id) : [];
  }
}

export class Channel {
  cursor = null;
  newest = null;
  seen = new Set();
  replaying = false;
  head = null; // Where the server was at the login: what is above came live.
  waiting = [];
  said = null;

  constructor(name) {
    this.name = name;
    // By fixture where snapshots are, with the list of fixtures as one more; else one.
    this.scopes = new Map(LIVE_ONLY.has(name) ? [] : [['', new Scope()]]);
  }

  scope(fixture) {
    if (!this.scopes.has(fixture)) this.scopes.set(fixture, new Scope());
    return this.scopes.get(fixture);
  }

  get whole() {
    return !this.replaying && [...this.scopes.values()].every((scope) => scope.synced);
  }

  /** Whether it was there: the very id, or one that is not above in either half. */
  knows(id) {
    const [order, newest] = [orderOf(id), orderOf(this.newest)];
    if (!order) return false;
    return this.seen.has(id) || (newest && order[0] <= newest[0] && order[1] <= newest[1]);
  }

  note(id) {
    if (!orderOf(id)) return;
    this.newest = id;
    this.seen.add(id);
    bound(this.seen, SEEN_MAX);
  }

  /** Ends the replay; gives what waited, the replayed entries first. */
  replayed() {
    if (!this.replaying) return [];
    const waiting = this.waiting;
    this.replaying = false;
    this.waiting = [];
    const known = (entry) => orderOf(entry.id);
    if (!this.head) {
      const sorted = waiting.filter(known).sort((a, b) => compare(known(a), known(b)));
      return [...sorted, ...waiting.filter((entry) => !known(entry))].map((e) => [e, 'replay']);
    }
    const isOld = (entry) => known(entry) && compare(known(entry), this.head) <= 0;
    return [
      ...waiting.filter(isOld).map((entry) => [entry, 'replay']),
      ...waiting.filter((entry) => !isOld(entry)).map((entry) => [entry, 'live']),
    ];
  }

  doubt() {
    this.cursor = null;
    this.replaying = false;
    this.waiting = [];
    for (const scope of this.scopes.values()) scope.doubt();
  }

  /** Of another epoch: no id that was seen means anything. */
  forget() {
    this.cursor = this.newest = null;
    this.replaying = false;
    this.seen.clear();
  }

  /** The connection is gone; what was whole stays so, up to its cursor. */
  lose() {
    this.waiting = [];
    this.replaying = false;
    for (const scope of this.scopes.values()) {
      if (scope.synced) scope.held = null;
      else scope.doubt();
    }
  }

  /** What may be said of it; null when that was said last. */
  claim(connected) {
    let now = this.whole ? 'synced' : 'syncing';
    if (LIVE_ONLY.has(this.name)) now = 'live_only';
    else if (!connected) now = 'stale';
    else if (this.replaying) now = 'resuming';
    if (now === this.said || (this.said === null && now === 'stale')) return null;
    this.said = now;
    return now;
  }
}
