// Durable messages through a whole node: handled until acknowledged, one effect in the state, in order, whatever dies in between.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import type { Troupe } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { freshDatabase } from '../kit/services.ts';
import { testTroupe } from '../kit/troupe.ts';

const TALLY = fileURLToPath(new URL('../kit/agents/tally.mjs', import.meta.url));
const DURABLE = { durable: true } as const;

interface Tally {
  readonly count: number;
  readonly halves: number;
  readonly next: Readonly<Record<string, number>>;
  readonly disorder: readonly unknown[];
}

const BACKENDS = [
  { name: 'PGlite without Redis', database: async () => ({}) },
  { name: 'PostgreSQL', database: async () => ({ databaseUrl: await freshDatabase() }) },
];

describe.each(BACKENDS)('durable messages on $name', ({ database }) => {
  let troupe: Troupe;
  beforeAll(async () => {
    troupe = await testTroupe({ agentRoots: [TALLY], ...(await database()) });
  });
  afterAll(() => troupe.stop());

  const spawn = async (): Promise<AgentId> => (await troupe.agents.spawn('tally')).id;
  const add = (to: AgentId, n: number, more: object = {}) => troupe.agents.tell(to, 'add', { n, ...more }, DURABLE);
  const read = (id: AgentId) => troupe.agents.ask(id, 'read', null, { timeoutMs: 20_000 }) as Promise<Tally>;
  const counted = (id: AgentId, count: number) =>
    eventually(async () => {
      const state = await read(id).catch(() => undefined);
      return state !== undefined && state.count >= count && state;
    });
  /** Without this test's own questions: one that is on its way to a thread that dies is a letter too. */
  const letters = async (to: AgentId) => {
    const { items } = await troupe.system.deadLetters({ to, limit: 100 });
    return items.filter(({ type }) => type !== 'read');
  };

  test('all are handled once, in the order in which they were told', async () => {
    const to = await spawn();
    const told = await Promise.all(Array.from({ length: 1_000 }, (_, n) => add(to, n)));
    expect(told.every(({ outcome, duplicate }) => outcome === 'stored' && !duplicate)).toBe(true);
    const state = await counted(to, 1_000);
    expect(state).toMatchObject({ count: 1_000, halves: 1_000, next: { one: 1_000 }, disorder: [] });
    expect(await letters(to)).toEqual([]);
  });

  test('an agent tells another one durably; from the handler of a durable message it is told with the acknowledgement', async () => {
    const [first, second, third] = [await spawn(), await spawn(), await spawn()];
    expect(await troupe.agents.ask(first, 'burst', { to: second, count: 100 }, { timeoutMs: 20_000 })).toBe(100);
    expect(await counted(second, 100)).toMatchObject({ count: 100, next: { [first]: 100 }, disorder: [] });
    for (let n = 0; n < 50; n++) await add(first, n, { relayTo: third, failTimes: n % 10 === 0 ? 1 : 0 });
    expect(await counted(third, 50)).toMatchObject({ count: 50, next: { [first]: 50 }, disorder: [] });
  });

  test('a handler that throws is tried again before what follows it, and what it changed is undone', async () => {
    const to = await spawn();
    await Promise.all([0, 1, 2, 3].map((n) => add(to, n, { lane: 'a', failTimes: n === 1 ? 2 : 0 })));
    await troupe.agents.tell(to, 'add', { n: 0, lane: 'b' }, { ...DURABLE, subject: 'another' });
    expect(await counted(to, 5)).toMatchObject({ count: 5, halves: 5, next: { a: 4, b: 1 }, disorder: [] });
  });

  test('a message that never works is a dead letter after its attempts, with its body; the others of its lane follow', async () => {
    const to = await spawn();
    await troupe.agents.tell(to, 'fail', { it: 'is kept' }, { ...DURABLE, maxAttempts: 2 });
    await add(to, 0);
    expect(await counted(to, 1)).toMatchObject({ count: 1, disorder: [] });
    expect(await letters(to)).toMatchObject([{ reason: 'attempts_exhausted', type: 'fail', body: { it: 'is kept' } }]);
  });

  test.each([
    ['without a handler', 'nothing', {}, 'no_handler'],
    ['with a body that does not fit', 'add', { n: 'x' }, 'filtered'],
  ])('a message %s is a dead letter at once', async (_name, type, body, reason) => {
    const to = await spawn();
    await troupe.agents.tell(to, type, body, DURABLE);
    expect(await eventually(async () => (await letters(to))[0])).toMatchObject({ reason, type, body });
  });

  test('the same idempotency key is one message; another body under it is refused', async () => {
    const to = await spawn();
    const key = { tenant: 'default', idempotencyKey: 'once', ...DURABLE };
    const first = await troupe.agents.tell(to, 'add', { n: 0 }, key);
    expect(await troupe.agents.tell(to, 'add', { n: 0 }, key)).toEqual({ ...first, duplicate: true });
    await counted(to, 1);
    expect(await troupe.agents.tell(to, 'add', { n: 0 }, key)).toEqual({ ...first, duplicate: true });
    await expect(troupe.agents.tell(to, 'add', { n: 1 }, key)).rejects.toMatchObject({ code: 'idempotency_mismatch' });
    await add(to, 1);
    expect(await counted(to, 2)).toMatchObject({ count: 2, halves: 2, disorder: [] });
  });

  test('who is not there gets nothing', async () => {
    const gone = await spawn();
    await troupe.agents.remove(gone);
    await expect(add(gone, 0)).rejects.toMatchObject({ code: 'actor_not_found' });
    await expect(add('agt_01h455vb4pex5vsknk084sn02q' as AgentId, 0)).rejects.toMatchObject({
      code: 'actor_not_found',
    });
  });

  test('a removed agent leaves dead letters of what it had not handled', async () => {
    const to = await spawn();
    await troupe.agents.pause(to);
    await Promise.all([0, 1, 2].map((n) => add(to, n)));
    await troupe.agents.remove(to, { mode: 'force' });
    const all = await eventually(async () => {
      const found = await letters(to);
      return found.length >= 3 && found;
    });
    expect(all.map(({ reason }) => reason)).toEqual(['actor_stopped', 'actor_stopped', 'actor_stopped']);
  });

  test('a paused agent keeps its mail and handles it when it is resumed', async () => {
    const to = await spawn();
    await troupe.agents.pause(to);
    await Promise.all(Array.from({ length: 600 }, (_, n) => add(to, n)));
    await troupe.agents.resume(to);
    expect(await counted(to, 600)).toMatchObject({ count: 600, disorder: [] });
  });

  test('threads die in between: all are handled once by effect, in order', async () => {
    const to = await spawn();
    const total = 2_000;
    const telling = Promise.all(Array.from({ length: total }, (_, n) => add(to, n, { slowMs: n % 50 === 0 ? 2 : 0 })));
    for (const at of [200, 900]) {
      await counted(to, at);
      const { thread } = await troupe.agents.get(to);
      if (thread !== null) troupe.system.killThread(thread);
    }
    await telling;
    expect(await counted(to, total)).toMatchObject({ count: total, halves: total, next: { one: total }, disorder: [] });
    expect(await letters(to)).toEqual([]);
  });

  test('a message that ends its thread again and again is given up as poison, and no other is', async () => {
    const to = await spawn();
    await Promise.all(Array.from({ length: 40 }, (_, n) => add(to, n, { lane: `l${n}` })));
    await troupe.agents.tell(to, 'exit', null, { ...DURABLE, subject: 'poisoner' });
    await Promise.all(Array.from({ length: 40 }, (_, n) => add(to, 0, { lane: `m${n}` })));
    expect(await eventually(async () => (await letters(to))[0], 'the dead letter')).toMatchObject({
      reason: 'poison',
      type: 'exit',
    });
    const state = await counted(to, 80);
    expect(state).toMatchObject({ count: 80, halves: 80 });
    expect(await letters(to)).toHaveLength(1);
  });

  test('a handler that crashes its agent counts as an attempt; the next incarnation goes on from the state of the last message', async () => {
    const to = await spawn();
    await Promise.all([0, 1, 2].map((n) => add(to, n)));
    await troupe.agents.tell(to, 'crash', null, { ...DURABLE, maxAttempts: 1, subject: 'crasher' });
    await Promise.all([3, 4].map((n) => add(to, n)));
    expect(await counted(to, 5)).toMatchObject({ count: 5, disorder: [] });
    expect(await letters(to)).toMatchObject([{ reason: 'attempts_exhausted', type: 'crash' }]);
  });

  test('a state that cannot be stored is no reason to handle a message twice', async () => {
    const to = await spawn();
    await troupe.agents.tell(to, 'unstorable', null, DURABLE);
    expect(await eventually(async () => (await letters(to))[0])).toMatchObject({
      reason: 'attempts_exhausted',
      type: 'unstorable',
    });
  });

  test('a channel, a topic and a selection keep a durable message for each of their members, with the way it came', async () => {
    const ids = [await spawn(), await spawn()];
    const [one, two] = ids as [AgentId, AgentId];
    await troupe.messages.channels.create({ name: 'books', members: ids });
    await troupe.messages.subscribe({ agent: one, topic: 'orders.*' });
    await troupe.agents.pause(two);
    const n = (at: number) => ({ type: 'add', body: { n: at }, durable: true }) as const;
    const call = { tenant: 'default', idempotencyKey: 'to-many' };
    for (const _ of [1, 2]) {
      const sent = await troupe.messages.send({ protocol: 'broadcast', channel: 'books', ...n(0) }, call);
      expect(sent).toMatchObject({ protocol: 'broadcast', attempted: 2 });
    }
    await troupe.messages.send({ protocol: 'multicast', select: { ids }, ...n(1) });
    await troupe.messages.send({ protocol: 'publish-subscribe', topic: 'orders.new', ...n(2) });
    const direct = await troupe.messages.send({ protocol: 'direct', to: two, ...n(2) });
    expect(direct).toMatchObject({ protocol: 'direct', outcome: 'stored', duplicate: false });
    expect(await counted(one, 3)).toMatchObject({ count: 3, disorder: [], ways: ['books', null, 'orders.new'] });
    await troupe.agents.resume(two);
    expect(await counted(two, 3)).toMatchObject({ count: 3, disorder: [] });
    const ask = { protocol: 'request-response', to: one, ...n(3), correlationId: 'third' } as const;
    expect(await troupe.messages.send(ask)).toEqual({
      protocol: 'request-response',
      reply: { count: 4 },
      replayed: false,
    });
    expect(await troupe.messages.send(ask)).toEqual({
      protocol: 'request-response',
      reply: { count: 4 },
      replayed: true,
    });
  });

  test('a durable question is answered once: asked again with its correlation it has the first reply', async () => {
    const to = await spawn();
    const ask = (n: number, correlationId: string) =>
      troupe.agents.ask(to, 'add', { n }, { timeoutMs: 20_000, ...DURABLE, correlationId });
    expect(await ask(0, 'one')).toEqual({ count: 1 });
    expect(await ask(1, 'two')).toEqual({ count: 2 });
    expect(await ask(0, 'one')).toEqual({ count: 1 });
    expect(await counted(to, 2)).toMatchObject({ count: 2, halves: 2 });
  });

  test('a question that ran out of time is answered when it is asked again, without being handled again', async () => {
    const to = await spawn();
    const ask = (timeoutMs: number) =>
      troupe.agents.ask(to, 'add', { n: 0, slowMs: 400 }, { timeoutMs, ...DURABLE, correlationId: 'slow' });
    await expect(ask(50)).rejects.toMatchObject({ code: 'ask_timeout' });
    const { lateReplies } = troupe.messages.statistics();
    expect(await ask(20_000)).toEqual({ count: 1 });
    expect(await read(to)).toMatchObject({ count: 1, halves: 1 });
    expect(troupe.messages.statistics().lateReplies).toBeGreaterThan(lateReplies);
  });

  test('a question whose handler keeps failing is answered with its error', async () => {
    const to = await spawn();
    const asked = troupe.agents.ask(to, 'add', { n: 'x' }, { timeoutMs: 20_000, ...DURABLE });
    await expect(asked).rejects.toMatchObject({ code: 'invalid_input' });
  });
});
