// A client of OddsPapi: login, resume, snapshots, and a state that is kept across restarts.
//
// Every channel is one of: waiting for a connection, being replayed, or live; each piece of it that
// a snapshot restores is a scope. An entry whose scope has no base waits, and goes on top of it.

import { setTimeout as sleep } from 'node:timers/promises';

import WebSocket from 'ws';

import { Channel, orderOf } from './channel.js';
import { Backoff, CHANNELS, KEY, WS_URL, isObject, keepAlive, say, timer } from './common.js';
import { load, save } from './keeping.js';
import { Unavailable, get } from './rest.js';
import { BY_FIXTURE, LIVE_ONLY, fixtureOf, units, unitsOfList, visible } from './units.js';

const SPORTS = [10, 11, 12];
const FRAME_BYTES_MAX = 4 << 20;
const HELD_MAX = 20_000;
const STUCK_MAX = 3;
const FATAL_CLOSES = [4000, 4001];
const LIMIT_CLOSE = 4003;
const LIST = '/fixtures';
const ODDS = '/fixtures/odds';

export class OddsPapiClient {
  channels = new Map(CHANNELS.map((name) => [name, new Channel(name)]));
  epoch = null;
  replayable = null; // Which channels the server can replay in this epoch; null when it never said.
  owner = null;
  attempt = null; // There is at most one beside the owner.
  refused = false;
  stuck = 0;
  backoff = new Backoff();
  fetches = new Map(); // By source: what is being restored.
  fetchedAt = new Map();

  // For whoever runs it.

  async run() {
    load(this);
    this.connectIn(0);
  }

  close() {
    save(this);
  }

  tellState() {
    const scopes = [...this.channels.values()].flatMap((channel) => [...channel.scopes.values()]);
    const state = Object.fromEntries(scopes.flatMap((scope) => [...scope.state]));
    say('state', { state: visible(state) });
  }

  // Connections: an owner, and at most one attempt at another.

  connectIn(delay) {
    if (this.attempt || this.refused) return;
    const link = { cursors: {}, epoch: null, acceptedAt: null, moved: false, limited: false };
    this.attempt = link;
    setTimeout(() => this.converse(link), delay);
  }

  converse(link) {
    const socket = new WebSocket(WS_URL, {
      handshakeTimeout: timer('CONNECT_TIMEOUT', 10),
      maxPayload: FRAME_BYTES_MAX,
      perMessageDeflate: false,
    });
    link.socket = socket;
    socket.on('open', () => {
      keepAlive(socket, timer('PING_INTERVAL', 20), timer('PING_TIMEOUT', 20));
      socket.send(this.login(link));
      link.loginDue = setTimeout(() => socket.terminate(), timer('LOGIN_TIMEOUT', 10));
    });
    socket.on('message', (data) => {
      if (socket.readyState === WebSocket.OPEN) this.receive(link, data.toString());
    });
    socket.on('unexpected-response', (_, response) => {
      if ([401, 403].includes(response.statusCode)) this.refused = true;
      socket.terminate(); // Else nothing says that it is over.
    });
    socket.on('error', () => {}); // The end follows.
    socket.on('close', (code) => {
      link.limited ||= code === LIMIT_CLOSE;
      this.refused ||= FATAL_CLOSES.includes(code) && !link.moved;
      this.ended(link);
    });
  }

  /** The only message of a connection; it carries whole positions or none. */
  login(link) {
    const cursors = [...this.channels.values()]
      .filter(({ name, cursor }) => cursor && (this.replayable?.includes(name) ?? true))
      .map(({ name, cursor }) => [name, cursor]);
    const message = {
      type: 'login',
      apiKey: KEY,
      clientName: 'node',
      channels: CHANNELS,
      sportIds: SPORTS,
    };
    if (this.epoch !== null && cursors.length > 0) {
      link.epoch = message.serverEpoch = this.epoch;
      link.cursors = message.lastSeenId = Object.fromEntries(cursors);
    }
    return JSON.stringify(message);
  }

  /** Every way back to a connection leads through a pause. */
  ended(link) {
    clearTimeout(link.loginDue);
    clearTimeout(link.resumeDue);
    clearTimeout(link.goneDue);
    if (this.attempt === link) this.attempt = null;
    if (Object.keys(link.cursors).length > 0 && !link.proved) {
      this.stuck += 1;
      if (this.stuck >= STUCK_MAX) {
        this.stuck = 0;
        say('anomaly', { code: 'resume_abandoned' });
        for (const channel of this.channels.values()) channel.forget();
      }
    }
    if (this.owner === link) {
      this.owner = null;
      this.lose();
    }
    if (link.acceptedAt !== null) this.backoff.lasted(Date.now() - link.acceptedAt);
    if (this.owner === null || this.owner.moved) {
      const floor = link.limited ? timer('LIMIT_BACKOFF', 10) : 0;
      this.connectIn(Math.max(floor, this.backoff.pause()));
    }
  }

  /** Nobody tells us anything any more: no claim stands, and no fetch is of use. */
  lose() {
    for (const fetching of this.fetches.values()) fetching.over = true;
    this.fetches.clear();
    for (const channel of this.channels.values()) channel.lose();
    this.claim();
  }

  /** The gateway is about to go: open the next connection while this one still speaks. */
  move(link) {
    if (link.moved) return;
    link.moved = true;
    this.backoff.lasted(Date.now() - link.acceptedAt);
    if (this.backoff.failures > 0) {
      this.connectIn(this.backoff.pause());
    } else {
      this.backoff.failures = 1;
      this.connectIn(Math.random() * timer('HANDOVER_JITTER', 1));
    }
  }

  // Frames.

  /** Nothing that a peer sends ends the client. */
  receive(link, text) {
    let frame = null;
    try {
      frame = JSON.parse(text);
    } catch {
      // As bad as any other frame that says nothing.
    }
    const isOwner = link === this.owner;
    if (!isObject(frame) || typeof frame.type !== 'string') {
      say('anomaly', { code: 'unreadable' });
      if (isOwner) this.doubt(this.channels.values());
    } else if ('channel' in frame) {
      this.take(link, frame);
    } else if (link.acceptedAt === null) {
      if (frame.type === 'login_ok') this.accept(link, frame);
      if (frame.type === 'error') {
        link.limited = frame.error === 'too_many_connections';
        this.refused ||= !link.limited;
        link.socket.terminate();
      }
    } else if (isOwner) {
      if (frame.type === 'resume_complete') this.complete(link, frame);
      if (frame.type === 'snapshot_required') this.demanded(link, frame);
      if (frame.type === 'reconnect') this.move(link);
    }
    this.claim();
  }

  /** From here on nothing counts that another connection says. */
  accept(link, frame) {
    const old = this.owner;
    clearTimeout(link.loginDue);
    Object.assign(this, { owner: link, attempt: null });
    link.acceptedAt = Date.now();
    const resume = isObject(frame.resume) ? frame.resume : {};
    this.adopt(typeof resume.serverEpoch === 'string' ? resume.serverEpoch : null);
    if ('replayChannels' in resume) {
      this.replayable = Array.isArray(resume.replayChannels) ? resume.replayChannels : [];
    }
    const covered = (channel) =>
      this.epoch !== null &&
      link.epoch === this.epoch &&
      channel.name in link.cursors &&
      channel.cursor !== null &&
      (this.replayable?.includes(channel.name) ?? true);
    const resumed = [...this.channels.values()].filter(covered);
    for (const channel of this.channels.values()) channel.waiting = [];
    this.doubt([...this.channels.values()].filter((channel) => !resumed.includes(channel)));
    for (const channel of resumed) {
      channel.replaying = true;
      channel.head = orderOf(resume.serverEntryIds?.[channel.name]);
    }
    link.proved = resumed.length === 0;
    link.resumeDue = setTimeout(() => {
      this.doubt([...this.channels.values()].filter((channel) => channel.replaying));
      this.claim();
    }, timer('RESUME_TIMEOUT', 15));
    if (old) {
      old.socket.close(1000);
      old.goneDue = setTimeout(() => old.socket.terminate(), 1000);
    }
  }

  /** Another epoch: whatever was known of positions names nothing in it. */
  adopt(epoch) {
    if (epoch !== null && epoch === this.epoch) return;
    for (const channel of this.channels.values()) channel.forget();
    Object.assign(this, { epoch, replayable: null });
  }

  /** What was replayed goes first, then what came live in between. */
  complete(link, frame) {
    const epoch = frame.serverEpoch ?? this.epoch;
    if (epoch !== this.epoch) {
      this.adopt(typeof epoch === 'string' ? epoch : null);
      this.doubt(this.channels.values());
      return;
    }
    clearTimeout(link.resumeDue);
    Object.assign(this, { stuck: 0 });
    link.proved = true;
    for (const channel of this.channels.values()) {
      for (const [entry, src] of channel.replayed()) this.apply(channel, entry, src);
    }
  }

  /** A list that cannot be read concerns every channel; so does another epoch. */
  demanded(link, frame) {
    let every = !Array.isArray(frame.channels) || frame.channels.length === 0;
    if (typeof frame.serverEpoch === 'string' && frame.serverEpoch !== this.epoch) {
      this.adopt(frame.serverEpoch);
      every = true;
    }
    const channels = [...this.channels.values()];
    this.doubt(channels.filter(({ name }) => every || frame.channels.includes(name)));
    if (!channels.some((channel) => channel.replaying)) {
      link.proved = true;
      this.stuck = 0;
    }
  }

  // Entries and snapshots.

  /** An entry; while its channel is replayed it waits for the end of that. */
  take(link, frame) {
    const channel = this.channels.get(frame.channel);
    const id = typeof frame.entryId === 'string' ? frame.entryId : null;
    if (!channel || link !== this.owner) {
      say('discarded', { channel: String(frame.channel), id, why: 'not ours' });
    } else if (!channel.replaying) {
      this.apply(channel, { id, payload: frame.payload }, 'live');
    } else if (channel.waiting.length < HELD_MAX) {
      channel.waiting.push({ id, payload: frame.payload });
    } else {
      this.doubt([channel]);
    }
  }

  /** Puts an entry into the state, or lets it wait for a base to be put on. */
  apply(channel, { id, payload }, src) {
    const { name } = channel;
    if (channel.knows(id)) {
      say('duplicate', { channel: name, id });
      return;
    }
    const applied = () => say('applied', { channel: name, id, epoch: this.epoch, src });
    if (LIVE_ONLY.has(name)) {
      applied();
    } else {
      let fresh, fixture;
      try {
        fresh = units(name, payload);
        fixture = BY_FIXTURE.has(name) ? fixtureOf(payload) : '';
      } catch {
        say('anomaly', { code: 'bad_payload', channel: name });
        this.doubt([channel]);
        return;
      }
      const scope = channel.scope(fixture);
      scope.held?.push({ id, fresh });
      if (scope.synced) {
        scope.put(fresh);
        applied();
      } else if (scope.held.length > HELD_MAX) {
        this.doubt([channel]);
        return;
      } else {
        this.want(fixture === '' ? LIST : ODDS, fixture);
      }
    }
    channel.note(id);
    this.settle(channel);
  }

  /** A channel has a position only while all of it has a base. */
  settle(channel) {
    if (this.epoch !== null && channel.whole) channel.cursor = channel.newest;
    save(this);
  }

  /** Only a snapshot that is asked for after this moment is a base again. */
  doubt(channels) {
    for (const channel of channels) {
      channel.doubt();
      for (const fixture of channel.scopes.keys()) {
        this.want(fixture === '' ? LIST : ODDS, fixture);
      }
    }
    save(this);
  }

  /** What an answer restores. */
  scopesOf(path, fixture) {
    return [...this.channels.values()]
      .filter(({ name, scopes }) => scopes.has(fixture) && (path === LIST || BY_FIXTURE.has(name)))
      .map((channel) => ({ channel, scope: channel.scopes.get(fixture) }));
  }

  /** Something that this source restores has no base. */
  want(path, fixture) {
    if (!this.owner) return;
    const source = `${path} ${fixture}`;
    const running = this.fetches.get(source);
    if (running) {
      running.wake.abort();
      return;
    }
    const fetching = { over: false, wake: new AbortController() };
    this.fetches.set(source, fetching);
    this.restore(path, fixture, fetching).finally(() => {
      if (this.fetches.get(source) === fetching) this.fetches.delete(source);
    });
  }

  /** Asks until everything of this source has a base; then once more, a while later. */
  async restore(path, fixture, fetching) {
    const pauses = new Backoff(
      timer('SNAPSHOT_BACKOFF_BASE', 0.5),
      timer('SNAPSHOT_BACKOFF_CAP', 60),
    );
    const source = `${path} ${fixture}`;
    for (let looks = 0; looks < 2; ) {
      const settled = (this.fetchedAt.get(source) ?? 0) + timer('SNAPSHOT_SETTLED', 10);
      await sleep(Math.max(0, settled - Date.now()));
      if (fetching.over) return;
      const marks = this.scopesOf(path, fixture).map((each) => ({
        ...each,
        doubts: each.scope.doubts,
      }));
      if (marks.every(({ scope }) => scope.held === null)) return;
      try {
        const answer = await ask(path, fixture);
        if (fetching.over) return;
        this.rebase(fixture, marks, answer);
      } catch (failure) {
        if (!(failure instanceof Unavailable)) throw failure;
        await sleep(Math.max(failure.wait, pauses.pause()));
        continue;
      }
      this.fetchedAt.set(source, Date.now());
      this.claim();
      const done = this.scopesOf(path, fixture).every(({ scope }) => scope.synced);
      looks = done ? looks + 1 : 0;
      if (looks === 1) {
        fetching.wake = new AbortController();
        await sleep(timer('VERIFY_AFTER', 10), null, { signal: fetching.wake.signal }).catch(() => {});
      }
    }
  }

  /** Puts an answer in place, but where it was doubted after it had been asked for. */
  rebase(fixture, marks, answer) {
    const rows = new Map();
    let roster;
    try {
      roster = new Set(fixture === '' ? answer.map(fixtureOf) : [fixtureOf(answer)]);
      if (fixture !== '' && !roster.has(fixture)) throw new TypeError('of another fixture');
      for (const { channel } of marks) {
        if (fixture !== '') rows.set(channel, units(channel.name, answer));
        else if (!BY_FIXTURE.has(channel.name)) rows.set(channel, unitsOfList(channel.name, answer));
      }
    } catch {
      throw new Unavailable('not a snapshot');
    }
    for (const { channel, scope, doubts } of marks) {
      if (scope.doubts !== doubts || scope.held === null) continue;
      if (!rows.has(channel)) {
        Object.assign(scope, { synced: true, held: null });
        for (const name of channel.scopes.keys()) {
          if (name !== '' && !roster.has(name)) channel.scopes.delete(name);
        }
        for (const name of roster) if (!channel.scope(name).synced) this.want(ODDS, name);
        continue;
      }
      const waited = scope.replace(rows.get(channel));
      const told = { channel: channel.name, entity: fixture || null, proof: 'unproven' };
      say('snapshot_applied', told);
      for (const id of waited) {
        say('applied', { channel: channel.name, id, epoch: this.epoch, src: 'live' });
      }
    }
    for (const { channel } of marks) this.settle(channel);
  }

  // Claims.

  /** Says what each channel's state is worth, when that has changed. */
  claim() {
    for (const channel of this.channels.values()) {
      const state = channel.claim(this.owner !== null);
      if (state !== null) say('status', { channel: channel.name, state, proof: 'unproven' });
    }
  }
}

/** The answers to one source; all of them, or `Unavailable`. */
async function ask(path, fixture) {
  if (fixture !== '') return get(path, { fixtureId: fixture });
  const lists = [];
  for (const sport of SPORTS) lists.push(await get(path, { sportId: sport }));
  return lists.flat();
}
