// Two nodes on one PostgreSQL: work of a node that goes silent is done by the other, and what the silent one says later is refused.

import { afterEach, describe, expect, test } from 'vitest';
import { createInProcessBus } from '../../runtime/bus/in-process-bus.ts';
import type { Bus } from '../../runtime/contracts/ports.ts';
import type { TaskOutcome } from '../../runtime/contracts/task.ts';
import { silentLogger } from '../kit/ambient.ts';
import { eventually } from '../kit/eventually.ts';
import { freshDatabase } from '../kit/services.ts';
import { done, type Handler, startTaskNode, type TaskNode, untilAborted } from '../kit/task-node.ts';

const CAPABILITY = 'work.a';
const LEASE_MS = 1_500;

const nodes: TaskNode[] = [];
afterEach(async () => {
  await Promise.all(nodes.splice(0).map((node) => node.stop()));
});

async function pair(handlers: readonly [Handler, Handler], bus?: Bus): Promise<readonly [TaskNode, TaskNode]> {
  const databaseUrl = await freshDatabase();
  const start = async (handler: Handler) => {
    const own = bus ? { bus } : {};
    const node = await startTaskNode({ databaseUrl, handler, leaseMs: LEASE_MS, capabilities: [CAPABILITY], ...own });
    nodes.push(node);
    return node;
  };
  // one after the other: the first one migrates
  const one = await start(handlers[0]);
  return [one, await start(handlers[1])];
}

async function submit(node: TaskNode, count: number, retry = { backoffMs: 0 }) {
  const answers = await node.service.submitMany(
    Array.from({ length: count }, (_, input) => ({ capability: CAPABILITY, input, retry })),
  );
  return answers.map((answer) => (answer.ok ? answer.task.id : expect.unreachable()));
}

describe('two nodes on one database', () => {
  test('share the work and run nothing twice', async () => {
    const ran: string[] = [];
    const handler: Handler = ({ task }) => {
      ran.push(task.taskId);
      return done();
    };
    const [one, two] = await pair([handler, handler]);
    const ids = await submit(one, 200);
    one.agent([CAPABILITY], 4);
    two.agent([CAPABILITY], 4);
    await Promise.all(ids.map((id) => one.service.wait(id, { timeoutMs: 60_000 })));
    expect([...ran].sort()).toEqual([...ids].sort());
    expect(one.dispatcher.counters().committed).toBeGreaterThan(0);
    expect(two.dispatcher.counters().committed).toBeGreaterThan(0);
  });

  test('the tasks of a node that goes silent finish on the other, and its late outcomes are refused', async () => {
    const finish: (() => void)[] = [];
    const [silent, other] = await pair([
      () =>
        new Promise<TaskOutcome>((resolve) => {
          finish.push(() => resolve(done('late')));
        }),
      () => done('in time'),
    ]);
    silent.agent([CAPABILITY], 5);
    const ids = await submit(silent, 5);
    await eventually(() => finish.length === 5, 'all run on the first node');
    other.agent([CAPABILITY], 5);
    await silent.hang();
    const ended = await Promise.all(ids.map((id) => other.service.wait(id, { timeoutMs: 60_000 })));
    expect(ended.map(({ status, result, attempt }) => [status, result, attempt])).toEqual(
      Array(5).fill(['completed', 'in time', 2]),
    );
    for (const late of finish) late();
    await eventually(() => silent.dispatcher.counters().fenced === 5, 'the late outcomes are refused');
    const after = await Promise.all(ids.map((id) => other.service.get(id)));
    expect(after.map(({ result }) => result)).toEqual(Array(5).fill('in time'));
    expect(after.map(({ attempts }) => attempts?.map(({ outcome }) => outcome))).toEqual(
      Array(5).fill(['lost', 'completed']),
    );
  });

  test('a node that comes back after its lease was swept learns it, aborts what runs and writes nothing', async () => {
    let aborted = 0;
    const [silent, other] = await pair([
      async ({ signal }) => {
        const outcome = await untilAborted(signal);
        aborted += 1;
        return outcome;
      },
      () => done(),
    ]);
    silent.agent([CAPABILITY], 3);
    const ids = await submit(silent, 3);
    await eventually(() => silent.dispatcher.running().length === 3, 'all run on the first node');
    other.agent([CAPABILITY], 3);
    await silent.hang();
    await Promise.all(ids.map((id) => other.service.wait(id, { timeoutMs: 60_000 })));
    expect(await silent.store.leases.renew()).toBe(false);
    await silent.dispatcher.loseLease();
    expect(aborted).toBe(3);
    expect(silent.dispatcher.counters()).toMatchObject({ committed: 0, fenced: 0 });
  });

  test('a drained node gives back what does not end, uncharged, and the other runs it', async () => {
    const [leaving, other] = await pair([({ signal }) => untilAborted(signal), () => done()]);
    leaving.agent([CAPABILITY], 2);
    const ids = await submit(leaving, 2);
    await eventually(() => leaving.dispatcher.running().length === 2, 'both run on the first node');
    other.agent([CAPABILITY], 2);
    expect([...(await leaving.dispatcher.drain(100))].sort()).toEqual([...ids].sort());
    const ended = await Promise.all(ids.map((id) => other.service.wait(id, { timeoutMs: 60_000 })));
    expect(ended.map(({ status, attempt }) => [status, attempt])).toEqual(Array(2).fill(['completed', 1]));
    await expect(leaving.service.submit({ capability: CAPABILITY })).rejects.toMatchObject({ code: 'draining' });
  });

  test.each<[string, (() => Bus) | undefined]>([
    ['by a hint', () => createInProcessBus({ log: silentLogger })],
    ['without any hint', undefined],
    ['over a bus that loses and repeats', () => unreliable()],
  ])('a cancel reaches the node that runs the task %s and tells how it went there', async (_name, bus) => {
    const [there, here] = await pair([({ signal }) => untilAborted(signal), () => done()], bus?.());
    there.agent([CAPABILITY]);
    const [id = ''] = await submit(there, 1);
    await eventually(() => there.dispatcher.running().length === 1, 'it runs');
    const report = await here.service.cancel(id, { graceMs: 5_000 });
    expect(report).toMatchObject({ id, outcome: 'cooperative', collateral: [] });
    expect(await here.service.cancel(id)).toEqual(report);
    await eventually(() => there.workforce.usage().taken === 0, 'its slot is free');
    expect((await here.service.get(id)).attempts?.map(({ outcome }) => outcome)).toEqual(['cancelled']);
  });

  test('a wait on one node hears of the end on the other, with and without hints', async () => {
    const [there, here] = await pair([() => done(1), () => done(2)]);
    const ids = await submit(here, 3);
    const waiting = ids.map((id) => here.service.wait(id, { timeoutMs: 60_000 }));
    there.agent([CAPABILITY]);
    expect((await Promise.all(waiting)).map(({ result }) => result)).toEqual([1, 1, 1]);
  });
});

function unreliable(): Bus {
  let message = 0;
  return createInProcessBus({ log: silentLogger, drop: () => message++ % 2 === 0, duplicate: () => true });
}
