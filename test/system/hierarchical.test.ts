// Hierarchies on a whole node: coordinators below coordinators, and a pattern of a user's own beside the shipped ones.

import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { defineStrategy, type Troupe } from '../../runtime/index.ts';
import { strategyConformance } from '../../runtime/testing/index.ts';
import { testTroupe } from '../kit/troupe.ts';

/** Asks again until somebody has answered often enough: a pattern that does not ship. */
const insist = defineStrategy({
  name: 'insist',
  options: z.strictObject({ times: z.number().int().min(1).max(10).default(3) }),
  check: ({ task }) => (task ? null : { code: 'workflow_invalid', path: 'task', message: 'what is to be done?' }),
  start: ({ task }, { times }) => ({
    state: { left: times, open: 0 as number | null, answers: [] as unknown[] },
    commands: [
      { type: 'schedule', step: 'ask', round: 0, task: { capability: task?.capability ?? '', input: task?.input } },
    ],
    decisions: [],
  }),
  decide: ({ task }, _options, state, event) => {
    const over = (
      status: 'completed' | 'failed' | 'cancelled',
      stopReason: 'all_done' | 'step_failed' | 'deadline' | 'cancelled',
    ) => ({
      state: { ...state, open: null },
      commands: [
        ...(stopReason === 'deadline' || stopReason === 'cancelled'
          ? [{ type: 'cancel', step: 'ask', round: state.open ?? 0, reason: stopReason } as const]
          : []),
        { type: 'end', status, stopReason, output: state.answers } as const,
      ],
      decisions: [],
    });
    if (state.open === null) return { state, commands: [], decisions: [] };
    if (event.type === 'cancel') return over('cancelled', 'cancelled');
    if (event.type === 'deadline') return over('failed', 'deadline');
    if (!('round' in event) || event.type === 'bid' || event.step !== 'ask' || event.round !== state.open)
      return { state, commands: [], decisions: [] };
    if (event.type === 'step.failed') return over('failed', 'step_failed');
    const answers = [...state.answers, event.output ?? null];
    if (state.left === 1) {
      const ended = over('completed', 'all_done');
      return {
        ...ended,
        state: { ...ended.state, answers },
        commands: [{ type: 'end', status: 'completed', stopReason: 'all_done', output: answers }],
      };
    }
    const round = state.open + 1;
    return {
      state: { left: state.left - 1, open: round, answers },
      commands: [
        { type: 'schedule', step: 'ask', round, task: { capability: task?.capability ?? '', input: task?.input } },
      ],
      decisions: [{ kind: 'round', rule: 'insist', chosen: `round ${round}` }],
    };
  },
  steps: ({ task }, _options, state) => [
    {
      id: 'ask',
      state: state === null ? 'blocked' : state.open === null ? 'completed' : 'queued',
      round: state?.open ?? 0,
      dependsOn: [],
      ...(task ? { capability: task.capability } : {}),
    },
  ],
});

let troupe: Troupe;
beforeAll(async () => {
  const delegator = fileURLToPath(new URL('../kit/actors/delegator.ts', import.meta.url));
  troupe = await testTroupe({ agentRoots: [delegator], strategies: [insist] });
  await troupe.agents.spawn('delegator', { name: 'boss' });
  await troupe.agents.spawn('probe', { name: 'asked' });
});
afterAll(() => troupe.stop());

it('a subtask with a goal is a run of its own one level below, whose result and plan come back', async () => {
  const run = await troupe.workflows.run({
    pattern: 'hierarchical',
    goal: 'to know it all',
    coordinator: { capability: 'plan.delegate' },
  });
  const view = await run.result();
  expect(view).toMatchObject({ status: 'completed', stopReason: 'plan_done' });
  expect(view.tasks.map(({ id, state }) => `${id} ${state}`)).toEqual([
    'plan completed',
    'own completed',
    'deeper completed',
  ]);
  const { result, plan } = view.output as { result: unknown; plan: { rounds: { tasks: Record<string, unknown>[] }[] } };
  expect(result).toEqual({ goal: 'to know it all', depth: 0, got: ['own completed', 'deeper completed'] });
  expect(plan.rounds[0]?.tasks[1]).toMatchObject({
    id: 'deeper',
    goal: 'to know it all, further down',
    result: { depth: 1, got: ['own completed'] },
    plan: { rounds: [{ tasks: [{ id: 'own', status: 'completed', result: { half: expect.any(String) } }] }] },
  });
});

it('a goal that no planner is there for is refused with its place', async () => {
  const refused = troupe.workflows.run({
    pattern: 'hierarchical',
    goal: 'x',
    coordinator: { capability: 'plan.nobody' },
  });
  await expect(refused).rejects.toMatchObject({ details: { path: 'coordinator.capability' } });
});

it('a strategy of a user keeps its promises, and runs beside the shipped ones', async () => {
  const body = {
    pattern: 'insist',
    task: { capability: 'probe.run', input: { answer: 'yes' } },
    options: { times: 2 },
  };
  expect(strategyConformance(insist, { bodies: [body] }).ends['completed:all_done']).toBeGreaterThan(0);
  const view = await (await troupe.workflows.run(body)).result();
  expect(view).toMatchObject({
    pattern: 'insist',
    status: 'completed',
    output: [{ answer: 'yes' }, { answer: 'yes' }],
  });
});

it('a strategy under a name that is taken does not start', async () => {
  const start = testTroupe({ strategies: [{ ...insist, name: 'swarm' }] });
  await expect(start).rejects.toMatchObject({ code: 'config_invalid', message: expect.stringContaining('"swarm"') });
});
