// One suite for the ways between nodes: inside a process and over Redis. Then what a lossy way, and only Redis, can do to them.

import { randomBytes } from 'node:crypto';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';
import { type Fate, WireHub } from '../../runtime/bus/in-process-wire.ts';
import { openRedisStreams, streamKey } from '../../runtime/bus/redis-bus-streams.ts';
import { createSeal } from '../../runtime/bus/seal.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import type { NodeWire } from '../../runtime/contracts/messaging.ts';
import type { Terminated } from '../../runtime/contracts/supervision.ts';
import { seededRandom, silentLogger } from '../kit/ambient.ts';
import { type Agent, TestNode, World } from '../kit/cluster.ts';
import { type Service, startRedis, testRedisUrl } from '../kit/services.ts';

const KEY = new Uint8Array(32).fill(7);
const LIMIT_MS = 20_000;

async function until(holds: () => boolean, what: string): Promise<void> {
  const deadline = performance.now() + LIMIT_MS;
  while (!holds()) {
    if (performance.now() > deadline) throw new Error(`waited ${LIMIT_MS} ms until ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

const nodes: TestNode[] = [];
const services: Service[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.cluster.stop()));
  await Promise.all(services.splice(0).map((service) => service.stop()));
});

type OpenWire = (node: NodeId) => NodeWire;

async function start(world: World, open: OpenWire | undefined, count: number): Promise<TestNode[]> {
  const started = Array.from({ length: count }, () => {
    const id = world.newNode();
    return new TestNode(world, id, open?.(id));
  });
  nodes.push(...started);
  for (const node of started) await node.start();
  if (!open) return started;
  for (const node of started) {
    await until(() => node.cluster.peers().length === count - 1, 'all nodes see each other');
  }
  return started;
}

async function pair(open: OpenWire | undefined): Promise<{ world: World; a: TestNode; b: TestNode }> {
  const world = new World();
  const [a, b] = (await start(world, open, 2)) as [TestNode, TestNode];
  return { world, a, b };
}

const overRedis =
  (url: () => string): OpenWire =>
  (node) =>
    openRedisStreams({ url: url(), node, key: KEY, log: silentLogger });
const inProcess = (fate?: () => Fate): OpenWire => {
  const hub = new WireHub({ key: KEY, ...(fate ? { fate } : {}) });
  return (node) => hub.open(node);
};

const ways: [string, () => OpenWire][] = [
  ['the way inside a process', () => inProcess()],
  ['the way over Redis', () => overRedis(testRedisUrl)],
];

const echo: Agent = ({ body }) => ({ echo: body });

describe.each(ways)('%s', (_name, make) => {
  test('brings tells and asks from any node to any other', async () => {
    const world = new World();
    const three = await start(world, make(), 3);
    const ids = three.map((node) => node.host(({ body }) => ({ node: node.id, body })));
    for (const [from, node] of three.entries()) {
      for (const [to, id] of ids.entries()) {
        if (from === to) continue;
        expect(await node.tell(id, 'hello', { from })).toEqual({ outcome: 'delivered', via: 'redis' });
        expect(await node.ask(id, 'hello', { from })).toEqual({ node: three[to]?.id, body: { from } });
      }
    }
  });

  test('keeps the order of one sender and brings each message once, 20,000 in a row', async () => {
    const { a, b } = await pair(make());
    const heard: unknown[] = [];
    const id = b.host(({ body }) => heard.push(body));
    await a.tell(id, 'n', -1);
    const results = await Promise.all(Array.from({ length: 20_000 }, (_, n) => a.tell(id, 'n', n)));
    expect(results.every(({ outcome }) => outcome === 'delivered')).toBe(true);
    expect(heard).toEqual(Array.from({ length: 20_001 }, (_, n) => n - 1));
    expect(b.cluster.stats()).toMatchObject({ messagesIn: 20_001, duplicates: 0, garbage: 0 });
    expect(a.cluster.stats()).toMatchObject({ messagesOut: 20_001, waiting: 0 });
  });

  test('carries what a structured clone carries, and large bodies', async () => {
    const { a, b } = await pair(make());
    const heard: unknown[] = [];
    const id = b.host(({ body }) => {
      heard.push(body);
      return body;
    });
    const cloned = { at: new Date(5), seen: new Map([['a', new Set([1])]]), bytes: new Uint8Array([1, 2]) };
    const large = Array.from({ length: 5_000 }, (_, n) => ({ n, text: 'the same words again and again' }));
    await a.tell(id, 'cloned', cloned);
    expect(heard[0]).toEqual(cloned);
    expect(await a.ask(id, 'large', large)).toEqual(large);
    expect(await a.tell(id, 'huge', randomBytes(9 * 1024 * 1024))).toMatchObject({ reason: 'payload_too_large' });
    expect(await a.tell(id, 'function', { fn: () => 1 })).toMatchObject({
      outcome: 'refused',
      reason: 'not_cloneable',
    });
  });

  test('tells the sender what the mailbox there refused', async () => {
    const { a, b } = await pair(make());
    const id = b.host(({ body }) => (body === 2 ? 'full' : 'taken'));
    const results = await Promise.all([1, 2, 3].map((body) => a.tell(id, 'n', body)));
    expect(results.map((result) => result.outcome)).toEqual(['delivered', 'refused', 'delivered']);
    expect(results[1]).toMatchObject({ reason: 'mailbox_full' });
  });

  test('brings the error of a handler, and ends a question without an answer', async () => {
    const { a, b } = await pair(make());
    const fails = b.host(() => {
      throw Object.assign(new Error('no such city'), { code: 'no_city' });
    });
    await expect(a.ask(fails, 'where')).rejects.toMatchObject({ code: 'no_city', message: 'no such city' });
    const silent = b.host(() => new Promise(() => undefined));
    await expect(a.ask(silent, 'where', undefined, 100)).rejects.toMatchObject({ code: 'ask_timeout' });
  });

  test('an id that nobody has is actor_not_found and a dead letter', async () => {
    const { world, a } = await pair(make());
    const nobody = world.ambient.newId('agent');
    expect(await a.tell(nobody, 'hello')).toEqual({ outcome: 'refused', reason: 'actor_not_found' });
    await expect(a.ask(nobody, 'hello')).rejects.toMatchObject({ code: 'actor_not_found' });
    expect(a.letters.map(({ to, reason }) => ({ to, reason }))).toEqual([
      { to: nobody, reason: 'actor_not_found' },
      { to: nobody, reason: 'actor_not_found' },
    ]);
  });

  test('follows an agent that moved, and keeps the order', async () => {
    const world = new World();
    const [a, b, c] = (await start(world, make(), 3)) as [TestNode, TestNode, TestNode];
    const heard: unknown[] = [];
    const take: Agent = ({ body }) => heard.push(body);
    const id = b.host(take);
    await a.tell(id, 'n', 'before');
    const sent: Promise<unknown>[] = [];
    for (let n = 0; n < 3_000; n++) {
      if (n === 1_500) {
        b.leave(id);
        c.host(take, id);
      }
      sent.push(a.tell(id, 'n', n));
      if (n % 100 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    const results = await Promise.all(sent);
    expect(results.filter((result) => (result as { outcome: string }).outcome !== 'delivered')).toEqual([]);
    expect(heard).toEqual(['before', ...Array.from({ length: 3_000 }, (_, n) => n)]);
  });

  test('an agent without an owner is waited for; one that comes back to the asking node is found there', async () => {
    const { world, a, b } = await pair(make());
    const id = b.host(echo);
    await a.ask(id, 'warm', 1);
    b.leave(id);
    world.places.set(id, { id, owner: null, epoch: 2, ended: false });
    const asked = a.ask(id, 'again', 2);
    await new Promise((resolve) => setTimeout(resolve, 60));
    a.host(echo, id);
    expect(await asked).toEqual({ echo: 2 });
  });

  test('the loss of a node ends what is under way there; its agents are asked where they live next', async () => {
    const world = new World();
    const [a, b, c] = (await start(world, make(), 3)) as [TestNode, TestNode, TestNode];
    const id = b.host(() => new Promise(() => undefined));
    const asked = a.ask(id, 'never', undefined, 60_000);
    asked.catch(() => undefined);
    await until(() => b.cluster.stats().messagesIn === 1, 'it was asked');
    await b.die();
    world.rows.delete(b.id);
    await expect(asked).rejects.toMatchObject({ code: 'target_lost' });
    c.host(echo, id);
    expect(await a.ask(id, 'again', 1)).toEqual({ echo: 1 });
  });

  test('casts reach each named node once, in order; a call has an answer or an error', async () => {
    const world = new World();
    const [a, b, c] = (await start(world, make(), 3)) as [TestNode, TestNode, TestNode];
    const heard: [NodeId, unknown][] = [];
    for (const node of [b, c]) node.cluster.handle('news', (_from, body) => heard.push([node.id, body]));
    b.cluster.handle('sum', (_from, body) => (body as number[]).reduce((total, each) => total + each, 0));
    b.cluster.handle('bad', () => {
      throw new Error('a bug');
    });
    for (let n = 0; n < 100; n++) expect(a.cluster.cast([b.id, c.id], 'news', n)).toBe(2);
    await until(() => heard.length === 200, 'all was heard');
    const numbers = Array.from({ length: 100 }, (_, n) => n);
    for (const { id } of [b, c]) expect(heard.filter(([at]) => at === id).map(([, n]) => n)).toEqual(numbers);
    expect(await a.cluster.call(b.id, 'sum', [1, 2, 3], 5_000)).toBe(6);
    await expect(a.cluster.call(b.id, 'bad', null, 5_000)).rejects.toMatchObject({ message: 'a bug' });
    await expect(a.cluster.call(b.id, 'unheard', null, 5_000)).rejects.toMatchObject({ code: 'no_handler' });
    await expect(a.cluster.call(world.newNode(), 'sum', [], 5_000)).rejects.toMatchObject({ code: 'unreachable' });
    expect(a.cluster.cast([world.newNode()], 'news', 1)).toBe(0);
  });

  test('a watch hears exactly one end: of the agent, of its node, or that there is none', async () => {
    const world = new World();
    const [a, b, c] = (await start(world, make(), 3)) as [TestNode, TestNode, TestNode];
    const ends: Terminated[] = [];
    const watched = [b.host(echo), b.host(echo), c.host(echo), world.ambient.newId('agent')] as const;
    for (const id of watched) a.cluster.watch(id, (end) => ends.push(end));
    const unwatch = a.cluster.watch(watched[0], () => expect.unreachable());
    await until(
      () => ends.length === 1 && b.cluster.stats().messagesIn >= 3 && c.cluster.stats().messagesIn >= 1,
      'agreed',
    );
    unwatch();
    await new Promise((resolve) => setTimeout(resolve, 50));
    b.end(watched[0], 'stopped');
    await until(() => ends.length === 2, 'the end was heard');
    b.end(watched[0], 'stopped');
    await c.die();
    world.rows.delete(c.id);
    await until(() => ends.length === 3, 'the loss was heard');
    await new Promise((resolve) => setTimeout(resolve, 300));
    expect(ends.map(({ id, reason }) => [id, reason])).toEqual([
      [watched[3], 'not_found'],
      [watched[0], 'stopped'],
      [watched[2], 'node_lost'],
    ]);
  });

  test('waits in line while the database is away, and says so when it does not come back in time', async () => {
    const { world, a, b } = await pair(make());
    const id = b.host(echo);
    world.away = true;
    const late = a.ask(id, 'n', 1, 150);
    const inTime = a.ask(id, 'n', 2, 10_000);
    await expect(late).rejects.toMatchObject({ code: expect.stringMatching(/ask_timeout|target_lost/) });
    world.away = false;
    expect(await inTime).toEqual({ echo: 2 });
  });

  test('refuses with backpressure what is beyond the outbox, and loses nothing of what it took', async () => {
    const { a, b } = await pair(make());
    let heard = 0;
    const id = b.host(() => {
      heard += 1;
    });
    await a.tell(id, 'warm');
    const results = await Promise.all(Array.from({ length: 80_000 }, (_, n) => a.tell(id, 'n', n)));
    const refused = results.filter((result) => result.outcome === 'refused' && result.reason === 'backpressure').length;
    expect(refused).toBeGreaterThan(0);
    expect(results.filter(({ outcome }) => outcome === 'delivered').length).toBe(80_000 - refused);
    expect(heard).toBe(80_001 - refused);
  });
});

describe('a way that loses, repeats and delays', () => {
  test.each([1, 2, 3])('changes neither the order nor the number of messages (seed %i)', async (seed) => {
    const random = seededRandom(seed);
    const fate = (): Fate => {
      const roll = random();
      return roll < 0.1 ? 'lost' : roll < 0.2 ? 'twice' : roll < 0.3 ? 'late' : 'arrives';
    };
    const { a, b } = await pair(inProcess(fate));
    const heard: unknown[] = [];
    const id = b.host(({ body }) => {
      heard.push(body);
      return body;
    });
    const results: Promise<unknown>[] = [];
    for (let n = 0; n < 2_000; n++) {
      results.push(n % 10 === 0 ? a.ask(id, 'n', n, 60_000) : a.tell(id, 'n', n));
      if (n % 50 === 0) await new Promise((resolve) => setImmediate(resolve));
    }
    await Promise.all(results);
    expect(heard).toEqual(Array.from({ length: 2_000 }, (_, n) => n));
    expect(b.cluster.stats().duplicates).toBeGreaterThan(0);
    expect(a.cluster.stats().resent).toBeGreaterThan(0);
  });
});

describe('without Redis', () => {
  test('an agent of another node is refused at once, and the refusal names REDIS_URL', async () => {
    const { world, a, b } = await pair(undefined);
    const id = b.host(echo);
    const refused = await a.tell(id, 'hello');
    expect(refused).toMatchObject({
      outcome: 'refused',
      reason: 'unreachable',
      detail: expect.stringContaining('REDIS_URL'),
    });
    await expect(a.ask(id, 'hello')).rejects.toMatchObject({
      code: 'unreachable',
      message: expect.stringContaining('REDIS_URL'),
    });
    expect(await a.tell(world.ambient.newId('agent'), 'hello')).toMatchObject({ reason: 'actor_not_found' });
    await expect(a.cluster.call(b.id, 'any', null, 1_000)).rejects.toMatchObject({ code: 'unreachable' });
    expect(a.cluster.peers()).toEqual([]);
  });
});

describe('what Redis does to nodes', () => {
  async function ownRedis(): Promise<Service> {
    const service = await startRedis();
    services.push(service);
    return service;
  }

  async function talking(url: () => string): Promise<{ a: TestNode; b: TestNode; id: AgentId; heard: unknown[] }> {
    const { a, b } = await pair(overRedis(url));
    const heard: unknown[] = [];
    const id = b.host(({ body }) => {
      heard.push(body);
      return body;
    });
    expect(await a.ask(id, 'warm', 'warm')).toBe('warm');
    return { a, b, id, heard };
  }

  test('garbage and forged frames are counted and change nothing; a replayed frame is a duplicate', async () => {
    const { a, b, id, heard } = await talking(testRedisUrl);
    const redis = new Redis(testRedisUrl());
    const put = (bytes: Uint8Array | string) => redis.xadd(streamKey(b.id), '*', 'f', Buffer.from(bytes as Uint8Array));
    const forged = createSeal({ node: a.id, key: new Uint8Array(32).fill(8) });
    const honest = createSeal({ node: a.id, key: KEY });
    const tell = [1, id, null, 'n', 'forged', null, null];
    await put('garbage');
    await put(new Uint8Array(500));
    await put(forged.close(b.id, [2, 2, 0, [], [tell], []]));
    await put(honest.close(a.id, [2, 2, 0, [], [tell], []]));
    await put(honest.close(b.id, { not: 'a frame' }));
    await put(honest.close(b.id, [2, 2, 0, [], [[99, id]], []]));
    await put(honest.close(b.id, [1, 1, 0, [], [tell], []]));
    await redis.xadd(streamKey(b.id), '*', 'other', 'field');
    await until(() => b.cluster.stats().garbage === 7, 'all of it was counted');
    expect(await a.ask(id, 'n', 'after')).toBe('after');
    expect(heard).toEqual(['warm', 'after']);
    expect(b.cluster.stats().duplicates).toBe(1);
    redis.disconnect();
  });

  test('frames that were handed over are deleted', async () => {
    const { a, b, id } = await talking(testRedisUrl);
    await Promise.all(Array.from({ length: 3_000 }, (_, n) => a.tell(id, 'n', n)));
    const redis = new Redis(testRedisUrl());
    await expect.poll(() => redis.xlen(streamKey(b.id)), { timeout: 5_000 }).toBe(0);
    expect(((await redis.xpending(streamKey(b.id), 'troupe')) as unknown[])[0]).toBe(0);
    redis.disconnect();
  });

  test('restarted empty in the middle of a stream of messages, it loses none and repeats none', async () => {
    const redis = await ownRedis();
    const { a, id, heard } = await talking(() => redis.url);
    const sent: Promise<{ outcome: string; reason?: string }>[] = [];
    const send = async (count: number): Promise<void> => {
      for (let n = 0; n < count; n++) {
        sent.push(a.tell(id, 'n', sent.length));
        if (n % 20 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
      }
    };
    await send(1_000);
    await redis.kill9();
    await send(200);
    await redis.restart();
    await until(() => a.cluster.peers().length === 1, 'it is connected again');
    await send(1_000);
    const results = await Promise.all(sent);
    const delivered = results.flatMap(({ outcome }, n) => (outcome === 'delivered' ? [n] : []));
    const unknown = results.flatMap(({ outcome }, n) => (outcome === 'unknown' ? [n] : []));
    // What was taken is there once and in order; what was refused surely is not.
    expect(heard.slice(1).filter((n) => !unknown.includes(n as number))).toEqual(delivered);
    expect(results.filter(({ outcome }) => outcome === 'refused').every(({ reason }) => reason === 'unreachable')).toBe(
      true,
    );
    expect(delivered.length).toBeGreaterThan(1_500);
  }, 60_000);

  test('flushed while in use, it costs nothing but a moment', async () => {
    const redis = await ownRedis();
    const { a, id, heard } = await talking(() => redis.url);
    const admin = new Redis(redis.url);
    const sent: Promise<{ outcome: string }>[] = [];
    for (let n = 0; n < 600; n++) {
      if (n % 200 === 100) await admin.flushall();
      sent.push(a.tell(id, 'n', n));
      if (n % 10 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
    }
    expect((await Promise.all(sent)).every(({ outcome }) => outcome === 'delivered')).toBe(true);
    expect(heard.slice(1)).toEqual(Array.from({ length: 600 }, (_, n) => n));
    admin.disconnect();
  }, 60_000);

  test('frozen, nothing hangs: what is new is refused, what was under way ends, and all works again after it', async () => {
    const redis = await ownRedis();
    const { a, id } = await talking(() => redis.url);
    redis.freeze();
    const first = await Promise.race([
      a.ask(id, 'n', 1, 2_000).catch((error: { code: string }) => error.code),
      new Promise((resolve) => setTimeout(resolve, 6_000, 'hung')),
    ]);
    expect(['ask_timeout', 'unreachable', 'target_lost']).toContain(first);
    await until(() => a.cluster.peers().length === 0, 'it is known to be away');
    const before = performance.now();
    expect(await a.tell(id, 'n', 2)).toMatchObject({ outcome: 'refused', reason: 'unreachable' });
    expect(performance.now() - before).toBeLessThan(1_000);
    redis.thaw();
    await until(() => a.cluster.peers().length === 1, 'it is back');
    expect(await a.ask(id, 'n', 3)).toBe(3);
  }, 60_000);

  test('out of memory, messages are refused or late, and flow again when there is room', async () => {
    const redis = await ownRedis();
    const { a, id } = await talking(() => redis.url);
    const admin = new Redis(redis.url);
    await admin.config('SET', 'maxmemory', '1mb');
    const started = performance.now();
    const refused = await a.ask(id, 'n', 'x'.repeat(1_000), 1_500).catch((error: { code: string }) => error.code);
    expect(['ask_timeout', 'unreachable', 'target_lost']).toContain(refused);
    expect(performance.now() - started).toBeLessThan(10_000);
    await admin.config('SET', 'maxmemory', '0');
    expect(await a.ask(id, 'n', 'again')).toBe('again');
    admin.disconnect();
  }, 60_000);
});
