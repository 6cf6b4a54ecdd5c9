// Thousands of seeded pipelines: random stages, buffers and places, poison items, answers in any order, late and doubled, crashes.

import { expect, it } from 'vitest';
import type { PipelineItem } from '../../patterns/pipeline/end.ts';
import { pipeline } from '../../patterns/pipeline.ts';
import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';
import { strategyConformance } from '../../runtime/testing/conformance.ts';
import type { Interrupt, SimulationResult } from '../../runtime/testing/simulation-options.ts';
import { seededRandom } from '../kit/coordination-simulator.ts';

const SEEDS = Number(process.env.TROUPE_SIMULATIONS ?? 1_000);
const BODIES = 50;
/** A machine that does other things too. */
const TIMEOUT_MS = 60_000 + SEEDS * 100;

/** Of a body of its own: stages, items, failures allowed, whether its source is open. */
function bodyOf(seed: number, open: boolean): CreateWorkflow {
  const random = seededRandom(seed);
  const below = (count: number) => Math.floor(random() * count);
  const stages = Array.from({ length: 1 + below(4) }, (_, at) => ({
    id: `s${at}`,
    capability: 'probe.run',
    concurrency: 1 + below(3),
    buffer: 1 + below(3),
    ...(at > 1 && random() < 0.3 ? { input: { first: { $from: 's0.round' }, before: { $item: '' } } } : {}),
    // an item in ten has no field n
    ...(at === 0 && random() < 0.3 ? { input: { n: { $item: 'n' } } } : {}),
  }));
  const options = {
    ...(random() < 0.3 ? { ordered: false } : {}),
    ...(random() < 0.3 ? { keepStages: false } : {}),
    ...(random() < 0.4 ? { maxFailedItems: below(3) } : {}),
    ...(open && random() < 0.3 ? { maxItems: 15 } : {}),
  };
  const items = Array.from({ length: (open ? 0 : 1) + below(12) }, (_, n) => (random() < 0.1 ? {} : { n }));
  return { stages, items, options, ...(open ? { open } : {}) };
}

interface Step {
  readonly stage: number;
  readonly item: number;
}

/** Looks at the history alone, without the state of the strategy. */
function inspect(result: SimulationResult, body: CreateWorkflow): void {
  const stages = body.stages ?? [];
  const stepOf = (key: string): Step => ({
    stage: Number(key.slice(1, key.indexOf('/'))),
    item: Number(key.split('/')[1]),
  });
  const startedAt = new Map<number, Step[]>();
  for (const { key, after } of result.scheduled) startedAt.set(after, [...(startedAt.get(after) ?? []), stepOf(key)]);
  const running = stages.map(() => new Set<number>());
  const waiting = stages.map(() => new Set<number>());
  const through = new Set<number>();
  const dead = new Set<number>();
  result.journal.slice(0, result.endedAfter).forEach((event, at) => {
    if (event.type === 'step.completed' || event.type === 'step.failed') {
      const { stage, item } = stepOf(`${event.step}/${event.round}`);
      if (running[stage]?.delete(item)) {
        if (event.type === 'step.failed') dead.add(item);
        else if (stage === stages.length - 1) through.add(item);
        else waiting[stage + 1]?.add(item);
      }
    }
    for (const { stage, item } of startedAt.get(at + 1) ?? []) {
      if (stage > 0)
        expect(waiting[stage]?.delete(item), `item ${item} passed s${stage - 1} before s${stage}`).toBe(true);
      running[stage]?.add(item);
    }
    stages.forEach(({ concurrency = 1, buffer = 8 }, stage) => {
      const places = running[stage]?.size ?? 0;
      expect(places, `s${stage} has ${concurrency} places`).toBeLessThanOrEqual(concurrency);
      if (stage === 0) return;
      // those beyond the queue are held by the stage before, in its places
      const held = Math.max(0, (waiting[stage]?.size ?? 0) - buffer);
      const before = stages[stage - 1]?.concurrency ?? 1;
      expect(
        held + (running[stage - 1]?.size ?? 0),
        `s${stage - 1} has ${before} places, held included`,
      ).toBeLessThanOrEqual(before);
    });
  });
  checkOutput(result, body, through, dead);
}

function checkOutput(result: SimulationResult, body: CreateWorkflow, through: Set<number>, dead: Set<number>): void {
  const { items, refused = 0 } = result.end.output as { items: PipelineItem[]; refused?: number };
  const indexes = items.map(({ index }) => index);
  const inOrder = Array.from(items.keys());
  expect(body.options?.ordered === false ? [...indexes].sort((a, b) => a - b) : indexes).toEqual(inOrder);
  const of = (status: PipelineItem['status']) => items.filter((item) => item.status === status);
  expect(
    of('completed')
      .map(({ index }) => index)
      .sort(),
  ).toEqual([...through].sort());
  for (const { index, error } of of('dead_letter'))
    expect(dead.has(index) || error?.code === 'invalid_input').toBe(true);
  for (const index of dead) expect(items.find((item) => item.index === index)?.status).toBe('dead_letter');
  expect(result.decisions.filter(({ kind }) => kind === 'dead_letter')).toHaveLength(of('dead_letter').length);
  const most = (body.options?.maxFailedItems as number | undefined) ?? Number.POSITIVE_INFINITY;
  expect(of('dead_letter').length).toBeLessThanOrEqual(most + 1);
  if (result.end.stopReason !== 'all_done') return;
  expect(of('cancelled')).toHaveLength(0);
  expect(of('dead_letter').length).toBeLessThanOrEqual(most);
  expect(result.end.status).toBe(of('dead_letter').length + refused === 0 ? 'completed' : 'partial');
}

const more = (from: number, count: number, end: boolean): Interrupt['event'] => ({
  type: 'items',
  items: Array.from({ length: count }, (_, at) => ({ n: from + at })),
  end,
});

it.each<[string, boolean, Interrupt[]]>([
  // this source is closed by its definition: what comes for it means nothing
  ['', false, [{ after: 2, event: more(0, 3, true) }]],
  [
    ' with an open source',
    true,
    [
      { after: 1, event: more(0, 4, false) },
      { after: 20, event: more(4, 5, false) },
      { after: 1_000, event: more(9, 2, true) },
      { after: 1_001, event: more(11, 2, true) },
    ],
  ],
])(
  `pipelines%s keep their promises for ${SEEDS} seeds`,
  (_, open, interrupts) => {
    const bodies = Array.from({ length: BODIES }, (_unused, at) => bodyOf(at + 1, open));
    const report = strategyConformance(pipeline, { bodies, seeds: Math.ceil(SEEDS / BODIES), interrupts, inspect });
    for (const kind of [
      'completed:all_done',
      'partial:all_done',
      'failed:items_failed',
      'cancelled:cancelled',
      'failed:deadline',
    ])
      expect(report.ends[kind], `${kind} of ${JSON.stringify(report.ends)}`).toBeGreaterThan(0);
  },
  TIMEOUT_MS,
);
