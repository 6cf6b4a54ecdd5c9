// Redis dies, comes back empty and freezes under two living nodes with load on them: only wake-ups get slower, nothing else is felt.
// Short here; TROUPE_OUTAGES=20 (npm run outages) is the long version.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { seededRandom } from '../kit/ambient.ts';
import { auditNode, createAgents } from '../kit/chaos.ts';
import { eventually } from '../kit/eventually.ts';
import { type Load, probe, startLoad } from '../kit/http-load.ts';
import { call, type NodeProcess, startNode, tokenFor } from '../kit/node-process.ts';
import { freshDatabase, type Service, startRedis } from '../kit/services.ts';

const outages = Number(process.env.TROUPE_OUTAGES ?? 1);
const POLL_MS = 10_000;
/** Three in a row this fast are no luck of the poll. */
const BY_HINT_MS = POLL_MS / 5;
/** Longer than the nodes give a command of Redis (1 s). */
const FROZEN_MS = 2_500;
const REQUEST_LIMIT_MS = 5_000;
const LIMIT_MS = 120_000 + outages * 30_000;

let folder: string;
let redis: Service;
let nodes: NodeProcess[];
let token: string;
let agentOfSecond: string;
let loads: Load[];

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-outage-'));
  redis = await startRedis();
  const databaseUrl = await freshDatabase();
  nodes = [];
  for (const name of ['one', 'two']) {
    const env = { TROUPE_POLL_MS: String(POLL_MS) };
    nodes.push(await startNode({ dataDir: join(folder, name), databaseUrl, redisUrl: redis.url, env }));
  }
  token = await tokenFor('admin');
  await createAgents(nodes, token);
  const pinned = await call(second(), token, 'POST', '/api/agents/create', { type: 'ledger' });
  agentOfSecond = String(pinned.body.id);
  loads = nodes.map((node, at) =>
    startLoad({
      node,
      token,
      ledgerFile: ledger(),
      random: seededRandom(at + 1),
      limitMs: REQUEST_LIMIT_MS,
      callers: 2,
    }),
  );
});
afterEach(async () => {
  redis.thaw();
  await Promise.all(loads.map((load) => load.stop()));
  await Promise.all(nodes.map((node) => node.stop()));
  await redis.stop();
  rmSync(folder, { recursive: true, force: true });
});

const ledger = (): string => join(folder, 'ledger.jsonl');
const first = (): NodeProcess => nodes[0] ?? expect.unreachable();
const second = (): NodeProcess => nodes[1] ?? expect.unreachable();
const accepted = (): number => loads.reduce((sum, { tasks, workflows }) => sum + tasks.size + workflows.size, 0);

const underLoad = (): Promise<unknown> => {
  const before = accepted();
  return eventually(() => accepted() > before + 40, 'work to be accepted');
};
const redisSeenBy = async (node: NodeProcess): Promise<unknown> => {
  const { body } = await call(node, token, 'GET', '/api/agents/status');
  return (body.dependencies as { redis: { status: string } }).redis.status;
};
const bothSee = (state: 'up' | 'down') => async (): Promise<boolean> =>
  (await Promise.all(nodes.map(redisSeenBy))).every((seen) => seen === state);

/** From the acceptance by the first node to the end on the second, which alone may do it. */
async function acrossMs(): Promise<number> {
  const startedAt = performance.now();
  const { status, body } = await call(first(), token, 'POST', '/api/agents/tasks/submit', {
    capability: 'ledger.write',
    agentId: agentOfSecond,
    input: { file: join(folder, 'across.jsonl'), key: 'across' },
  });
  expect(status).toBe(202);
  await eventually(async () => {
    const task = await call(second(), token, 'GET', `/api/agents/tasks/${body.id}`);
    return task.body.status === 'completed';
  }, 'a task to cross over');
  return performance.now() - startedAt;
}

async function hintsCross(): Promise<boolean> {
  for (let at = 0; at < 3; at++) if ((await acrossMs()) > BY_HINT_MS) return false;
  return true;
}

async function expectCleanBooks(): Promise<void> {
  for (const load of loads) {
    await load.stop();
    const { tasks, workflows } = load;
    const deadline = performance.now() + 60_000;
    const verdict = await auditNode({ node: first(), token, tasks, workflows, file: ledger(), deadline });
    console.log(JSON.stringify({ ...verdict, slowestMs: Math.round(load.slowestMs), answers: [...load.byStatus] }));
    expect(Object.fromEntries(load.faults)).toEqual({});
    // Redis is not needed for any answer.
    expect(load.byStatus.get(503)).toBeUndefined();
    expect(workflows.size).toBeGreaterThan(0);
    expect(verdict.byStatus).toEqual({ completed: tasks.size });
    expect(verdict).toMatchObject({ missing: [], notEnded: [], twoOutcomes: [], badWorkflows: [] });
    expect(verdict).toMatchObject({ repeatedAfterCommit: [], neverRan: [] });
  }
}

describe('two nodes whose Redis goes away under load', () => {
  test('go on by their polls, are ready all the time, and hear each other again', { timeout: LIMIT_MS }, async ({
    onTestFailed,
  }) => {
    onTestFailed(() => console.log(nodes.map((node) => node.output().slice(-5_000)).join('\n----\n')));
    await eventually(bothSee('up'), 'Redis to be up');
    for (let at = 0; at < outages; at++) {
      await redis.kill9();
      await eventually(bothSee('down'), 'both nodes to miss Redis');
      expect(await probe(first(), '/readyz')).toMatchObject({ status: 200 });
      await underLoad();
      await acrossMs();
      // Without persistence: it comes back empty.
      await redis.restart();
      await eventually(bothSee('up'), 'both nodes to find Redis');
      await eventually(hintsCross, 'hints to cross over');

      redis.freeze();
      const frozen = sleep(FROZEN_MS);
      await underLoad();
      expect(await probe(second(), '/readyz')).toMatchObject({ status: 200 });
      await frozen;
      redis.thaw();
      await eventually(hintsCross, 'hints to cross over');
    }
    await expectCleanBooks();
  });
});
