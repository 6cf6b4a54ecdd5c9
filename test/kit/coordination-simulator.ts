// Runs a strategy without threads or a store: a seeded scheduler ends tasks in random order, late, twice, and after they were
// cancelled; the state is put through JSON at random, as a crash would. Every promise of a pattern is checked on the way.

import { canonicalJson } from '../../runtime/contracts/canonical-json.ts';
import type {
  CoordinationCommand,
  CoordinationEvent,
  CoordinationStrategy,
  Decision,
} from '../../runtime/contracts/coordination.ts';
import { wireError } from '../../runtime/contracts/errors.ts';
import { type CreateWorkflow, createWorkflowSchema, type WorkflowSpec } from '../../runtime/contracts/workflow.ts';

export type Outcome = { readonly output: unknown } | { readonly fails: string };

export interface SimulationOptions {
  readonly seed: number;
  /** What a task does; default: it answers `{ step, round }`. */
  readonly outcome?: (step: string, round: number, random: () => number) => Outcome;
  /** Chance that a delivered event comes again later. Default 0.2. */
  readonly duplicates?: number;
  /** Chance that the state goes through JSON after an event. Default 0.1. */
  readonly crashes?: number;
  /** `order`: tasks end in the order they were scheduled. Default: random. */
  readonly schedule?: 'order' | 'random';
  /** An event from outside, delivered after that many events. */
  readonly interrupt?: { readonly after: number; readonly event: 'cancel' | 'deadline' };
}

export type End = Extract<CoordinationCommand, { type: 'end' }>;

export interface SimulationResult {
  readonly end: End;
  readonly journal: readonly CoordinationEvent[];
  readonly decisions: readonly Decision[];
  /** `step/round` in the order they were scheduled, with their input. */
  readonly scheduled: readonly {
    readonly key: string;
    readonly input: unknown;
    readonly capability: string;
    /** Events delivered by then: the position in the journal. */
    readonly after: number;
  }[];
  readonly cancelled: readonly string[];
  readonly skipped: readonly { readonly step: string; readonly reason: string }[];
  readonly maxInFlight: number;
  readonly state: unknown;
}

/** A definition as the service would hand it to a strategy; throws what the check refuses. */
export function prepare<Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  body: CreateWorkflow,
): { workflow: WorkflowSpec; options: Options } {
  const workflow: WorkflowSpec = createWorkflowSchema.parse({ pattern: strategy.name, ...body });
  const options = strategy.options.parse(workflow.options);
  const problem = strategy.check(workflow, options);
  if (problem) throw new Error(`${problem.code} at ${problem.path}: ${problem.message}`);
  return { workflow, options };
}

/** mulberry32: small, seeded, good enough to choose by. */
export function seededRandom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

function promise(holds: boolean, message: string): asserts holds {
  if (!holds) throw new Error(`broken promise: ${message}`);
}

function frozen<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    Object.values(value).forEach(frozen);
  }
  return value;
}

const MAX_EVENTS = 100_000;

export function simulate<Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  body: CreateWorkflow,
  options: SimulationOptions,
): SimulationResult {
  return new Simulation(strategy, body, options).run();
}

class Simulation<Options, State> {
  readonly #strategy: CoordinationStrategy<Options, State>;
  readonly #workflow: WorkflowSpec;
  readonly #options: Options;
  readonly #how: SimulationOptions;
  readonly #random: () => number;
  readonly #journal: CoordinationEvent[] = [];
  readonly #decisions: Decision[] = [];
  readonly #scheduled: { key: string; input: unknown; capability: string; after: number }[] = [];
  readonly #everScheduled = new Set<string>();
  readonly #inFlight = new Set<string>();
  readonly #cancelled: string[] = [];
  readonly #skipped: { step: string; reason: string }[] = [];
  /** Ends not delivered yet; those of cancelled tasks stay in: they come late. */
  readonly #pending: CoordinationEvent[] = [];
  #state: State | undefined;
  #end: End | undefined;
  #maxInFlight = 0;
  #nowMs = 0;

  constructor(strategy: CoordinationStrategy<Options, State>, body: CreateWorkflow, how: SimulationOptions) {
    const { workflow, options } = prepare(strategy, body);
    this.#strategy = strategy;
    this.#workflow = frozen(workflow);
    this.#options = options;
    this.#how = how;
    this.#random = seededRandom(how.seed);
  }

  run(): SimulationResult {
    this.#deliver({ type: 'started', atMs: 0, seed: this.#how.seed });
    for (let delivered = 1; this.#pending.length > 0; delivered++) {
      promise(delivered < MAX_EVENTS, 'every run ends');
      const { interrupt } = this.#how;
      if (interrupt?.after === delivered) {
        const atMs = this.#nowMs;
        this.#deliver(
          interrupt.event === 'cancel' ? { type: 'cancel', atMs, reason: 'user' } : { type: 'deadline', atMs },
        );
      }
      const at = this.#how.schedule === 'order' ? 0 : Math.floor(this.#random() * this.#pending.length);
      const [event] = this.#pending.splice(at, 1);
      if (!event) break;
      this.#deliver(event);
      if (this.#random() < (this.#how.duplicates ?? 0.2)) this.#pending.push(event);
    }
    promise(
      this.#end !== undefined,
      `every run ends: nothing is in flight and the state is ${canonicalJson(this.#state)}`,
    );
    this.#checkReplay();
    return {
      end: this.#end,
      journal: this.#journal,
      decisions: this.#decisions,
      scheduled: this.#scheduled,
      cancelled: this.#cancelled,
      skipped: this.#skipped,
      maxInFlight: this.#maxInFlight,
      state: this.#state,
    };
  }

  #deliver(event: CoordinationEvent): void {
    this.#nowMs += 1;
    this.#journal.push(event);
    const before = this.#state;
    const verdict = this.#step(before, event);
    if (this.#end) {
      promise(verdict.commands.length === 0, 'nothing is commanded after the end');
      promise(canonicalJson(verdict.state) === canonicalJson(before), 'the state no longer changes after the end');
    }
    const through = this.#random() < (this.#how.crashes ?? 0.1);
    this.#state = frozen(through ? (JSON.parse(JSON.stringify(verdict.state)) as State) : verdict.state);
    this.#decisions.push(...verdict.decisions);
    if ('step' in event) this.#inFlight.delete(`${event.step}/${event.round}`);
    for (const command of verdict.commands) this.#carryOut(command);
    this.#maxInFlight = Math.max(this.#maxInFlight, this.#inFlight.size);
  }

  #step(state: State | undefined, event: CoordinationEvent) {
    if (state !== undefined) return this.#strategy.decide(this.#workflow, this.#options, state, event);
    promise(event.type === 'started', 'the first event is the start');
    return this.#strategy.start(this.#workflow, this.#options, event);
  }

  #carryOut(command: CoordinationCommand): void {
    promise(this.#end === undefined, 'the end is the last command');
    switch (command.type) {
      case 'schedule': {
        const key = `${command.step}/${command.round}`;
        promise(!this.#everScheduled.has(key), `${key} is scheduled once`);
        this.#everScheduled.add(key);
        this.#inFlight.add(key);
        const { input, capability } = command.task;
        this.#scheduled.push({ key, input, capability, after: this.#journal.length });
        this.#pending.push(this.#endOf(command.step, command.round));
        return;
      }
      case 'cancel': {
        const key = `${command.step}/${command.round}`;
        promise(this.#inFlight.delete(key), `only what is in flight is cancelled, not ${key}`);
        this.#cancelled.push(key);
        return;
      }
      case 'skip':
        this.#skipped.push({ step: command.step, reason: command.reason });
        return;
      case 'end':
        promise(this.#inFlight.size === 0, `the end leaves nothing in flight: ${[...this.#inFlight].join()}`);
        this.#end = command;
    }
  }

  #endOf(step: string, round: number): CoordinationEvent {
    const outcome = this.#how.outcome?.(step, round, this.#random) ?? { output: { step, round } };
    const about = {
      step,
      round,
      atMs: this.#nowMs,
      taskId: `${step}/${round}`,
      agentId: null,
      attempts: 1,
      startedAtMs: 0,
    };
    return 'output' in outcome
      ? { type: 'step.completed', output: outcome.output, ...about }
      : { type: 'step.failed', state: 'failed', error: wireError('handler_failed', outcome.fails), ...about };
  }

  /** The journal alone gives the state again, and the same commands. */
  #checkReplay(): void {
    let state: State | undefined;
    const scheduled: string[] = [];
    for (const event of JSON.parse(JSON.stringify(this.#journal)) as CoordinationEvent[]) {
      const verdict = this.#step(state, event);
      state = verdict.state;
      for (const command of verdict.commands)
        if (command.type === 'schedule') scheduled.push(`${command.step}/${command.round}`);
    }
    promise(canonicalJson(state) === canonicalJson(this.#state), 'a replay gives the same state');
    promise(scheduled.join() === this.#scheduled.map((one) => one.key).join(), 'a replay gives the same commands');
  }
}
