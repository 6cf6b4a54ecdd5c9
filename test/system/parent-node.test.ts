// A node under its parent: heap exhaustion takes the whole process, the parent starts it anew, and what was accepted finishes.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../kit/eventually.ts';
import { call, type NodeProcess, startNode, tokenFor } from '../kit/node-process.ts';
import { freePort } from '../kit/services.ts';

let folder: string;
let node: NodeProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-parent-'));
});
afterEach(async () => {
  await node?.stop();
  node = undefined;
  rmSync(folder, { recursive: true, force: true });
});

test('a task that exhausts the heap of the process costs a restart and no other task', {
  timeout: 180_000,
}, async () => {
  const port = await freePort();
  const file = join(folder, 'ledger.jsonl');
  node = await startNode({
    dataDir: join(folder, 'data'),
    parent: true,
    env: { TROUPE_PORT: String(port), TROUPE_THREAD_HEAP_MB: '64' },
  });
  const running = node;
  const token = await tokenFor('admin');
  const retry = { maxAttempts: 5, backoffMs: 10 };
  for (let at = 0; at < 4; at++) await call(running, token, 'POST', '/api/agents/create', { type: 'ledger' });
  const pids = new Set<number>();
  const pid = async () => {
    const { body } = await call(running, token, 'GET', '/api/agents/status');
    return (body.nodes as { pid: number; alive: boolean }[]).find(({ alive }) => alive)?.pid ?? -1;
  };
  pids.add(await pid());

  const ids: string[] = [];
  const submit = async (body: unknown) =>
    ids.push(String((await call(running, token, 'POST', '/api/agents/tasks/submit', body)).body.id));
  for (let at = 0; at < 30; at++)
    await submit({ capability: 'ledger.write', input: { file, key: `k${at}`, sleepMs: 100 }, retry });
  await submit({ capability: 'ledger.burst', input: {}, retry });

  for (const id of ids) {
    const task = await eventually(
      async () => {
        const answer = await call(running, token, 'GET', `/api/agents/tasks/${id}`).catch(() => undefined);
        return answer?.status === 200 && answer.body.status === 'completed' && answer.body;
      },
      `${id} to be completed`,
      120_000,
    );
    expect((task.attempts as { outcome: string }[]).filter(({ outcome }) => outcome === 'completed')).toHaveLength(1);
  }
  pids.add(await pid());
  expect(pids.size).toBe(2);
  expect(running.output()).toMatch(/restart/);
});
