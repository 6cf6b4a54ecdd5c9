// Real node processes on one PostgreSQL and one Redis: agents reach each other by id wherever they live, and every message says how it ended.

import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Redis } from 'ioredis';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import {
  type ClusterProcess,
  clusterProcesses,
  type Processes,
  Refused,
  seeEachOther,
} from '../kit/cluster-processes.ts';
import { eventually } from '../kit/eventually.ts';
import { tokenFor } from '../kit/node-process.ts';
import { type Service, startRedis, testRedisUrl } from '../kit/services.ts';

const LIMIT_MS = 120_000;
const cli = fileURLToPath(new URL('../../dist/http/cli.js', import.meta.url));

interface Heard {
  readonly heard: readonly {
    readonly body: unknown;
    readonly from: string | null;
    readonly protocol: string;
    readonly topic: string | null;
  }[];
  readonly ends: readonly { readonly id: string; readonly reason: string }[];
  readonly undelivered: readonly string[];
}
const stateOf = async (node: ClusterProcess, id: string): Promise<Heard> => (await node.ask(id, 'state')) as Heard;

describe('three nodes', () => {
  let cluster: Processes;
  let nodes: ClusterProcess[];
  let ids: string[];

  beforeAll(async () => {
    cluster = await clusterProcesses();
    nodes = [];
    for (let n = 0; n < 3; n++) nodes.push(await cluster.start(testRedisUrl()));
    await seeEachOther(nodes);
    ids = await Promise.all(nodes.map((node) => node.courier()));
  }, LIMIT_MS);
  afterAll(() => cluster?.stop(), LIMIT_MS);

  test('any node asks and tells any agent by its id, and by its name', async () => {
    for (const node of nodes) {
      for (const [at, id] of ids.entries()) {
        expect(await node.ask(id, 'where')).toMatchObject({ id, node: nodes[at]?.node });
        const { status, body } = await node.tell(id, 'note', 'hello');
        expect([status, body.via]).toEqual([202, node === nodes[at] ? 'message-port' : 'redis']);
      }
    }
    const named = await nodes[2]?.courier('the third');
    expect(await nodes[0]?.ask('the third', 'where')).toMatchObject({ id: named });
  });

  test('agents of all nodes bid, and the best bid wins wherever it comes from', async () => {
    const bids = [9, 2, 5];
    const bidders = await Promise.all(
      nodes.map(async (node, at) => {
        const { body } = await node.api('POST', '/create', { type: 'probe', config: { bid: bids[at] } });
        return String(body.id);
      }),
    );
    const [decides] = nodes;
    if (!decides) return expect.unreachable();
    const award = async () => {
      const { body } = await decides.api('POST', '/workflows/create?start=true', {
        pattern: 'auction',
        tasks: [{ id: 'a', capability: 'probe.run' }],
        options: { replyByMs: 5_000 },
      });
      return eventually(async () => {
        const { body: view } = await decides.api('GET', `/workflows/${String(body.id)}`);
        return view.endedAt
          ? (view.output as { awards: { winner: string; bids: { agentId: string }[] }[] })
          : undefined;
      }, 'the auction ends');
    };
    // The directory hears of new agents with their nodes' next roll-up.
    const awards = await eventually(async () => {
      const all = (await award()).awards;
      return all[0]?.bids.length === bidders.length && all;
    }, 'all three have bid');
    expect(awards[0]?.bids.map(({ agentId }) => agentId).sort()).toEqual([...bidders].sort());
    expect(awards[0]?.winner).toBe(bidders[1]);
  });

  test('agents in threads ask and tell agents of other nodes, in order, with their sender', async () => {
    const [a, b, c] = nodes as [ClusterProcess, ClusterProcess, ClusterProcess];
    const [from, to] = [await a.courier(), await b.courier()];
    expect(await c.ask(from, 'ask', { to, type: 'where' })).toMatchObject({ reply: { id: to, node: b.node } });
    expect(await c.ask(from, 'tell', { to, type: 'note', body: 'first' })).toEqual({
      outcome: 'delivered',
      via: 'redis',
    });
    expect(await c.ask(from, 'tells', { to, type: 'note', count: 1_000 }, 20_000)).toBe('sent');
    const { heard } = await eventually(async () => {
      const state = await stateOf(c, to);
      return state.heard.length === 1_001 && state;
    });
    expect(heard.map(({ body }) => body)).toEqual(['first', ...Array.from({ length: 1_000 }, (_, n) => n)]);
    expect(new Set(heard.map((each) => each.from))).toEqual(new Set([from]));
    expect(new Set(heard.map((each) => each.protocol))).toEqual(new Set(['direct']));
  });

  test('errors of handlers, silence and unknown ids come back as what they are', async () => {
    const [a, b] = nodes as [ClusterProcess, ClusterProcess];
    const [from, to] = [await a.courier(), await b.courier()];
    const asked = (body: unknown) => a.ask(from, 'ask', body, 20_000);
    expect(await asked({ to, type: 'fail' })).toMatchObject({ error: 'told_to', message: 'told to fail' });
    expect(await asked({ to, type: 'unheard-of' })).toMatchObject({ error: 'no_handler' });
    const silent = await b.courier();
    expect(await asked({ to: silent, type: 'never', timeoutMs: 200 })).toMatchObject({ error: 'ask_timeout' });
    const nobody = `${to.slice(0, -4)}0000`;
    expect(await asked({ to: nobody, type: 'where' })).toMatchObject({ error: 'actor_not_found' });
    expect(await a.ask(from, 'tell', { to: nobody, type: 'note' })).toMatchObject({ reason: 'actor_not_found' });
    expect((await a.tell(nobody, 'note')).status).toBe(404);
    const letters = await eventually(async () => {
      const { body } = await a.api('GET', `/dead-letters?to=${nobody}`);
      const items = body.items as { reason: string }[];
      return items.length >= 2 && items;
    });
    expect(new Set(letters.map(({ reason }) => reason))).toEqual(new Set(['actor_not_found']));
  });

  test('messages to many reach the members of other nodes, each once, and say how they came', async () => {
    const [a, b, c] = nodes as [ClusterProcess, ClusterProcess, ClusterProcess];
    const members = [await a.courier(), await b.courier(), await c.courier()];
    const post = async (path: string, body: unknown): Promise<void> => {
      const answer = await b.api('POST', path, body);
      if (answer.status >= 300) throw new Refused(answer);
    };
    for (const agent of members) await post('/messages/subscribe', { agent, topic: 'orders.*' });
    await eventually(async () => {
      const { body } = await a.api('POST', '/messages/send', {
        protocol: 'publish-subscribe',
        topic: 'orders.new',
        type: 'note',
        body: 'published',
      });
      return body.attempted === 3;
    });
    await post('/messages/send', { protocol: 'multicast', select: { ids: members }, type: 'note', body: 'selected' });
    for (const [at, id] of members.entries()) {
      const node = nodes[at] as ClusterProcess;
      const heard = await eventually(async () => {
        const state = await stateOf(node, id);
        return state.heard.some(({ body }) => body === 'selected') && state.heard;
      });
      expect(heard.filter(({ body }) => body === 'selected').map(({ protocol }) => protocol)).toEqual(['multicast']);
      const published = heard.filter(({ body }) => body === 'published');
      expect(published.at(-1)).toMatchObject({ protocol: 'publish-subscribe', topic: 'orders.new' });
    }
  });

  test('a watch from a thread hears the end of an agent on another node once', async () => {
    const [a, b] = nodes as [ClusterProcess, ClusterProcess];
    const [watcher, watched] = [await a.courier(), await b.courier()];
    expect(await a.ask(watcher, 'watch', { id: watched })).toBe('watching');
    await new Promise((resolve) => setTimeout(resolve, 500));
    expect((await b.api('DELETE', `/${watched}?mode=force`)).status).toBe(200);
    await eventually(async () => (await stateOf(a, watcher)).ends.length > 0);
    expect((await stateOf(a, watcher)).ends).toEqual([{ id: watched, reason: 'stopped' }]);
    expect(await a.ask(watcher, 'ask', { to: watched, type: 'where' })).toMatchObject({ error: 'actor_not_found' });
  });

  test('troupe nodes lists the members', async () => {
    const { stdout } = await promisify(execFile)(process.execPath, [cli, 'nodes'], {
      env: { PATH: process.env.PATH, TROUPE_URL: nodes[0]?.url, TROUPE_TOKEN: await tokenFor('viewer') },
    });
    for (const { node } of nodes) expect(stdout).toContain(node);
    expect(stdout.match(/active/g)).toHaveLength(3);
    const { body } = await (nodes[1] as ClusterProcess).api('GET', '/nodes');
    expect(body.items).toMatchObject(
      nodes.map(({ node }) => ({ id: node, state: 'active', self: node === nodes[1]?.node })),
    );
  });
});

describe('a node that dies', () => {
  let cluster: Processes;
  afterEach(() => cluster?.stop(), LIMIT_MS);

  test(
    'its agents are asked where they live next, with what they saved; who waited and who watched hears of it',
    async () => {
      cluster = await clusterProcesses();
      const a = await cluster.start(testRedisUrl());
      const b = await cluster.start(testRedisUrl());
      await seeEachOther([a, b]);
      const [asker, watcher, moving] = [await a.courier(), await a.courier(), await b.courier()];
      await a.tell(moving, 'note', 'kept');
      expect(await a.ask(moving, 'save')).toBe('saved');
      expect(await a.ask(watcher, 'watch', { id: moving })).toBe('watching');
      await eventually(
        async () => (((await b.api('GET', '/nodes')).body.links as { messagesIn: number }).messagesIn ?? 0) >= 3,
      );
      const waiting = a.ask(asker, 'ask', { to: moving, type: 'never', timeoutMs: 55_000 }, 58_000);
      await new Promise((resolve) => setTimeout(resolve, 200));
      await b.kill9();
      expect(await waiting).toMatchObject({ error: 'target_lost' });
      const where = await eventually(async () => a.ask(asker, 'ask', { to: moving, type: 'where' }, 20_000));
      expect(where).toMatchObject({ reply: { id: moving, node: a.node } });
      expect((await stateOf(a, moving)).heard.map(({ body }) => body)).toEqual(['kept']);
      expect((await stateOf(a, watcher)).ends).toEqual([{ id: moving, reason: 'node_lost' }]);
      const { body } = await a.api('GET', '/nodes');
      expect(body.items).toHaveLength(1);
    },
    LIMIT_MS,
  );
});

describe('Redis away', () => {
  let cluster: Processes;
  let redis: Service | undefined;
  afterEach(async () => {
    await cluster?.stop();
    await redis?.stop();
    redis = undefined;
  }, LIMIT_MS);

  test(
    'without REDIS_URL an agent of another node is refused at once, and the refusal names it',
    async () => {
      cluster = await clusterProcesses();
      const a = await cluster.start();
      const b = await cluster.start();
      const [from, to] = [await a.courier(), await b.courier()];
      const { status, body } = await a.tell(to, 'note', 1);
      expect([status, body.code]).toEqual([503, 'unreachable']);
      expect(JSON.stringify(body)).toContain('REDIS_URL');
      expect(await a.ask(from, 'ask', { to, type: 'where' })).toMatchObject({
        error: 'unreachable',
        message: expect.stringContaining('REDIS_URL'),
      });
      expect(await a.ask(from, 'where')).toMatchObject({ node: a.node });
    },
    LIMIT_MS,
  );

  test(
    'frozen, garbled and restarted empty, messages are refused or arrive, and all is well after it',
    async () => {
      redis = await startRedis();
      cluster = await clusterProcesses();
      const a = await cluster.start(redis.url);
      const b = await cluster.start(redis.url);
      await seeEachOther([a, b]);
      const [from, to] = [await a.courier(), await b.courier()];
      expect(await a.ask(to, 'where')).toMatchObject({ node: b.node });

      const admin = new Redis(redis.url);
      for (let n = 0; n < 20; n++) await admin.xadd(`troupe:v1:{${b.node}}:in`, '*', 'f', `garbage ${n}`);
      await eventually(async () => ((await b.api('GET', '/nodes')).body.links as { garbage: number }).garbage === 20);
      admin.disconnect();
      expect(await a.ask(to, 'where')).toMatchObject({ node: b.node });

      redis.freeze();
      const codes = [];
      for (let n = 0; n < 3; n++) {
        const started = performance.now();
        codes.push(
          ((await a.ask(from, 'ask', { to, type: 'where', timeoutMs: 2_000 }, 20_000)) as { error: string }).error,
        );
        expect(performance.now() - started).toBeLessThan(10_000);
      }
      expect(codes.every((code) => ['ask_timeout', 'unreachable', 'target_lost'].includes(code))).toBe(true);
      expect(codes.at(-1)).toBe('unreachable');
      expect(await a.ask(from, 'where')).toMatchObject({ node: a.node });
      redis.thaw();
      await seeEachOther([a, b]);

      await redis.kill9();
      expect(
        (
          await eventually(async () => {
            const answer = await a.tell(to, 'note', 0);
            return answer.body.code === 'unreachable' && answer;
          })
        ).status,
      ).toBe(503);
      await redis.restart();
      await seeEachOther([a, b]);
      expect(await a.ask(from, 'ask', { to, type: 'where' }, 20_000)).toMatchObject({ reply: { node: b.node } });
    },
    LIMIT_MS,
  );
});
