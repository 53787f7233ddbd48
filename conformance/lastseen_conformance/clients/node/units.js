// What the payloads of OddsPapi mean: the units that the wire replaces whole, by key.

import { isObject } from './common.js';

export const LIVE_ONLY = new Set(['events', 'stats', 'injuries', 'lineups']);
export const BY_FIXTURE = new Set(['odds', 'bookmakers']);

const FOREIGN = ['scores', 'clock', 'bookmakers'];

function object(value) {
  if (!isObject(value)) throw new TypeError('not an object');
  return value;
}

/** The fixture an entry is about. */
export function fixtureOf(payload) {
  const id = object(payload).fixtureId;
  if (typeof id !== 'string') throw new TypeError('no fixtureId');
  return id;
}

/** The units of an entry, as pairs; throws for a payload that is not what it should be. */
export function units(channel, payload) {
  const fixture = fixtureOf(payload);
  switch (channel) {
    case 'fixtures':
      return [
        [
          `fixtures/${fixture}`,
          Object.fromEntries(Object.entries(payload).filter(([name]) => !FOREIGN.includes(name))),
        ],
      ];
    case 'clocks':
      return [[`clocks/${fixture}`, object(payload.clock)]];
    case 'odds':
      return Object.entries(object(payload.odds)).flatMap(([book, rows]) =>
        Object.entries(object(rows)).map(([id, row]) => [
          `odds/${fixture}/${book}/${id}`,
          object(row),
        ]),
      );
    default:
      return Object.entries(object(payload[channel])).map(([name, value]) => [
        `${channel}/${fixture}/${name}`,
        object(value),
      ]);
  }
}

/** What a list of fixtures says of `fixtures`, `scores` or `clocks`. */
export const unitsOfList = (channel, fixtures) =>
  fixtures
    .filter(
      (fixture) =>
        channel !== 'clocks' || Object.values(fixture.clock ?? {}).some((value) => value !== null),
    )
    .flatMap((fixture) => units(channel, fixture));

/** A unit's own time, when it carries one. */
export const stamp = (unit) => unit.changedAt ?? unit.updatedAt;

/** Without what no snapshot can show: inactive rows, and odds of what is over. */
export function visible(state) {
  const over = new Set(
    Object.entries(state)
      .filter(([key, unit]) => key.startsWith('fixtures/') && unit.status?.statusId > 1)
      .map(([key]) => key.split('/')[1]),
  );
  return Object.fromEntries(
    Object.entries(state).filter(([key, unit]) => {
      const [channel, fixture] = key.split('/');
      return !BY_FIXTURE.has(channel) || (!over.has(fixture) && unit.active !== false);
    }),
  );
}
