// What the coordinator does for every pattern: runs inside runs, people, budgets, pauses, order, calls for bids, forks.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type { Candidate, CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import type { WorkflowId } from '../../runtime/contracts/ids.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { strategiesByName } from '../../runtime/workflows/definition.ts';
import { recover } from '../../runtime/workflows/recovery.ts';
import { MemoryWorld } from '../kit/memory-workflow-store.ts';
import { endTask, LocalBus, STRATEGIES, settled, type WorkflowNode, workflowNode } from '../kit/workflow-node.ts';
import { step } from '../kit/workflows.ts';

type Outcome = Parameters<typeof endTask>[3];

async function opened(options: Parameters<typeof workflowNode>[1] = {}) {
  const world = new MemoryWorld();
  const node = workflowNode(world, options);
  await node.service.open();
  return { world, node };
}

async function work(world: MemoryWorld, node: WorkflowNode, outcome?: Outcome): Promise<void> {
  await settled();
  while (endTask(world, node, undefined, outcome)) await settled();
}

async function begin(body: CreateWorkflow, options: Parameters<typeof workflowNode>[1] = {}) {
  const { world, node } = await opened(options);
  const { id } = await node.service.create(body, undefined, { start: true });
  await settled();
  return { world, node, id };
}

/** Lets time pass and fires what became due. */
async function pass(world: MemoryWorld, node: WorkflowNode, ms: number): Promise<void> {
  world.nowMs += ms;
  for (const id of await world.store(node.id).fireTimers()) node.bus.publish({ type: 'workflow', workflowId: id });
  await settled();
}

const codeOf = (done: Promise<unknown>): Promise<string> =>
  done.then(
    () => 'no error',
    (error: { code: string }) => error.code,
  );

const inner: CreateWorkflow = {
  pattern: 'sequential',
  tasks: [step('x', [], { input: { got: { $input: 'q' } } }), step('y', ['x'])],
};
const nested = (more: Partial<CreateWorkflow> = {}): CreateWorkflow => ({
  pattern: 'sequential',
  tasks: [
    step('a'),
    { id: 'sub', workflow: inner as Record<string, unknown>, input: { q: { $from: 'a.step' } }, dependsOn: ['a'] },
    step('b', ['sub'], { input: { seen: { $from: 'sub.y.step' } } }),
  ],
  ...more,
});

describe('a run inside a run', () => {
  it('is a step like any other: its input comes from before, its output goes on', async () => {
    const { world, node, id } = await begin(nested());
    await work(world, node);
    const view = await node.service.get(id);
    expect(view).toMatchObject({ status: 'completed', stopReason: 'all_done' });
    const sub = view.tasks.find((task) => task.id === 'sub');
    expect(sub?.workflowId).toMatch(/^wfl_/);
    const child = await node.service.get(sub?.workflowId ?? '');
    expect(child).toMatchObject({ status: 'completed', parent: { workflowId: id, step: 'sub', round: 0 } });
    const inputs = [...world.tasks.values()].map(({ task }) => [task.workflow?.step, task.input]);
    expect(inputs).toContainEqual(['x', { got: 'a' }]);
    expect(inputs).toContainEqual(['b', { seen: 'y' }]);
  });

  it('is not among the runs of a list unless its parent is named', async () => {
    const { world, node, id } = await begin(nested());
    await work(world, node);
    expect((await node.service.list({})).items.map((run) => run.id)).toEqual([id]);
    expect((await node.service.list({ parent: id })).items).toHaveLength(1);
  });

  it('that fails, fails its step with the reason', async () => {
    const { world, node, id } = await begin(nested());
    await work(world, node, (name) => (name === 'y' ? { fails: 'no' } : { result: { step: name } }));
    const view = await node.service.get(id);
    expect(view).toMatchObject({ status: 'failed', error: { code: 'child_failed' } });
  });

  it('is cancelled with the run around it', async () => {
    const { world, node, id } = await begin(nested());
    endTask(world, node);
    await settled();
    const child = (await node.service.list({ parent: id })).items[0];
    expect(child?.status).toBe('running');
    await node.service.cancel(id);
    await settled(20);
    expect((await node.service.get(child?.id ?? '')).status).toBe('cancelled');
    expect([...world.tasks.values()].filter(({ state }) => state === 'queued' || state === 'running')).toEqual([]);
  });

  it('goes on with its parent on the node that takes both over', async () => {
    const bus = new LocalBus();
    const { world, node, id } = await begin(nested(), { bus });
    endTask(world, node);
    await settled();
    node.kill();
    world.lose(node.id);
    const heir = workflowNode(world, { bus });
    await heir.service.open();
    await work(world, heir);
    expect((await heir.service.get(id)).status).toBe('completed');
    expect(world.tasks.size).toBe(4);
  });

  it('is refused at creation with the place inside it', async () => {
    const { node } = await opened();
    const broken = { ...inner, tasks: [step('x', ['nobody'])] };
    const failure = await node.service
      .create({ tasks: [{ id: 'sub', workflow: broken as Record<string, unknown> }] })
      .catch((error: unknown) => error);
    expect(failure).toMatchObject({
      code: 'workflow_invalid',
      details: { path: 'tasks[0].workflow.tasks[0].dependsOn[0]' },
    });
  });

  it('is not started below the depth of the budget', async () => {
    const { world, node, id } = await begin(nested({ budget: { depth: 0 } }));
    await work(world, node);
    expect(await node.service.get(id)).toMatchObject({ status: 'failed', error: { code: 'budget_exceeded' } });
  });
});

describe('a person', () => {
  const approval: CreateWorkflow = {
    tasks: [
      step('a'),
      { id: 'ok', approval: { prompt: 'Go on?', expiresMs: 1_000 }, dependsOn: ['a'] },
      step('b', ['ok']),
    ],
  };

  it('approves, and the run goes on with what was said', async () => {
    const { world, node, id } = await begin(approval);
    await work(world, node);
    expect((await node.service.get(id)).tasks[1]).toMatchObject({ id: 'ok', state: 'waiting' });
    const [asked] = await node.service.inputs({ workflowId: id, state: 'open' });
    expect(asked).toMatchObject({ step: 'ok', kind: 'approval', prompt: 'Go on?' });
    await node.service.answer(id, 'ok', { approved: true, comment: 'fine' }, { tenant: 'default', subject: 'ann' });
    await work(world, node);
    const view = await node.service.get(id);
    expect(view).toMatchObject({ status: 'completed', output: { ok: { approved: true, comment: 'fine' } } });
    expect(await node.service.inputs({ workflowId: id })).toMatchObject([{ state: 'answered', answeredBy: 'ann' }]);
    expect(await codeOf(node.service.answer(id, 'ok', { approved: true }))).toBe('input_closed');
  });

  it('refuses, and the step has failed', async () => {
    const { world, node, id } = await begin(approval);
    await work(world, node);
    await node.service.answer(id, 'ok', { approved: false, comment: 'too dear' });
    await work(world, node);
    expect(await node.service.get(id)).toMatchObject({
      status: 'failed',
      error: { code: 'rejected', message: 'a person said no: too dear' },
    });
  });

  it('does not answer in time', async () => {
    const { world, node, id } = await begin(approval);
    await work(world, node);
    await pass(world, node, 999);
    expect((await node.service.get(id)).status).toBe('running');
    await pass(world, node, 2);
    expect(await node.service.get(id)).toMatchObject({ status: 'failed', error: { code: 'input_expired' } });
    expect(await codeOf(node.service.answer(id, 'ok', { approved: true }))).toBe('input_closed');
  });

  it('gives a value that must fit what was asked', async () => {
    const schema = { type: 'object', properties: { n: { type: 'integer' } }, required: ['n'] };
    const { world, node, id } = await begin({ tasks: [{ id: 'how', ask: { prompt: 'How many?', schema } }] });
    expect(await codeOf(node.service.answer(id, 'how', { value: { n: 'many' } }))).toBe('invalid_input');
    expect(await codeOf(node.service.answer(id, 'how', { approved: true }))).toBe('invalid_input');
    expect(await codeOf(node.service.answer(id, 'who', { value: 1 }))).toBe('input_not_found');
    await node.service.answer(id, 'how', { value: { n: 3 } });
    await work(world, node);
    expect(await node.service.get(id)).toMatchObject({ status: 'completed', output: { how: { n: 3 } } });
  });

  it('sees what a run below asks on the run at the top', async () => {
    const { node, id } = await begin({
      tasks: [{ id: 'sub', workflow: { tasks: [{ id: 'q', ask: { prompt: '?' } }] } }],
    });
    const [asked] = await node.service.inputs({ workflowId: id, state: 'open' });
    expect(asked).toMatchObject({ step: 'q', rootId: id });
    await node.service.answer(asked?.workflowId ?? '', 'q', { value: 1 });
    await settled(20);
    expect(await node.service.get(id)).toMatchObject({ status: 'completed', output: { sub: { q: 1 } } });
  });

  it('is no longer asked once the run has ended', async () => {
    const { node, id } = await begin(approval);
    await node.service.cancel(id);
    expect(await node.service.inputs({ workflowId: id, state: 'open' })).toEqual([]);
  });
});

describe('a budget', () => {
  const four = (budget: CreateWorkflow['budget'], more: Partial<CreateWorkflow> = {}): CreateWorkflow => ({
    pattern: 'parallel',
    tasks: ['a', 'b', 'c', 'd'].map((name) => step(name)),
    ...(budget ? { budget } : {}),
    ...more,
  });

  it('of calls is never exceeded, and its end says so', async () => {
    const { world, node, id } = await begin(four({ calls: 3 }));
    await work(world, node);
    expect(await node.service.get(id)).toMatchObject({
      status: 'failed',
      stopReason: 'budget',
      error: { code: 'budget_exceeded', details: { measure: 'calls' } },
      budget: { limits: { calls: 3 } },
    });
    expect(world.tasks.size).toBeLessThanOrEqual(3);
  });

  it('makes steps wait for what others have reserved, and starts them when less was used', async () => {
    const { world, node, id } = await begin(four({ tokens: 100, perStep: { tokens: 50 } }));
    expect(world.tasks.size).toBe(2);
    expect((await node.service.get(id)).budget).toMatchObject({ reserved: { tokens: 100 }, used: {} });
    await work(world, node);
    expect(world.tasks.size).toBe(4);
    expect((await node.service.get(id)).status).toBe('completed');
  });

  it('that degrades keeps what is done and ends partial', async () => {
    const { world, node, id } = await begin(
      four({ calls: 2, onBreach: 'degrade' }, { options: { maxConcurrency: 2 } }),
    );
    await work(world, node);
    const view = await node.service.get(id);
    expect(view).toMatchObject({ status: 'partial', stopReason: 'budget' });
    expect(view.tasks.filter((task) => task.state === 'completed')).toHaveLength(2);
  });

  it('that degrades ends the run though the last step in flight was cancelled by its strategy', async () => {
    // Cancels its step by a timer and would go on with another, which the budget keeps back.
    const impatient: CoordinationStrategy<unknown, { round: number }> = {
      name: 'impatient',
      options: z.unknown(),
      check: () => null,
      start: () => ({
        state: { round: 0 },
        commands: [
          { type: 'schedule', step: 'a', round: 0, task: { capability: 'probe.run' } },
          { type: 'schedule', step: 'b', round: 0, task: { capability: 'probe.run' } },
          { type: 'timer', key: 'late', afterMs: 100 },
        ],
        decisions: [],
      }),
      decide: (_workflow, _options, state, event) => {
        if (event.type === 'cancel')
          return {
            state,
            commands: [{ type: 'end', status: 'cancelled', stopReason: 'cancelled', output: state.round }],
            decisions: [],
          };
        if (event.type !== 'timer') return { state, commands: [], decisions: [] };
        return {
          state: { round: 1 },
          commands: [
            { type: 'cancel', step: 'a', round: 0, reason: 'late' },
            { type: 'schedule', step: 'a', round: 1, task: { capability: 'probe.run' } },
          ],
          decisions: [],
        };
      },
      steps: () => [],
    };
    const { world, node, id } = await begin(
      { pattern: 'impatient', budget: { calls: 1, wallMs: 50, onBreach: 'degrade' } },
      { strategies: [...STRATEGIES, impatient as unknown as CoordinationStrategy] },
    );
    await pass(world, node, 51);
    expect((await node.service.get(id)).status).toBe('running');
    await pass(world, node, 50);
    expect(await node.service.get(id)).toMatchObject({ status: 'partial', stopReason: 'budget', output: 1 });
  });

  it('that asks goes on with what a person grants, and ends when it is refused', async () => {
    const { world, node, id } = await begin(four({ calls: 2, onBreach: 'ask' }, { options: { maxConcurrency: 2 } }));
    await work(world, node);
    expect((await node.service.get(id)).status).toBe('running');
    await node.service.answer(id, '$budget', { value: { calls: 1 } });
    await work(world, node);
    expect(world.tasks.size).toBe(3);
    await node.service.answer(id, '$budget', { value: { calls: 5 } });
    await work(world, node);
    expect(await node.service.get(id)).toMatchObject({ status: 'completed' });
  });

  it('of time ends the run', async () => {
    const { world, node, id } = await begin(four({ wallMs: 500 }));
    await pass(world, node, 501);
    expect(await node.service.get(id)).toMatchObject({ status: 'failed', stopReason: 'budget' });
  });

  it('is shared with the runs below: they get what was reserved, and what they used counts', async () => {
    const sub = { pattern: 'parallel', tasks: ['x', 'y', 'z'].map((name) => step(name)) };
    const { world, node, id } = await begin({
      tasks: [{ id: 'sub', workflow: sub as Record<string, unknown> }, step('after', ['sub'])],
      budget: { calls: 3 },
    });
    await work(world, node);
    const view = await node.service.get(id);
    expect(view).toMatchObject({ status: 'failed', stopReason: 'budget', budget: { used: { calls: 3 } } });
    expect(world.tasks.size).toBe(3);
  });
});

describe('a pause', () => {
  it('lets what is in flight end and starts nothing until the resume', async () => {
    const { world, node, id } = await begin({ tasks: [step('a'), step('b', ['a'])] });
    expect((await node.service.pause(id)).status).toBe('paused');
    await work(world, node);
    expect(world.tasks.size).toBe(1);
    expect((await node.service.resume(id)).status).toBe('running');
    await work(world, node);
    expect((await node.service.get(id)).status).toBe('completed');
  });

  it('holds on the node that takes the run over, and reaches the runs below', async () => {
    const bus = new LocalBus();
    const { world, node, id } = await begin(nested(), { bus });
    endTask(world, node);
    await settled();
    await node.service.pause(id);
    const [child] = (await node.service.list({ parent: id })).items;
    await settled();
    expect((await node.service.get(child?.id ?? '')).status).toBe('paused');
    node.kill();
    world.lose(node.id);
    const heir = workflowNode(world, { bus });
    await heir.service.open();
    await work(world, heir);
    expect((await heir.service.get(id)).status).toBe('paused');
    await heir.service.resume(id);
    await work(world, heir);
    expect((await heir.service.get(id)).status).toBe('completed');
  });

  it('can be cancelled', async () => {
    const { node, id } = await begin({ tasks: [step('a')] });
    await node.service.pause(id);
    expect((await node.service.cancel(id)).status).toBe('cancelled');
    expect(await codeOf(node.service.resume(id))).toBe('workflow_state');
  });
});

describe('a fork', () => {
  const line: CreateWorkflow = { tasks: [step('a'), step('b', ['a']), step('c', ['b']), step('side', ['a'])] };

  it('takes over what came before the step and does the rest anew', async () => {
    const { world, node, id } = await begin(line);
    await work(world, node);
    const forked = await node.service.fork(id, { fromStep: 'b' });
    await work(world, node, (name) => ({ result: { step: name, again: true } }));
    const view = await node.service.get(forked.id);
    expect(view).toMatchObject({ status: 'completed', forkOf: { workflowId: id, fromStep: 'b' } });
    expect(view.output).toMatchObject({
      a: { step: 'a' },
      b: { again: true },
      c: { again: true },
      side: { step: 'side' },
    });
    expect([...world.tasks.values()].filter(({ task }) => task.workflow?.id === forked.id)).toHaveLength(2);
  });

  it('without a step does what had not completed', async () => {
    const { world, node, id } = await begin(line);
    await work(world, node, (name) => (name === 'c' ? { fails: 'no' } : { result: { step: name } }));
    const forked = await node.service.fork(id);
    await work(world, node);
    expect((await node.service.get(forked.id)).status).toBe('completed');
    const anew = [...world.tasks.values()].filter(({ task }) => task.workflow?.id === forked.id);
    expect(anew.map(({ task }) => task.workflow?.step).sort()).toEqual(['c', 'side']);
  });

  it('survives the node that began it', async () => {
    const bus = new LocalBus();
    const { world, node, id } = await begin(line, { bus });
    await work(world, node);
    const forked = await node.service.fork(id, { fromStep: 'c' });
    node.kill();
    world.lose(node.id);
    const heir = workflowNode(world, { bus });
    await heir.service.open();
    await work(world, heir);
    expect((await heir.service.get(forked.id)).status).toBe('completed');
    expect([...world.tasks.values()].filter(({ task }) => task.workflow?.id === forked.id)).toHaveLength(1);
  });

  it('of a step that never ran is refused', async () => {
    const { node, id } = await begin(line);
    expect(await codeOf(node.service.fork(id, { fromStep: 'zzz' }))).toBe('workflow_invalid');
  });
});

describe('a synchronous run', () => {
  it('takes outcomes in the order their steps were started', async () => {
    const body: CreateWorkflow = {
      pattern: 'parallel',
      tasks: ['a', 'b', 'c'].map((name) => step(name)),
      synchronous: true,
    };
    const { world, node, id } = await begin(body);
    for (let left = 3; left > 0; left--) {
      endTask(world, node, (count) => count - 1);
      await settled();
    }
    expect((await node.service.get(id)).status).toBe('completed');
    const journal = world.runs.get(id)?.journal ?? [];
    expect(journal.map((event) => ('step' in event ? event.step : event.type))).toEqual(['started', 'c', 'b', 'a']);
    const run = world.runs.get(id);
    if (!run) return expect.unreachable();
    const { memory } = recover(strategiesByName(STRATEGIES), run);
    expect(memory?.state).toMatchObject({ finished: [0, 1, 2] });
  });
});

describe('a call for bids', () => {
  /** Finds agents, calls them, ends with what they said when the timer closes the call or all have answered. */
  const caller: CoordinationStrategy<unknown, { bids: unknown[]; agents: number; over: boolean }> = {
    name: 'caller',
    options: z.unknown(),
    check: () => null,
    start: () => ({
      state: { bids: [], agents: 0, over: false },
      commands: [{ type: 'find', key: 'who', capability: 'probe.run' }],
      decisions: [],
    }),
    decide(_workflow, _options, state, event) {
      if (state.over) return { state, commands: [], decisions: [] };
      if (event.type === 'found') {
        const agents = event.agents.map(({ agentId }) => agentId);
        return {
          state: { ...state, agents: agents.length },
          commands: [
            { type: 'call', step: 'cfp', round: 0, capability: 'probe.run', input: {}, replyByMs: 100, agents },
            { type: 'timer', key: 'close', afterMs: 100 },
          ],
          decisions: [],
        };
      }
      const bids = event.type === 'bid' ? [...state.bids, [event.agentId, event.bid?.cost ?? null]] : state.bids;
      const over = event.type === 'timer' || bids.length === state.agents;
      return {
        state: { ...state, bids, over },
        commands: over
          ? [
              { type: 'close', step: 'cfp', round: 0 },
              { type: 'end', status: 'completed', stopReason: 'all_done', output: bids },
            ]
          : [],
        decisions: [],
      };
    },
    steps: () => [],
  };
  const strategies = [...STRATEGIES, caller as unknown as CoordinationStrategy];
  const agents: readonly Candidate[] = ['x', 'y', 'z'].map((agentId) => ({ agentId, name: null, load: 0 }));

  it('hears every agent once, refusals and failures too', async () => {
    const asked: string[] = [];
    const bidders = {
      offering: async () => agents,
      bid: async (agentId: string) => {
        asked.push(agentId);
        if (agentId === 'y') return null;
        if (agentId === 'z') throw Object.assign(new Error('gone'), { code: 'actor_not_found' });
        return { cost: 7 };
      },
    };
    const { node, id } = await begin({ pattern: 'caller' }, { strategies, bidders });
    await settled(20);
    const view = await node.service.get(id);
    expect(view).toMatchObject({ status: 'completed' });
    expect(view.output).toEqual(
      expect.arrayContaining([
        ['x', 7],
        ['y', null],
        ['z', null],
      ]),
    );
    expect(asked.sort()).toEqual(['x', 'y', 'z']);
  });

  it('asks again, after a crash, those whose bid was not heard', async () => {
    const bus = new LocalBus();
    const asked: string[] = [];
    const bidders = (silent: readonly string[]) => ({
      offering: async () => agents,
      bid: async (agentId: string) => {
        asked.push(agentId);
        if (silent.includes(agentId)) await new Promise(() => {});
        return { cost: 1 };
      },
    });
    const { world, node, id } = await begin({ pattern: 'caller' }, { strategies, bus, bidders: bidders(['y', 'z']) });
    await settled(20);
    expect((await node.service.get(id)).status).toBe('running');
    node.kill();
    world.lose(node.id);
    const heir = workflowNode(world, { bus, strategies, bidders: bidders([]) });
    await heir.service.open();
    await settled(20);
    expect((await heir.service.get(id)).status).toBe('completed');
    expect(asked.filter((agent) => agent === 'x')).toHaveLength(1);
    expect(asked.filter((agent) => agent === 'y')).toHaveLength(2);
  });

  it('is closed by the timer, and what comes later changes nothing', async () => {
    const late: (() => void)[] = [];
    const bidders = {
      offering: async () => agents,
      bid: (agentId: string) =>
        agentId === 'x'
          ? Promise.resolve({ cost: 3 })
          : new Promise<{ cost: number }>((resolve) => late.push(() => resolve({ cost: 1 }))),
    };
    const { world, node, id } = await begin({ pattern: 'caller' }, { strategies, bidders });
    await settled(20);
    await pass(world, node, 101);
    for (const answer of late) answer();
    await settled(20);
    expect(await node.service.get(id as WorkflowId)).toMatchObject({ status: 'completed', output: [['x', 3]] });
  });

  const slow = (answers: (() => void)[]) => ({
    offering: async () => agents,
    bid: (agentId: string) =>
      agentId === 'x'
        ? Promise.resolve({ cost: 3 })
        : new Promise<{ cost: number }>((resolve) => answers.push(() => resolve({ cost: 1 }))),
  });

  it('is closed as soon as its time is over, before any chore looks for timers', async () => {
    const { world, node, id } = await begin({ pattern: 'caller' }, { strategies, bidders: slow([]) });
    await settled(20);
    world.nowMs += 100;
    node.ambient.clock.advance(100);
    await settled(20);
    expect(await node.service.get(id as WorkflowId)).toMatchObject({ status: 'completed', output: [['x', 3]] });
  });

  it('is closed before a bid that comes after its time', async () => {
    const late: (() => void)[] = [];
    const { world, node, id } = await begin({ pattern: 'caller' }, { strategies, bidders: slow(late) });
    await settled(20);
    // the look at the time limit came too early by the clock of the store
    node.ambient.clock.advance(100);
    await settled(20);
    expect((await node.service.get(id as WorkflowId)).status).toBe('running');
    world.nowMs += 101;
    for (const answer of late) answer();
    await settled(20);
    expect(await node.service.get(id as WorkflowId)).toMatchObject({ status: 'completed', output: [['x', 3]] });
  });
});

describe('mail that comes without being read', () => {
  const two: CreateWorkflow = { pattern: 'parallel', tasks: [step('a'), step('b'), step('c', ['a', 'b'])] };

  /** Ends a task as a commit of this node does: the mail is in the inbox, and is handed over. */
  function endHere(world: MemoryWorld, node: WorkflowNode, id: WorkflowId, name: string) {
    const entry = [...world.tasks.values()].find(({ task }) => task.workflow?.id === id && task.workflow.step === name);
    if (!entry) throw new Error(`no task ${name}`);
    world.claim(entry.task.id, node.id);
    world.settle(entry.task.id, entry.fence, { result: name });
    const event = world.runs.get(id)?.inbox.get(`task:${entry.task.id}`)?.event;
    if (!event) throw new Error('no mail');
    return node.service.deliver({ workflowId: id, eventId: `task:${entry.task.id}`, event });
  }

  it('is one decision when it comes together', async () => {
    const { world, node, id } = await begin(two);
    const commits = world.commits;
    expect(endHere(world, node, id as WorkflowId, 'a')).toBe(true);
    expect(endHere(world, node, id as WorkflowId, 'b')).toBe(true);
    await settled();
    expect(world.commits - commits).toBe(1);
    await work(world, node);
    expect((await node.service.get(id)).status).toBe('completed');
  });

  it('is taken once, though it is read at the same time', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const { world, node, id } = await begin(two);
      node.bus.publish({ type: 'workflow', workflowId: id });
      for (let turn = 0; turn < turns; turn++) await undefined;
      endHere(world, node, id as WorkflowId, 'a');
      node.bus.publish({ type: 'workflow', workflowId: id });
      endHere(world, node, id as WorkflowId, 'b');
      await settled(20);
      await work(world, node);
      expect((await node.service.get(id)).status).toBe('completed');
      const ends = world.runs.get(id as WorkflowId)?.journal.filter(({ type }) => type === 'step.completed');
      expect(ends).toHaveLength(3);
    }
  });

  it('of a run that is not here is refused, and found by its owner', async () => {
    const { world, node, id } = await begin(two);
    const other = workflowNode(world);
    await other.service.open();
    expect(endHere(world, other, id as WorkflowId, 'a')).toBe(false);
    node.bus.publish({ type: 'workflow', workflowId: id });
    await work(world, node);
    expect((await node.service.get(id)).status).toBe('completed');
  });
});

describe('a pattern that chooses another', () => {
  const chooser = {
    ...STRATEGIES[0],
    name: 'chooser',
    select: () => ({ pattern: 'parallel', rule: 'nothing depends on anything' }),
  } as unknown as CoordinationStrategy;

  it('leaves the choice in the run and its reason in the log', async () => {
    const { world, node, id } = await begin(
      { pattern: 'chooser', tasks: [step('a'), step('b')] },
      { strategies: [...STRATEGIES, chooser] },
    );
    await work(world, node);
    expect(await node.service.get(id)).toMatchObject({ status: 'completed', pattern: 'parallel' });
    expect((await node.service.decisions(id, {}))[0]).toMatchObject({
      kind: 'select',
      chosen: 'parallel',
      rule: 'nothing depends on anything',
    });
  });
});
