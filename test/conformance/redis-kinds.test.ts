// The ways between nodes over every kind of Redis, each started for real: a master that sentinels watch and that dies, and a cluster.

import { execFileSync } from 'node:child_process';
import { Redis } from 'ioredis';
import { afterEach, describe, expect, test } from 'vitest';
import { openRedisBus } from '../../runtime/bus/redis-bus.ts';
import { openRedisStreams } from '../../runtime/bus/redis-bus-streams.ts';
import type { NodeId } from '../../runtime/contracts/ids.ts';
import type { NodeWire } from '../../runtime/contracts/messaging.ts';
import { silentLogger } from '../kit/ambient.ts';
import { eventually } from '../kit/eventually.ts';
import { type Service, startRedis, startSentinel } from '../kit/services.ts';

const log = silentLogger;
const portOf = ({ url }: Service): number => Number(new URL(url).port);
const addressOf = (service: Service): string => `127.0.0.1:${portOf(service)}`;

const services: Service[] = [];
const closers: (() => Promise<void>)[] = [];
afterEach(async () => {
  for (const close of closers.splice(0)) await close();
  await Promise.all(services.splice(0).map((service) => service.stop()));
});

async function server(settings: Record<string, string> = {}): Promise<Service> {
  const started = await startRedis({ settings });
  services.push(started);
  return started;
}

/** Two nodes over one Redis: what the second has heard, frames and hints. */
function nodes(url: string) {
  const key = new Uint8Array(32).fill(7);
  const [one, two] = (['node_one', 'node_two'] as NodeId[]).map((node) =>
    openRedisStreams({ url, node, key, log, beatMs: 200 }),
  ) as [NodeWire, NodeWire];
  const [from, to] = [1, 2].map(() => openRedisBus({ url, log, beatMs: 200 })) as [
    ReturnType<typeof openRedisBus>,
    ReturnType<typeof openRedisBus>,
  ];
  for (const part of [one, two, from, to]) closers.push(() => part.close());
  const frames: unknown[] = [];
  const hints: string[] = [];
  two.receive((_node, frame) => void frames.push(frame));
  to.subscribe((hint) => void (hint.type === 'queue' && hints.push(hint.queue)));
  /** Until it has arrived both ways: while a master is being replaced, what is sent is refused or lost. */
  const carry = (what: string) =>
    eventually(async () => {
      await one.send('node_two' as NodeId, one.seal('node_two' as NodeId, what)).catch(() => false);
      from.publish({ type: 'queue', queue: what });
      return frames.includes(what) && hints.includes(what);
    }, `"${what}" arrives`);
  return { one, two, from, to, carry };
}

describe('Redis behind sentinels', () => {
  test('carries frames and hints, and goes on with the next master when the first one dies', async () => {
    const master = await server();
    const replica = await server({ replicaof: `127.0.0.1 ${portOf(master)}` });
    const sentinels = await Promise.all(
      [1, 2, 3].map(async () => {
        const sentinel = await startSentinel();
        services.push(sentinel);
        const admin = new Redis(portOf(sentinel), '127.0.0.1');
        await admin.call('SENTINEL', 'MONITOR', 'troupe', '127.0.0.1', String(portOf(master)), '2');
        await admin.call('SENTINEL', 'SET', 'troupe', 'down-after-milliseconds', '500', 'failover-timeout', '3000');
        closers.push(async () => void admin.disconnect());
        return { sentinel, admin };
      }),
    );
    for (const { admin } of sentinels) {
      await eventually(async () => {
        const [seen] = (await admin.call('SENTINEL', 'MASTERS')) as string[][];
        const field = (name: string) => seen?.[seen.indexOf(name) + 1];
        return field('num-slaves') === '1' && field('num-other-sentinels') === '2';
      }, 'sentinels know the replica and each other');
    }
    const { carry } = nodes(
      `redis+sentinel://${sentinels.map(({ sentinel }) => addressOf(sentinel)).join(',')}/troupe`,
    );
    await carry('over the first master');
    await master.kill9();
    await carry('over the next master');
    const asked = new Redis(portOf(replica), '127.0.0.1');
    closers.push(async () => void asked.disconnect());
    expect(String((await asked.role())[0])).toBe('master');
  });
});

describe('a cluster of Redis', () => {
  test('carries frames and hints whichever of its nodes has the stream', async () => {
    const three = await Promise.all(
      [1, 2, 3].map(() => server({ 'cluster-enabled': 'yes', 'cluster-node-timeout': '2000' })),
    );
    const made = execFileSync(
      'redis-cli',
      ['--cluster', 'create', ...three.map(addressOf), '--cluster-replicas', '0', '--cluster-yes'],
      { encoding: 'utf8' },
    );
    expect(made).toContain('All 16384 slots covered');
    // One of them is enough to find the others.
    const { one, carry } = nodes(`redis+cluster://${addressOf(three[1] as Service)}`);
    await carry('over the cluster');
    expect(one.healthy()).toBe(true);
  });
});
