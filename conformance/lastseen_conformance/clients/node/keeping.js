// State and position in one file, replaced whole, so that neither is ever ahead of the other.

import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';

import { CHANNELS, STATE_DIR, WS_URL } from './common.js';

const FILE = join(STATE_DIR, 'node.json');
const OWNER = `${WS_URL} ${CHANNELS}`;

/** Keeps every channel that has a position, with its state; the others start anew. */
export function save({ channels, epoch, replayable }) {
  const kept = [...channels.values()]
    .filter((channel) => channel.cursor)
    .map(({ name, cursor, scopes }) => ({
      name,
      cursor,
      scopes: [...scopes].map(([entity, scope]) => [entity, [...scope.state]]),
    }));
  const draft = openSync(`${FILE}.draft`, 'w');
  writeSync(draft, JSON.stringify({ owner: OWNER, epoch, replayable, kept }));
  fsyncSync(draft);
  closeSync(draft);
  renameSync(`${FILE}.draft`, FILE);
}

/** Brings back what an earlier life kept; what cannot be used is as good as nothing. */
export function load(client) {
  try {
    const { owner, epoch, replayable, kept } = JSON.parse(readFileSync(FILE, 'utf8'));
    if (owner !== OWNER) return;
    for (const { name, cursor, scopes } of kept) {
      const channel = client.channels.get(name);
      for (const [entity, state] of scopes) {
        Object.assign(channel.scope(entity), { state: new Map(state), synced: true, held: null });
      }
      channel.cursor = channel.newest = cursor;
    }
    Object.assign(client, { epoch, replayable });
  } catch {
    // Nothing was kept.
  }
}
