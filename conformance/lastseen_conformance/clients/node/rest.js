// REST snapshots: no redirect is followed, because the key is in the query (op.snapshot.*).

import { HTTP_URL, KEY, timer } from './common.js';

/** No snapshot; `wait` is what the server asked for, in milliseconds. */
export class Unavailable extends Error {
  constructor(why, wait = 0) {
    super(why);
    this.wait = wait;
  }
}

export async function get(path, query) {
  const search = new URLSearchParams({ apiKey: KEY, ...query });
  let answer;
  try {
    answer = await fetch(`${HTTP_URL}${path}?${search}`, {
      redirect: 'manual',
      signal: AbortSignal.timeout(timer('SNAPSHOT_TIMEOUT', 20)),
      headers: { 'cache-control': 'no-cache' },
    });
    if (answer.status === 200) return await answer.json();
  } catch (error) {
    throw new Unavailable(error.name); // Its message may show the address, and the key in it.
  }
  throw new Unavailable(`HTTP ${answer.status}`, 1000 * Number(answer.headers.get('retry-after') ?? 0) || 0);
}
