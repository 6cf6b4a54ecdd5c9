// The parts of the demo that decide something: its inputs, its workflow, what it shows, which thread it kills.

import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Command } from 'commander';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { addDemoOptions } from '../../../http/demo/args.ts';
import { DemoError, resolveInputs } from '../../../http/demo/inputs.ts';
import { demoWorkflow, partsOf } from '../../../http/demo/plan.ts';
import { chooseVictim, wasInterrupted } from '../../../http/demo/saboteur.ts';
import { createScreen } from '../../../http/demo/screen.ts';
import {
  applyAgents,
  applyEvent,
  applyHeard,
  applyWorkflow,
  createView,
  type DemoView,
} from '../../../http/demo/view.ts';
import type { AgentView } from '../../../runtime/contracts/agent.ts';
import type { EventType, RuntimeEvent } from '../../../runtime/contracts/event.ts';
import type { WorkflowView } from '../../../runtime/contracts/workflow.ts';
import { createWorkflowSchema } from '../../../runtime/contracts/workflow.ts';

let cwd: string;
beforeEach(async () => {
  cwd = await mkdtemp(join(tmpdir(), 'troupe-demo-'));
  await mkdir(join(cwd, 'docs/deep'), { recursive: true });
  await mkdir(join(cwd, 'empty'));
  await writeFile(join(cwd, 'docs/deep/a.md'), 'A document about connections.');
  await writeFile(join(cwd, 'load.csv'), 'day,n\n2024-01-01,1\n');
  await writeFile(join(cwd, 'docs/more.csv'), 'day,n\n2024-01-01,1\n');
});
afterEach(() => rm(cwd, { recursive: true, force: true }));

describe('inputs', () => {
  test('default to the READMEs of the installed packages and the data of the package', async () => {
    const inputs = await resolveInputs({}, process.cwd());
    expect(inputs).toMatchObject({ docsShown: 'node_modules', maxDepth: 2 });
    expect(inputs.data).toEqual(['seattle-weather.csv', 'co2-concentration.csv', 'global-temperature.csv']);
    expect(Object.keys(inputs.notes).sort()).toEqual([...inputs.data].sort());
  });

  test('data files of several folders are named from the folder they share', async () => {
    const inputs = await resolveInputs({ docs: 'docs', data: ['load.csv', 'docs/more.csv'] }, cwd);
    expect(inputs.data).toEqual(['load.csv', 'docs/more.csv']);
    expect(inputs.docsShown).toBe('docs');
  });

  test.each([
    [{ docs: 'nope' }, '--docs nope: there is no such folder'],
    [{ docs: 'load.csv' }, '--docs load.csv: this is a file, not a folder'],
    [{ docs: 'empty' }, '--docs empty: it holds no .md, .txt, .html, .json or .csv file'],
    [{ docs: 'docs', data: ['gone.csv'] }, '--data gone.csv: there is no such file'],
    [{ docs: 'docs', data: ['docs'] }, '--data docs: this is not a file'],
    [{ docs: 'docs', ask: '  ' }, '--ask is empty: give a question, e.g. --ask "How are connections pooled?"'],
    [{ docs: 'docs', ask: 'x'.repeat(1_001) }, '--ask has 1001 characters; at most 1000 are taken'],
  ])('%j is refused in one line', async (options, message) => {
    const refused = await resolveInputs(options, cwd).catch((error: unknown) => error);
    expect(refused).toBeInstanceOf(DemoError);
    expect((refused as Error).message).toBe(message);
  });

  test('a report that cannot be written is refused before anything starts', async () => {
    await expect(resolveInputs({ docs: 'docs', report: 'nowhere/report.md' }, cwd)).rejects.toThrow(
      'cannot be written',
    );
    await expect(resolveInputs({ docs: 'docs', report: 'docs' }, cwd)).rejects.toThrow('this is a folder');
  });

  test('options of the command become options of the run', () => {
    const command = addDemoOptions(new Command());
    command.parse(['--ask', 'q?', '--data', 'a.csv', 'b.csv', '--out', 'r.md', '--no-kill', '--exit'], {
      from: 'user',
    });
    expect(command.opts()).toMatchObject({
      ask: 'q?',
      data: ['a.csv', 'b.csv'],
      report: 'r.md',
      kill: false,
      exit: true,
    });
  });
});

describe('the workflow', () => {
  test.each([
    ['How do I run work in a thread, and how is a task cancelled?', 3],
    ['How are connections pooled?', 1],
    ['What is a pool and a queue?', 1],
    ['How is it built? How is it run in production?', 3],
  ])('"%s" is searched for in %d ways', (question, count) => {
    expect(partsOf(question)).toHaveLength(count);
    expect(partsOf(question)[0]).toBe(question);
  });

  test('is one that the runtime takes, and its report waits for everything else', async () => {
    const inputs = await resolveInputs({ docs: 'docs', data: ['load.csv', 'docs/more.csv'] }, cwd);
    const { tasks } = createWorkflowSchema.parse(demoWorkflow(inputs));
    const report = tasks.at(-1);
    expect(new Set(tasks.map(({ id }) => id)).size).toBe(tasks.length);
    expect(report?.dependsOn.toSorted()).toEqual(
      tasks
        .slice(0, -1)
        .map(({ id }) => id)
        .toSorted(),
    );
  });

  test('every step is pinned to an agent of its team', async () => {
    const inputs = await resolveInputs({ docs: 'docs', data: ['load.csv', 'docs/more.csv'] }, cwd);
    const team = { researchers: ['r1', 'r2'], analysts: ['a1', 'a2'], writer: 'w' };
    const pins = (demoWorkflow(inputs, team).tasks ?? []).map(({ id, agentId }) => [id, agentId]);
    expect(Object.fromEntries(pins)).toEqual({
      survey: 'r2',
      'search-1': 'r1',
      'search-2': 'r2',
      'search-3': 'r1',
      'analyse-load': 'a1',
      'analyse-more': 'a2',
      report: 'w',
    });
  });

  test('data files of one name get steps of their own', async () => {
    await writeFile(join(cwd, 'docs/load.csv'), 'a\n1\n');
    const inputs = await resolveInputs({ docs: 'docs', data: ['load.csv', 'docs/load.csv'] }, cwd);
    const ids = (demoWorkflow(inputs).tasks ?? []).map(({ id }) => id).filter((id) => id.startsWith('analyse'));
    expect(ids).toEqual(['analyse-load-1', 'analyse-load-2']);
  });
});

const agent = { id: 'agt_1', name: 'analyst-1', state: 'idle', thread: 1 } as unknown as AgentView;
const event = (type: EventType, stream: string, data: Record<string, unknown>): RuntimeEvent => ({
  stream,
  type,
  data,
  seq: null,
  tenant: 'default',
  at: '2026-01-01T00:00:00Z',
});
const step = { id: 'analyse-x', state: 'blocked', round: 0, dependsOn: [] } as const;

function viewOf(...events: RuntimeEvent[]): DemoView {
  const view = createView([agent]);
  applyWorkflow(view, { tasks: [step] } as unknown as WorkflowView);
  for (const [at, one] of events.entries()) applyEvent(view, one, at * 100);
  return view;
}
const linked = event('workflow.step', 'wfl_1', { step: 'analyse-x', taskId: 'tsk_1' });
const started = event('task.started', 'tsk_1', { attempt: 1, agentId: 'agt_1', thread: 1 });
const progress = (fraction: unknown) => event('task.progress', 'tsk_1', { progress: { fraction, note: 'working' } });

describe('the view', () => {
  test.each([
    ['the step is known first', [linked, started, progress(0.5)]],
    ['the task starts first', [started, linked, progress(0.5)]],
  ])('shows a running step when %s', (_name, events) => {
    expect(viewOf(...events).steps.get('analyse-x')).toMatchObject({
      state: 'running',
      thread: 1,
      attempt: 1,
      fraction: 0.5,
      note: 'working',
    });
  });

  test('tells of the death of a thread, the restart and the second attempt', () => {
    const view = viewOf(
      linked,
      started,
      progress(0.5),
      event('thread.down', 'nod_1', { thread: 1, reason: 'exited' }),
      event('agent.transition', 'agt_1', {
        from: 'running',
        to: 'error',
        cause: 'crash',
        error: { message: 'thread lost' },
        thread: 1,
      }),
      event('supervision.restart', 'nod_1', { supervisor: 'agents', child: 'agt_1' }),
      event('task.retrying', 'tsk_1', {}),
      event('agent.transition', 'agt_1', { from: 'initializing', to: 'idle', incarnation: 2, thread: 3 }),
      event('task.started', 'tsk_1', { attempt: 2, agentId: 'agt_1', thread: 3 }),
      event('task.completed', 'tsk_1', {}),
    );
    expect(view.happenings.map(({ text }) => text)).toEqual([
      'analyse-x runs on analyst-1, thread 1',
      'thread 1 is down (exited)',
      'analyst-1 is down: thread lost',
      'the supervisor of agents restarts analyst-1',
      'analyse-x was interrupted and will run again',
      'analyst-1 is back on thread 3',
      'analyse-x runs again (attempt 2) on analyst-1, thread 3',
      'analyse-x is done',
    ]);
    expect(view.steps.get('analyse-x')).toMatchObject({ state: 'completed', attempt: 2, fraction: 1 });
    expect(view.restarts).toBe(1);
  });

  test('tells the death of a thread before the restart that it caused, and why its agents went', () => {
    const lost = { to: 'error', cause: 'crash', error: { code: 'thread_lost', message: 'terminated on purpose' } };
    const view = viewOf(
      event('supervision.restart', 'nod_1', { supervisor: 'threads', child: 'thread-1' }),
      event('thread.down', 'nod_1', { thread: 1, reason: 'exited' }),
      event('agent.transition', 'agt_1', { from: 'idle', ...lost }),
      event('agent.transition', 'agt_1', { from: 'initializing', to: 'idle' }),
    );
    applyAgents(view, [{ ...agent, state: 'idle', thread: 2 }], 900);
    applyAgents(view, [{ ...agent, state: 'idle', thread: 2 }], 950);
    expect(view.happenings.map(({ text }) => text)).toEqual([
      'thread 1 is down (exited)',
      'the supervisor of threads restarts thread-1',
      'analyst-1 is down: it was on thread 1',
      'analyst-1 is back on thread 2',
    ]);
  });

  test('says once what the writer was told', () => {
    const view = viewOf();
    const first = { from: 'demo-1a2b3c-analyst-1', about: 'analyse-x', text: '3 rows' };
    applyHeard(view, [first], 1);
    applyHeard(view, [first, { ...first, about: 'analyse-y' }], 2);
    expect(view.happenings.map(({ text }) => text)).toEqual([
      'analyst-1 told the writer of analyse-x: 3 rows',
      'analyst-1 told the writer of analyse-y: 3 rows',
    ]);
    expect(view.heard).toBe(2);
  });

  test.each([[{}], [{ progress: null }], [{ progress: { fraction: 'x' } }], [{ progress: { fraction: 9 } }]])(
    'survives the progress %j',
    (data) => {
      const line = viewOf(linked, started, event('task.progress', 'tsk_1', data)).steps.get('analyse-x');
      expect(line?.fraction).toBeGreaterThanOrEqual(0);
      expect(line?.fraction).toBeLessThanOrEqual(1);
    },
  );
});

describe('the thread to kill', () => {
  test.each([
    [0.1, undefined],
    [0.3, { thread: 1, step: 'analyse-x', taskId: 'tsk_1', fraction: 0.3 }],
    [0.95, undefined],
  ])('at %d of the work: %j', (fraction, victim) => {
    expect(chooseVictim(viewOf(linked, started, progress(fraction)), progress(fraction))).toEqual(victim);
  });

  test('a second attempt is left alone, and tells that the first was interrupted', () => {
    const again = event('task.started', 'tsk_1', { attempt: 2, agentId: 'agt_1', thread: 3 });
    const view = viewOf(linked, started, again, progress(0.5));
    expect(chooseVictim(view, progress(0.5))).toBeUndefined();
    expect(wasInterrupted(view, { thread: 1, step: 'analyse-x', taskId: 'tsk_1', fraction: 0.3 })).toBe(true);
  });
});

describe('the screen', () => {
  const drawn = (isTty: boolean): string => {
    const chunks: string[] = [];
    const out = { columns: 60, write: (chunk: string) => chunks.push(chunk) } as never;
    const screen = createScreen({ out, isTty, head: ['Question   why?'] });
    const view = viewOf(linked, started, progress(0.5));
    screen.update(view);
    screen.update(view);
    screen.finish(view);
    return chunks.join('');
  };

  test('is plain lines without escapes where there is no terminal, each said once', () => {
    expect(drawn(false)).not.toContain('\u001b');
    expect(drawn(false).match(/analyse-x runs/g)).toHaveLength(1);
  });

  test.each([12, 24, 60])('never draws more than the %d rows of a terminal', (rows) => {
    const frames: string[] = [];
    const out = { columns: 80, rows, write: (chunk: string) => frames.push(chunk) } as never;
    const view = viewOf(linked, started);
    for (let count = 0; count < 40; count++) applyEvent(view, event('thread.up', 'nod_1', { thread: count }), count);
    createScreen({ out, isTty: true, head: ['Question', 'Documents', 'Data', 'Node'] }).update(view);
    expect(frames.join('').trimEnd().split('\n').length).toBeLessThan(rows);
    expect(frames.join('')).toContain('thread 39 is up');
  });

  test('draws over itself on a terminal and gives the cursor back', () => {
    const text = drawn(true);
    expect(text).toContain('██████████░░░░░░░░░░');
    expect(text).toContain('50 %');
    expect(text.endsWith('\u001b[?25h')).toBe(true);
  });
});
