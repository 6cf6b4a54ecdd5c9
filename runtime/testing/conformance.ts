// Whether a strategy keeps what the coordinator relies on: hundreds of seeded runs of its own bodies, calm and disturbed.

import { canonicalJson } from '../contracts/canonical-json.ts';
import type { CoordinationStrategy } from '../contracts/coordination.ts';
import { type CreateWorkflow, createWorkflowSchema } from '../contracts/workflow.ts';
import { promise } from './plain.ts';
import { seededRandom } from './seeded-random.ts';
import { prepare, simulate } from './simulation.ts';
import type { Interrupt, Outcome, SimulationOptions, SimulationResult } from './simulation-options.ts';

/** What a conformance run does; the parts of a world left out are as in {@link simulate}. */
export interface ConformanceOptions extends Pick<SimulationOptions, 'agents' | 'bid'> {
  /** Definitions the strategy must run: one per way it can go, its options and failure policies among them. */
  readonly bodies: readonly CreateWorkflow[];
  /** How steps end. Default: one in ten fails, the others complete with `{ step, round }`. */
  readonly outcome?: SimulationOptions['outcome'];
  /** Runs per body, seeds 1, 2, 3... A list: exactly these, to repeat what failed. Default 200. */
  readonly seeds?: number | readonly number[];
  /** Events from outside that belong to every run: signals, items of an open source. */
  readonly interrupts?: readonly Interrupt[];
  /** Looks at every run: promises of your own; throw to break one. */
  readonly inspect?: (result: SimulationResult, body: CreateWorkflow, seed: number) => void;
}

/** How often runs ended in which way: `completed:all_done`. A way you expect and do not find is not tested. */
export interface ConformanceReport {
  readonly runs: number;
  readonly ends: Readonly<Record<string, number>>;
}

/** Thrown when a strategy breaks a promise. `seeds: [seed]` and `bodies: [body]` repeat it. */
export class ConformanceError extends Error {
  readonly strategy: string;
  readonly seed: number;
  readonly body: CreateWorkflow;

  constructor(strategy: string, seed: number, body: CreateWorkflow, cause: unknown) {
    const why = cause instanceof Error ? cause.message : String(cause);
    super(`strategy "${strategy}", seed ${seed}: ${why}\nbody: ${JSON.stringify(body)}`, { cause });
    this.name = 'ConformanceError';
    this.strategy = strategy;
    this.seed = seed;
    this.body = body;
  }
}

/**
 * Runs every body under every seed: answers in random order, doubled, late, of what never was; crashes through JSON; a third of the
 * runs is cancelled on the way, a third meets its deadline. It checks that
 * - the strategy changes nothing it was given (all of it is frozen), and state, commands, decisions and views are plain JSON;
 * - the journal alone gives the same state and the same answers again, and the same seed the same history;
 * - every run ends, once, with nothing in flight and no call open, and then nothing more is commanded;
 * - a step is started once per round, cancelled only while it is in flight, and its late or doubled outcome changes nothing;
 * - after `cancel` a run ends `cancelled`, after `deadline` it does not end `completed`;
 * - `check`, `steps`, `progress` and `picture` answer for whatever they are given.
 * Works in any test runner, or in none.
 * @throws ConformanceError with the seed and the body at the first promise that does not hold.
 *
 * @example
 * test('keeps its promises', () => { strategyConformance(roundRobin, { bodies: [{ tasks: [...] }] }); });
 */
export function strategyConformance<Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  { bodies, seeds = 200, inspect, interrupts = [], outcome = mostlyFine, agents, bid }: ConformanceOptions,
): ConformanceReport {
  if (bodies.length === 0) throw new Error('strategyConformance needs at least one body');
  checkIsTotal(strategy, bodies);
  const ends = new Map<string, number>();
  const list = typeof seeds === 'number' ? Array.from({ length: seeds }, (_, index) => index + 1) : seeds;
  for (const body of bodies) {
    for (const seed of list) {
      const how: SimulationOptions = {
        seed,
        outcome,
        interrupts: [...interrupts, ...disturbance(seed)],
        schedule: seed % 8 === 0 ? 'order' : 'random',
        ...(agents ? { agents } : {}),
        ...(bid ? { bid } : {}),
      };
      try {
        const result = simulate(strategy, body, how);
        checkEnd(result);
        if (seed % 10 === 1) checkRepeats(result, simulate(strategy, body, how));
        inspect?.(result, body, seed);
        const kind = `${result.end.status}:${result.end.stopReason}`;
        ends.set(kind, (ends.get(kind) ?? 0) + 1);
      } catch (thrown) {
        throw new ConformanceError(strategy.name, seed, body, thrown);
      }
    }
  }
  return { runs: bodies.length * list.length, ends: Object.fromEntries(ends) };
}

function mostlyFine(step: string, round: number, random: () => number): Outcome {
  return random() < 0.1 ? { fails: 'by chance' } : { output: { step, round } };
}

/** A third of the runs goes its own way, a third is cancelled, a third meets its deadline. */
function disturbance(seed: number): Interrupt[] {
  if (seed % 3 === 0) return [];
  const random = seededRandom(seed ^ 0x2545f491);
  const after = 1 + Math.floor(random() ** 2 * 40);
  return [{ after, event: seed % 3 === 1 ? 'cancel' : 'deadline' }];
}

function checkEnd({ journal, end, commands, endedAfter }: SimulationResult): void {
  promise(commands.at(-1) === end, 'the end is the last command');
  const interrupted = journal.slice(0, endedAfter).find(({ type }) => type === 'cancel' || type === 'deadline');
  if (interrupted?.type === 'cancel')
    promise(end.status === 'cancelled', `a cancelled run ends cancelled, not ${end.status}`);
  if (interrupted?.type === 'deadline')
    promise(end.status !== 'completed', 'a run whose deadline has come does not end completed');
}

function checkRepeats(one: SimulationResult, other: SimulationResult): void {
  const history = ({ journal, commands, decisions, state }: SimulationResult) =>
    canonicalJson({ journal, commands, decisions, state });
  promise(history(one) === history(other), 'the same seed gives the same history');
}

/** One of every part a definition can have: a strategy meets those it has no use for, too. */
const PARTS = {
  tasks: [{ id: 'a', capability: 'probe.run' }],
  input: {},
  stages: [{ id: 'a', capability: 'probe.run' }],
  items: [1],
  open: true,
  goal: 'a goal',
  coordinator: { capability: 'probe.run' },
  task: { capability: 'probe.run' },
  question: 'a question?',
  voters: { n: 3 },
  objective: { capability: 'probe.run' },
  onFailure: 'compensate',
} as const satisfies CreateWorkflow;

/** A definition that cannot run is refused with a place and a reason, never by an exception; one that can has views before it starts. */
function checkIsTotal<Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  bodies: readonly CreateWorkflow[],
): void {
  for (const body of bodies) {
    let place = 'as it is';
    try {
      prepare(strategy, body);
      for (const [field, part] of Object.entries(PARTS)) {
        place = `without ${field}`;
        tryCheck(strategy, { ...body, [field]: undefined });
        place = `with another ${field}`;
        tryCheck(strategy, { ...body, [field]: part });
      }
    } catch (thrown) {
      throw new ConformanceError(strategy.name, 0, body, new Error(`the body ${place}: ${messageOf(thrown)}`));
    }
  }
}

function tryCheck<Options, State>(strategy: CoordinationStrategy<Options, State>, body: CreateWorkflow): void {
  const workflow = createWorkflowSchema.safeParse({ pattern: strategy.name, ...body });
  const options = workflow.success ? strategy.options.safeParse(workflow.data.options) : workflow;
  if (!workflow.success || !options.success) return;
  const problem = strategy.check(workflow.data, options.data);
  const named = problem === null || (typeof problem.path === 'string' && problem.message.length > 0);
  promise(named, 'check() answers null or a problem with its path and a message');
}

const messageOf = (thrown: unknown): string => (thrown instanceof Error ? thrown.message : String(thrown));
