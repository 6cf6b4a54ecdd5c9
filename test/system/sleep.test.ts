// Agents that are put to sleep when they have been idle, and woken by whatever comes for them; nothing that comes in between is lost.

import { setTimeout as pause } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { AgentRef, Troupe, TroupeOptions } from '../../runtime/index.ts';
import { eventually } from '../kit/eventually.ts';
import { freshDatabase, testRedisUrl } from '../kit/services.ts';
import { testTroupe } from '../kit/troupe.ts';

const actors = ['keeper', 'listener'].map((name) =>
  fileURLToPath(new URL(`../kit/actors/${name}.ts`, import.meta.url)),
);
const SOON = { passivateAfterMs: 300 };

const asleep = (troupe: Troupe, id: string) =>
  eventually(async () => (await troupe.agents.get(id)).waiting?.startsWith('it sleeps'), `${id} sleeps`);
const awake = async (troupe: Troupe, id: string) => (await troupe.agents.get(id)).node !== null;
const asked = { timeoutMs: 20_000 };

async function open(databaseUrl?: string, options: TroupeOptions = {}): Promise<Troupe> {
  const shared = databaseUrl ? { databaseUrl, redisUrl: testRedisUrl(), leaseMs: 10_000 } : {};
  return testTroupe({ threads: 2, agentRoots: actors, ...shared, ...options });
}

describe.each([
  ['an embedded node', () => undefined],
  ['a node with PostgreSQL and Redis', freshDatabase],
] as const)('on %s', (_name, database) => {
  let troupe: Troupe;
  beforeAll(async () => {
    troupe = await open(await database());
  });
  afterAll(() => troupe.stop());

  test('a message, a durable one, a task of its own, a task for what it offers, and a timer each wake an agent as it was', async () => {
    const ref = await troupe.agents.spawn('keeper', SOON);
    const add = async (amount: number, wish: object) =>
      (await troupe.tasks.start({ capability: 'keeper.add', input: { amount }, ...wish })).result();
    await add(1, { agentId: ref.id });
    await asleep(troupe, ref.id);
    expect(await troupe.agents.ask(ref.id, 'total', null, asked)).toBe(1);
    await asleep(troupe, ref.id);
    await add(2, { agentId: ref.id });
    await asleep(troupe, ref.id);
    await add(3, {});
    await asleep(troupe, ref.id);
    expect(await troupe.agents.ask(ref.id, 'total', null, { ...asked, durable: true })).toBe(6);
    await troupe.agents.ask(ref.id, 'wake', { afterMs: 1_500 }, asked);
    await asleep(troupe, ref.id);
    await eventually(() => awake(troupe, ref.id), 'its timer wakes it');
    await eventually(async () => (await troupe.agents.ask(ref.id, 'rings', null, asked)) === 1);
  });

  test('an agent without that option never sleeps, nor one whose spawn says 0', async () => {
    const refs = [await troupe.agents.spawn('keeper'), await troupe.agents.spawn('keeper', { passivateAfterMs: 0 })];
    const sleeper = await troupe.agents.spawn('keeper', SOON);
    await asleep(troupe, sleeper.id);
    for (const { id } of refs) expect(await awake(troupe, id)).toBe(true);
  });

  test('what is told while it falls asleep and wakes up is in its mailbox once, in the order of each sender', async () => {
    const receiver = await troupe.agents.spawn('listener', { passivateAfterMs: 1 });
    const sender: AgentRef = await troupe.agents.spawn('listener');
    const delivered: string[] = [];
    for (let n = 0; n < 12; n++) {
      // Some hit it asleep, some awake, and some on its way out, which is half a second to a second after the last.
      if (n % 4 === 3) await asleep(troupe, receiver.id);
      else if (n % 4 > 0) await pause(450 + n * 45);
      const outside = troupe.agents.tell(receiver.id, 'news', `out-${n}`);
      const inside = troupe.agents.ask(
        sender.id,
        'do',
        { what: 'tell', args: [receiver.id, 'news', `in-${n}`] },
        asked,
      );
      expect((await outside).outcome).toBe('delivered');
      await inside;
      delivered.push(`out-${n}`, `in-${n}`);
    }
    const heard = await eventually(async () => {
      const { heard: all } = (await troupe.agents.ask(receiver.id, 'memory', null, asked)) as {
        heard: { body: string }[];
      };
      return all.length >= delivered.length && all.map(({ body }) => body);
    });
    for (const way of ['out', 'in']) {
      expect(heard.filter((body) => body.startsWith(way))).toEqual(delivered.filter((body) => body.startsWith(way)));
    }
  });
});
