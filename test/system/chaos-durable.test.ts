// The receiver's node is killed -9 twice in the midst of thousands of durable messages, on a server and
// embedded: every accepted message shows once in the receiver's state, in order.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, describe, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { call, type NodeProcess, startNode, tokenFor } from '../kit/node-process.ts';
import { freshDatabase } from '../kit/services.ts';

const TALLY = fileURLToPath(new URL('../kit/agents/tally.mjs', import.meta.url));
const TOTAL = 2_400;
const LIMIT_MS = 120_000;

interface Tally {
  readonly count: number;
  readonly halves: number;
  readonly next: Readonly<Record<string, number>>;
  readonly disorder: readonly unknown[];
}

describe('the node of the receiver is killed twice', () => {
  const nodes: NodeProcess[] = [];
  const folders: string[] = [];
  afterEach(async () => {
    await Promise.all(nodes.splice(0).map((node) => node.kill9()));
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
  }, LIMIT_MS);

  async function start(dataDir: string, databaseUrl?: string): Promise<NodeProcess> {
    const env = { TROUPE_AGENTS: TALLY, TROUPE_LEASE_MS: '2000', TROUPE_POLL_MS: '200' };
    const node = await startNode({ dataDir, env, ...(databaseUrl ? { databaseUrl } : {}) });
    nodes.push(node);
    return node;
  }
  function folder(): string {
    const made = mkdtempSync(join(tmpdir(), 'troupe-durable-'));
    folders.push(made);
    return made;
  }

  test.each([
    ['on PostgreSQL, a node of another id takes over', true],
    ['embedded, started again each time', false],
  ])(
    '%s: all messages show once in its state, in order',
    async (_name, server) => {
      const databaseUrl = server ? await freshDatabase() : undefined;
      const home = folder();
      const token = await tokenFor('admin');
      const begin = () => start(server ? folder() : home, databaseUrl);
      let node = await begin();
      const api = (method: string, path: string, body?: unknown) =>
        call(node, token, method, `/api/agents${path}`, body);
      const made = await api('POST', '/create', { type: 'tally' });
      const to = String(made.body.id);

      const read = async (): Promise<Tally | undefined> => {
        const answer = await api('POST', `/${to}/messages`, { type: 'read', mode: 'ask' }).catch(() => undefined);
        return answer?.status === 200 ? (answer.body.reply as Tally) : undefined;
      };
      let accepted = 0;
      /** Eight senders at once, each with a lane of its own. */
      const telling = Promise.all(
        Array.from({ length: 8 }, async (_, sender) => {
          for (let n = 0; n < TOTAL / 8; n++) {
            await eventually(
              async () => {
                const body = { type: 'add', body: { n, lane: `s${sender}` }, durable: true };
                const answer = await call(node, token, 'POST', `/api/agents/${to}/messages`, body, {
                  'idempotency-key': `${sender}-${n}`,
                }).catch(() => undefined);
                return answer?.status === 202;
              },
              `message ${n} of sender ${sender}`,
              LIMIT_MS,
            );
            accepted++;
          }
        }),
      );

      for (const at of [TOTAL / 4, TOTAL / 2]) {
        await eventually(() => accepted >= at, `${at} messages are accepted`, LIMIT_MS);
        await node.kill9();
        node = await begin();
      }
      await telling;
      const state = await eventually(
        async () => {
          const seen = await read();
          return seen !== undefined && seen.count >= TOTAL && seen;
        },
        'all are counted',
        LIMIT_MS,
      );
      const next = Object.fromEntries(Array.from({ length: 8 }, (_, sender) => [`s${sender}`, TOTAL / 8]));
      expect(state).toMatchObject({ count: TOTAL, halves: TOTAL, next, disorder: [] });
      const { body } = await api('GET', '/dead-letters');
      expect(body).toMatchObject({ items: [] });
    },
    2 * LIMIT_MS,
  );
});
