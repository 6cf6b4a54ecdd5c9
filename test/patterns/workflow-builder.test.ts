import { describe, expect, it } from 'vitest';
import { auction } from '../../patterns/auction.ts';
import { consensus } from '../../patterns/consensus.ts';
import { hierarchical } from '../../patterns/hierarchical.ts';
import { parallel } from '../../patterns/parallel.ts';
import { pipeline } from '../../patterns/pipeline.ts';
import { sequential } from '../../patterns/sequential.ts';
import { swarm } from '../../patterns/swarm.ts';
import { type WorkflowDefinition, workflow } from '../../patterns/workflow-builder.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import { define, strategiesByName } from '../../runtime/workflows/definition.ts';

const strategies = strategiesByName([
  sequential,
  parallel,
  pipeline,
  hierarchical,
  consensus,
  auction,
  swarm,
] as readonly CoordinationStrategy[]);
const probe = { capability: 'probe.run' };

describe('a definition built with types', () => {
  const review = workflow('review').consensus({ task: probe, voters: { n: 3 } }, { rule: 'unanimity' });

  it.each<[string, WorkflowDefinition, object]>([
    ['sequence', workflow('w').sequence([{ id: 'a', ...probe }], { deadlineMs: 10 }), { deadlineMs: 10 }],
    ['parallel', workflow('w').parallel([{ id: 'a', ...probe }], { join: 'any' }), { options: { join: 'any' } }],
    [
      'pipeline',
      workflow('w').pipeline({ stages: [{ id: 's', ...probe }], items: [1, 2], open: true }, { ordered: false }),
      { items: [1, 2], open: true, options: { ordered: false } },
    ],
    ['hierarchy', workflow('w').hierarchy({ goal: 'do it' }, { maxRounds: 2 }), { goal: 'do it' }],
    ['consensus', review, { voters: { n: 3 }, options: { rule: 'unanimity' } }],
    ['auction', workflow('w').auction([{ id: 'a', ...probe }], { maxRounds: 2 }), { options: { maxRounds: 2 } }],
    [
      'swarm',
      workflow('w').swarm({ objective: probe }, { mode: 'pso', bounds: [[-1, 1]], maxEvaluations: 10 }),
      { objective: probe },
    ],
    [
      'a run inside a run',
      workflow('w').sequence([{ id: 'review', workflow: review }]),
      { tasks: [{ id: 'review', workflow: { pattern: 'consensus' } }] },
    ],
  ])('%s is accepted as it stands', (_what, body, expected) => {
    expect(define(strategies, body).spec).toMatchObject({ name: body.name, pattern: body.pattern, ...expected });
  });

  it('is plain data: it survives JSON', () => {
    expect(JSON.parse(JSON.stringify(review))).toEqual(review);
  });
});
