import { describe, expect, it } from 'vitest';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { MemoryWorld } from '../kit/memory-workflow-store.ts';
import { endTask, settled, type WorkflowNode, workflowNode } from '../kit/workflow-node.ts';
import { booking, chain, diamond, fanOut, researchReport, step } from '../kit/workflows.ts';

async function opened(options: Parameters<typeof workflowNode>[1] = {}) {
  const world = new MemoryWorld();
  const node = workflowNode(world, options);
  await node.service.open();
  return { world, node };
}

/** Ends open tasks one by one until there is none. */
async function work(world: MemoryWorld, node: WorkflowNode, outcome?: Parameters<typeof endTask>[3]) {
  await settled();
  while (endTask(world, node, undefined, outcome)) await settled();
}

async function run(body: CreateWorkflow, outcome?: Parameters<typeof endTask>[3]) {
  const { world, node } = await opened();
  const { id } = await node.service.create(body);
  await node.service.start(id);
  await work(world, node, outcome);
  return { world, node, id, view: await node.service.get(id) };
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );

describe('creating a workflow', () => {
  it('answers it as created, with its steps blocked', async () => {
    const { node } = await opened();
    const view = await node.service.create(researchReport);
    expect(view).toMatchObject({
      status: 'created',
      pattern: 'sequential',
      progress: { done: 0, total: 3 },
      stopReason: null,
    });
    expect(view.tasks.map((task) => [task.id, task.state])).toEqual([
      ['research', 'blocked'],
      ['analysis', 'blocked'],
      ['report', 'blocked'],
    ]);
  });

  it.each([
    ['an unknown pattern', { pattern: 'mystery' }, 'unknown_pattern', { known: ['parallel', 'sequential'] }],
    [
      'a cycle',
      { tasks: [step('a', ['c']), step('b', ['a']), step('c', ['b'])] },
      'workflow_cycle',
      { cycle: ['a', 'b', 'c', 'a'] },
    ],
    ['a dangling dependency', { tasks: [step('a', ['x'])] }, 'workflow_invalid', { path: 'tasks[0].dependsOn[0]' }],
    [
      'a bad field',
      { tasks: [{ ...step('a'), capability: 'X' }] },
      'workflow_invalid',
      { path: 'tasks[0].capability' },
    ],
    [
      'a bad option',
      { pattern: 'parallel', tasks: [step('a')], options: { join: 'some' } },
      'workflow_invalid',
      { path: 'options.join' },
    ],
    [
      'an option nobody has',
      { tasks: [step('a')], options: { fast: true } },
      'workflow_invalid',
      { path: 'options.fast' },
    ],
    [
      'a capability nobody has',
      { tasks: [step('a', [], { capability: 'unknown.thing' })] },
      'workflow_invalid',
      { path: 'tasks[0].capability' },
    ],
    [
      'a zero character',
      { tasks: [step('a', [], { input: { text: 'a\0b' } })] },
      'workflow_invalid',
      { path: 'tasks[0].input.text' },
    ],
  ])('refuses %s, naming the place', async (_, body, code, details) => {
    const { world, node } = await opened();
    const error = await node.service.create(body as CreateWorkflow).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({ code, details });
    expect(world.runs.size).toBe(0);
  });

  it('answers the same workflow for the same key, and refuses another body under it', async () => {
    const { node } = await opened();
    const call = { tenant: 'default', idempotencyKey: 'k' };
    const first = await node.service.create(diamond, call);
    expect((await node.service.create({ ...diamond }, call)).id).toBe(first.id);
    expect(await codeOf(node.service.create(chain(2), call))).toBe('idempotency_mismatch');
  });

  it('is refused while the node drains', async () => {
    const { node } = await opened();
    node.draining = true;
    expect(await codeOf(node.service.create(diamond))).toBe('draining');
  });
});

describe('running a workflow', () => {
  it('hands each result on and ends with the output', async () => {
    const { world, view } = await run(researchReport, (name) => ({ result: { documents: [`from ${name}`] } }));
    expect(view).toMatchObject({ status: 'completed', stopReason: 'all_done', progress: { done: 3, total: 3 } });
    expect(view.output).toEqual({
      research: { documents: ['from research'] },
      analysis: { documents: ['from analysis'] },
      report: { documents: ['from report'] },
      sink: { documents: ['from report'] },
    });
    const inputs = [...world.tasks.values()].map(({ task }) => task.input);
    expect(inputs).toEqual([
      { query: 'actors' },
      { found: ['from research'] },
      { facts: { documents: ['from analysis'] }, sources: ['from research'] },
    ]);
    expect(view.metrics).toMatchObject({ criticalPath: ['research', 'analysis', 'report'] });
    expect(view.tasks.every((task) => task.state === 'completed' && task.attempts === 1 && task.taskId)).toBe(true);
  });

  it('refuses a second start, a start of nothing, and reads across tenants', async () => {
    const { node } = await opened();
    const { id } = await node.service.create(diamond);
    await node.service.start(id);
    await expect(node.service.start(id)).rejects.toMatchObject({
      code: 'workflow_state',
      details: { status: 'running' },
    });
    expect(await codeOf(node.service.start('wfl_01h455vb4pex5vsknk084sn02q'))).toBe('workflow_not_found');
    expect(await codeOf(node.service.get(id, { tenant: 'other' }))).toBe('workflow_not_found');
  });

  it('takes the lease with the insert while there is a free slot, and hints at the queue otherwise', async () => {
    const { node } = await opened({ slots: 2 });
    const { id } = await node.service.create(fanOut(3));
    await node.service.start(id);
    await settled();
    expect(node.claimed.map((task) => task.stepKey)).toEqual(['t0', 't1']);
    expect(node.bus.hints).toContainEqual({ type: 'queue', queue: 'probe.run@1' });
  });

  it('spends two commits on the start and one per step', async () => {
    const { world } = await run(chain(3));
    // create, start, started -> t0, t0 -> t1, t1 -> t2, t2 -> end
    expect(world.commits).toBe(6);
  });

  it('decides one batch at a time, however many steps end meanwhile', async () => {
    const { world, node } = await opened();
    const { id } = await node.service.create(fanOut(60));
    await node.service.start(id);
    await settled();
    while (endTask(world, node)) await new Promise((resolve) => setImmediate(resolve));
    await settled();
    expect((await node.service.get(id)).status).toBe('completed');
    expect(node.tree).not.toContain('run detached');
  });

  it('shows the supervision tree every step that is in flight', async () => {
    const { node } = await run(chain(2));
    expect(node.tree).toEqual([
      'run started',
      'start t0/0',
      'completed t0/0',
      'start t1/0',
      'completed t1/0',
      'run ended',
    ]);
  });

  it('publishes step ends and one end, numbered without a gap', async () => {
    const { node, id } = await run(chain(2));
    const stored = node.feed.events.filter((event) => event.stream === id && event.seq !== null);
    expect(stored.map((event) => event.type)).toEqual(['workflow.step', 'workflow.step', 'workflow.ended']);
    expect(stored.map((event) => event.seq)).toEqual([1, 2, 3]);
  });

  it('fails a step whose capability no longer exists, as an event of the journal', async () => {
    const { world, node } = await opened();
    const { id } = await node.service.create({ tasks: [step('a'), step('b', ['a'], { capability: 'late.gone' })] });
    const run = world.runs.get(id as never);
    if (run) run.row.spec.tasks[1] = { ...step('b', ['a'], { capability: 'unknown.now' }), dependsOn: ['a'] } as never;
    const hash = await import('../../runtime/workflows/definition.ts');
    if (run) run.row = { ...run.row, defHash: hash.hashOf({ pattern: 'sequential', revision: 1, spec: run.row.spec }) };
    await node.service.start(id);
    await work(world, node);
    expect(await node.service.get(id)).toMatchObject({
      status: 'failed',
      stopReason: 'step_failed',
      error: { code: 'unknown_capability' },
    });
    expect(world.runs.get(id as never)?.journal.map((event) => event.type)).toEqual([
      'started',
      'step.completed',
      'step.failed',
    ]);
  });

  it('undoes what had finished when a later step fails', async () => {
    const outcome = (name: string) => (name === 'payment' ? { fails: 'no money' } : { result: { id: `${name}-1` } });
    const { world, view } = await run(booking, outcome);
    expect(view).toMatchObject({ status: 'failed', stopReason: 'compensated', error: { message: 'no money' } });
    const undone = [...world.tasks.values()].filter(({ task }) => task.workflow?.step.endsWith(':undo'));
    expect(undone.map(({ task }) => [task.capability, task.input])).toEqual([
      ['hotel.cancel', { booking: 'hotel-1' }],
      ['flight.cancel', { booking: 'flight-1' }],
    ]);
    expect(view.tasks.filter((task) => task.id.endsWith(':undo')).map((task) => task.state)).toEqual([
      'completed',
      'completed',
    ]);
  });

  it('writes its whole state a few times only, however long it runs', async () => {
    const { world, view } = await run(chain(400), () => ({ result: 'x'.repeat(1_000) }));
    expect(view.status).toBe('completed');
    const outputBytes = 400 * 1_000;
    expect(world.snapshotBytes).toBeLessThan(4 * outputBytes);
  });

  it('lists by status and pattern', async () => {
    const { node, id } = await run(chain(1));
    await node.service.create(diamond);
    const done = await node.service.list({ status: 'completed' });
    expect(done.items.map((item) => item.id)).toEqual([id]);
    expect((await node.service.list({ pattern: 'parallel' })).items).toHaveLength(1);
  });

  it('keeps the decisions', async () => {
    const { node, id } = await run(diamond);
    const decisions = await node.service.decisions(id, {});
    expect(decisions.map((one) => one.kind)).toEqual(['join', 'stop']);
    expect(await node.service.decisions(id, { after: 1 })).toHaveLength(1);
  });
});

describe('cancelling a workflow', () => {
  it('reaches every step in flight and stops their code', async () => {
    const { world, node } = await opened({ slots: 2 });
    const { id } = await node.service.create(fanOut(3));
    await node.service.start(id);
    await settled();
    const view = await node.service.cancel(id);
    expect(view).toMatchObject({ status: 'cancelled', stopReason: 'cancelled' });
    expect(view.tasks.map((task) => task.state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect([...world.tasks.values()].map((task) => task.state)).toEqual(['cancelled', 'cancelled', 'cancelled']);
    expect(node.stopped.map((claim) => claim.taskId).sort()).toEqual(node.claimed.map((task) => task.taskId).sort());
    expect((await node.service.cancel(id)).status).toBe('cancelled');
  });

  it('ends one that never started without running anything', async () => {
    const { world, node } = await opened();
    const { id } = await node.service.create(diamond);
    expect(await node.service.cancel(id)).toMatchObject({ status: 'cancelled' });
    expect(world.tasks.size).toBe(0);
  });

  it('is refused once the run has ended otherwise', async () => {
    const { node, id } = await run(chain(1));
    await expect(node.service.cancel(id)).rejects.toMatchObject({
      code: 'workflow_state',
      details: { status: 'completed' },
    });
  });
});

describe('waiting for a workflow', () => {
  it('answers at the end, and leaves no listener behind', async () => {
    const { world, node } = await opened();
    const before = node.feed.listeners;
    const { id } = await node.service.create(chain(2));
    await node.service.start(id);
    const waiting = node.service.wait(id, { timeoutMs: 60_000 });
    await work(world, node);
    expect((await waiting).status).toBe('completed');
    expect(node.feed.listeners).toBe(before);
  });

  it('answers the run as it is when the time is over', async () => {
    const { node } = await opened();
    const { id } = await node.service.create(chain(2));
    await node.service.start(id);
    const waiting = node.service.wait(id, { timeoutMs: 1_500 });
    for (let turn = 0; turn < 4; turn++) {
      await settled();
      node.ambient.clock.advance(500);
    }
    expect((await waiting).status).toBe('running');
  });
});
