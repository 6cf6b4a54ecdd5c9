// The kit against a strategy that uses every command, and against copies of it that break one promise each.

import { describe, expect, it } from 'vitest';
import { z } from 'zod';
import type {
  CoordinationEvent,
  CoordinationStrategy,
  StopReason,
  Verdict,
} from '../../runtime/contracts/coordination.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { ConformanceError, strategyConformance } from '../../runtime/testing/conformance.ts';
import { simulate } from '../../runtime/testing/simulation.ts';

interface Contest {
  readonly phase: 'finding' | 'bidding' | 'working' | 'asking' | 'nested' | 'ended';
  readonly bids: readonly { readonly agentId: string; readonly cost: number }[];
  readonly open: readonly string[];
}
type Options = { readonly capability: string };

const over = (
  state: Contest,
  stopReason: StopReason,
  status: 'completed' | 'failed' | 'cancelled',
): Verdict<Contest> => {
  const { phase } = state;
  const reason = stopReason;
  return {
    state: { ...state, phase: 'ended' },
    commands: [
      ...(phase === 'bidding' ? [{ type: 'close', step: 'call', round: 0 } as const] : []),
      ...(phase === 'working' ? [{ type: 'cancel', step: 'work', round: 0, reason } as const] : []),
      ...(phase === 'asking' ? [{ type: 'cancel', step: 'ask', round: 0, reason } as const] : []),
      ...(phase === 'nested' ? [{ type: 'cancel', step: 'nested', round: 0, reason } as const] : []),
      { type: 'end', status, stopReason, output: null },
    ],
    decisions: [{ kind: 'stop', rule: reason, chosen: status }],
  };
};

/** Finds agents, calls for bids, lets the cheapest work, asks a person, runs a workflow inside. */
const contest: CoordinationStrategy<Options, Contest> = {
  name: 'contest',
  options: z.strictObject({ capability: z.string().default('probe.run') }),
  check: ({ tasks }) =>
    tasks.length === 0 ? null : { code: 'workflow_invalid', path: 'tasks', message: 'a contest has no tasks' },
  start: (_workflow, { capability }) => ({
    state: { phase: 'finding', bids: [], open: [] },
    commands: [{ type: 'find', key: 'agents', capability }],
    decisions: [],
  }),
  decide: (_workflow, { capability }, state, event) => {
    const same = { state, commands: [], decisions: [] };
    if (state.phase === 'ended') return same;
    if (event.type === 'cancel') return over(state, 'cancelled', 'cancelled');
    if (event.type === 'deadline') return over(state, 'deadline', 'failed');
    switch (state.phase) {
      case 'finding': {
        if (event.type !== 'found' || event.key !== 'agents') return same;
        const agents = event.agents.map(({ agentId }) => agentId);
        return {
          state: { ...state, phase: 'bidding', open: agents },
          commands: [
            { type: 'call', step: 'call', round: 0, capability, input: null, replyByMs: 50, agents },
            { type: 'timer', key: 'close', afterMs: 50 },
          ],
          decisions: [],
        };
      }
      case 'bidding': {
        if (event.type === 'bid' && event.step === 'call' && state.open.includes(event.agentId)) {
          const { agentId, bid } = event;
          const bids = bid ? [...state.bids, { agentId, cost: bid.cost }] : state.bids;
          return { ...same, state: { ...state, bids, open: state.open.filter((one) => one !== agentId) } };
        }
        if (event.type !== 'timer' || event.key !== 'close') return same;
        const [best] = state.bids.toSorted((a, b) => a.cost - b.cost || (a.agentId < b.agentId ? -1 : 1));
        if (!best) return over(state, 'no_bids', 'failed');
        return {
          state: { ...state, phase: 'working', open: [] },
          commands: [
            { type: 'close', step: 'call', round: 0 },
            { type: 'schedule', step: 'work', round: 0, task: { capability, agentId: best.agentId } },
          ],
          decisions: [],
        };
      }
      case 'working': {
        if (!isOutcome(event, 'work')) return same;
        const request = { kind: 'approval', prompt: 'good?' } as const;
        return {
          state: { ...state, phase: 'asking' },
          commands: [{ type: 'await', step: 'ask', round: 0, request }],
          decisions: [],
        };
      }
      case 'asking': {
        if (!isOutcome(event, 'ask')) return same;
        const workflow = { pattern: 'sequential', tasks: [{ id: 'a', capability }] };
        return {
          state: { ...state, phase: 'nested' },
          commands: [{ type: 'spawn', step: 'nested', round: 0, workflow }],
          decisions: [],
        };
      }
      default:
        return isOutcome(event, 'nested') ? over({ ...state, phase: 'finding' }, 'all_done', 'completed') : same;
    }
  },
  steps: () => [{ id: 'work', state: 'blocked', round: 0, dependsOn: [] }],
  progress: (_workflow, { phase }) => ({ done: phase === 'ended' ? 1 : 0, total: 1 }),
  picture: (_workflow, _options, { bids }) => ({ bids }),
};

function isOutcome(event: CoordinationEvent, step: string): boolean {
  return (event.type === 'step.completed' || event.type === 'step.failed') && event.step === step && event.round === 0;
}

const body: CreateWorkflow = {};
const bid = (agentId: string, _step: string, _round: number, random: () => number) => {
  if (agentId === 'agent-5') return 'silent';
  if (agentId === 'agent-4') return 'late';
  return agentId === 'agent-3' ? null : { cost: 1 + Math.floor(random() * 9) };
};

describe('a strategy that keeps its promises', () => {
  it('passes, and the report says how its runs ended', () => {
    const report = strategyConformance(contest, { bodies: [body], seeds: 300, bid });
    expect(report.runs).toBe(300);
    for (const kind of ['completed:all_done', 'failed:no_bids', 'cancelled:cancelled', 'failed:deadline'])
      expect(report.ends[kind], kind).toBeGreaterThan(5);
  });

  it('sees late bids after the close, silent agents never, and an approval as approved', () => {
    const how = { seed: 1, schedule: 'order', duplicates: 0, bid } as const;
    const { journal, commands, calls } = simulate(contest, body, how);
    expect(journal.map((event) => ('step' in event ? `${event.type} ${event.step}` : event.type))).toEqual([
      'started',
      'found',
      ...['bid call', 'bid call', 'bid call'],
      'timer',
      'bid call',
      'step.completed work',
      'step.completed ask',
      'step.completed nested',
    ]);
    expect(journal.find((event) => event.type === 'step.completed' && event.step === 'ask')).toMatchObject({
      output: { approved: true },
    });
    expect(calls).toHaveLength(1);
    expect(commands.at(-1)).toMatchObject({ type: 'end', stopReason: 'all_done' });
    const timer = journal.find(({ type }) => type === 'timer');
    expect(timer?.atMs).toBeGreaterThanOrEqual(50);
  });
});

type Change = (of: typeof contest) => Partial<CoordinationStrategy<Options, Contest>>;
const decideAs =
  (change: (verdict: Verdict<Contest>, state: Contest, event: CoordinationEvent) => Verdict<Contest>): Change =>
  ({ decide }) => ({
    decide: (workflow, options, state, event) => change(decide(workflow, options, state, event), state, event),
  });
/** Answers with one more command whenever this event comes in this phase. */
const also = (
  type: CoordinationEvent['type'],
  phase: Contest['phase'],
  command: Verdict<Contest>['commands'][number],
) =>
  decideAs((verdict, state, event) =>
    event.type === type && state.phase === phase ? { ...verdict, commands: [...verdict.commands, command] } : verdict,
  );
let remembered = 0;

describe('a strategy that breaks a promise is found', () => {
  it.each<[string, Change, RegExp]>([
    [
      'it changes the state it was given',
      decideAs((verdict, state) => {
        (state as { phase: string }).phase = 'ended';
        return verdict;
      }),
      /read only|read-only/,
    ],
    [
      'it changes the event it was given',
      decideAs((verdict, _state, event) => {
        (event as { atMs: number }).atMs = 0;
        return verdict;
      }),
      /read only|read-only/,
    ],
    [
      'its state holds a date',
      decideAs((verdict) => ({ ...verdict, state: { ...verdict.state, at: new Date(0) } })),
      /the state\.at is plain JSON: a Date/,
    ],
    [
      'its state holds no number',
      decideAs((verdict) => ({ ...verdict, state: { ...verdict.state, at: Number.NaN } })),
      /the state\.at is plain JSON: NaN/,
    ],
    [
      'a command holds a function',
      also('found', 'finding', {
        type: 'schedule',
        step: 'x',
        round: 0,
        task: { capability: 'x', input: { run: () => 1 } },
      }),
      /the commands.* a function is not/,
    ],
    [
      'it chooses by chance',
      decideAs((verdict) => ({ ...verdict, decisions: [{ kind: 'vote', rule: 'x', chosen: String(Math.random()) }] })),
      /a replay gives the same answers/,
    ],
    [
      'it remembers beside the state',
      decideAs((verdict) => {
        remembered += 1;
        return {
          ...verdict,
          state: { ...verdict.state, bids: verdict.state.bids.concat({ agentId: 'x', cost: remembered }) },
        };
      }),
      /a replay gives the same|does not change/,
    ],
    [
      'it waits for nothing',
      decideAs((verdict, state, event) => (event.type === 'found' ? { state, commands: [], decisions: [] } : verdict)),
      /every run ends: nothing is under way/,
    ],
    [
      'it never stops',
      also('timer', 'bidding', { type: 'timer', key: 'close', afterMs: 1 }),
      /every run ends|the end is the last/,
    ],
    [
      'it starts a step twice',
      also('timer', 'bidding', { type: 'schedule', step: 'work', round: 0, task: { capability: 'x' } }),
      /work\/0 is scheduled once/,
    ],
    [
      'it ends with a step in flight',
      decideAs((verdict) => ({ ...verdict, commands: verdict.commands.filter(({ type }) => type !== 'cancel') })),
      /leaves nothing in flight: /,
    ],
    [
      'it ends with an open call',
      decideAs((verdict) => ({ ...verdict, commands: verdict.commands.filter(({ type }) => type !== 'close') })),
      /leaves no call open: call\/0/,
    ],
    [
      'it commands after the end',
      decideAs((verdict, state) =>
        state.phase === 'ended' ? { ...verdict, commands: [{ type: 'skip', step: 'x', reason: 'x' }] } : verdict,
      ),
      /nothing is commanded/,
    ],
    [
      'it ends twice',
      also('cancel', 'finding', { type: 'end', status: 'cancelled', stopReason: 'cancelled', output: null }),
      /the end is the last command/,
    ],
    [
      'it cancels what is not in flight',
      also('found', 'finding', { type: 'cancel', step: 'work', round: 0, reason: 'x' }),
      /only what is in flight is cancelled/,
    ],
    [
      'it counts a doubled bid',
      decideAs((verdict, state, event) =>
        event.type === 'bid' && event.bid && event.step === 'call' && state.phase === 'bidding'
          ? {
              ...verdict,
              state: { ...verdict.state, bids: [...state.bids, { agentId: event.agentId, cost: event.bid.cost }] },
            }
          : verdict,
      ),
      /the state does not change of an event that comes twice/,
    ],
    [
      'it takes an outcome of another round',
      decideAs((verdict, state, event) =>
        state.phase === 'working' && event.type === 'step.completed' && event.step === 'work' && event.round > 0
          ? over({ ...state, phase: 'finding' }, 'all_done', 'completed')
          : verdict,
      ),
      /of something that never was/,
    ],
    [
      'it ignores a cancel',
      decideAs((verdict, state, event) => (event.type === 'cancel' ? { state, commands: [], decisions: [] } : verdict)),
      /a cancelled run ends cancelled/,
    ],
    [
      'it ignores its deadline',
      decideAs((verdict, state, event) =>
        event.type === 'deadline' ? { state, commands: [], decisions: [] } : verdict,
      ),
      /does not end completed/,
    ],
    [
      'it ends for a reason of its own',
      decideAs((verdict, state) =>
        state.phase === 'nested' && verdict.state.phase === 'ended'
          ? over({ ...state, phase: 'finding' }, 'because' as StopReason, 'completed')
          : verdict,
      ),
      /closed list, not because|nothing in flight/,
    ],
    [
      'it starts a run that no API would take',
      also('found', 'finding', {
        type: 'spawn',
        step: 'x',
        round: 0,
        workflow: { tasks: [{ id: '?', capability: 'probe.run' }] },
      }),
      /is one the API would take/,
    ],
    [
      'it asks under one key twice',
      also('found', 'finding', { type: 'find', key: 'agents', capability: 'x' }),
      /used once: agents/,
    ],
    [
      'a timer without time',
      also('found', 'finding', { type: 'timer', key: 'x', afterMs: Number.NEGATIVE_INFINITY }),
      /plain JSON|a time to wait/,
    ],
    [
      'its check throws',
      () => ({
        check: ({ tasks }) => {
          if (tasks.length === 0) return null;
          throw new Error('oops');
        },
      }),
      /with another tasks: oops/,
    ],
    [
      'its views name a step twice',
      ({ steps }) => ({ steps: (...given) => [...steps(...given), ...steps(...given)] }),
      /each step and round once, not work\/0/,
    ],
    ['it has done more than there is', () => ({ progress: () => ({ done: 2, total: 1 }) }), /none twice: 2 of 1/],
    [
      'its picture is not plain',
      () => ({ picture: () => ({ bids: new Map() }) }),
      /picture\(\)\.bids is plain JSON: a Map/,
    ],
    [
      'a view throws',
      () => ({
        steps: (_workflow, _options, state) =>
          (state as Contest).bids.map(() => ({ id: 'x', state: 'blocked', round: 0, dependsOn: [] })),
      }),
      /null/,
    ],
  ])('%s', (_, change, words) => {
    const broken = { ...contest, ...change(contest) };
    const found = thrownBy(() => strategyConformance(broken, { bodies: [body], seeds: 300, bid }));
    expect(found).toBeInstanceOf(ConformanceError);
    expect(found?.message).toMatch(words);
    expect(found?.message).toContain('strategy "contest", seed ');
  });

  it('names a seed that alone repeats it', () => {
    const broken = {
      ...contest,
      ...decideAs((verdict, state, event) =>
        event.type === 'cancel' ? { state, commands: [], decisions: [] } : verdict,
      )(contest),
    };
    const first = thrownBy(() => strategyConformance(broken, { bodies: [body], bid }));
    const again = thrownBy(() => strategyConformance(broken, { bodies: [body], bid, seeds: [first?.seed ?? 0] }));
    expect(again?.message).toBe(first?.message);
  });

  it('breaks on promises of the user too', () => {
    const inspect = () => {
      throw new Error('mine');
    };
    expect(() => strategyConformance(contest, { bodies: [body], bid, inspect })).toThrow(/seed 1: mine/);
  });
});

function thrownBy(run: () => unknown): ConformanceError | undefined {
  try {
    run();
    return undefined;
  } catch (thrown) {
    return thrown as ConformanceError;
  }
}
