// `node client.js`, as the suite starts it: follows the feed until standard input says `stop`.

import { createInterface } from 'node:readline';

import { OddsPapiClient } from './oddspapi.js';
import { PolyNodeClient } from './polynode.js';

process.stdout.write('{"schema":"lastseen.report/1","client":"node"}\n');

const client =
  process.env.LASTSEEN_DIALECT === 'polynode' ? new PolyNodeClient() : new OddsPapiClient();

createInterface({ input: process.stdin }).on('line', (line) => {
  if (line.trim() === 'state') client.tellState();
  if (line.trim() === 'stop') {
    client.close();
    process.exit(0);
  }
});

await client.run();
