// Runs a strategy without threads or a store: answers come in random order, late, twice, and after their step was cancelled; the state
// is put through JSON at random, as a crash would. Every promise of a strategy is checked on the way.

import { canonicalJson } from '../contracts/canonical-json.ts';
import {
  type CoordinationCommand,
  type CoordinationEvent,
  type CoordinationStrategy,
  type Decision,
  STOP_REASONS,
  type Verdict,
} from '../contracts/coordination.ts';
import { type CreateWorkflow, createWorkflowSchema, type WorkflowSpec } from '../contracts/workflow.ts';
import { promise, sealed } from './plain.ts';
import { seededRandom } from './seeded-random.ts';
import { SimulatedWorld } from './simulated-world.ts';
import type { End, SimulationOptions, SimulationResult } from './simulation-options.ts';

const MAX_EVENTS = 100_000;
const MAX_CANDIDATES = 100;

/** A definition as the service would hand it to a strategy; throws what the schema, the options or the check refuse. */
export function prepare<Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  body: CreateWorkflow,
): { workflow: WorkflowSpec; options: Options } {
  const { idempotencyKey: _once, ...workflow } = createWorkflowSchema.parse({ pattern: strategy.name, ...body });
  const options = strategy.options.parse(workflow.options);
  const problem = strategy.check(workflow, options);
  if (problem) throw new Error(`${problem.code} at ${problem.path}: ${problem.message}`);
  return { workflow, options };
}

/**
 * Runs `body` to its end in a world that `how.seed` decides: the same seed gives the same history.
 * @throws Error `broken promise: ...` naming the first promise of {@link CoordinationStrategy} that did not hold.
 */
export function simulate<Options, State>(
  strategy: CoordinationStrategy<Options, State>,
  body: CreateWorkflow,
  how: SimulationOptions,
): SimulationResult {
  return new Simulation(strategy, body, how).run();
}

class Simulation<Options, State> {
  readonly #strategy: CoordinationStrategy<Options, State>;
  readonly #workflow: WorkflowSpec;
  readonly #options: Options;
  readonly #how: SimulationOptions;
  readonly #random: () => number;
  /** Of its own, so that looking changes no history. */
  readonly #chance: () => number;
  readonly #world: SimulatedWorld;
  readonly #journal: CoordinationEvent[] = [];
  /** What was answered to each event of the journal, as canonical JSON. */
  readonly #answers: string[] = [];
  readonly #commands: CoordinationCommand[] = [];
  readonly #decisions: Decision[] = [];
  #state: State | undefined;
  #end: End | undefined;
  #endedAfter = 0;

  constructor(strategy: CoordinationStrategy<Options, State>, body: CreateWorkflow, how: SimulationOptions) {
    const { workflow, options } = prepare(strategy, body);
    this.#strategy = strategy;
    this.#workflow = sealed(workflow, 'the workflow');
    this.#options = Object.freeze(options);
    this.#how = how;
    this.#random = seededRandom(how.seed);
    this.#chance = seededRandom(how.seed ^ 0x5f3759df);
    this.#world = new SimulatedWorld(how, this.#random);
  }

  run(): SimulationResult {
    this.#look();
    this.#deliver({ type: 'started', atMs: 0, seed: this.#how.seed }, false);
    for (let delivered = 1; ; delivered++) {
      promise(delivered < MAX_EVENTS, 'every run ends');
      const next = this.#world.next(delivered);
      if (!next) break;
      this.#deliver(next.event, next.again);
      if (this.#how.schedule !== 'order' && this.#chance() < (this.#how.noise ?? 0.05)) this.#disturb();
      if (this.#chance() < (this.#how.views ?? 0.1)) this.#look();
    }
    const end = this.#end;
    promise(end !== undefined, `every run ends: nothing is under way and the state is ${this.#shown()}`);
    this.#look();
    this.#checkReplay();
    const { scheduled, calls, cancelled, skipped, maxInFlight } = this.#world;
    return {
      end,
      endedAfter: this.#endedAfter,
      journal: this.#journal,
      commands: this.#commands,
      decisions: this.#decisions,
      scheduled,
      calls,
      cancelled,
      skipped,
      maxInFlight,
      state: this.#state,
    };
  }

  #deliver(event: CoordinationEvent, again: boolean): void {
    this.#journal.push(sealed(event, 'the event'));
    const before = this.#state;
    const verdict = this.#answer(before, event);
    this.#answers.push(canonicalJson([verdict.commands, verdict.decisions]));
    const outcome = event.type === 'step.completed' || event.type === 'step.failed';
    const pointless =
      (outcome && !this.#world.ended(event)) || (again && (event.type === 'found' || event.type === 'bid'));
    if (this.#end) this.#insistUnchanged(verdict, event, 'after the end');
    else if (pointless)
      this.#insistUnchanged(verdict, event, again ? 'of an event that comes twice' : 'of a late event');
    const through = this.#random() < (this.#how.crashes ?? 0.1);
    this.#state = through ? (JSON.parse(JSON.stringify(verdict.state)) as State) : verdict.state;
    sealed(this.#state, 'the state');
    this.#decisions.push(...verdict.decisions);
    for (const command of verdict.commands) this.#carryOut(command);
  }

  #carryOut(command: CoordinationCommand): void {
    promise(this.#end === undefined, 'the end is the last command');
    this.#commands.push(command);
    this.#world.carryOut(command, this.#journal.length);
    if (command.type !== 'end') return;
    const { stopReason } = command;
    promise(STOP_REASONS.includes(stopReason), `a run ends for a reason of the closed list, not ${stopReason}`);
    this.#end = command;
    this.#endedAfter = this.#journal.length;
  }

  #decide(state: State | undefined, event: CoordinationEvent): Verdict<State> {
    const { start, decide } = this.#strategy;
    promise(state !== undefined || event.type === 'started', 'the first event is the start');
    return state === undefined && event.type === 'started'
      ? start.call(this.#strategy, this.#workflow, this.#options, event)
      : decide.call(this.#strategy, this.#workflow, this.#options, state as State, event);
  }

  #answer(state: State | undefined, event: CoordinationEvent): Verdict<State> {
    const verdict = this.#decide(state, event);
    sealed(verdict.state, 'the state');
    sealed(verdict.commands, 'the commands');
    for (const { kind, candidates = [] } of sealed(verdict.decisions, 'the decisions'))
      promise(candidates.length <= MAX_CANDIDATES, `a decision names ${MAX_CANDIDATES} candidates at most: ${kind}`);
    return verdict;
  }

  /** An event of something that never was must change nothing. It is not in the journal. */
  #disturb(): void {
    const atMs = this.#world.nowMs;
    const nobody = { step: 'noise', round: 0, atMs, agentId: 'nobody' } as const;
    const known = this.#world.scheduled.at(-1)?.key.split('/')[0] ?? 'noise';
    const ended = { type: 'step.completed', output: null, taskId: 'noise', attempts: 1, startedAtMs: null } as const;
    const events: CoordinationEvent[] = [
      { ...ended, ...nobody },
      { ...ended, ...nobody, step: known, round: 1_000_000 },
      { type: 'bid', ...nobody, bid: { cost: 0 } },
      { type: 'timer', atMs, key: 'noise' },
      { type: 'found', atMs, key: 'noise', agents: [] },
      { type: 'input', atMs, key: 'noise', value: null },
    ];
    const event = events[Math.floor(this.#chance() * events.length)];
    if (event && this.#state !== undefined)
      this.#insistUnchanged(
        this.#answer(this.#state, sealed(event, 'the event')),
        event,
        'of something that never was',
      );
  }

  #insistUnchanged(verdict: Verdict<State>, event: CoordinationEvent, when: string): void {
    const nothing = verdict.commands.length === 0;
    promise(nothing, `nothing is commanded ${when}: ${canonicalJson(event)} gave ${canonicalJson(verdict.commands)}`);
    const same = verdict.state === this.#state || canonicalJson(verdict.state) === canonicalJson(this.#state);
    promise(same, `the state does not change ${when}: ${canonicalJson(event)}`);
  }

  /** Views answer for every state, with plain JSON. */
  #look(): void {
    const { steps, progress, picture } = this.#strategy;
    const state = this.#state ?? null;
    const views = sealed(steps.call(this.#strategy, this.#workflow, this.#options, state), 'steps()');
    const names = views.map(({ id, round }) => `${id}/${round}`);
    const twice = names.find((name, at) => names.indexOf(name) !== at);
    promise(twice === undefined, `steps() names each step and round once, not ${twice} twice`);
    if (state === null) return;
    sealed(picture?.call(this.#strategy, this.#workflow, this.#options, state), 'picture()');
    if (!progress) return;
    const { done, total } = progress.call(this.#strategy, this.#workflow, state);
    const counts = Number.isInteger(done) && Number.isInteger(total) && done >= 0 && done <= total;
    promise(counts, `progress() counts whole steps, none twice: ${done} of ${total}`);
  }

  /** The journal alone gives the state again and the same answers: no clock, no random, no memory beside the state. */
  #checkReplay(): void {
    let state: State | undefined;
    for (const [at, event] of (JSON.parse(JSON.stringify(this.#journal)) as CoordinationEvent[]).entries()) {
      const verdict = this.#decide(state, event);
      const answer = canonicalJson([verdict.commands, verdict.decisions]);
      promise(answer === this.#answers[at], `a replay gives the same answers: event ${at} (${event.type}) did not`);
      state = verdict.state;
    }
    promise(canonicalJson(state) === canonicalJson(this.#state), 'a replay gives the same state');
  }

  #shown(): string {
    return canonicalJson(this.#state).slice(0, 2_000);
  }
}
