// Three nodes as processes on one PostgreSQL and one Redis: one joins, all talk in all five ways, each is restarted under load, one is killed.

import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type ClusterProcess, clusterProcesses, type Processes, seeEachOther } from '../kit/cluster-processes.ts';
import { eventually } from '../kit/eventually.ts';
import { call, type NodeProcess, tokenFor } from '../kit/node-process.ts';
import { testRedisUrl } from '../kit/services.ts';

const LIMIT_MS = 240_000;
const AGENTS = 20;
/** Longer than a machine with far too much to do stands still. */
const LEASE_MS = 10_000;
const JOINING = {
  env: { TROUPE_REBALANCE_MS: '500', TROUPE_THREADS: '1', TROUPE_LEASE_MS: String(LEASE_MS) },
  flags: ['--join'],
};

interface Row {
  readonly id: string;
  readonly node: string | null;
}

describe('three nodes', () => {
  let cluster: Processes;
  /** Those that live now. */
  let nodes: ClusterProcess[] = [];

  const start = async (): Promise<ClusterProcess> => {
    const node = await cluster.start(testRedisUrl(), JOINING);
    nodes.push(node);
    return node;
  };
  const agents = async (node: ClusterProcess): Promise<Row[]> =>
    (await node.api('GET', '/list?type=courier&limit=100')).body.items as Row[];
  const heard = async (id: string): Promise<{ body: unknown; protocol: string }[]> =>
    (
      (await (nodes[0] as ClusterProcess).ask(id, 'state', null, 20_000)) as {
        heard: { body: unknown; protocol: string }[];
      }
    ).heard;

  beforeAll(async () => {
    cluster = await clusterProcesses();
    await start();
  }, LIMIT_MS);
  afterAll(() => cluster?.stop(), LIMIT_MS);

  test(
    'a node that joins gets its share of the agents that are idle',
    async () => {
      const [a] = nodes as [ClusterProcess];
      await Promise.all(Array.from({ length: AGENTS }, () => a.courier()));
      const second = await start();
      expect(second.output()).toMatch(/joined the cluster/);
      await eventually(async () => {
        const all = await agents(a);
        return nodes.every(({ node }) => all.filter((each) => each.node === node).length === AGENTS / 2);
      }, 'both have half of them');
      const third = await start();
      await seeEachOther(nodes);
      expect((await agents(await third.courier().then(() => third))).length).toBe(AGENTS + 1);
    },
    LIMIT_MS,
  );

  test(
    'from any node to an agent on any node, in all five ways, each exactly once',
    async () => {
      const all = await agents(nodes[0] as ClusterProcess);
      const to = nodes.map(({ node }) => all.find((each) => each.node === node)?.id ?? '');
      const [first] = nodes as [ClusterProcess];
      expect(
        (await first.api('POST', '/channels/create', { name: 'everywhere', kind: 'channel', members: to })).body,
      ).toMatchObject({ members: 3 });
      for (const agent of to) await first.api('POST', '/messages/subscribe', { agent, topic: 'news.*' });
      const send = async (node: ClusterProcess, body: object) => {
        const answer = await node.api('POST', '/messages/send', { type: 'note', ...body });
        expect(answer.status, JSON.stringify(answer.body)).toBeLessThan(300);
        return answer.body;
      };
      const said: string[] = [];
      for (const [at, node] of nodes.entries()) {
        const many = [
          ['broadcast', { channel: 'everywhere' }],
          ['multicast', { select: { ids: to } }],
          ['publish-subscribe', { topic: 'news.now' }],
        ] as const;
        for (const [protocol, whom] of many) {
          // A node learns of members that joined through another one at its next look.
          await eventually(async () => {
            const body = `${protocol} ${at} ${randomUUID()}`;
            const { attempted } = await send(node, { protocol, ...whom, body });
            if (attempted !== to.length) return false;
            said.push(body);
            return true;
          });
        }
        for (const id of to) {
          const body = `direct ${at} ${id}`;
          await send(node, { protocol: 'direct', to: id, body });
          said.push(body);
          expect(await node.ask(id, 'where')).toMatchObject({ id });
        }
      }
      for (const id of to) {
        const mine = said.filter((body) => !body.startsWith('direct') || body.endsWith(id)).sort();
        const got = await eventually(async () => {
          const bodies = (await heard(id)).map(({ body }) => String(body)).filter((body) => said.includes(body));
          return bodies.length >= mine.length && bodies;
        });
        expect(got.sort()).toEqual(mine);
      }
    },
    LIMIT_MS,
  );

  test(
    'restarted one after the other under load: no request fails but with 503, no durable message is lost or handled twice',
    async () => {
      const all = await agents(nodes[0] as ClusterProcess);
      const token = await tokenFor('admin');
      const accepted = new Map<string, string>();
      const faults: string[] = [];
      let over = false;
      let answered = 0;
      /** As a load balancer does: what a node did not take at all goes to the next one. */
      const request = async (path: string, body: object, key: string): Promise<number> => {
        for (let tries = 0; ; tries++) {
          const node = nodes[(tries + answered) % nodes.length] as NodeProcess;
          const answer = await call(node, token, 'POST', path, body, {
            'idempotency-key': key,
            connection: 'close',
          }).catch((error) => {
            const { code } = (error as { cause?: { code?: string } }).cause ?? {};
            // Reset: it waited to be accepted when the listener closed, and TCP tells no more. The key makes it safe to ask again.
            if (code !== 'ECONNREFUSED' && code !== 'ECONNRESET') faults.push(`no answer: ${String(code ?? error)}`);
          });
          if (answer && answer.status !== 503) {
            answered += 1;
            if (answer.status >= 300) faults.push(`${answer.status} ${JSON.stringify(answer.body)}`);
            return answer.status;
          }
          if (tries > 200) throw new Error(`nobody takes ${path}`);
          await new Promise((resolve) => setTimeout(resolve, 25));
        }
      };
      const caller = async (n: number): Promise<void> => {
        for (let round = 0; !over; round++) {
          const to = all[(n * 7 + round) % all.length]?.id ?? '';
          const body = `${n}/${round}`;
          const durable = round % 2 === 0;
          const what = durable
            ? { type: 'note', body, durable: true }
            : { type: 'where', mode: 'ask', timeoutMs: 20_000 };
          const status = await request(`/api/agents/${to}/messages`, what, `${n}-${round}`);
          if (durable && status < 300) accepted.set(body, to);
          await new Promise((resolve) => setTimeout(resolve, 20));
        }
      };
      const callers = Array.from({ length: 4 }, (_, n) => caller(n));
      for (const old of [...nodes]) {
        const before = answered;
        await eventually(() => answered > before + 10);
        expect(await old.stop()).toBe(0);
        nodes = nodes.filter((node) => node !== old);
        await start();
      }
      over = true;
      await Promise.all(callers);
      expect(faults).toEqual([]);
      expect(accepted.size).toBeGreaterThan(10);
      const bodies = await eventually(async () => {
        const got = (await Promise.all(all.map(({ id }) => heard(id)))).flat().map(({ body }) => String(body));
        const kept = got.filter((body) => accepted.has(body));
        return kept.length >= accepted.size && kept;
      }, 'every durable message is handled');
      expect(bodies.sort()).toEqual([...accepted.keys()].sort());
    },
    LIMIT_MS,
  );

  test(
    'a node that is killed: its agents answer elsewhere',
    async () => {
      const all = await agents(nodes[0] as ClusterProcess);
      const dying = nodes.find(({ node }) => all.some((each) => each.node === node)) as ClusterProcess;
      const asking = nodes.find((node) => node !== dying) as ClusterProcess;
      const lost = all.filter(({ node }) => node === dying.node);
      expect(lost.length).toBeGreaterThan(0);
      await dying.kill9();
      nodes = nodes.filter((node) => node !== dying);
      const killedAt = performance.now();
      await Promise.all(
        lost.map(({ id }) =>
          eventually(() => asking.ask(id, 'where', null, 5_000).catch(() => undefined), `${id} answers`),
        ),
      );
      const tookMs = Math.round(performance.now() - killedAt);
      console.log(
        `${lost.length} agents of a killed node answered elsewhere after ${tookMs} ms (lease ${LEASE_MS} ms)`,
      );
      for (const { id } of lost)
        expect((await asking.ask(id, 'where')) as object).not.toMatchObject({ node: dying.node });
    },
    LIMIT_MS,
  );
});
