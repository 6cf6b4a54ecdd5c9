import { describe, expect, it } from 'vitest';
import { parallel } from '../../patterns/parallel.ts';
import { sequential } from '../../patterns/sequential.ts';
import { type CreateWorkflow, createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import { randomGraph, researchReport, step } from '../kit/workflows.ts';

function check(body: CreateWorkflow) {
  const workflow = createWorkflowSchema.parse(body);
  return workflow.pattern === 'parallel'
    ? parallel.check(workflow, parallel.options.parse(workflow.options))
    : sequential.check(workflow, {});
}

const from = (path: string, extra: object = {}) => ({ input: { value: { $from: path, ...extra } } });
const looped = { loop: { until: { path: 'a.done', equals: true }, maxRounds: 3 } };

describe('a definition that can run', () => {
  it.each<[string, CreateWorkflow]>([
    ['research, analysis, report', researchReport],
    ['a reference without a declared dependency', { tasks: [step('a'), step('b', [], from('a.x'))] }],
    ['a reference to a step declared later', { tasks: [step('b', [], from('a.x')), step('a')] }],
    ['the results of all dependencies', { tasks: [step('a'), step('b', ['a'], from('deps.a.x'))] }],
    ['a loop that looks at its own last result', { tasks: [step('a', [], { ...from('a.next'), ...looped })] }],
    [
      'an undo that looks at its step and further up',
      {
        tasks: [
          step('a'),
          step('b', ['a']),
          step('c', ['b'], { compensate: { capability: 'probe.run', input: [{ $from: 'c' }, { $from: 'a.x' }] } }),
        ],
      },
    ],
    ['a dependency named twice', { tasks: [step('a'), step('b', ['a', 'a'])] }],
    ['ids like inherited properties', { tasks: [step('constructor'), step('toString', ['constructor'])] }],
    ['a quorum of all', { pattern: 'parallel', tasks: [step('a'), step('b')], options: { join: { quorum: 2 } } }],
    ['a random graph of 200 steps', { tasks: randomGraph(200, 7) }],
  ])('passes: %s', (_, body) => {
    expect(check(body)).toBeNull();
  });
});

describe('a definition that cannot run', () => {
  it.each<[string, CreateWorkflow, string, string]>([
    ['no tasks', { tasks: [] }, 'tasks', 'at least one'],
    ['a duplicate id', { tasks: [step('a'), step('b'), step('a')] }, 'tasks[2].id', 'duplicate'],
    ['a reserved id', { tasks: [step('sink')] }, 'tasks[0].id', 'reserved'],
    ['a self dependency', { tasks: [step('a', ['a'])] }, 'tasks[0].dependsOn[0]', 'itself'],
    ['a dangling dependency', { tasks: [step('a'), step('b', ['a', 'x'])] }, 'tasks[1].dependsOn[1]', '"x"'],
    ['a dangling reference', { tasks: [step('a', [], from('x.y'))] }, 'tasks[0].input.value.$from', '"x"'],
    [
      'a reference deep in a list',
      { tasks: [step('a', [], { input: { list: [1, { $from: 'x' }] } })] },
      'tasks[0].input.list[1].$from',
      '"x"',
    ],
    ['a reference to itself', { tasks: [step('a', [], from('a.y'))] }, 'tasks[0].input.value.$from', 'own result'],
    [
      'a reference with company',
      { tasks: [step('a'), step('b', ['a'], from('a', { more: 1 }))] },
      'tasks[1].input.value.$from',
      'only key',
    ],
    [
      'a reference that is no text',
      { tasks: [step('a', [], { input: { $from: 3 } })] },
      'tasks[0].input.$from',
      'a text',
    ],
    [
      'an empty part of a path',
      { tasks: [step('a'), step('b', ['a'], from('a..b'))] },
      'tasks[1].input.value.$from',
      'not a path',
    ],
    [
      'an element outside forEach',
      { tasks: [step('a', [], { input: { $item: '' } })] },
      'tasks[0].input.$item',
      'forEach',
    ],
    [
      'a position outside forEach',
      { tasks: [step('a', [], { input: { $index: true } })] },
      'tasks[0].input.$index',
      'forEach',
    ],
    ['forEach over nothing', { tasks: [step('a', [], { forEach: 'x.list' })] }, 'tasks[0].forEach', '"x"'],
    ['forEach over itself', { tasks: [step('a', [], { forEach: 'a.list' })] }, 'tasks[0].forEach', 'own result'],
    [
      'forEach and loop',
      { tasks: [step('b'), step('a', [], { forEach: 'b.list', ...looped })] },
      'tasks[1].loop',
      'one of them',
    ],
    [
      'a condition over nothing',
      { tasks: [step('a', [], { when: { path: 'x.y', exists: true } })] },
      'tasks[0].when.path',
      '"x"',
    ],
    [
      'a condition that compares nothing',
      { tasks: [step('a'), step('b', ['a'], { when: { path: 'a.y' } })] },
      'tasks[1].when.path',
      'compares nothing',
    ],
    [
      'a bad part of a condition',
      {
        tasks: [
          step('a'),
          step('b', ['a'], { when: { all: [{ path: 'a', exists: true }, { not: { path: 'x', exists: true } }] } }),
        ],
      },
      'tasks[1].when.all[1].not.path',
      '"x"',
    ],
    [
      'deps of another step',
      { tasks: [step('a'), step('b', [], from('deps.a'))] },
      'tasks[1].input.value.$from',
      'dependsOn',
    ],
    [
      'an undo that looks sideways',
      { tasks: [step('a'), step('b', [], { compensate: { capability: 'probe.run', input: { $from: 'a' } } })] },
      'tasks[1].compensate.input.$from',
      'does not depend',
    ],
    [
      'a quorum of more than there are',
      { pattern: 'parallel', tasks: [step('a'), step('b', ['a'])], options: { join: { quorum: 2 } } },
      'options.join.quorum',
      'there are 1',
    ],
    [
      'undo with a join that accepts failure',
      { pattern: 'parallel', tasks: [step('a')], onFailure: 'compensate', options: { join: 'allSettled' } },
      'onFailure',
      'exclude each other',
    ],
  ])('is refused: %s', (_, body, path, words) => {
    const problem = check(body);
    expect(problem).toMatchObject({ code: 'workflow_invalid', path });
    expect(problem?.message).toContain(words);
  });

  it.each<[string, CreateWorkflow, string[], string]>([
    [
      'of three',
      { tasks: [step('a', ['c']), step('b', ['a']), step('c', ['b'])] },
      ['a', 'b', 'c', 'a'],
      'tasks[1].dependsOn[0]',
    ],
    [
      'of two behind others',
      { tasks: [step('x'), step('a', ['x', 'b']), step('b', ['a']), step('y', ['b'])] },
      ['a', 'b', 'a'],
      'tasks[2].dependsOn[0]',
    ],
    [
      'closed by a reference',
      { tasks: [step('a', [], from('b.x')), step('b', ['a'])] },
      ['a', 'b', 'a'],
      'tasks[1].dependsOn[0]',
    ],
    [
      'made of references',
      { tasks: [step('a', [], from('b.x')), step('b', [], from('a.y'))] },
      ['a', 'b', 'a'],
      'tasks[1].input.value.$from',
    ],
  ])('names the cycle %s', (_, body, cycle, path) => {
    const problem = check(body);
    expect(problem).toMatchObject({ code: 'workflow_cycle', cycle, path });
    expect(problem?.message).toContain(cycle.join(' → '));
  });

  it('is found among 10,000 steps in one chain, without exhausting the stack', () => {
    const tasks = Array.from({ length: 10_000 }, (_, index) => step(`t${index}`, index === 0 ? [] : [`t${index - 1}`]));
    expect(check({ tasks })).toBeNull();
    const closed = tasks.map((task, index) => (index === 0 ? step('t0', ['t9999']) : task));
    expect(check({ tasks: closed })?.cycle).toHaveLength(10_001);
  });
});
