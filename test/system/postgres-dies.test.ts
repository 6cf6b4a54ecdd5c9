// PostgreSQL dies and freezes under a living node with load on it: the node says so, loses nothing and goes on by itself.
// Short here; TROUPE_OUTAGES=50 (npm run outages) is the long version.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../kit/ambient.ts';
import { auditNode, createAgents } from '../kit/chaos.ts';
import { type Load, probe, startLoad } from '../kit/http-load.ts';
import { type NodeProcess, startNode, tokenFor } from '../kit/node-process.ts';
import { type Service, startPostgres } from '../kit/services.ts';

const outages = Number(process.env.TROUPE_OUTAGES ?? 2);
const LEASE_MS = 10_000;
/** Above what the node gives a query (7 s), below its lease. */
const WITHIN_LEASE_MS = 8_500;
const BEYOND_LEASE_MS = 11_500;
/** A query, the wait for a connection, and what a busy machine adds. */
const REQUEST_LIMIT_MS = 12_000;
const LIMIT_MS = 120_000 + outages * 30_000;

let folder: string;
let server: Service;
let node: NodeProcess;
let token: string;
let load: Load;

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-outage-'));
  server = await startPostgres();
  node = await startNode({
    dataDir: folder,
    databaseUrl: server.url,
    env: { TROUPE_LEASE_MS: String(LEASE_MS), TROUPE_POLL_MS: '200' },
  });
  token = await tokenFor('admin');
  await createAgents([node], token);
  load = startLoad({
    node,
    token,
    ledgerFile: join(folder, 'ledger.jsonl'),
    random: seededRandom(7),
    limitMs: REQUEST_LIMIT_MS,
  });
});
afterEach(async () => {
  server.thaw();
  await load.stop();
  await node.stop();
  await server.stop();
  rmSync(folder, { recursive: true, force: true });
});

async function until(holds: () => boolean | Promise<boolean>, what: string, limitMs = 30_000): Promise<void> {
  const deadline = performance.now() + limitMs;
  while (!(await holds())) {
    if (performance.now() > deadline)
      throw new Error(`waited ${limitMs} ms for ${what}\n${node.output().slice(-4_000)}`);
    await sleep(20);
  }
}

const accepted = (): number => load.tasks.size + load.workflows.size;
const underLoad = (): Promise<void> => {
  const before = accepted();
  return until(() => accepted() > before + 30, 'work to be accepted');
};
const ready = async (): Promise<boolean> => (await probe(node, '/readyz')).status === 200;

/** Load goes on through the outage; it begins and ends under load, and the node says when it is not ready. */
async function outage(begin: () => void | Promise<void>, end: () => void | Promise<void>): Promise<void> {
  await underLoad();
  await begin();
  await until(async () => !(await ready()), '/readyz to say that the database is away');
  const { status, body } = await probe(node, '/readyz');
  expect({ status, body }).toMatchObject({ status: 503, body: { reasons: ['the database does not answer'] } });
  const before = accepted();
  await sleep(200);
  expect(accepted()).toBe(before);
  await end();
  await until(ready, '/readyz to be ready again');
  await underLoad();
}

async function expectCleanBooks(): Promise<void> {
  await load.stop();
  const file = join(folder, 'ledger.jsonl');
  const { tasks, workflows } = load;
  const verdict = await auditNode({ node, token, tasks, workflows, file, deadline: performance.now() + 60_000 });
  const { slowestMs, byStatus } = load;
  console.log(JSON.stringify({ ...verdict, slowestMs: Math.round(slowestMs), answers: Object.fromEntries(byStatus) }));
  expect(Object.fromEntries(load.faults)).toEqual({});
  expect(load.byStatus.get(503)).toBeGreaterThan(0);
  expect(workflows.size).toBeGreaterThan(0);
  expect(verdict.missing).toEqual([]);
  expect(verdict.notEnded).toEqual([]);
  expect(verdict.twoOutcomes).toEqual([]);
  expect(verdict.badWorkflows).toEqual([]);
  expect(verdict.repeatedAfterCommit).toEqual([]);
  expect(verdict.neverRan).toEqual([]);
  expect(verdict.byStatus).toEqual({ completed: tasks.size });
  // The same process all the time.
  expect(() => process.kill(node.pid, 0)).not.toThrow();
}

describe('a node whose PostgreSQL goes away under load', () => {
  test('goes on by itself when the server is killed and started again', { timeout: LIMIT_MS }, async () => {
    for (let at = 0; at < outages; at++) {
      await outage(
        () => server.kill9(),
        () => server.restart(),
      );
    }
    await expectCleanBooks();
  });

  test('answers everything while the server is frozen, and keeps its lease', { timeout: LIMIT_MS }, async () => {
    for (let at = 0; at < Math.ceil(outages / 3); at++) {
      await outage(
        () => server.freeze(),
        async () => {
          await sleep(WITHIN_LEASE_MS - 7_000);
          server.thaw();
        },
      );
    }
    await expectCleanBooks();
  });

  test('gets over a freeze that outlasts its lease', { timeout: LIMIT_MS }, async () => {
    let frozenAt = 0;
    await outage(
      () => {
        frozenAt = performance.now();
        server.freeze();
      },
      async () => {
        await sleep(Math.max(0, frozenAt + BEYOND_LEASE_MS - performance.now()));
        server.thaw();
      },
    );
    await expectCleanBooks();
  });
});
