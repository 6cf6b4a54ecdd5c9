// Every shipped pattern under the kit that users run on theirs.

import { expect, it } from 'vitest';
import { parallel } from '../../patterns/parallel.ts';
import { sequential } from '../../patterns/sequential.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import { type ConformanceOptions, strategyConformance } from '../../runtime/testing/conformance.ts';
import { booking, diamond, fanOut, researchReport, richGraph } from '../kit/workflows.ts';

const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_000);

interface Subject extends ConformanceOptions {
  /** Ways to end that the runs must have met. */
  readonly ends: readonly string[];
}

const subject = <Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  options: Subject,
): [string, CoordinationStrategy, Subject] => [strategy.name, strategy as CoordinationStrategy, options];

it.each([
  subject(sequential, {
    bodies: [researchReport, booking, { tasks: richGraph(3), onFailure: 'continue' }],
    ends: ['completed:all_done', 'partial:all_done', 'failed:step_failed', 'failed:compensated'],
  }),
  subject(parallel, {
    bodies: [
      diamond,
      fanOut(5, { options: { join: { quorum: 2 } } }),
      { tasks: richGraph(5), onFailure: 'compensate' },
    ],
    ends: ['completed:all_done', 'completed:join_satisfied', 'failed:join_unsatisfiable'],
  }),
])(`%s keeps its promises for ${SEEDS} seeds`, (_, strategy, { ends, bodies, ...options }) => {
  const report = strategyConformance(strategy, { bodies, seeds: Math.ceil(SEEDS / bodies.length), ...options });
  for (const kind of [...ends, 'cancelled:cancelled', 'failed:deadline'])
    expect(report.ends[kind], `${kind} of ${JSON.stringify(report.ends)}`).toBeGreaterThan(0);
});
