// The books of a run must find what they are there to find: each row here is one lie.

import { describe, expect, it, test } from 'vitest';
import { parallel } from '../../patterns/parallel.ts';
import type { CoordinationEvent, CoordinationStrategy, Decision } from '../../runtime/contracts/coordination.ts';
import type { WorkflowId } from '../../runtime/contracts/ids.ts';
import { define, hashOf, strategiesByName } from '../../runtime/workflows/definition.ts';
import { remember } from '../../runtime/workflows/remember.ts';
import type { RunMemory } from '../../runtime/workflows/run-memory.ts';
import { auditRun, type Effect, type RunBooked, type TaskBooked } from './run-books.ts';

const strategies = strategiesByName([parallel as unknown as CoordinationStrategy]);
const tasks = [
  { id: 'a', capability: 'x.y' },
  { id: 'b', capability: 'x.y' },
];
const definition = define(strategies, { pattern: 'parallel', tasks });
const id = 'wfl_01m82dfmy3fwhsyvbejdcv9bwc' as WorkflowId;

const done = (step: string, atMs: number): CoordinationEvent => ({
  type: 'step.completed',
  step,
  round: 0,
  atMs,
  output: step,
  taskId: `tsk_${step}`,
  agentId: null,
  attempts: 2,
  startedAtMs: 1,
});

/** What the store would hold after these events. */
function booked(events: readonly CoordinationEvent[]): RunBooked {
  let memory: RunMemory | null = null;
  const decisions: Decision[] = [];
  let end: { status: string; stopReason: string; output: unknown } | undefined;
  for (const event of events) {
    const next: ReturnType<typeof remember> = remember(definition, id, memory, event);
    memory = next.memory;
    decisions.push(...next.decisions);
    end ??= next.commands.find((command) => command.type === 'end');
  }
  const task = (step: string): TaskBooked => ({
    id: `tsk_${step}`,
    step,
    round: 0,
    state: 'completed',
    result: step,
    attempts: [
      { attempt: 1, outcome: 'lost' },
      { attempt: 2, outcome: 'completed' },
    ],
  });
  return {
    id,
    status: end?.status ?? 'running',
    stopReason: end?.stopReason ?? null,
    output: end?.output ?? null,
    stateHash: hashOf(memory),
    journalLength: events.length,
    decisionsLength: decisions.length,
    eventsLength: 3,
    journal: events.map((event, at) => ({ seq: at + 1, event })),
    decisions: decisions.map((decision, at) => ({ seq: at + 1, decision })),
    events: [1, 2, 3],
    snapshot: { journalLength: events.length, state: JSON.parse(JSON.stringify(memory)) },
    tasks: [task('a'), task('b')],
  };
}

const honest = booked([{ type: 'started', atMs: 0, seed: 1 }, done('b', 5), done('a', 6)]);
const line = (at: 'start' | 'end', attempt: number, more: Partial<Effect> = {}): Effect => ({
  at,
  name: 'run/a',
  key: 'key-a',
  task: 'tsk_a',
  attempt,
  ...more,
});
const lines = [line('start', 1), line('start', 2), line('end', 2)];
const audited = (run: RunBooked, effects: readonly Effect[] = lines) =>
  auditRun(run, definition, new Map([['tsk_a', effects]]));

describe('the books of a run', () => {
  it('balance when nothing is wrong: what a kill repeated was not committed', () => {
    expect(audited(honest)).toEqual([]);
  });

  const [started, first, second] = honest.journal;
  const [a, b] = honest.tasks;
  const state = honest.snapshot?.state as RunMemory;
  const withTask = (change: Partial<TaskBooked>): RunBooked => ({
    ...honest,
    tasks: [{ ...a, ...change } as TaskBooked, b as TaskBooked],
  });
  const lost = { attempt: 3, outcome: 'lost' };
  const won = { attempt: 2, outcome: 'completed' };

  test.each<[string, RunBooked, string]>([
    ['a run that has not ended', { ...honest, status: 'running' }, 'not ended'],
    ['an event that is gone', { ...honest, journal: [started, second] as RunBooked['journal'] }, 'journal: 2 rows'],
    [
      'a gap in the journal',
      { ...honest, journal: [started, first, { ...second, seq: 4 }] as RunBooked['journal'] },
      'not dense',
    ],
    ['a decision that is gone', { ...honest, decisions: honest.decisions.slice(1) }, 'decisions:'],
    [
      'an outcome that was taken twice',
      booked([started, first, first, second].map((entry) => entry?.event as CoordinationEvent)),
      'two outcomes: b/0',
    ],
    ['a second task for one round', { ...honest, tasks: [...honest.tasks, a as TaskBooked] }, 'two tasks: a/0'],
    ['the outcome of another task', withTask({ id: 'tsk_other' }), 'outcome of another task'],
    ['a result that is not what was journaled', withTask({ result: 'other' }), 'another result'],
    ['a task that is open in a run that has ended', withTask({ state: 'running', attempts: [] }), 'task not ended'],
    ['two commits of one task', withTask({ attempts: [won, { ...won, attempt: 3 }] }), 'committed 2 times'],
    ['a try after the commit', withTask({ attempts: [won, lost] }), 'tried again after its commit'],
    [
      'a state that the journal does not give',
      { ...honest, snapshot: { journalLength: 3, state: { ...state, events: 4 } } },
      'another state',
    ],
    ['an end in a state that the journal does not give', { ...honest, stateHash: 'else' }, 'another state than'],
    [
      'a decision that a replay does not take',
      {
        ...honest,
        decisions: honest.decisions.map((one) => ({ ...one, decision: { ...one.decision, chosen: 'else' } })),
      },
      'other decisions',
    ],
    ['an end that a replay does not come to', { ...honest, output: null }, 'replay: ends'],
  ])('find %s', (_name, run, said) => {
    expect(audited(run).join('\n')).toContain(said);
  });

  test.each<[string, readonly Effect[], string]>([
    ['a handler that was started after the commit', [...lines, line('start', 3)], 'started again after its commit'],
    [
      'a commit without its effect',
      [line('start', 1), line('end', 1), line('start', 2)],
      'committed without its effect',
    ],
    ['an effect under two keys', [line('start', 1, { key: 'else' }), ...lines.slice(1)], 'several keys'],
  ])('find %s', (_name, effects, said) => {
    expect(audited(honest, effects).join('\n')).toContain(said);
  });
});
