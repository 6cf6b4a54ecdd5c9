// What agents use reaches the budget of the run: over real threads, a real store and a model server.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Troupe } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { type FakeOllama, fakeOllama } from '../kit/fake-ollama.ts';
import { testTroupe } from '../kit/troupe.ts';

const spender = fileURLToPath(new URL('../kit/actors/spender.ts', import.meta.url));
const retry = { maxAttempts: 3, backoffMs: 0, jitter: 'none' } as const;
const CHAIN = ['a', 'b', 'c'] as const;

let troupe: Troupe;
let model: FakeOllama;
beforeAll(async () => {
  model = await fakeOllama();
  troupe = await testTroupe({ threads: 2, agentRoots: [spender] });
  await troupe.agents.spawn('spender');
  await troupe.agents.spawn('probe');
  await troupe.agents.spawn('generation', { config: { ollamaHost: model.host, model: 'llama3.2' } });
});
afterAll(async () => {
  await troupe.stop();
  await model.close();
});

const chain = (capability: string, input: unknown) =>
  CHAIN.map((id, n) => ({ id, capability, input, dependsOn: CHAIN.slice(Math.max(0, n - 1), n), retry }));

async function ran(body: Parameters<Troupe['workflows']['create']>[0]) {
  const { id } = await troupe.workflows.create(body, undefined, { start: true });
  return troupe.workflows.wait(id, { timeoutMs: 30_000 });
}

describe('a run with a budget', () => {
  test('of tokens ends before the third step when the first two used it up', async () => {
    const view = await ran({ tasks: chain('probe.run', { usage: { tokens: 60 } }), budget: { tokens: 100 } });
    expect(view).toMatchObject({
      status: 'failed',
      stopReason: 'budget',
      error: { code: 'budget_exceeded', details: { measure: 'tokens' } },
      budget: { limits: { tokens: 100 }, used: { tokens: 120, calls: 2 } },
    });
    expect(view.tasks.map(({ id, state }) => [id, state])).toMatchObject([
      ['a', 'completed'],
      ['b', 'completed'],
      ['c', expect.not.stringMatching(/completed|running|queued/)],
    ]);
    const tasks = await troupe.tasks.list({ workflowId: view.id });
    expect(tasks.items.map(({ stepKey, usage }) => [stepKey, usage]).sort()).toEqual([
      ['a', { tokens: 60 }],
      ['b', { tokens: 60 }],
    ]);
  });

  test('counts the tokens of the model by itself', async () => {
    const view = await ran({
      tasks: chain('text.generate', { prompt: 'hello' }),
      budget: { tokens: 15 },
    });
    // The server counts 7 for each prompt and 3 for each answer.
    expect(view).toMatchObject({ status: 'failed', stopReason: 'budget', budget: { used: { tokens: 20, calls: 2 } } });
    expect(model.chats).toHaveLength(2);
  });

  test('counts what runs inside it used, and what attempts that failed did', async () => {
    const inner = {
      name: 'inner',
      pattern: 'parallel',
      tasks: [
        { id: 'x', capability: 'spender.do', input: { tokens: 10, failTimes: 2 }, retry },
        { id: 'y', capability: 'spender.do', input: { tokens: 1, cost: 0.5, tells: 3 }, retry },
      ],
    };
    const view = await ran({
      tasks: [
        { id: 'sub', workflow: { ...inner, tasks: [...inner.tasks, { id: 'z', workflow: inner }] } },
        { id: 'after', capability: 'spender.do', input: { tokens: 1_000 }, dependsOn: ['sub'] },
      ],
      budget: { tokens: 10_000, cost: 100, messages: 100 },
    });
    expect(view).toMatchObject({
      status: 'completed',
      budget: { used: { tokens: 2 * 31 + 1_000, cost: 1, messages: 2 * 5, calls: 5 } },
    });
  });

  test('counts a step that fails for good', async () => {
    const view = await ran({
      tasks: [{ id: 'a', capability: 'spender.do', input: { tokens: 5, failTimes: 9 }, retry }],
      budget: { tokens: 1_000 },
    });
    expect(view).toMatchObject({ status: 'failed', stopReason: 'step_failed', budget: { used: { tokens: 15 } } });
  });
});

describe('an attempt that could not say so at its end', () => {
  const deaf = { id: 'a', capability: 'spender.do', input: { tokens: 7, deaf: true }, retry };
  const counted = { status: 'completed', budget: { used: { tokens: 14, calls: 1 } } };

  test('counts when its thread dies', async () => {
    const { id } = await troupe.workflows.create({ tasks: [deaf], budget: { tokens: 1_000 } }, undefined, {
      start: true,
    });
    await eventually(async () => (await troupe.tasks.list({ workflowId: id })).items[0]?.status === 'running');
    const { items } = await troupe.agents.list({ type: 'spender' });
    const agentId = items[0]?.id ?? '';
    // An answer comes after what was sent before it.
    await troupe.agents.ask(agentId, 'heard', null, { timeoutMs: 5_000 });
    troupe.system.killThread((await troupe.agents.get(agentId)).thread ?? 0);
    expect(await troupe.workflows.wait(id, { timeoutMs: 60_000 })).toMatchObject(counted);
  });

  test('counts when it goes on after its time is over', async () => {
    const retryLate = { ...retry, onTimeout: true };
    const view = await ran({ tasks: [{ ...deaf, timeoutMs: 300, retry: retryLate }], budget: { tokens: 1_000 } });
    expect(view).toMatchObject(counted);
  });
});

test('the metrics of the node have it by type of agent', async () => {
  const text = await troupe.system.prometheus();
  const tokens = new Map(
    [...text.matchAll(/troupe_tokens_total\{type="(\w+)"\} (\d+)/g)].map(([, type, n]) => [type, n]),
  );
  expect(Number(tokens.get('generation'))).toBeGreaterThanOrEqual(20);
  expect(Number(tokens.get('probe'))).toBeGreaterThanOrEqual(120);
  expect(text).toMatch(/troupe_task_messages_total\{type="spender"\} 10/);
});

describe('a task', () => {
  test.each([
    ['that completes', {}, 'completed'],
    ['that fails for good', { failTimes: 9, forGood: true }, 'failed'],
    ['that is out of time', { hang: true }, 'timed_out'],
  ])('%s shows what it used, and says so in its last event', async (_name, input, status) => {
    const wanted = { capability: 'spender.do', input: { tokens: 4, cost: 0.25, ...input }, timeoutMs: 1_000 };
    const handle = await troupe.tasks.start(wanted);
    await handle.result().catch(() => undefined);
    expect(await troupe.tasks.get(handle.id)).toMatchObject({ status, usage: { tokens: 4, cost: 0.25 } });
    const used: unknown[] = [];
    for await (const event of troupe.events.stream(handle.id, { signal: AbortSignal.timeout(20_000) }))
      if (event.data.usage) used.push(event.data.usage);
    expect(used).toEqual([{ tokens: 4, cost: 0.25 }]);
  });

  test('that used nothing shows nothing', async () => {
    const handle = await troupe.tasks.start({ capability: 'probe.run', input: {} });
    await handle.result();
    expect(await troupe.tasks.get(handle.id)).not.toHaveProperty('usage');
  });

  test.each([[{ tokens: -1 }], [{ tokens: 1.5 }], [{ cost: -0.5 }]])('cannot report %o', async (input) => {
    const handle = await troupe.tasks.start({ capability: 'spender.do', input, retry: { maxAttempts: 1 } });
    await expect(handle.result()).rejects.toThrow();
    const { status, error } = await troupe.tasks.get(handle.id);
    expect([status, JSON.stringify(error)]).toEqual([expect.any(String), expect.stringContaining('usage.')]);
  });
});
