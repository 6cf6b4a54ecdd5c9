// Runs the strategy of one workflow: takes what came into the inbox, decides, and prepares the one commit that makes it so.
// States: idle -> prepared -> idle (committed) or gone (conflict: somebody else owns the run). It writes nothing itself.

import type { CoordinationCommand, CoordinationEvent, Decision } from '../contracts/coordination.ts';
import { toWireError, type WireError, wireError } from '../contracts/errors.ts';
import type { NewEvent } from '../contracts/event.ts';
import type { WorkflowId } from '../contracts/ids.ts';
import type { Advance, InboxEvent, NewTask } from '../contracts/store.ts';
import { submitTaskSchema } from '../contracts/task.ts';
import { analyse } from './analytics.ts';
import type { Definition } from './definition.ts';
import type { CapabilityPort } from './ports.ts';
import { type InFlight, type RunMemory, remember, stepKey } from './run-memory.ts';

/** A snapshot is written after this many events, and then each time the journal has doubled: a long run writes its state a few times only. */
export const SNAPSHOT_EVERY = 50;
const MAX_STEP_EVENTS = 200;

export interface CoordinatorParts {
  readonly id: WorkflowId;
  readonly tenant: string;
  readonly definition: Definition;
  readonly capabilities: CapabilityPort;
  readonly version: number;
  readonly memory: RunMemory | null;
  readonly snapshotEvents: number;
}

type Schedule = Extract<CoordinationCommand, { type: 'schedule' }>;
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
  readonly schedules: Map<string, Schedule>;
  readonly tasks: Map<string, NewTask>;
  readonly cancels: { readonly step: string; readonly round: number; readonly reason: string }[];
  readonly skips: { readonly step: string; readonly reason: string }[];
  readonly timers: { readonly key: string; readonly afterMs: number }[];
  end: End | undefined;
}

export class Coordinator {
  readonly id: WorkflowId;
  readonly tenant: string;
  readonly definition: Definition;
  readonly #capabilities: CapabilityPort;
  #version: number;
  #memory: RunMemory | null;
  #snapshotEvents: number;

  constructor(parts: CoordinatorParts) {
    this.id = parts.id;
    this.tenant = parts.tenant;
    this.definition = parts.definition;
    this.#capabilities = parts.capabilities;
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
      schedules: new Map(),
      tasks: new Map(),
      cancels: [],
      skips: [],
      timers: [],
      end: undefined,
    };
    // Whatever the order of arrival, a run begins with its start.
    const queue = events
      .map(({ event }) => event)
      .sort((a, b) => Number(b.type === 'started') - Number(a.type === 'started'));
    for (let event = queue.shift(); event; event = queue.shift()) {
      if (!this.#take(batch, event)) continue;
      // A step that cannot become a task has failed: an event like any other, journaled with the rest.
      for (const failure of await this.#makeTasks(batch, event.atMs)) queue.push(failure);
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
    const { memory, commands, decisions } = remember(this.definition, this.id, batch.memory, event);
    if (batch.memory && memory.state === batch.memory.state && commands.length === 0) return false;
    batch.memory = memory;
    batch.journal.push(event);
    batch.decisions.push(...decisions);
    for (const command of commands) collect(batch, command);
    return true;
  }

  async #makeTasks(batch: Batch, atMs: number): Promise<CoordinationEvent[]> {
    const waiting = [...batch.schedules].filter(([key]) => !batch.tasks.has(key));
    const made = await Promise.all(
      waiting.map(async ([key, command]) => [key, command, await this.#taskOf(batch, command)] as const),
    );
    const failures: CoordinationEvent[] = [];
    for (const [key, { step, round }, made_] of made) {
      if ('task' in made_) {
        batch.tasks.set(key, made_.task);
        continue;
      }
      batch.schedules.delete(key);
      const base = { step, round, atMs, taskId: '', agentId: null, attempts: 0, startedAtMs: null };
      failures.push({ type: 'step.failed', state: 'failed', error: made_.error, ...base });
    }
    return failures;
  }

  async #taskOf(batch: Batch, { step, round, task }: Schedule): Promise<{ task: NewTask } | { error: WireError }> {
    const parsed = submitTaskSchema.safeParse(task);
    const id = batch.memory?.inFlight.find((one) => one.step === step && one.round === round)?.taskId;
    if (!parsed.success || id === undefined)
      return {
        error: wireError('invalid_input', `step "${step}" makes no task: ${parsed.error?.message ?? 'not in flight'}`),
      };
    const { capability, agentId, input, priority, timeoutMs, retry, queueTimeoutMs, deadlineMs, delayMs, runAt } =
      parsed.data;
    try {
      const pinned = await this.#capabilities.resolve({ capability, agentId }, this.tenant);
      return {
        task: {
          id,
          tenant: this.tenant,
          ...pinned,
          input: input === undefined ? {} : input,
          priority,
          timeoutMs,
          retry,
          ...(queueTimeoutMs === undefined ? {} : { queueTimeoutMs }),
          ...(deadlineMs === undefined ? {} : { deadlineMs }),
          ...(delayMs === undefined ? {} : { delayMs }),
          ...(runAt === undefined ? {} : { runAt }),
          workflow: { id: this.id, step, round },
        },
      };
    } catch (thrown) {
      return { error: toWireError(thrown) };
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
      ...(ended || this.#snapshotDue(memory) ? { snapshot: memory } : {}),
      schedule: [...batch.schedules.keys()].flatMap((key) => batch.tasks.get(key) ?? []),
      cancel: batch.cancels.map(({ step, round }) => ({ step, round })),
      timers: ended ? [] : batch.timers,
      decisions: batch.decisions,
      events: this.#events(batch, over),
      progress,
      ...(end
        ? {
            end: {
              status: end.status,
              stopReason: end.stopReason,
              output: end.output ?? null,
              ...(end.error ? { error: end.error } : {}),
              metrics: analyse(views, { startedAtMs: memory.startedAtMs, endedAtMs, timings: memory.timings }),
            },
          }
        : {}),
    };
    const known = new Set((before?.inFlight ?? []).map((one) => one.taskId));
    const began = memory.inFlight.filter((one) => !known.has(one.taskId));
    return { advance, memory, began, over, ended };
  }

  #snapshotDue(memory: RunMemory): boolean {
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
    const { end } = batch;
    if (end) shown.push(event('workflow.ended', { status: end.status, stopReason: end.stopReason }));
    return shown;
  }
}

const FINAL: ReadonlySet<string> = new Set(['completed', 'failed', 'skipped', 'cancelled']);
const EMPTY: RunMemory = { format: 1, state: null, inFlight: [], timings: [], startedAtMs: 0, events: 0, ended: false };

/** A round that is scheduled and cancelled by one batch never becomes a task. */
function collect(batch: Batch, command: CoordinationCommand): void {
  switch (command.type) {
    case 'schedule':
      batch.schedules.set(stepKey(command.step, command.round), command);
      return;
    case 'cancel': {
      const key = stepKey(command.step, command.round);
      batch.tasks.delete(key);
      if (!batch.schedules.delete(key)) batch.cancels.push(command);
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
  }
}
