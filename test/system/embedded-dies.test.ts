// The thread of the embedded database dies under a node: the node ends at once and says so, its parent starts the next incarnation,
// and nothing that was accepted is lost.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { EXIT } from '../../http/exit-codes.ts';
import { STORE_GONE_EXIT_CODE } from '../../runtime/system.ts';
import { eventually } from '../kit/eventually.ts';
import { call, type NodeProcess, startNode, tokenFor } from '../kit/node-process.ts';
import { freePort } from '../kit/services.ts';

/** Loaded into the node before anything else: ends that thread when it is told to by a signal. */
const murderer = fileURLToPath(new URL('../kit/kill-database-thread.mjs', import.meta.url));

let folder: string;
let node: NodeProcess | undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'troupe-embedded-'));
});
afterEach(async () => {
  await node?.stop();
  node = undefined;
  rmSync(folder, { recursive: true, force: true });
});

const start = async (options: { parent?: boolean; env?: Record<string, string> } = {}): Promise<NodeProcess> => {
  const env = { NODE_OPTIONS: `--import ${murderer}`, ...options.env };
  node = await startNode({ dataDir: folder, ...options, env });
  return node;
};
const pidOf = async ({ url }: NodeProcess, token: string): Promise<number> => {
  const { body } = await call({ url }, token, 'GET', '/api/agents/status');
  return (body.nodes as { pid: number; alive: boolean }[]).find(({ alive }) => alive)?.pid ?? -1;
};

describe('a node whose embedded database dies', () => {
  test('ends with a code of its own and one line that says why', async () => {
    expect(EXIT.storeGone).toBe(STORE_GONE_EXIT_CODE);
    const running = await start();
    process.kill(running.pid, 'SIGUSR2');
    expect(await running.exited).toBe(EXIT.storeGone);
    expect(running.output().match(/this node ends/g)).toHaveLength(1);
    expect(running.output()).toContain('the embedded database is gone');
  });

  test('is started again by its parent and finishes what was accepted', async () => {
    const running = await start({ parent: true, env: { TROUPE_PORT: String(await freePort()) } });
    const token = await tokenFor('admin');
    await call(running, token, 'POST', '/api/agents/create', { type: 'ledger' });
    const pid = await pidOf(running, token);
    const ids: string[] = [];
    for (let at = 0; at < 20; at++) {
      const input = { file: join(folder, 'ledger.jsonl'), key: `k${at}`, sleepMs: 100 };
      const retry = { maxAttempts: 10, backoffMs: 10 };
      const task = { capability: 'ledger.write', input, retry };
      ids.push(String((await call(running, token, 'POST', '/api/agents/tasks/submit', task)).body.id));
    }
    process.kill(pid, 'SIGUSR2');
    for (const id of ids) {
      const task = await eventually(async () => {
        const answer = await call(running, token, 'GET', `/api/agents/tasks/${id}`).catch(() => undefined);
        return answer?.status === 200 && answer.body.status === 'completed' && answer.body;
      }, `${id} to be completed`);
      expect((task.attempts as { outcome: string }[]).filter(({ outcome }) => outcome === 'completed')).toHaveLength(1);
    }
    expect(await pidOf(running, token)).not.toBe(pid);
    expect(running.output()).toContain(`the node died with code ${EXIT.storeGone}`);
  });
});
