// Runs the strategy of one workflow: takes what came into the inbox, decides, and prepares the one commit that makes it so.
// States: idle -> prepared -> idle (committed) or gone (conflict: somebody else owns the run). It writes nothing itself.

import type { CoordinationCommand, CoordinationEvent, Decision, InboxEvent } from '../contracts/coordination.ts';
import { wireError } from '../contracts/errors.ts';
import type { NewEvent } from '../contracts/event.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { Placement } from '../contracts/placement.ts';
import type { Advance, Recorded } from '../contracts/store.ts';
import { analyse } from './analytics.ts';
import { type Definition, hashOf, type Strategies } from './definition.ts';
import type { CapabilityPort } from './ports.ts';
import { remember, timesOf } from './remember.ts';
import { stepKey } from './run-ids.ts';
import { type InFlight, newMemory, type RunMemory } from './run-memory.ts';
import { askRow, childRow, type StartedRow, type StepRow, taskRow } from './step-rows.ts';
import { inputTimer } from './turn.ts';

/** A snapshot is written after this many events, and then each time the journal has doubled: a long run writes its state a few times only. */
export const SNAPSHOT_EVERY = 50;
/**
 * A run that took longer writes one at its end, however few its events: its journal may be thrown away before it is. Retention keeps the
 * journals of shorter ones (see store/retention.ts).
 */
const LONG_MS = 86_400_000;
const MAX_STEP_EVENTS = 200;

export interface CoordinatorParts {
  readonly id: WorkflowId;
  readonly tenant: string;
  readonly definition: Definition;
  readonly capabilities: CapabilityPort;
  readonly version: number;
  readonly memory: RunMemory | null;
  readonly snapshotEvents: number;
  /** For the runs inside. */
  readonly strategies: Strategies;
  readonly depth: number;
  /** Of a fork: outcomes to take over. */
  readonly recorded: Recorded | null;
}

type Start = Extract<CoordinationCommand, { type: 'schedule' | 'spawn' | 'await' }>;
type End = Extract<CoordinationCommand, { type: 'end' }>;

/** A commit in the making, and what to do once it has been made. */
export interface Prepared {
  readonly advance: Advance;
  readonly memory: RunMemory;
  /** Rounds that begin and rounds that are over with this commit, for the supervision tree. */
  readonly began: readonly InFlight[];
  readonly over: readonly { readonly round: InFlight; readonly outcome: 'completed' | 'failed' | 'cancelled' }[];
  readonly ended: boolean;
}

/** What one batch of events comes to. */
interface Batch {
  memory: RunMemory | null;
  readonly journal: CoordinationEvent[];
  readonly decisions: Decision[];
  readonly starts: Map<string, Start>;
  readonly rows: Map<string, StartedRow>;
  readonly cancels: { readonly step: string; readonly round: number; readonly reason: string }[];
  readonly skips: { readonly step: string; readonly reason: string }[];
  readonly timers: { readonly key: string; readonly afterMs: number }[];
  end: End | undefined;
}

export class Coordinator {
  readonly id: WorkflowId;
  readonly tenant: string;
  readonly definition: Definition;
  readonly strategies: Strategies;
  readonly depth: number;
  readonly #capabilities: CapabilityPort;
  readonly #recorded: Recorded | null;
  #version: number;
  #memory: RunMemory | null;
  #snapshotEvents: number;

  constructor(parts: CoordinatorParts) {
    this.id = parts.id;
    this.tenant = parts.tenant;
    this.definition = parts.definition;
    this.strategies = parts.strategies;
    this.depth = parts.depth;
    this.#capabilities = parts.capabilities;
    this.#recorded = parts.recorded;
    this.#version = parts.version;
    this.#memory = parts.memory;
    this.#snapshotEvents = parts.snapshotEvents;
  }

  /** As of the last commit. */
  get memory(): RunMemory | null {
    return this.#memory;
  }

  get version(): number {
    return this.#version;
  }

  get inFlight(): readonly InFlight[] {
    return this.#memory?.inFlight ?? [];
  }

  /** Decides on these events. Nothing has happened until the advance is committed and {@link committed} is called. */
  async prepare(events: readonly InboxEvent[]): Promise<Prepared> {
    const batch: Batch = {
      memory: this.#memory,
      journal: [],
      decisions: [],
      starts: new Map(),
      rows: new Map(),
      cancels: [],
      skips: [],
      timers: [],
      end: undefined,
    };
    // Whatever the order of arrival, a run begins with its start.
    const queue: Pick<InboxEvent, 'event' | 'placed'>[] = events.toSorted(
      (a, b) => Number(b.event.type === 'started') - Number(a.event.type === 'started'),
    );
    for (let mail = queue.shift(); mail; mail = queue.shift()) {
      const { event, placed } = mail;
      const before = batch.decisions.length;
      if (!this.#take(batch, event)) continue;
      // It was made before what was decided on the end of the step.
      if (placed) batch.decisions.splice(before, 0, ...placement(event, placed));
      for (const follow of await this.#makeRows(batch, event.atMs)) queue.push({ event: follow });
    }
    return this.#finish(batch, events);
  }

  /** The advance was committed as this version. */
  committed(prepared: Prepared, version: number): void {
    this.#version = version;
    this.#memory = prepared.memory;
    if (prepared.advance.snapshot !== undefined) this.#snapshotEvents = prepared.memory.events;
  }

  /** False when it changes nothing, and so need not be journaled. */
  #take(batch: Batch, event: CoordinationEvent): boolean {
    if (batch.memory?.ended || (batch.memory !== null && event.type === 'started')) return false;
    const { memory, commands, decisions, changed } = remember(this.definition, this.id, batch.memory, event);
    if (!changed) return false;
    batch.memory = memory;
    batch.journal.push(event);
    batch.decisions.push(...decisions);
    for (const command of commands) collect(batch, command);
    return true;
  }

  /** Turns what may start into rows. What cannot start has failed and what a fork recorded has ended: events like any other, journaled with the rest. */
  async #makeRows(batch: Batch, atMs: number): Promise<CoordinationEvent[]> {
    const waiting = [...batch.starts].filter(([key]) => !batch.rows.has(key));
    const made = await Promise.all(
      waiting.map(async ([key, command]) => [key, command, await this.#rowOf(batch, key, command)] as const),
    );
    const events: CoordinationEvent[] = [];
    for (const [key, { step, round }, row] of made) {
      if (row.type === 'failure' || row.type === 'recorded') {
        batch.starts.delete(key);
        const base = { step, round, atMs, taskId: '', agentId: null, attempts: 0, startedAtMs: null };
        events.push(
          row.type === 'failure'
            ? { type: 'step.failed', state: 'failed', error: row.error, ...base }
            : { type: 'step.completed', output: row.output, ...base },
        );
      } else batch.rows.set(key, row);
    }
    return events;
  }

  async #rowOf(batch: Batch, key: string, command: Start): Promise<StepRow> {
    const recorded = this.#recorded;
    if (recorded && Object.hasOwn(recorded, key)) return { type: 'recorded', output: recorded[key] };
    const { step, round } = command;
    const one = batch.memory?.inFlight.find((open) => open.step === step && open.round === round);
    if (!one) return { type: 'failure', error: wireError('internal', `step "${step}" is not in flight`) };
    switch (command.type) {
      case 'schedule':
        return taskRow(command, one, { id: this.id, tenant: this.tenant, capabilities: this.#capabilities });
      case 'spawn':
        return childRow(command, one, this);
      case 'await':
        return askRow(command);
    }
  }

  #finish(batch: Batch, events: readonly InboxEvent[]): Prepared {
    const before = this.#memory;
    const memory = batch.memory ?? EMPTY;
    const ended = memory.ended && !before?.ended;
    const endedAtMs = batch.journal.at(-1)?.atMs ?? memory.startedAtMs;
    const { strategy, spec, options } = this.definition;
    const views = ended || !strategy.progress ? strategy.steps(spec, options, memory.state) : [];
    const progress = strategy.progress?.(spec, memory.state) ?? {
      done: views.filter((view) => FINAL.has(view.state)).length,
      total: views.length,
    };
    const over = this.#over(batch);
    const { end } = batch;
    const advance: Advance = {
      workflowId: this.id,
      tenant: this.tenant,
      version: this.#version,
      consumed: events.map(({ eventId }) => eventId),
      journal: batch.journal,
      ...(this.#snapshotDue(memory, ended ? endedAtMs : undefined) ? { snapshot: memory } : {}),
      ...rowsOf(batch),
      cancel: batch.cancels.map(({ step, round }) => ({ step, round })),
      timers: ended ? [] : [...batch.timers, ...expiries(batch)],
      decisions: batch.decisions,
      events: this.#events(batch, over),
      progress,
      ...(memory.paused === (before?.paused ?? false) ? {} : { status: memory.paused ? 'paused' : 'running' }),
      ...(end
        ? {
            end: {
              status: end.status,
              stopReason: end.stopReason,
              output: end.output ?? null,
              ...(end.error ? { error: end.error } : {}),
              ...(Object.keys(memory.used).length > 0 ? { usage: { ...memory.used } } : {}),
              metrics: analyse(views, timesOf(memory, endedAtMs)),
              stateHash: hashOf(memory),
            },
          }
        : {}),
    };
    const known = new Set((before?.inFlight ?? []).map((one) => one.taskId));
    const began = memory.inFlight.filter((one) => !known.has(one.taskId));
    return { advance, memory, began, over, ended };
  }

  #snapshotDue(memory: RunMemory, endedAtMs: number | undefined): boolean {
    if (endedAtMs !== undefined && (memory.events >= SNAPSHOT_EVERY || endedAtMs - memory.startedAtMs > LONG_MS))
      return true;
    return memory.events - this.#snapshotEvents >= Math.max(SNAPSHOT_EVERY, this.#snapshotEvents);
  }

  /** Rounds that were in flight before and are no longer. */
  #over(batch: Batch): Prepared['over'] {
    const still = new Set(batch.memory?.inFlight.map((one) => one.taskId));
    const outcomes = new Map(
      batch.journal.flatMap((event) =>
        event.type === 'step.completed' || event.type === 'step.failed'
          ? [[stepKey(event.step, event.round), event.type === 'step.completed' ? 'completed' : 'failed'] as const]
          : [],
      ),
    );
    return this.inFlight
      .filter((one) => !still.has(one.taskId))
      .map((round) => ({ round, outcome: outcomes.get(stepKey(round.step, round.round)) ?? 'cancelled' }));
  }

  #events(batch: Batch, over: Prepared['over']): NewEvent[] {
    const event = (type: NewEvent['type'], data: Record<string, unknown>): NewEvent => ({
      stream: this.id,
      type,
      tenant: this.tenant,
      data,
    });
    const steps = [
      ...over.map(({ round, outcome }) => ({
        step: round.step,
        round: round.round,
        state: outcome as string,
        taskId: round.taskId,
      })),
      ...batch.skips.map(({ step, reason }) => ({ step, round: 0, state: 'skipped', reason })),
    ];
    const shown = steps.slice(0, MAX_STEP_EVENTS).map((data) => event('workflow.step', data));
    if (steps.length > shown.length) shown.push(event('workflow.step', { more: steps.length - shown.length }));
    const paused = batch.memory?.paused ?? false;
    if (paused !== (this.#memory?.paused ?? false))
      shown.push(event(paused ? 'workflow.paused' : 'workflow.resumed', {}));
    for (const row of batch.rows.values()) {
      if (row.type !== 'input') continue;
      const { step, round, request } = row.ask;
      shown.push(event('workflow.input', { step, round, kind: request.kind, prompt: request.prompt }));
    }
    const { end } = batch;
    if (end) shown.push(event('workflow.ended', { status: end.status, stopReason: end.stopReason }));
    return shown;
  }
}

/** What the log says of the agent of a step: the chosen one, then who would have been next, scored by their place in the line. */
function placement(event: CoordinationEvent, { rule, free, next }: Placement): Decision[] {
  if ((event.type !== 'step.completed' && event.type !== 'step.failed') || event.agentId === null) return [];
  const { step, round, agentId } = event;
  const candidates = [agentId, ...next].map((id, at) => ({ id, score: at + 1 }));
  if (free > candidates.length)
    candidates.push({ id: `${free - candidates.length} more`, score: candidates.length + 1 });
  return [{ kind: 'placement', rule, chosen: agentId, step, round, candidates }];
}

const FINAL: ReadonlySet<string> = new Set(['completed', 'failed', 'skipped', 'cancelled']);
const EMPTY: RunMemory = newMemory(0);

function rowsOf({ starts, rows }: Batch): Pick<Advance, 'schedule' | 'children' | 'asks'> {
  const made = [...starts.keys()].flatMap((key) => rows.get(key) ?? []);
  const children = made.flatMap((row) => (row.type === 'run' ? [row.child] : []));
  const asks = made.flatMap((row) => (row.type === 'input' ? [row.ask] : []));
  return {
    schedule: made.flatMap((row) => (row.type === 'task' ? [row.task] : [])),
    ...(children.length > 0 ? { children } : {}),
    ...(asks.length > 0 ? { asks } : {}),
  };
}

const expiries = ({ rows }: Batch): { key: string; afterMs: number }[] =>
  [...rows.values()].flatMap((row) =>
    row.type === 'input' ? [{ key: inputTimer(row.ask.step, row.ask.round), afterMs: row.ask.expiresMs }] : [],
  );

/** A round that is started and cancelled by one batch never becomes a row. */
function collect(batch: Batch, command: CoordinationCommand): void {
  switch (command.type) {
    case 'schedule':
    case 'spawn':
    case 'await':
      batch.starts.set(stepKey(command.step, command.round), command);
      return;
    case 'cancel': {
      const key = stepKey(command.step, command.round);
      batch.rows.delete(key);
      if (!batch.starts.delete(key)) batch.cancels.push(command);
      return;
    }
    case 'skip':
      batch.skips.push(command);
      return;
    case 'timer':
      batch.timers.push(command);
      return;
    case 'end':
      batch.end = command;
      return;
    default:
      // `find` and `call` are in the memory until they are answered: the run loop carries them out from there.
      return;
  }
}
