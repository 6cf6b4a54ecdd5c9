// One suite for both buses; then what only Redis can do to a node: die, freeze, carry garbage, never have been there.

import { Redis } from 'ioredis';
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { createInProcessBus } from '../../runtime/bus/in-process-bus.ts';
import { openBus } from '../../runtime/bus/open-bus.ts';
import { openRedisBus } from '../../runtime/bus/redis-bus.ts';
import type { Bus, Hint } from '../../runtime/contracts/ports.ts';
import { type LoggedLine, recordingLogger, silentLogger } from '../kit/ambient.ts';
import { eventually } from '../kit/eventually.ts';
import { type Service, startRedis, testRedisUrl } from '../kit/services.ts';

const queue = (name: string): Hint => ({ type: 'queue', queue: name });

const open: Bus[] = [];
let channels = 0;
function track<B extends Bus>(bus: B): B {
  open.push(bus);
  return bus;
}
afterEach(async () => {
  await Promise.all(open.splice(0).map((bus) => bus.close()));
});

const adapters: [string, () => Promise<Bus>][] = [
  ['the bus inside a process', async () => track(createInProcessBus({ log: silentLogger }))],
  [
    'the bus over Redis',
    async () => {
      const bus = track(
        openRedisBus({ url: testRedisUrl(), log: silentLogger, channel: `test-${process.pid}-${channels++}` }),
      );
      await eventually(() => bus.healthy(), 'the bus is connected');
      return bus;
    },
  ],
];

describe.each(adapters)('%s', (_name, make) => {
  const everyHint: Hint[] = [
    queue('document.search@1'),
    { type: 'workflow', workflowId: 'wfl_1' },
    { type: 'task-cancelled', taskId: 'tsk_1' },
    { type: 'task-ended', taskId: 'tsk_1' },
    { type: 'agent', agentId: 'agt_1' },
  ];

  test('brings every kind of hint to every listener, in order', async () => {
    const bus = await make();
    const heard: Hint[][] = [[], []];
    for (const list of heard) bus.subscribe((hint) => list.push(hint));
    for (const hint of everyHint) bus.publish(hint);
    await eventually(() => heard.every((list) => list.length === everyHint.length), 'all were heard');
    expect(heard).toEqual([everyHint, everyHint]);
  });

  test('never calls a listener inside publish', async () => {
    const bus = await make();
    let heard = 0;
    bus.subscribe(() => {
      heard += 1;
    });
    bus.publish(queue('a@1'));
    expect(heard).toBe(0);
    await eventually(() => heard === 1, 'it was heard');
  });

  test('says equal hints of one turn once', async () => {
    const bus = await make();
    const heard: Hint[] = [];
    bus.subscribe((hint) => heard.push(hint));
    for (let i = 0; i < 1_000; i++) bus.publish(queue(`q${i % 3}@1`));
    bus.publish(queue('last@1'));
    await eventually(() => heard.length >= 4, 'all were heard');
    expect(heard.map((hint) => hint.type === 'queue' && hint.queue)).toEqual(['q0@1', 'q1@1', 'q2@1', 'last@1']);
  });

  test('carries thousands of different hints of one turn', async () => {
    const bus = await make();
    const heard = new Set<string>();
    bus.subscribe((hint) => heard.add(JSON.stringify(hint)));
    for (let i = 0; i < 3_000; i++) bus.publish(queue(`q${i}@1`));
    await eventually(() => heard.size === 3_000, 'all were heard');
  });

  test('a listener that throws does not keep the others from hearing', async () => {
    const bus = await make();
    const heard: Hint[] = [];
    bus.subscribe(() => {
      throw new Error('a bug');
    });
    bus.subscribe((hint) => heard.push(hint));
    bus.publish(queue('a@1'));
    await eventually(() => heard.length === 1, 'it was heard');
  });

  test('a listener that unsubscribed hears nothing more, also after a second dispose', async () => {
    const bus = await make();
    const gone: Hint[] = [];
    const stays: Hint[] = [];
    const dispose = bus.subscribe((hint) => gone.push(hint));
    bus.subscribe((hint) => stays.push(hint));
    dispose();
    dispose();
    bus.publish(queue('a@1'));
    await eventually(() => stays.length === 1, 'the other heard');
    expect(gone).toEqual([]);
  });

  test('publishing and listening after close does nothing and closing again is fine', async () => {
    const bus = await make();
    await bus.close();
    await bus.close();
    bus.publish(queue('a@1'));
    expect(bus.healthy()).toBe(false);
  });
});

describe('the bus inside a process', () => {
  test('drops and duplicates when a test asks for it', async () => {
    let at = 0;
    const bus = track(createInProcessBus({ log: silentLogger, drop: () => at++ % 2 === 0, duplicate: () => true }));
    const heard: Hint[] = [];
    bus.subscribe((hint) => heard.push(hint));
    bus.publish(queue('lost@1'));
    await new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
    bus.publish(queue('twice@1'));
    await eventually(() => heard.length === 2, 'it came twice');
    expect(heard).toEqual([queue('twice@1'), queue('twice@1')]);
  });

  test('is what a node without Redis gets', async () => {
    expect(track(await openBus({ log: silentLogger })).kind).toBe('in-process');
    expect(track(await openBus({ redisUrl: testRedisUrl(), log: silentLogger })).kind).toBe('redis');
  });
});

describe('the bus over Redis', () => {
  let channel = '';
  beforeAll(() => {
    channel = `test-${process.pid}-wild`;
  });
  const busOn = (url: string, log = silentLogger, beatMs = 5_000) => track(openRedisBus({ url, log, channel, beatMs }));

  test('carries hints from node to node', async () => {
    const [one, two] = [busOn(testRedisUrl()), busOn(testRedisUrl())];
    await eventually(() => one.healthy() && two.healthy(), 'both are connected');
    const heard: Hint[] = [];
    two.subscribe((hint) => heard.push(hint));
    one.publish(queue('a@1'));
    await eventually(() => heard.length === 1, 'the other node heard');
  });

  test('counts and ignores what is no hint', async () => {
    const bus = busOn(testRedisUrl());
    await eventually(() => bus.healthy(), 'it is connected');
    const heard: Hint[] = [];
    bus.subscribe((hint) => heard.push(hint));
    const stranger = new Redis(testRedisUrl());
    const garbage = [
      'no json',
      '{}',
      '[{"type":"queue"}]',
      '[{"type":"launch"}]',
      '[{"type":"queue","queue":7}]',
      '[{"type":"queue","queue":"a@1","__proto__x":1}]',
      `[{"type":"queue","queue":"${'x'.repeat(10_000)}"}]`,
      '\u0000\ud800',
    ];
    for (const text of garbage) await stranger.publish(channel, text);
    await stranger.publish(channel, JSON.stringify([queue('good@1')]));
    await eventually(() => heard.length === 1, 'the good one was heard');
    expect(heard).toEqual([queue('good@1')]);
    expect(bus.stats().garbage).toBe(garbage.length);
    stranger.disconnect();
  });

  test('publishing without any server never throws, keeps nothing and says so once', async () => {
    const lines: LoggedLine[] = [];
    const bus = busOn('redis://127.0.0.1:9', recordingLogger(lines));
    for (let i = 0; i < 5_000; i++) bus.publish(queue(`q${i}@1`));
    await eventually(() => bus.stats().lost > 0, 'the hints are lost');
    await eventually(() => lines.length > 0, 'it is logged');
    for (let i = 0; i < 20; i++) {
      bus.publish(queue('a@1'));
      await new Promise((resolve) => setImmediate(resolve));
    }
    expect(bus.healthy()).toBe(false);
    expect(lines.filter(({ level }) => level === 'warn')).toHaveLength(1);
  });

  describe('with a server of its own', () => {
    let redis: Service;
    afterEach(async () => {
      await redis.stop();
    });

    test('goes on by itself when a killed server is back', async () => {
      redis = await startRedis();
      const bus = busOn(redis.url);
      await eventually(() => bus.healthy(), 'it is connected');
      const heard: Hint[] = [];
      bus.subscribe((hint) => heard.push(hint));
      await redis.kill9();
      await eventually(() => !bus.healthy(), 'it knows that the server is gone');
      bus.publish(queue('lost@1'));
      await redis.restart();
      await eventually(() => bus.healthy(), 'it is connected again');
      bus.publish(queue('after@1'));
      await eventually(() => heard.length > 0, 'the first hint after the restart was heard');
      expect(heard).toEqual([queue('after@1')]);
    });

    test('survives a frozen server: publishing ends, and hints flow again when it thaws', async () => {
      redis = await startRedis();
      const bus = busOn(redis.url, silentLogger, 200);
      await eventually(() => bus.healthy(), 'it is connected');
      const heard = new Set<string>();
      bus.subscribe((hint) => {
        if (hint.type === 'queue') heard.add(hint.queue);
      });
      process.kill(redis.pid, 'SIGSTOP');
      try {
        await eventually(() => {
          bus.publish(queue('frozen@1'));
          return bus.stats().lost > 0;
        }, 'hints are given up');
        await eventually(() => !bus.healthy(), 'the silence is noticed');
      } finally {
        process.kill(redis.pid, 'SIGCONT');
      }
      await eventually(() => {
        if (bus.healthy()) bus.publish(queue('thawed@1'));
        return heard.has('thawed@1');
      }, 'hints flow again');
    });

    test('closes at once while the server is frozen', async () => {
      redis = await startRedis();
      const bus = busOn(redis.url);
      await eventually(() => bus.healthy(), 'it is connected');
      process.kill(redis.pid, 'SIGSTOP');
      try {
        bus.publish(queue('frozen@1'));
        await bus.close();
        expect(bus.healthy()).toBe(false);
      } finally {
        process.kill(redis.pid, 'SIGCONT');
      }
    });
  });
});
