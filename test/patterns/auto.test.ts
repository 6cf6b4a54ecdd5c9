// Which pattern fits: bodies as users write them, each labelled with the pattern a person would take.

import { describe, expect, it } from 'vitest';
import { auction } from '../../patterns/auction.ts';
import { auto } from '../../patterns/auto.ts';
import { consensus } from '../../patterns/consensus.ts';
import { hierarchical } from '../../patterns/hierarchical.ts';
import { parallel } from '../../patterns/parallel.ts';
import { pipeline } from '../../patterns/pipeline.ts';
import { sequential } from '../../patterns/sequential.ts';
import { swarm } from '../../patterns/swarm.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import { type CreateWorkflow, createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import { prepare } from '../kit/coordination-simulator.ts';
import { diamond, fanOut, researchReport, step } from '../kit/workflows.ts';

const SHIPPED = new Map<string, CoordinationStrategy>(
  ([sequential, parallel, pipeline, hierarchical, consensus, auction, swarm] as CoordinationStrategy[]).map((one) => [
    one.name,
    one,
  ]),
);
const select = (body: CreateWorkflow) => auto.select?.(createWorkflowSchema.parse({ ...body, pattern: 'auto' }));
const clean = { id: 'clean', capability: 'text.clean' };
const sphere = { capability: 'function.evaluate', input: { function: 'sphere' } };
const pso = {
  bounds: [
    [-5, 5],
    [-5, 5],
  ],
  maxIterations: 10,
};

describe('a body chooses its pattern', () => {
  it.each<[string, CreateWorkflow, string, string]>([
    ['research, analysis, report', { tasks: researchReport.tasks }, 'sequential', 'one chain'],
    [
      'a chain made by references alone',
      { tasks: [step('a'), step('b', [], { input: { v: { $from: 'a.x' } } })] },
      'sequential',
      'one chain',
    ],
    ['a single task', { tasks: [step('a')] }, 'sequential', 'one chain'],
    ['tasks that need nothing of each other', { tasks: fanOut(4).tasks }, 'parallel', 'no task depends'],
    ['a diamond', { tasks: diamond.tasks }, 'parallel', 'run together'],
    ['two chains', { tasks: [step('a'), step('b', ['a']), step('c'), step('d', ['c'])] }, 'parallel', 'run together'],
    [
      'a chain that names a join',
      { tasks: [step('a'), step('b', ['a'])], options: { join: 'any' } },
      'parallel',
      'options.join',
    ],
    ['stages and items', { stages: [clean], items: ['a', 'b'] }, 'pipeline', 'stages'],
    ['stages whose items come later', { stages: [clean], open: true }, 'pipeline', 'stages'],
    ['a goal alone', { goal: 'a report on the rivers of Europe' }, 'hierarchical', 'planned by a coordinator'],
    [
      'a goal with a coordinator',
      { goal: 'x', coordinator: { capability: 'plan.make' }, input: { folder: '.' } },
      'hierarchical',
      'planned',
    ],
    [
      'a claim for five to judge',
      { task: { capability: 'fact.verify', input: { claim: 'it rains' } }, voters: { n: 5 } },
      'consensus',
      'one decision',
    ],
    [
      'tasks for the cheapest',
      { tasks: [step('a'), step('b')], options: { weights: { cost: 1 } } },
      'auction',
      'options.weights',
    ],
    ['tasks with a time to bid', { tasks: [step('a')], options: { replyByMs: 200 } }, 'auction', 'options.replyByMs'],
    ['a function to minimise', { objective: sphere, options: pso }, 'swarm', 'best score'],
  ])('%s', (_, body, pattern, reason) => {
    const selected = select(body);
    expect(selected).toEqual({ pattern, rule: expect.stringContaining(reason) });
    // and that pattern takes it as it is
    const strategy = SHIPPED.get(pattern);
    expect(() => strategy && prepare(strategy, { ...body, pattern })).not.toThrow();
    expect(strategy).toBeDefined();
  });
});

describe('a body that fits none', () => {
  it.each<[string, CreateWorkflow, string, string]>([
    ['nothing', {}, 'tasks', 'give tasks; stages with items; a goal'],
    ['an input alone', { input: 1 }, 'tasks', 'nothing to choose by'],
    ['items without stages', { items: [1] }, 'stages', '"items" without "stages"'],
    ['stages without items', { stages: [clean] }, 'items', 'stages need items'],
    ['voters without a question', { voters: { n: 5 } }, 'question', '"voters" without "question" or "task"'],
    ['a question without voters', { question: 'is it?' }, 'voters', 'needs voters'],
    [
      'a coordinator without a goal',
      { coordinator: { capability: 'plan.make' } },
      'goal',
      '"coordinator" without "goal"',
    ],
    ['a goal and tasks', { goal: 'x', tasks: [step('a')] }, 'tasks', '"goal" and "tasks" belong to different patterns'],
    ['an objective and stages', { objective: sphere, stages: [clean], items: [1] }, 'stages', 'different patterns'],
  ])('%s: is told what is missing or doubled', (_, body, path, words) => {
    const problem = select(body);
    expect(problem).toMatchObject({ code: 'workflow_invalid', path, message: expect.stringContaining(words) });
    const workflow = createWorkflowSchema.parse({ ...body, pattern: 'auto' });
    expect(auto.check(workflow, {})).toEqual(problem);
  });
});
