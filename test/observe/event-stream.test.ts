// The feed and the streams over it: order, isolation of listeners, stored then live without gap or duplicate.

import { describe, expect, test } from 'vitest';
import type { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { EventType, RuntimeEvent } from '../../runtime/contracts/event.ts';
import { createEventFeed } from '../../runtime/observe/event-stream.ts';
import { createEventsApi, firehose, streamEvents } from '../../runtime/observe/stream-events.ts';
import { testAmbient } from '../kit/ambient.ts';

const at = '2026-01-01T00:00:00.000Z';
const event = (
  stream: string,
  seq: number | null,
  type: EventType = 'task.retrying',
  tenant = 'default',
): RuntimeEvent => ({
  stream,
  seq,
  type,
  tenant,
  at,
  data: {},
});
const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the feed', () => {
  const make = () => {
    const ambient = testAmbient();
    return { ambient, feed: createEventFeed(ambient) };
  };

  test('tells those who asked for a stream, a tenant or everything', () => {
    const { feed } = make();
    const heard = { all: 0, stream: 0, tenant: 0, both: 0 };
    feed.subscribe(() => heard.all++);
    feed.subscribe(() => heard.stream++, { stream: 'a' });
    feed.subscribe(() => heard.tenant++, { tenant: 'x' });
    feed.subscribe(() => heard.both++, { stream: 'a', tenant: 'x' });
    feed.publish([event('a', 1), event('b', 1), event('a', 2, 'task.retrying', 'x')]);
    expect(heard).toEqual({ all: 3, stream: 2, tenant: 1, both: 1 });
  });

  test('goes on when a listener throws, and says so', () => {
    const { feed, ambient } = make();
    let heard = 0;
    feed.subscribe(() => {
      throw new Error('mine');
    });
    feed.subscribe(() => heard++);
    feed.publish([event('a', 1)]);
    expect([heard, ambient.logged.length]).toEqual([1, 1]);
  });

  test('delivers what a listener publishes after the event in hand, to all in the same order', () => {
    const { feed } = make();
    const orders: number[][] = [[], []];
    feed.subscribe(({ seq }) => {
      orders[0]?.push(seq ?? 0);
      if (seq === 1) feed.publish([event('a', 2)]);
    });
    feed.subscribe(({ seq }) => orders[1]?.push(seq ?? 0));
    feed.publish([event('a', 1)]);
    expect(orders).toEqual([
      [1, 2],
      [1, 2],
    ]);
  });

  test('forgets a listener that was disposed, twice included, and keeps its twin', () => {
    const { feed } = make();
    let heard = 0;
    const listener = () => heard++;
    const dispose = feed.subscribe(listener, { stream: 'a' });
    feed.subscribe(listener, { stream: 'a' });
    dispose();
    dispose();
    feed.publish([event('a', 1)]);
    expect(heard).toBe(1);
  });

  test('stamps a notice with the time and no number', () => {
    const { feed, ambient } = make();
    let heard: RuntimeEvent | undefined;
    feed.subscribe((one) => {
      heard = one;
    });
    feed.notice({ stream: 'a', type: 'task.progress', tenant: 'default', data: {} });
    expect(heard).toMatchObject({ seq: null, at: new Date(ambient.clock.nowMs()).toISOString() });
  });
});

function world() {
  const ambient = testAmbient();
  const feed = createEventFeed(ambient);
  const rows: RuntimeEvent[] = [];
  const reads: number[] = [];
  const store = {
    async read(stream: string, tenant: string, afterSeq: number, limit: number) {
      reads.push(afterSeq);
      await settle();
      return rows
        .filter((row) => row.stream === stream && row.tenant === tenant && (row.seq ?? 0) > afterSeq)
        .slice(0, limit);
    },
  };
  const abort = new AbortController();
  const write = (seq: number, type: EventType = 'task.retrying', publish = true) => {
    const one = event('t', seq, type);
    rows.push(one);
    if (publish) feed.publish([one]);
  };
  const stream = (afterSeq = 0) =>
    streamEvents(
      { feed, store, clock: ambient.clock },
      { stream: 't', tenant: 'default', afterSeq, signal: abort.signal },
    );
  return { ambient, feed, rows, reads, abort, write, stream };
}

async function take(stream: AsyncGenerator<RuntimeEvent>, count: number): Promise<(number | null)[]> {
  const seqs: (number | null)[] = [];
  while (seqs.length < count) {
    const { value, done } = await stream.next();
    if (done) break;
    seqs.push(value.seq);
  }
  return seqs;
}

describe('a stream', () => {
  test('gives stored events, then live ones, and ends with the terminal one', async () => {
    const { write, stream } = world();
    write(1);
    write(2);
    const events = stream();
    expect(await take(events, 2)).toEqual([1, 2]);
    write(3);
    write(4, 'task.completed');
    expect(await take(events, 9)).toEqual([3, 4]);
  });

  test('repeats nothing that was published while it read', async () => {
    const { write, stream } = world();
    write(1);
    const events = stream();
    const first = take(events, 3);
    write(2);
    write(3);
    expect(await first).toEqual([1, 2, 3]);
    write(4, 'task.failed');
    expect(await take(events, 9)).toEqual([4]);
  });

  test('reads what another node wrote in between', async () => {
    const { write, stream } = world();
    write(1);
    const events = stream();
    await take(events, 1);
    write(2, 'task.retrying', false);
    write(3);
    expect(await take(events, 2)).toEqual([2, 3]);
  });

  test('finds what other nodes write without any live event', async () => {
    const { ambient, write, stream } = world();
    write(1);
    const events = stream();
    await take(events, 1);
    write(2, 'task.dead', false);
    const rest = take(events, 9);
    await settle();
    await settle();
    ambient.clock.advance(1_000);
    expect(await rest).toEqual([2]);
  });

  test('puts live notices where they happened', async () => {
    const { feed, write, stream } = world();
    write(1);
    const events = stream();
    await take(events, 1);
    feed.notice({ stream: 't', type: 'task.progress', tenant: 'default', data: {} });
    write(2);
    expect(await take(events, 2)).toEqual([null, 2]);
  });

  test('loses no stored event when its reader is 5,000 behind', async () => {
    const { write, stream } = world();
    write(1);
    const events = stream();
    await take(events, 1);
    const waiting = take(events, 1);
    await settle();
    for (let seq = 2; seq <= 5_000; seq++) write(seq);
    expect([...(await waiting), ...(await take(events, 4_998))]).toEqual(
      Array.from({ length: 4_999 }, (_, index) => index + 2),
    );
  });

  test('gives all of a long history without waiting', async () => {
    const { write, stream } = world();
    for (let seq = 1; seq <= 1_200; seq++) write(seq, seq === 1_200 ? 'task.completed' : 'task.retrying');
    expect(await take(stream(), 9_999)).toHaveLength(1_200);
  });

  test('goes on after an event, and is over at once after the last', async () => {
    const { write, stream } = world();
    write(1);
    write(2, 'task.completed');
    expect(await take(stream(1), 9)).toEqual([2]);
    expect(await take(stream(2), 9)).toEqual([]);
  });

  test('says when its place is not kept any more', async () => {
    const { stream } = world();
    await expect(stream(7).next()).rejects.toMatchObject({
      code: 'event_position_gone',
    } satisfies Partial<RuntimeError>);
  });

  test('ends when it is aborted while it waits, and leaves no listener or timer', async () => {
    const { ambient, feed, reads, abort, write, stream } = world();
    write(1);
    const events = stream();
    await take(events, 1);
    const rest = take(events, 1);
    await settle();
    abort.abort();
    expect(await rest).toEqual([]);
    const before = reads.length;
    feed.publish([event('t', 2)]);
    ambient.clock.advance(10_000);
    await settle();
    expect(reads.length).toBe(before);
  });

  test('shows nothing of another tenant', async () => {
    const { ambient, feed, rows } = world();
    rows.push(event('t', 1, 'task.completed', 'theirs'));
    const abort = new AbortController();
    const api = createEventsApi({
      feed,
      clock: ambient.clock,
      store: { read: async (_s, tenant) => rows.filter((row) => row.tenant === tenant) },
    });
    const read = take(api.stream('t', { signal: abort.signal }, { tenant: 'mine' }) as AsyncGenerator<RuntimeEvent>, 1);
    feed.publish(rows);
    await settle();
    abort.abort();
    expect(await read).toEqual([]);
  });
});

describe('the firehose', () => {
  test('ends for a reader that is more than 1,000 behind, after what it kept', async () => {
    const feed = createEventFeed(testAmbient());
    const events = firehose(feed, 'default', new AbortController().signal);
    const first = events.next();
    feed.publish(Array.from({ length: 1_500 }, (_, index) => event('a', index + 1)));
    await first;
    const rest = await take(events, 9_999);
    expect(rest.length).toBeLessThanOrEqual(1_001);
    expect(rest.length).toBeGreaterThanOrEqual(998);
    expect(rest).toEqual(rest.toSorted((a, b) => (a ?? 0) - (b ?? 0)));
  });

  test('ends when it is aborted', async () => {
    const abort = new AbortController();
    const events = firehose(createEventFeed(testAmbient()), 'default', abort.signal);
    const first = events.next();
    await settle();
    abort.abort();
    expect(await first).toEqual({ value: undefined, done: true });
  });
});
