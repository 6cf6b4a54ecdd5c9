import { expect, test } from 'vitest';
import { ganttOf } from '../../../../../http/inspector/views/workflows/gantt.ts';
import type { StepAttempts } from '../../../../../runtime/contracts/history.ts';

const at = (ms: number): string => new Date(1_000_000 + ms).toISOString();
type Try = StepAttempts['attempts'][number];

const tried = (outcome: Try['outcome'], from: number, to: number | null, attempt = 1): Try => ({
  attempt,
  node: 'nod_1',
  agentId: 'agt_1',
  thread: 1,
  startedAt: at(from),
  endedAt: to === null ? null : at(to),
  outcome,
  error: outcome === 'failed' ? { code: 'boom', message: 'no', retryable: true } : null,
});
const round = (step: string, created: number, ended: number | null, attempts: Try[], more = {}): StepAttempts => ({
  taskId: `tsk_${step}`,
  step,
  round: 0,
  capability: 'x.y',
  state: ended === null ? 'running' : 'completed',
  createdAt: at(created),
  endedAt: ended === null ? null : at(ended),
  attempts,
  ...more,
});
const parts = { steps: [], criticalPath: ['b'], startedAt: at(0), endedAt: null, nowMs: 1_000_100 };

test('a round is its waits and its tries in turn, each with its outcome', () => {
  const { rows } = ganttOf({
    ...parts,
    rounds: [round('b', 10, 60, [tried('failed', 20, 30), tried('completed', 45, 60, 2)])],
  });
  expect(rows[0]?.spans.map(({ outcome, fromMs, toMs }) => [outcome, fromMs - 1e6, toMs - 1e6])).toEqual([
    ['wait', 10, 20],
    ['failed', 20, 30],
    ['wait', 30, 45],
    ['completed', 45, 60],
  ]);
  expect(rows[0]?.spans[1]?.error).toBe('boom: no');
  expect(rows[0]?.critical).toBe(true);
});

test('what is open reaches until now, and so does the axis', () => {
  const gantt = ganttOf({
    ...parts,
    rounds: [
      round('a', 5, null, [tried('running', 20, null)]),
      round('q', 30, null, [], { state: 'queued' }),
      round('again', 40, null, [tried('failed', 41, 50)], { state: 'scheduled' }),
    ],
  });
  const ends = gantt.rows.map(({ spans }) => spans.at(-1));
  expect(ends.map((span) => [span?.kind, span?.open, (span?.toMs ?? 0) - 1e6])).toEqual([
    ['try', true, 100],
    ['wait', true, 100],
    ['wait', true, 100],
  ]);
  expect([gantt.fromMs - 1e6, gantt.toMs - 1e6]).toEqual([0, 100]);
});

test('steps without a task, runs inside and questions, have a line too; rows stand by their begin', () => {
  const inner = {
    id: 'inner',
    state: 'completed',
    round: 0,
    dependsOn: [],
    startedAt: at(1),
    endedAt: at(9),
    workflowId: 'w',
  };
  const unbegun = { id: 'later', state: 'blocked', round: 0, dependsOn: [] };
  const { rows, toMs } = ganttOf({
    ...parts,
    endedAt: at(70),
    steps: [inner, unbegun] as never,
    rounds: [
      round('z', 8, 60, [tried('completed', 9, 60)], { round: 2 }),
      round('a', 0, 5, [tried('completed', 0, 5)]),
    ],
  });
  expect(rows.map(({ label, taskId }) => [label, taskId])).toEqual([
    ['a', 'tsk_a'],
    ['inner', null],
    ['z #3', 'tsk_z'],
  ]);
  expect(toMs - 1e6).toBe(70);
});
