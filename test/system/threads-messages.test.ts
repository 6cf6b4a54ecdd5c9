// Messages between real threads: order, confirmation, questions, refusals, flow control.

import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import { actorId, startPool, type TestPool } from '../kit/pool.ts';

let rig: TestPool;
let made = 0;
const fresh = (name: string) => `${name}-${++made}`;
const ask = (id: AgentId, type: string, body: unknown = null, timeoutMs = 15_000) =>
  rig.pool.ask(id, type, body, { timeoutMs });

beforeAll(async () => {
  rig = await startPool({ threads: 2 });
});
beforeEach(() => {
  rig.notices.length = 0;
});
afterAll(() => rig.pool.stop());

describe.each([
  { where: 'in one thread', threads: [1, 1], via: 'same-thread' },
  { where: 'between threads', threads: [1, 2], via: 'message-port' },
])('messages $where', ({ threads: [first, second], via }) => {
  test('keep their order and arrive once each', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second);
    expect(await ask(a, 'send', { to: b, type: 'ordered', times: 20_000, confirmEvery: 500 })).toMatchObject({
      refused: 0,
    });
    expect(await rig.report(b)).toMatchObject({ count: 20_000, disorder: 0 });
  });

  test('tell a confirmed sender the way they went', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second);
    expect(await ask(a, 'tell-confirmed', { to: b, type: 'note', body: 1 })).toEqual({ outcome: 'delivered', via });
  });

  test('carry the sender as the runtime stamped it', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second);
    expect(await ask(a, 'ask', { to: b, type: 'who' })).toMatchObject({ reply: { from: a, thread: second } });
  });

  test('a thousand questions at once get each its own reply', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second);
    expect(await ask(a, 'ask-many', { to: b, times: 1_000, inFlight: 1_000 })).toMatchObject({
      wrong: 0,
      times: 1_000,
    });
  });

  test('a question that nobody answers ends at its time limit, and the late reply is a dead letter', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second);
    expect(await ask(a, 'ask', { to: b, type: 'reply-later', body: { ms: 120 }, timeoutMs: 40 })).toEqual({
      code: 'ask_timeout',
    });
    await rig.until(() => rig.of('dead-letter').length > 0, 'the late reply');
    expect(rig.of('dead-letter')).toMatchObject([
      { letter: { reason: 'late_reply', from: b, to: a, type: 'reply-later' } },
    ]);
  });

  test('an error reply reaches the asker with its code', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second);
    expect(await ask(a, 'ask', { to: b, type: 'fail-reply' })).toEqual({ code: 'handler_failed' });
  });

  test.each([0, -1, Number.NaN, Number.POSITIVE_INFINITY])(
    'a question with the time limit %s is refused',
    async (timeoutMs) => {
      const b = await rig.puppet(fresh('b'), second);
      await expect(rig.pool.ask(b, 'echo', 1, { timeoutMs })).rejects.toMatchObject({ code: 'invalid_input' });
    },
  );

  test('a body that cannot be cloned is a dead letter, a signal to the teller and an error to the asker', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second);
    await rig.pool.tell(a, 'tell-function', { to: b });
    await rig.until(() => rig.of('dead-letter').length > 0, 'the dead letter');
    expect(rig.of('dead-letter')).toMatchObject([
      { letter: { reason: 'not_cloneable', from: a, to: b, type: 'note' } },
    ]);
    expect((await rig.report(a)).undelivered).toMatchObject([{ reason: 'not_cloneable' }]);
    expect(await ask(a, 'ask-function', { to: b })).toBe('not_cloneable');
    expect(await ask(a, 'ask', { to: b, type: 'reply-function' })).toEqual({ code: 'not_cloneable' });
  });

  test('an unknown addressee is a dead letter and a typed result', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const nobody = actorId(fresh('nobody'));
    expect(await ask(a, 'tell-confirmed', { to: nobody, type: 'note' })).toEqual({
      outcome: 'refused',
      reason: 'actor_not_found',
    });
    expect(await ask(a, 'ask', { to: nobody, type: 'echo' })).toEqual({ code: 'actor_not_found' });
    await rig.until(() => rig.of('dead-letter').length === 2, 'two dead letters');
  });

  test('mail of an actor that stops is dead-lettered and its questions fail at once', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second);
    await rig.pool.tell(b, 'block-mailbox', null);
    const asking = ask(a, 'ask', { to: b, type: 'echo', body: 1 });
    await rig.pool.tell(b, 'note', 1);
    await rig.until(() => rig.notices.length >= 0, 'nothing');
    const waiting = rig.pool.ask(b, 'echo', 2, { timeoutMs: 10_000 });
    waiting.catch(() => {});
    await rig.pool.stopCell(b, 'stop', 50);
    expect(await asking).toEqual({ code: 'agent_stopped' });
    await expect(waiting).rejects.toMatchObject({ code: 'agent_stopped' });
    expect(rig.of('dead-letter').filter(({ letter }) => letter.reason === 'actor_stopped')).toHaveLength(3);
  });

  test('a full mailbox refuses, drops or holds as its policy says', async () => {
    const outcomes: Record<string, unknown> = {};
    for (const overflow of ['reject', 'drop-oldest', 'drop-new', 'backpressure'] as const) {
      rig.notices.length = 0;
      const a = await rig.puppet(fresh('a'), first);
      const b = await rig.puppet(fresh('b'), second, { mailbox: { capacity: 3, overflow } });
      await rig.pool.tell(b, 'block-mailbox', null);
      await ask(a, 'send', { to: b, type: 'note', times: 5 });
      const last = ask(a, 'tell-confirmed', { to: b, type: 'note', body: 'last' });
      if (overflow !== 'backpressure') await last;
      await rig.pool.signal(b, { type: 'task-event', event: 'go', body: null });
      await rig.until(() => rig.of('dead-letter').length === (overflow === 'backpressure' ? 0 : 3), overflow);
      const confirmed = await last;
      const { seen } = await rig.report(b);
      const { undelivered } = await rig.report(a);
      outcomes[overflow] = {
        seen: seen.map((note) => (note as { n?: number }).n ?? note),
        undelivered: undelivered.map(({ reason }) => reason),
        letters: rig.of('dead-letter').map(({ letter }) => letter.reason),
        confirmed: (confirmed as { outcome: string }).outcome,
      };
    }
    expect(outcomes).toEqual({
      reject: {
        seen: [1, 2, 3],
        undelivered: ['mailbox_full', 'mailbox_full'],
        letters: ['mailbox_full', 'mailbox_full', 'mailbox_full'],
        confirmed: 'refused',
      },
      'drop-oldest': {
        seen: [4, 5, 'last'],
        undelivered: [],
        letters: ['dropped_oldest', 'dropped_oldest', 'dropped_oldest'],
        confirmed: 'delivered',
      },
      'drop-new': {
        seen: [1, 2, 3],
        undelivered: [],
        letters: ['dropped_new', 'dropped_new', 'dropped_new'],
        confirmed: 'refused',
      },
      backpressure: { seen: [1, 2, 3, 4, 5, 'last'], undelivered: [], letters: [], confirmed: 'delivered' },
    });
  });

  test('a slow receiver under backpressure loses nothing of what its sender confirms', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second, { mailbox: { capacity: 50, overflow: 'backpressure' } });
    const sent = ask(a, 'send', { to: b, type: 'slow', times: 400, confirmEvery: 20 });
    expect(await sent).toMatchObject({ refused: 0 });
    await rig.until(() => true, 'now');
    const { seen } = await rig.report(b);
    expect(seen).toEqual(Array.from({ length: 400 }, (_, n) => n + 1));
  });

  test('a flood in one turn is refused beyond the bounds, and every message is accounted for', async () => {
    const a = await rig.puppet(fresh('a'), first);
    const b = await rig.puppet(fresh('b'), second, { mailbox: { capacity: 1_000_000, overflow: 'reject' } });
    await ask(a, 'send', { to: b, type: 'inc', times: 80_000 });
    await rig.pool.tell(b, 'note', 'fence');
    let taken = 0;
    await rig.until(() => {
      void rig.report(b).then(({ count }) => {
        taken = count;
      });
      const refused = rig.of('dead-letter').length;
      const leftOut = rig.of('log').reduce((sum, { line }) => sum + ((line.fields?.count as number) ?? 0), 0);
      return taken + refused + leftOut === 80_000 || taken >= 65_536;
    }, 'all accounted for');
    const { undelivered } = await rig.report(a);
    expect((await rig.report(b)).count + undelivered.length).toBe(80_000);
  });
});

test('a message keeps dates, maps and cycles, alone and in company', async () => {
  const a = await rig.puppet(fresh('a'), 1);
  const b = await rig.puppet(fresh('b'), 2);
  const odd = {
    at: new Date(5),
    map: new Map([[1, new Set(['x'])]]),
    big: 2n ** 80n,
    bytes: new Uint8Array([1, 2]),
    none: undefined,
  };
  const many = Array.from({ length: 200 }, (_, n) =>
    ask(a, 'ask', { to: b, type: 'echo', body: n % 3 ? { n } : { n, odd } }),
  );
  const replies = (await Promise.all(many)) as { reply: { n: number; odd?: unknown } }[];
  replies.forEach(({ reply }, n) => {
    expect(reply).toEqual(n % 3 ? { n } : { n, odd });
  });
});

test('requests of a cell are answered by the main thread', async () => {
  const a = await rig.puppet(fresh('a'), 1);
  expect(await ask(a, 'request', { request: { type: 'agent.find', capability: 'x.y' } })).toEqual({
    reply: { asked: 'agent.find' },
  });
});

test('a paused cell keeps its mail and answers signals', async () => {
  const a = await rig.puppet(fresh('a'), 1);
  await rig.pool.signal(a, { type: 'pause' });
  expect(await rig.pool.tell(a, 'inc', { n: 1 })).toEqual({ outcome: 'delivered', via: 'message-port' });
  await expect(rig.pool.ask(a, 'report', null, { timeoutMs: 60 })).rejects.toMatchObject({ code: 'ask_timeout' });
  await rig.pool.signal(a, { type: 'resume' });
  expect(await rig.report(a)).toMatchObject({ count: 1 });
});

test('messageIds are unique and say nothing until they are read', async () => {
  const a = await rig.puppet(fresh('a'), 1, { mailbox: { capacity: 1, overflow: 'reject' } });
  await rig.pool.tell(a, 'block-mailbox', null);
  for (let n = 0; n < 5; n++) await rig.pool.tell(a, 'note', n);
  const ids = rig.of('dead-letter').map(({ letter }) => letter.messageId);
  expect(new Set(ids).size).toBe(4);
});
