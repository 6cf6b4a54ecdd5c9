// Coordinators on the real stores: PGlite and PostgreSQL run the same cases.

import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, describe, expect, it } from 'vitest';
import { isTerminalTask } from '../../runtime/contracts/task.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { eventually } from '../kit/eventually.ts';
import { freshDatabase } from '../kit/services.ts';
import { StoreNode, type StoreNodeOptions, type Work } from '../kit/store-node.ts';
import { booking, chain, diamond, fanOut, step } from '../kit/workflows.ts';

const cleanups: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

async function opened(options: StoreNodeOptions): Promise<StoreNode> {
  const node = await StoreNode.open(options);
  cleanups.push(() => node.close().catch(() => {}));
  return node;
}

/** PGlite takes seconds to come up: its cases share one node, each with work of its own. */
let embedded: Promise<StoreNode> | undefined;
afterAll(async () => (await embedded)?.close());

const PLACES: [string, (work?: Work) => Promise<StoreNode>][] = [
  [
    'PGlite',
    async (work = () => ({ result: {} })) => {
      embedded ??= StoreNode.open();
      const node = await embedded;
      node.work = work;
      node.started.length = 0;
      node.stopped.length = 0;
      return node;
    },
  ],
  ['PostgreSQL', async (work) => opened({ databaseUrl: await freshDatabase(), ...(work ? { work } : {}) })],
];

const waited = { timeoutMs: 30_000 };

async function ran(node: StoreNode, body: CreateWorkflow) {
  const { id } = await node.service.create(body);
  await node.service.start(id);
  return node.service.wait(id, waited);
}

describe.each(PLACES)('workflows on %s', (_, nodeFor) => {
  it('hands results on, in order, and keeps journal, decisions and metrics', async () => {
    const node = await nodeFor((task) => ({
      result: { from: task.stepKey, documents: [{ title: `${task.stepKey}'s` }] },
    }));
    const view = await ran(node, {
      tasks: [
        step('research'),
        step('analysis', ['research'], { input: { title: { $from: 'research.documents.0.title' } } }),
        step('report', [], { input: { facts: { $from: 'analysis.from' } } }),
      ],
    });
    expect(view).toMatchObject({ status: 'completed', stopReason: 'all_done', progress: { done: 3, total: 3 } });
    expect(node.started).toEqual(['research', 'analysis', 'report']);
    const inputs = (await node.store.tasks.byWorkflow(view.id)).map((task) => [task.stepKey, task.input]);
    expect(Object.fromEntries(inputs)).toEqual({
      research: {},
      analysis: { title: "research's" },
      report: { facts: 'analysis' },
    });
    expect((await node.store.workflows.journal(view.id)).map((event) => event.type)).toEqual([
      'started',
      'step.completed',
      'step.completed',
      'step.completed',
    ]);
    expect((await node.service.decisions(view.id, {})).map((one) => one.kind)).toEqual(['schedule', 'join', 'stop']);
    expect(view.metrics?.criticalPath).toEqual(['research', 'analysis', 'report']);
    expect(view.tasks.map((task) => [task.state, task.attempts])).toEqual(Array(3).fill(['completed', 1]));
    const events = await node.store.events.read(view.id, 'default', 0, 100);
    expect(events.map((event) => event.type)).toEqual([
      'workflow.created',
      'workflow.started',
      'workflow.step',
      'workflow.step',
      'workflow.step',
      'workflow.ended',
    ]);
    expect(events.map((event) => event.seq)).toEqual([1, 2, 3, 4, 5, 6]);
  });

  it('cancels the losers of a race, whose code is stopped', async () => {
    const node = await nodeFor((task) => (task.stepKey === 't3' ? { result: 'first' } : undefined));
    const view = await ran(node, fanOut(10, { options: { join: 'race', maxConcurrency: 10 } }));
    expect(view).toMatchObject({
      status: 'completed',
      stopReason: 'join_satisfied',
      output: { t3: 'first', sink: 'first' },
    });
    const states = (await node.store.tasks.byWorkflow(view.id)).map((task) => task.status);
    expect(states.filter((state) => state === 'cancelled')).toHaveLength(9);
    expect(node.stopped.length).toBeGreaterThan(0);
  });

  it('undoes in reverse order', async () => {
    const node = await nodeFor((task) =>
      task.stepKey === 'payment' ? { fails: 'no money' } : { result: { id: task.stepKey } },
    );
    const view = await ran(node, booking);
    expect(view).toMatchObject({ status: 'failed', stopReason: 'compensated', error: { message: 'no money' } });
    expect(node.started).toEqual(['flight', 'hotel', 'insurance', 'payment', 'hotel:undo', 'flight:undo']);
  });

  it('ends at its deadline', async () => {
    const node = await nodeFor(() => undefined);
    const { id } = await node.service.create({ ...diamond, deadlineMs: 50 });
    await node.service.start(id);
    const until = Date.now() + 10_000;
    for (;;) {
      for (const due of await node.store.workflows.fireTimers())
        node.bus.publish({ type: 'workflow', workflowId: due });
      const view = await node.service.wait(id, { timeoutMs: 50 });
      if (view.status === 'running' && Date.now() < until) continue;
      expect(view).toMatchObject({ status: 'failed', stopReason: 'deadline', error: { code: 'deadline_exceeded' } });
      break;
    }
    expect((await node.store.tasks.byWorkflow(id)).every((task) => isTerminalTask(task.status))).toBe(true);
  });

  it('cancels a run with everything it has open', async () => {
    const node = await nodeFor(() => undefined);
    const { id } = await node.service.create(fanOut(5));
    await node.service.start(id);
    const view = await node.service.cancel(id);
    expect(view.status).toBe('cancelled');
    expect((await node.store.tasks.byWorkflow(id)).every((task) => task.status === 'cancelled')).toBe(true);
    expect((await node.service.cancel(id)).status).toBe('cancelled');
  });

  it('runs 300 chains of three steps at once, each step once', async () => {
    const node = await nodeFor();
    const views = await Promise.all(Array.from({ length: 300 }, () => ran(node, chain(3))));
    expect(views.every((view) => view.status === 'completed')).toBe(true);
    expect(node.started).toHaveLength(900);
  });

  it('stores the output of a graph of 200 steps', async () => {
    const node = await nodeFor((task) => ({ result: task.stepKey }));
    const view = await ran(node, fanOut(200, { options: { maxConcurrency: 20 } }));
    expect(view).toMatchObject({ status: 'completed', progress: { done: 200, total: 200 } });
    expect(Object.keys(view.output as object)).toHaveLength(201);
  });
});

describe('a node that dies', () => {
  /** Kills the first node after ten of twenty steps; the second goes on. */
  async function halfway(first: StoreNodeOptions, second: () => Promise<StoreNodeOptions>) {
    let ends = 10;
    const node = await StoreNode.open({ ...first, work: () => (ends-- > 0 ? { result: 1 } : undefined) });
    const { id } = await node.service.create(chain(20));
    await node.service.start(id);
    const until = Date.now() + 20_000;
    while (node.started.length < 11 && Date.now() < until) await node.service.wait(id, { timeoutMs: 20 });
    await node.kill();
    const heir = await opened(await second());
    const view = await heir.service.wait(id, waited);
    return { first: node, heir, view };
  }

  function check({ first, heir, view }: Awaited<ReturnType<typeof halfway>>) {
    expect(view).toMatchObject({ status: 'completed', progress: { done: 20, total: 20 } });
    expect(first.started).toEqual(Array.from({ length: 11 }, (_, index) => `t${index}`));
    // only the step in flight runs again
    expect(heir.started).toEqual(Array.from({ length: 10 }, (_, index) => `t${index + 10}`));
  }

  it('leaves a folder from which the next one goes on, repeating only the step in flight', async () => {
    const dataDir = await mkdtemp(join(tmpdir(), 'troupe-workflows-'));
    cleanups.push(() => rm(dataDir, { recursive: true, force: true }));
    check(await halfway({ dataDir }, async () => ({ dataDir, reclaimAll: true })));
  });

  it('loses its runs to another node once its lease is over', async () => {
    const databaseUrl = await freshDatabase();
    const watcher = await opened({ databaseUrl, queues: [] });
    await watcher.service.close();
    const sweptThenOpened = async () => {
      const swept = async () => (await watcher.store.leases.sweep({ poisonAfter: 3 })).workflows > 0;
      await eventually(swept, 'the runs of the lost node to be swept');
      return { databaseUrl, bus: watcher.bus };
    };
    check(await halfway({ databaseUrl, leaseMs: 1_000 }, sweptThenOpened));
  });
});
