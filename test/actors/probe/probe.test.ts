import { describe, expect, test } from 'vitest';
import { probe } from '../../../actors/probe/probe.ts';
import type { CellBehavior } from '../../../runtime/contracts/actor.ts';
import { CALL_FOR_BIDS } from '../../../runtime/contracts/coordination.ts';
import { askOf, FakeCell, type FakeCellOptions, taskOf, tellOf } from '../../kit/fake-cell.ts';

const never = new AbortController().signal;

async function started(options: FakeCellOptions = {}): Promise<{ cell: FakeCell; agent: Required<CellBehavior> }> {
  const cell = new FakeCell({ type: 'probe', ...options });
  const agent = probe.create(cell) as Required<CellBehavior>;
  await agent.start();
  return { cell, agent };
}

describe('probe.run', () => {
  test('answers with what it was told, and says where it ran', async () => {
    const { cell, agent } = await started();
    const outcome = await agent.runTask(taskOf('probe.run', { answer: 42 }, { attempt: 3 }), never);
    expect(outcome).toEqual({
      type: 'completed',
      runMs: 0,
      result: { answer: 42, attempt: 3, agentId: cell.id, threadId: 7, node: cell.node },
    });
  });

  test('takes defaults from the config, and the input goes first', async () => {
    const { agent } = await started({ config: { answer: 'A', bytes: 3 } });
    expect(await agent.runTask(taskOf('probe.run'), never)).toMatchObject({ result: { answer: 'A', payload: 'xxx' } });
    expect(await agent.runTask(taskOf('probe.run', { answer: 'B' }), never)).toMatchObject({ result: { answer: 'B' } });
  });

  test.each([
    { attempt: 1, type: 'failed' },
    { attempt: 2, type: 'failed' },
    { attempt: 3, type: 'completed' },
  ])('with failTimes 2, attempt $attempt is $type', async ({ attempt, type }) => {
    const { agent } = await started();
    const outcome = await agent.runTask(taskOf('probe.run', { failTimes: 2, failCode: 'no_luck' }, { attempt }), never);
    expect(outcome.type).toBe(type);
    if (outcome.type === 'failed') expect(outcome.error).toMatchObject({ code: 'no_luck', retryable: true });
  });

  test('sleeps as long as it was told', async () => {
    const { cell, agent } = await started();
    const running = agent.runTask(taskOf('probe.run', { sleepMs: 250 }), never);
    await cell.clock.advanceAsync(250);
    expect(await running).toMatchObject({ type: 'completed', runMs: 250 });
    expect(cell.clock.pending).toBe(0);
  });

  test('an abort ends its sleep', async () => {
    const { cell, agent } = await started();
    const cancel = new AbortController();
    const running = agent.runTask(taskOf('probe.run', { sleepMs: 5_000 }), cancel.signal);
    await cell.clock.advanceAsync(40);
    cancel.abort();
    expect(await running).toEqual({ type: 'cancelled', runMs: 40 });
    expect(cell.clock.pending).toBe(0);
  });

  test('refuses an unknown field by name', async () => {
    const { agent } = await started();
    const outcome = await agent.runTask(taskOf('probe.run', { sleepSeconds: 1 }), never);
    expect(outcome).toMatchObject({ type: 'failed', error: { code: 'invalid_input', retryable: false } });
  });
});

describe('messages', () => {
  test('ping, echo and count answer', async () => {
    const { cell, agent } = await started();
    agent.receive(askOf('ping'));
    agent.receive(askOf('echo', { a: [1] }));
    agent.receive(tellOf('count', 5));
    agent.receive(tellOf('count'));
    agent.receive(askOf('counted'));
    expect(cell.replies.map(({ body }) => body)).toEqual([
      { type: 'pong', agentId: cell.id, threadId: 7, node: cell.node },
      { a: [1] },
      { counted: 2, sum: 6 },
    ]);
  });

  test('relay tells another agent as often as asked', async () => {
    const { cell, agent } = await started();
    await agent.receive(askOf('relay', { to: cell.id, type: 'count', body: 1, times: 3 }));
    expect(cell.told).toHaveLength(3);
    expect(cell.replies[0]?.body).toEqual({ sent: 3 });
  });

  test('slow keeps the next message waiting until it has answered', async () => {
    const { cell, agent } = await started();
    const done = agent.receive(askOf('slow', { ms: 100, answer: 'late' }));
    expect(done).toBeInstanceOf(Promise);
    await cell.clock.advanceAsync(100);
    await done;
    expect(cell.replies[0]?.body).toBe('late');
  });
});

test.each([
  { name: 'its config', config: { bid: 3 }, input: {}, bid: 3 },
  { name: 'the input', config: { bid: 3 }, input: { bid: 1 }, bid: 1 },
])('bids the cost of $name', async ({ config, input, bid }) => {
  const { cell, agent } = await started({ config });
  await agent.receive(askOf(CALL_FOR_BIDS, { capability: 'probe.run', input }));
  expect(cell.replies[0]?.body).toMatchObject({ cost: bid });
});

test('refuses to bid without a cost, or for what it does not offer', async () => {
  const { cell, agent } = await started();
  await agent.receive(askOf(CALL_FOR_BIDS, { capability: 'probe.run', input: {} }));
  await agent.receive(askOf(CALL_FOR_BIDS, { capability: 'other.thing', input: { bid: 1 } }));
  expect(cell.replies.map(({ body }) => body)).toEqual([null, null]);
});
