// One event, and everything that follows from it at once: the coordinator's own business first (pause, budget, expiry, order), then the
// strategy's decision, then which of its commands may start now. Works on a draft of the memory. Pure.

import type { CoordinationCommand, CoordinationEvent, Decision, Verdict } from '../contracts/coordination.ts';
import { type WireError, wireError } from '../contracts/errors.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { Budget, Usage } from '../contracts/workflow.ts';
import { type Amounts, amountsOf, GRANT, limitsOf, overdrawn, plus, reserve, wishOf } from './budget.ts';
import type { Definition } from './definition.ts';
import { taskIdOf } from './run-ids.ts';
import { type InFlight, type RunMemory, timingOf } from './run-memory.ts';

export interface Remembered {
  readonly memory: RunMemory;
  /** To be carried out; without those that wait. */
  readonly commands: readonly CoordinationCommand[];
  readonly decisions: readonly Decision[];
  /** False: nothing came of it, and it need not be journaled. */
  readonly changed: boolean;
}

type Start = Extract<CoordinationCommand, { type: 'schedule' | 'spawn' | 'await' }>;
type Outcome = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;
type End = Extract<CoordinationCommand, { type: 'end' }>;
type Draft = { -readonly [Key in keyof RunMemory]: RunMemory[Key] };

/** Timers of the coordinator itself; names of strategies never begin with $. */
const WALL = '$wall';
const INPUT = '$input:';
/** The step by which a person is asked for more. */
export const BUDGET_STEP = '$budget';

export const inputTimer = (step: string, round: number): string => `${INPUT}${step}/${round}`;

export class Turn {
  readonly #definition: Definition;
  readonly #workflowId: WorkflowId;
  readonly #before: RunMemory;
  readonly #memory: Draft;
  readonly #atMs: number;
  readonly #commands: CoordinationCommand[] = [];
  readonly #decisions: Decision[] = [];
  /** Set while the budget ends the run: what the strategy's end becomes. */
  #endsAs: (Pick<End, 'status' | 'stopReason'> & { readonly error: WireError }) | undefined;
  #changed = false;

  constructor(definition: Definition, workflowId: WorkflowId, before: RunMemory, atMs: number) {
    this.#definition = definition;
    this.#workflowId = workflowId;
    this.#before = before;
    this.#memory = { ...before };
    this.#atMs = atMs;
  }

  start(event: Extract<CoordinationEvent, { type: 'started' }>): void {
    const { strategy, spec, options } = this.#definition;
    this.#changed = true;
    if (spec.selected) {
      const { from, rule } = spec.selected;
      this.#decisions.push({ kind: 'select', rule, chosen: spec.pattern, candidates: [{ id: from }] });
    }
    if (spec.budget?.wallMs !== undefined)
      this.#commands.push({ type: 'timer', key: WALL, afterMs: spec.budget.wallMs });
    this.#apply(strategy.start(spec, options, event));
  }

  take(event: CoordinationEvent): void {
    switch (event.type) {
      case 'pause':
        if (!this.#memory.paused)
          this.#change({ pauses: [...this.#memory.pauses, { fromMs: this.#atMs, toMs: null }] });
        this.#change({ paused: true });
        return;
      case 'resume':
        if (!this.#memory.paused) return;
        this.#change({ paused: false, pauses: this.#pausesUntilNow() });
        this.#release();
        return;
      case 'timer':
        if (event.key === WALL) this.#breach('wallMs');
        else if (event.key.startsWith(INPUT)) this.#expire(event.key.slice(INPUT.length));
        else this.#deliver(event);
        return;
      case 'step.completed':
      case 'step.failed':
        this.#ended(event);
        return;
      case 'found': {
        const finds = this.#memory.finds.filter(({ key }) => key !== event.key);
        if (finds.length === this.#memory.finds.length) return;
        this.#change({ finds });
        this.#deliver(event);
        return;
      }
      case 'bid':
        this.#bid(event);
        return;
      default:
        this.#deliver(event);
    }
  }

  result(): Remembered {
    this.#windUp();
    const changed =
      this.#changed ||
      this.#memory.state !== this.#before.state ||
      this.#commands.length > 0 ||
      this.#decisions.length > 0;
    return {
      memory: { ...this.#memory, events: this.#before.events + 1 },
      commands: this.#commands,
      decisions: this.#decisions,
      changed,
    };
  }

  #change(change: Partial<Draft>): void {
    Object.assign(this.#memory, change);
    this.#changed = true;
  }

  /** A list of the draft's own, copied when it is first written to: a decision may start ten thousand steps. */
  #own<Name extends 'held' | 'inFlight'>(name: Name): RunMemory[Name][number][] {
    const list = this.#memory[name] as RunMemory[Name][number][];
    if (list !== (this.#before[name] as unknown)) return list;
    const copy = [...list];
    this.#change({ [name]: copy });
    return copy;
  }

  #pausesUntilNow(): RunMemory['pauses'] {
    return this.#memory.pauses.map((pause) => (pause.toMs === null ? { ...pause, toMs: this.#atMs } : pause));
  }

  // ---- the strategy ----------------------------------------------------------------------------------------------------

  #deliver(event: CoordinationEvent): void {
    if (this.#memory.ended) return;
    const { strategy, spec, options } = this.#definition;
    this.#apply(strategy.decide(spec, options, this.#memory.state, event));
  }

  #apply(verdict: Verdict<unknown>): void {
    this.#memory.state = verdict.state;
    this.#decisions.push(...verdict.decisions);
    for (const command of verdict.commands) this.#carry(command);
    this.#release();
  }

  #carry(command: CoordinationCommand): void {
    switch (command.type) {
      case 'schedule':
      case 'spawn':
      case 'await':
      case 'find':
      case 'call':
        // Only where something can keep it back, the time it was due is of interest.
        this.#own('held').push(
          this.#memory.paused || this.#definition.spec.budget ? { ...command, dueAtMs: this.#atMs } : command,
        );
        return;
      case 'close':
        this.#change({ calls: this.#memory.calls.filter((call) => !same(call, command)) });
        return;
      case 'cancel':
        this.#cancel(command);
        return;
      case 'end':
        this.#end(command);
        return;
      default:
        this.#commands.push(command);
    }
  }

  #cancel(command: Extract<CoordinationCommand, { type: 'cancel' }>): void {
    const { held, inFlight, early } = this.#memory;
    const waiting = held.filter((one) => !('step' in one && same(one, command)));
    if (waiting.length < held.length) {
      this.#change({ held: waiting });
      return;
    }
    this.#change({
      inFlight: inFlight.filter((one) => !same(one, command)),
      early: early.length === 0 ? early : early.filter((one) => !same(one, command)),
    });
    this.#commands.push(command);
  }

  #end(command: End): void {
    const end = this.#endsAs ? { ...command, ...this.#endsAs } : command;
    this.#change({ ended: true, inFlight: [], held: [], finds: [], calls: [], early: [] });
    this.#commands.push(end);
  }

  // ---- starting --------------------------------------------------------------------------------------------------------

  /** Starts what waits, in order, as far as the run is not paused and the budget allows. */
  #release(): void {
    const { spec } = this.#definition;
    while (!this.#memory.paused && this.#memory.budget === 'open' && !this.#memory.ended) {
      const first = this.#memory.held[0];
      if (!first) return;
      const { dueAtMs, ...next } = first;
      if (next.type === 'find' || next.type === 'call') {
        this.#own('held').shift();
        this.#consult(next);
        continue;
      }
      const command = next as Start;
      const answer =
        spec.budget && command.type !== 'await'
          ? reserve(this.#ledger(spec.budget), wishOf(command, spec.budget))
          : ({ type: 'granted', amounts: {} } as const);
      if (answer.type === 'wait') return;
      if (answer.type === 'over') {
        this.#breach(answer.measure);
        return;
      }
      this.#own('held').shift();
      this.#launch(command, answer.amounts, dueAtMs);
    }
  }

  #launch(command: Start, reserved: Amounts, dueAtMs: number = this.#atMs): void {
    const { step, round } = command;
    const one: InFlight = {
      step,
      round,
      kind: command.type === 'schedule' ? 'task' : command.type === 'spawn' ? 'run' : 'input',
      taskId: taskIdOf(this.#workflowId, step, round, this.#atMs),
      scheduledAtMs: this.#atMs,
      ...(dueAtMs < this.#atMs ? { dueAtMs } : {}),
      ...(Object.keys(reserved).length > 0 ? { reserved } : {}),
    };
    this.#own('inFlight').push(one);
    this.#change({ dispatched: this.#memory.dispatched + 1 });
    // A run inside may use what was reserved for it, and no more.
    this.#commands.push(command.type === 'spawn' ? { ...command, reserve: usageOf(reserved) } : command);
  }

  #consult(command: Extract<CoordinationCommand, { type: 'find' | 'call' }>): void {
    if (command.type === 'find') {
      const { key, capability } = command;
      this.#change({ finds: [...this.#memory.finds, { key, capability }] });
    } else {
      const called = this.#memory.called + command.agents.length;
      this.#change({ calls: [...this.#memory.calls, { ...command, answered: [] }], called });
    }
    this.#commands.push(command);
  }

  // ---- what ended ------------------------------------------------------------------------------------------------------

  #ended(event: Outcome): void {
    const { inFlight, early } = this.#memory;
    const one = inFlight.find((round) => same(round, event));
    if (!one) {
      // Late: the strategy knows of it or not, the books do not.
      if (event.step !== BUDGET_STEP) this.#deliver(event);
      return;
    }
    if (this.#definition.spec.synchronous && one !== inFlight[0]) {
      if (!early.some((known) => same(known, event))) this.#change({ early: [...early, event] });
      return;
    }
    this.#settle(one, event);
    for (;;) {
      const first = this.#memory.inFlight[0];
      const next = first && this.#memory.early.find((known) => same(known, first));
      if (!first || !next) break;
      this.#change({ early: this.#memory.early.filter((known) => known !== next) });
      this.#settle(first, next);
    }
  }

  #settle(one: InFlight, event: Outcome): void {
    // What a fork took over, and what never started, was no call.
    const calls = one.kind === 'task' && event.attempts > 0 ? 1 : 0;
    this.#change({
      inFlight: this.#memory.inFlight.filter((round_) => round_ !== one),
      timings: [...this.#memory.timings, timingOf(one, event)],
      used: plus(plus(this.#memory.used, { calls }), amountsOf(event.usage)),
    });
    if (one.step === BUDGET_STEP) this.#answered(event);
    else this.#deliver(event);
    if (this.#memory.ended) return;
    const { budget } = this.#definition.spec;
    const over = budget && this.#memory.budget === 'open' ? overdrawn(this.#ledger(budget)) : undefined;
    if (over) this.#breach(over);
    else this.#release();
  }

  /** Nobody answered in time. */
  #expire(key: string): void {
    const one = this.#memory.inFlight.find((round) => `${round.step}/${round.round}` === key);
    if (!one) return;
    const { step, round } = one;
    // Its row is closed with the commit.
    this.#commands.push({ type: 'cancel', step, round, reason: 'input_expired' });
    this.#ended({
      type: 'step.failed',
      state: 'failed',
      step,
      round,
      atMs: this.#atMs,
      error: wireError('input_expired', 'nobody answered in time'),
      taskId: '',
      agentId: null,
      attempts: 0,
      startedAtMs: one.scheduledAtMs,
    });
  }

  #bid(event: Extract<CoordinationEvent, { type: 'bid' }>): void {
    const call = this.#memory.calls.find((open) => same(open, event));
    if (call) {
      if (call.answered.includes(event.agentId) || !call.agents.includes(event.agentId)) return;
      const answered = [...call.answered, event.agentId];
      this.#change({ calls: this.#memory.calls.map((open) => (open === call ? { ...call, answered } : open)) });
    }
    this.#deliver(event);
  }

  // ---- the budget ------------------------------------------------------------------------------------------------------

  #ledger(budget: Budget) {
    const reserved = this.#memory.inFlight.flatMap((one) => (one.reserved ? [one.reserved] : []));
    return { limits: limitsOf(budget, this.#memory.granted), used: this.#memory.used, reserved };
  }

  #breach(measure: string): void {
    if (this.#memory.ended || this.#memory.budget !== 'open') return;
    const onBreach = this.#definition.spec.budget?.onBreach ?? 'stop';
    this.#decisions.push({ kind: 'budget', rule: measure, chosen: onBreach, candidates: this.#amounts() });
    if (onBreach === 'stop') this.#stop('failed', measure);
    else if (onBreach === 'degrade') {
      this.#change({ budget: 'winding' });
    } else this.#ask(measure);
  }

  #amounts(): { id: string; score: number; note: string }[] {
    const { budget } = this.#definition.spec;
    const limits = limitsOf(budget, this.#memory.granted);
    return Object.entries(limits).map(([id, limit]) => ({
      id,
      score: this.#memory.used[id as keyof Amounts] ?? 0,
      note: `of ${limit}`,
    }));
  }

  /** Nothing more may start and nothing is in flight, however it came to that: the run ends with what it has. */
  #windUp(): void {
    const { budget, inFlight, ended } = this.#memory;
    if (budget === 'winding' && inFlight.length === 0 && !ended) this.#stop('partial', 'degrade');
  }

  /** The strategy ends the run as it would for a cancel, with what it has; the reason is the budget. */
  #stop(status: 'failed' | 'partial', measure: string): void {
    const message = `the budget of the run is used up (${measure})`;
    this.#endsAs = { status, stopReason: 'budget', error: wireError('budget_exceeded', message, { measure }) };
    this.#deliver({ type: 'cancel', atMs: this.#atMs, reason: 'budget' });
    this.#endsAs = undefined;
  }

  #ask(measure: string): void {
    const round = this.#memory.asks;
    this.#change({ budget: 'asking', asks: round + 1 });
    const prompt = `The budget of this run is used up (${measure}). How much more may it use? An empty answer allows the same time again.`;
    this.#launch(
      {
        type: 'await',
        step: BUDGET_STEP,
        round,
        request: { kind: 'input', prompt, schema: GRANT, context: this.#amounts() },
      },
      {},
    );
  }

  #answered(event: Outcome): void {
    if (event.type === 'step.failed') {
      this.#change({ budget: 'open' });
      this.#stop('failed', 'not granted');
      return;
    }
    this.#change({ budget: 'open', granted: plus(this.#memory.granted, amountsOf((event.output ?? {}) as Usage)) });
    const wallMs = this.#definition.spec.budget?.wallMs;
    if (wallMs !== undefined) this.#commands.push({ type: 'timer', key: WALL, afterMs: wallMs });
  }
}

const same = (
  left: { readonly step: string; readonly round: number },
  right: { readonly step: string; readonly round: number },
): boolean => left.step === right.step && left.round === right.round;

const usageOf = (amounts: Amounts): Usage => ({ ...amounts });
