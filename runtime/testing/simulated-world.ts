// What a coordinator would carry out, without threads, clock or store: commands go in, the events that answer them come out, in an
// order that a seed decides. It keeps count of what is in flight and insists on what a strategy may command.

import type { Bid, Candidate, CoordinationCommand, CoordinationEvent } from '../contracts/coordination.ts';
import { wireError } from '../contracts/errors.ts';
import { createWorkflowSchema } from '../contracts/workflow.ts';
import { promise } from './plain.ts';
import type { BidAnswer, Call, Interrupt, Outcome, SimulationOptions, Start, Started } from './simulation-options.ts';

/** An event on its way. `atMs` is set when it comes. */
interface Coming {
  readonly event: CoordinationEvent;
  /** Of a timer. */
  readonly dueMs?: number;
  /** It came before. */
  readonly again?: boolean;
}

type Ended = Extract<CoordinationEvent, { type: 'step.completed' | 'step.failed' }>;

const TEMPTING: Bid = { cost: 0, etaMs: 0, confidence: 1 };
const DEFAULT_AGENTS: readonly Candidate[] = [1, 2, 3, 4, 5].map((number) => ({
  agentId: `agent-${number}`,
  name: `agent-${number}`,
  load: 0,
}));

const keyOf = ({ step, round }: { readonly step: string; readonly round: number }): string => `${step}/${round}`;

export class SimulatedWorld {
  readonly scheduled: Started[] = [];
  readonly calls: Call[] = [];
  readonly cancelled: string[] = [];
  readonly skipped: { step: string; reason: string }[] = [];
  readonly inFlight = new Set<string>();
  readonly openCalls = new Set<string>();
  maxInFlight = 0;
  nowMs = 0;

  readonly #how: SimulationOptions;
  readonly #random: () => number;
  readonly #started = new Set<string>();
  readonly #called = new Set<string>();
  readonly #asked = new Set<string>();
  /** Ends of cancelled steps stay in: they come late. */
  #coming: Coming[] = [];
  /** Bids that wait until their call is closed. */
  #late: (Coming & { readonly call: string })[] = [];
  #interrupts: Interrupt[];

  constructor(how: SimulationOptions, random: () => number) {
    this.#how = how;
    this.#random = random;
    const given = [...(how.interrupts ?? []), ...(how.interrupt ? [how.interrupt] : [])];
    this.#interrupts = given.toSorted((a, b) => a.after - b.after);
  }

  /** What comes next, after `delivered` events; undefined when nothing will. `again`: it came before. */
  next(delivered: number): { event: CoordinationEvent; again: boolean } | undefined {
    const [first] = this.#interrupts;
    const quiet = this.#coming.length === 0 && this.#late.length === 0;
    if (first && (first.after <= delivered || quiet)) {
      this.#interrupts = this.#interrupts.slice(1);
      return { event: this.#interrupting(first), again: false };
    }
    if (this.#coming.length === 0) this.#coming.push(...this.#late.splice(0));
    const [next] = this.#coming.splice(this.#pick(), 1);
    if (!next) return undefined;
    this.nowMs = Math.max(this.nowMs + 1, next.dueMs ?? 0);
    const event = next.again ? next.event : { ...next.event, atMs: this.nowMs };
    if (this.#random() < (this.#how.duplicates ?? 0.2)) this.#coming.push({ event, again: true });
    return { event, again: next.again ?? false };
  }

  #pick(): number {
    if (this.#how.schedule !== 'order') return Math.floor(this.#random() * this.#coming.length);
    const answer = this.#coming.findIndex(({ dueMs }) => dueMs === undefined);
    if (answer >= 0) return answer;
    return this.#coming.reduce((best, one, at) => (due(one) < due(this.#coming[best]) ? at : best), 0);
  }

  #interrupting({ event }: Interrupt): CoordinationEvent {
    this.nowMs += 1;
    const atMs = this.nowMs;
    if (event === 'cancel') return { type: 'cancel', atMs, reason: 'user' };
    return event === 'deadline' ? { type: 'deadline', atMs } : { ...event, atMs };
  }

  /** Keeps count: the step has ended. False when it was not in flight, so that the outcome means nothing. */
  ended(event: Ended): boolean {
    return this.inFlight.delete(keyOf(event));
  }

  /** `after`: events delivered so far. */
  carryOut(command: CoordinationCommand, after: number): void {
    switch (command.type) {
      case 'schedule':
      case 'spawn':
      case 'await':
        this.#start(command, after);
        return;
      case 'find': {
        promise(!this.#asked.has(command.key), `the key of a find is used once: ${command.key}`);
        this.#asked.add(command.key);
        const agents = this.#how.agents?.(command.capability, this.#random) ?? DEFAULT_AGENTS;
        this.#coming.push({ event: { type: 'found', atMs: 0, key: command.key, agents } });
        return;
      }
      case 'call':
        this.#call(command);
        return;
      case 'close': {
        const key = keyOf(command);
        promise(this.openCalls.delete(key), `only an open call is closed, not ${key}`);
        this.#coming.push(...this.#late.filter(({ call }) => call === key));
        this.#late = this.#late.filter(({ call }) => call !== key);
        return;
      }
      case 'timer': {
        const { key, afterMs } = command;
        promise(Number.isFinite(afterMs) && afterMs >= 0, `a timer has a time to wait: ${key} has ${afterMs}`);
        this.#coming = this.#coming.filter(({ event, again }) => again || event.type !== 'timer' || event.key !== key);
        this.#coming.push({ event: { type: 'timer', atMs: 0, key }, dueMs: this.nowMs + afterMs });
        return;
      }
      case 'cancel': {
        const key = keyOf(command);
        promise(this.inFlight.delete(key), `only what is in flight is cancelled, not ${key}`);
        this.cancelled.push(key);
        return;
      }
      case 'skip':
        this.skipped.push({ step: command.step, reason: command.reason });
        return;
      case 'end':
        promise(this.inFlight.size === 0, `the end leaves nothing in flight: ${[...this.inFlight].join()}`);
        promise(this.openCalls.size === 0, `the end leaves no call open: ${[...this.openCalls].join()}`);
    }
  }

  #start(command: Start, after: number): void {
    const { type, step, round } = command;
    const key = keyOf(command);
    promise(step !== '' && Number.isInteger(round) && round >= 0, `a step has a name and a round: ${key}`);
    promise(!this.#started.has(key), `${key} is scheduled once`);
    this.#started.add(key);
    this.inFlight.add(key);
    this.maxInFlight = Math.max(this.maxInFlight, this.inFlight.size);
    if (type === 'schedule') {
      const { input, capability, agentId } = command.task;
      promise(capability.length > 0, `${key} names a capability`);
      this.scheduled.push({ key, type, input, capability, after, ...(agentId === undefined ? {} : { agentId }) });
    } else if (type === 'spawn') {
      const body = createWorkflowSchema.safeParse(command.workflow);
      promise(body.success, `the run of ${key} is one the API would take: ${body.error?.message}`);
      this.scheduled.push({ key, type, input: command.workflow, capability: '', after });
    } else this.scheduled.push({ key, type, input: command.request, capability: '', after });
    const outcome = this.#how.outcome?.(step, round, this.#random, command) ?? usual(command);
    if (outcome !== 'never') this.#coming.push({ event: endOf(command, outcome) });
  }

  #call(call: Call): void {
    const key = keyOf(call);
    promise(!this.#called.has(key), `${key} is called once`);
    promise(new Set(call.agents).size === call.agents.length, `${key} calls each agent once`);
    promise(call.replyByMs > 0, `${key} gives time to answer`);
    this.#called.add(key);
    this.openCalls.add(key);
    this.calls.push(call);
    const { step, round } = call;
    for (const agentId of call.agents) {
      const answer: BidAnswer = this.#how.bid
        ? this.#how.bid(agentId, step, round, this.#random, call)
        : { cost: 1 + Math.floor(this.#random() * 100) };
      const about = { type: 'bid', atMs: 0, step, round, agentId } as const;
      if (answer === 'silent') continue;
      if (answer === 'late') this.#late.push({ call: key, event: { ...about, bid: TEMPTING } });
      else if (answer === 'error')
        this.#coming.push({ event: { ...about, bid: null, error: wireError('handler_failed', 'no bid') } });
      else this.#coming.push({ event: { ...about, bid: answer } });
    }
  }
}

const due = (coming: Coming | undefined): number => coming?.dueMs ?? 0;

const usual = (command: Start): Outcome =>
  command.type === 'await' && command.request.kind === 'approval'
    ? { output: { approved: true } }
    : { output: { step: command.step, round: command.round } };

function endOf(command: Start, outcome: Exclude<Outcome, 'never'>): Ended {
  const pinned = command.type === 'schedule' ? command.task.agentId : undefined;
  const about = {
    step: command.step,
    round: command.round,
    atMs: 0,
    taskId: keyOf(command),
    agentId: outcome.agentId ?? pinned ?? null,
    attempts: 1,
    startedAtMs: 0,
    ...(outcome.usage ? { usage: outcome.usage } : {}),
  };
  if ('output' in outcome) return { type: 'step.completed', output: outcome.output, ...about };
  const error = { ...wireError('handler_failed', outcome.fails), code: outcome.code ?? 'handler_failed' };
  return { type: 'step.failed', state: outcome.state ?? 'failed', error, ...about };
}
