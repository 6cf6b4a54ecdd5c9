// The checker of the chaos tests, over books that were cooked: each planted fault must be found, and nothing else.

import { describe, expect, test } from 'vitest';
import { audit, type Books, type LedgerEntry, type Seen, type Verdict } from './books.ts';

const attempt = (number: number, outcome: string) => ({ attempt: number, outcome });
const task = (key: string, change: Record<string, unknown> = {}): Seen => ({
  status: 'completed',
  result: { key },
  attempts: [attempt(1, 'lost'), attempt(2, 'completed')],
  ...change,
});
const steps = ['a', 'b'].map((id) => ({ id, state: 'completed' }));
const run = (change: Record<string, unknown> = {}): Seen => ({
  name: 'w',
  status: 'completed',
  tasks: steps,
  ...change,
});
const line = (at: 'start' | 'end', key: string, of: string, number = 1): LedgerEntry => ({
  at,
  key,
  task: of,
  attempt: number,
  pid: 1,
});
const ran = (key: string, of: string, number = 1) => [line('start', key, of, number), line('end', key, of, number)];

/** A task that was lost once and done at its second attempt, and a workflow of two steps. */
const honest: Books = {
  tasks: new Map([['t', task('k')]]),
  workflows: new Map([['r', run()]]),
  ledger: [line('start', 'k', 't', 1), ...ran('k', 't', 2), ...ran('w/a', 'ta'), ...ran('w/b', 'tb')],
  stepsPerWorkflow: 2,
};
const clean = {
  missing: [],
  notEnded: [],
  twoOutcomes: [],
  badWorkflows: [],
  repeatedAfterCommit: [],
  neverRan: [],
};
const findings = ({ handlerStarts, committed, extraStarts, byStatus, ...rest }: Verdict) => rest;
const tasks = (seen: Seen) => ({ tasks: new Map([['t', seen]]) });
const workflows = (seen: Seen) => ({ workflows: new Map([['r', seen]]) });
const ledger = (...more: LedgerEntry[]) => ({ ledger: [...honest.ledger, ...more] });

describe('the books', () => {
  test('balance when a lost attempt was tried again', () => {
    expect(audit(honest)).toEqual({
      ...clean,
      byStatus: { completed: 1 },
      handlerStarts: 4,
      committed: 3,
      extraStarts: 1,
    });
  });

  const planted: readonly [string, Partial<Books>, Partial<Verdict>][] = [
    ['a lost task', tasks(null), { missing: ['t'] }],
    ['a lost workflow', workflows(null), { missing: ['r'] }],
    ['a task that never ends', tasks(task('k', { status: 'running' })), { notEnded: ['t running'] }],
    ['a workflow that never ends', workflows(run({ status: 'running' })), { notEnded: ['r running'] }],
    [
      'two committed outcomes',
      tasks(task('k', { attempts: [attempt(2, 'completed'), attempt(2, 'completed')] })),
      { twoOutcomes: ['t'] },
    ],
    [
      'a failure after a success',
      tasks(task('k', { status: 'failed', attempts: [attempt(1, 'completed')] })),
      { twoOutcomes: ['t'] },
    ],
    ['a completed task without an outcome', tasks(task('k', { attempts: [] })), { twoOutcomes: ['t'] }],
    [
      'a workflow that failed',
      workflows(run({ status: 'failed', stopReason: 'failed' })),
      { badWorkflows: ['r failed failed a:completed b:completed'] },
    ],
    [
      'a workflow without one of its steps',
      workflows(run({ tasks: steps.slice(1) })),
      { badWorkflows: ['r completed undefined b:completed'] },
    ],
    [
      'a workflow that ended before a step did',
      workflows(run({ tasks: [steps[0], { id: 'b', state: 'running' }] })),
      { badWorkflows: ['r completed undefined a:completed b:running'] },
    ],
    ['a handler that started after the commit', ledger(line('start', 'k', 't', 3)), { repeatedAfterCommit: ['k'] }],
    ['a finished step that was done as another task', ledger(...ran('w/a', 'tc')), { repeatedAfterCommit: ['w/a'] }],
    ['a result without a handler', { ledger: honest.ledger.slice(0, -1) }, { neverRan: ['w/b'] }],
  ];
  test.each(planted)('show %s', (_name, change, found) => {
    expect(findings(audit({ ...honest, ...change }))).toEqual({ ...clean, ...found });
  });
});
