// Figures drawn from the event feed: what ended how, how long it waited and ran, how fast agents recovered.
// Plain numbers only; metrics.ts turns them into Prometheus series and into the JSON report.

import type { RuntimeEvent } from '../contracts/event.ts';
import { SampleWindow } from './sample-window.ts';

export const TASK_OUTCOMES = ['completed', 'failed', 'dead', 'cancelled', 'timed_out'] as const;
export type TaskEnd = (typeof TASK_OUTCOMES)[number];

/** Starts that are remembered until their end; the oldest is forgotten beyond this, so that lost ends cannot leak. */
const MAX_OPEN = 20_000;

/** What attempts reported to have used. */
export interface Used {
  tokens: number;
  cost: number;
  messages: number;
}

/** What the tally tells when a measurement is complete, in milliseconds. */
export interface TallyListener {
  counted?(event: RuntimeEvent): void;
  assigned?(waitMs: number): void;
  taskEnded?(outcome: TaskEnd, runMs: number | null): void;
  recovered?(tookMs: number): void;
  /** An attempt of this agent is over, and says what it used. */
  used?(agentId: string | null, used: Used): void;
  /** A thread ended otherwise than on purpose. */
  threadLost?(reason: string, detectedAfterMs: number | null): void;
  workflowEnded?(pattern: string, status: string, wallMs: number): void;
  /** What a workflow took beyond its critical path. */
  overhead?(pattern: string, overheadMs: number): void;
}

/** A change of the number of threads, and why. */
export interface ScaleEvent {
  readonly at: string;
  readonly type: 'thread.up' | 'thread.down';
  readonly thread: number;
  readonly reason: string;
}

/** The end of a run as its coordinator knows it. */
export interface RunEnd {
  readonly wallMs?: number;
  readonly criticalPathMs?: number;
  readonly overheadMs?: number;
}

/** Changes of the number of threads that are kept. */
const MAX_SCALE_EVENTS = 50;

/** Counts by event type, and windows of waits, runs, recoveries and walls. Feed it every event of the node once. */
export class EventTally {
  readonly counts = new Map<string, number>();
  readonly assignment = new SampleWindow();
  readonly run = new SampleWindow();
  readonly recovery = new SampleWindow();
  readonly workflowWalls = new Map<string, SampleWindow>();
  readonly workflowEnds = new Map<string, number>();
  readonly workflowFailures = new Map<string, number>();
  readonly criticalPaths = new Map<string, SampleWindow>();
  readonly overheads = new Map<string, SampleWindow>();
  readonly detection = new SampleWindow();
  readonly scaling: ScaleEvent[] = [];
  readonly failureCauses = new Map<string, number>();
  readonly used: Used = { tokens: 0, cost: 0, messages: 0 };

  readonly #acceptedAt = new Open<number>();
  readonly #startedAt = new Open<number>();
  readonly #failedAt = new Open<number>();
  readonly #workflowStart = new Open<number>();
  /** Patterns of workflows that were seen to be made or taken up here. */
  readonly #patterns = new Open<string>();
  readonly #runEnds = new Open<RunEnd>();
  readonly #listener: TallyListener;
  #at = '';
  #atMs = Number.NaN;

  constructor(listener: TallyListener = {}) {
    this.#listener = listener;
  }

  count(type: string): number {
    return this.counts.get(type) ?? 0;
  }

  /** This node holds the run from now on. */
  runHeld(id: string, pattern: string): void {
    this.#patterns.set(id, pattern);
  }

  /** Told before the event that it has ended. */
  runEnded(id: string, end: RunEnd): void {
    this.#runEnds.set(id, end);
  }

  add(event: RuntimeEvent): void {
    bump(this.counts, event.type);
    this.#listener.counted?.(event);
    // Many events carry the same text.
    if (event.at !== this.#at) {
      this.#at = event.at;
      this.#atMs = Date.parse(event.at);
    }
    const at = this.#atMs;
    const { stream, data } = event;
    if (data.usage !== undefined && event.type.startsWith('task.')) this.#used(data);
    switch (event.type) {
      case 'task.accepted':
        this.#acceptedAt.set(stream, at);
        break;
      case 'task.started': {
        this.#startedAt.set(stream, at);
        const waited = number(data.queueWaitMs) ?? number(data.queuedForMs) ?? since(this.#acceptedAt.take(stream), at);
        this.#acceptedAt.take(stream);
        if (waited === null) break;
        this.assignment.add(waited);
        this.#listener.assigned?.(waited);
        break;
      }
      case 'task.retrying':
      case 'task.handed_off':
      case 'task.waiting':
        this.#startedAt.take(stream);
        break;
      case 'task.completed':
      case 'task.failed':
      case 'task.dead':
      case 'task.cancelled':
      case 'task.timed_out':
        this.#taskEnded(event, at);
        break;
      case 'agent.transition':
        this.#transition(stream, data, at);
        break;
      case 'agent.terminated':
        this.#failedAt.take(stream);
        break;
      case 'thread.up':
      case 'thread.down':
        this.#thread(event);
        break;
      case 'workflow.created':
        if (typeof data.pattern === 'string') this.#patterns.set(stream, data.pattern);
        break;
      case 'workflow.started':
        this.#workflowStart.set(stream, at);
        break;
      case 'workflow.ended':
        this.#workflowEnded(event, at);
        break;
      default:
    }
  }

  #used({ usage, agentId }: Record<string, unknown>): void {
    if (typeof usage !== 'object' || usage === null) return;
    const figures = usage as Record<string, unknown>;
    const used: Used = {
      tokens: number(figures.tokens) ?? 0,
      cost: number(figures.cost) ?? 0,
      messages: number(figures.messages) ?? 0,
    };
    for (const measure of ['tokens', 'cost', 'messages'] as const) this.used[measure] += used[measure];
    this.#listener.used?.(typeof agentId === 'string' ? agentId : null, used);
  }

  #taskEnded(event: RuntimeEvent, at: number): void {
    const outcome = event.type.slice('task.'.length) as TaskEnd;
    this.#acceptedAt.take(event.stream);
    const runMs = number(event.data.runMs) ?? since(this.#startedAt.take(event.stream), at);
    this.#startedAt.take(event.stream);
    if (runMs !== null) this.run.add(runMs);
    if (outcome !== 'completed' && outcome !== 'cancelled') {
      const error = event.data.error as { code?: unknown } | undefined;
      bump(this.failureCauses, typeof error?.code === 'string' ? error.code : outcome, 200);
    }
    this.#listener.taskEnded?.(outcome, runMs);
  }

  #transition(agent: string, data: Record<string, unknown>, at: number): void {
    if (data.to === 'error') this.#failedAt.set(agent, at);
    if (data.to !== 'idle' && data.to !== 'running') return;
    const took = since(this.#failedAt.take(agent), at);
    if (took === null) return;
    this.recovery.add(took);
    this.#listener.recovered?.(took);
  }

  #thread({ type, at, data }: RuntimeEvent): void {
    const down = type === 'thread.down';
    const reason = text(data.reason) ?? (data.dedicatedTo === undefined ? 'pool' : 'dedicated');
    this.scaling.push({ at, type: down ? 'thread.down' : 'thread.up', thread: number(data.thread) ?? 0, reason });
    if (this.scaling.length > MAX_SCALE_EVENTS) this.scaling.shift();
    if (!down || reason === 'drained') return;
    const detectedAfterMs = number(data.detectedAfterMs);
    if (detectedAfterMs !== null) this.detection.add(detectedAfterMs);
    this.#listener.threadLost?.(reason, detectedAfterMs);
  }

  #workflowEnded({ stream, data }: RuntimeEvent, at: number): void {
    const pattern = text(data.pattern) ?? this.#patterns.take(stream) ?? 'unknown';
    const status = text(data.status) ?? 'unknown';
    const end = this.#runEnds.take(stream);
    bump(this.workflowEnds, status);
    if (status === 'failed') bump(this.workflowFailures, text(data.stopReason) ?? 'unknown', 200);
    const startedAt = this.#workflowStart.take(stream);
    const wallMs = end?.wallMs ?? number(data.wallMs) ?? since(startedAt, at);
    if (wallMs !== null) {
      windowOf(this.workflowWalls, pattern).add(wallMs);
      this.#listener.workflowEnded?.(pattern, status, wallMs);
    }
    if (end?.criticalPathMs !== undefined) windowOf(this.criticalPaths, pattern).add(end.criticalPathMs);
    if (end?.overheadMs === undefined) return;
    windowOf(this.overheads, pattern).add(end.overheadMs);
    this.#listener.overhead?.(pattern, end.overheadMs);
  }
}

function windowOf(windows: Map<string, SampleWindow>, pattern: string): SampleWindow {
  const window = windows.get(pattern) ?? new SampleWindow();
  windows.set(pattern, window);
  return window;
}

/** Values by key, bounded: the oldest goes first. */
class Open<Value> {
  readonly #at = new Map<string, Value>();

  set(key: string, value: Value): void {
    if (this.#at.size >= MAX_OPEN) {
      const oldest = this.#at.keys().next().value;
      if (oldest !== undefined) this.#at.delete(oldest);
    }
    this.#at.set(key, value);
  }

  take(key: string): Value | undefined {
    const at = this.#at.get(key);
    if (at !== undefined) this.#at.delete(key);
    return at;
  }
}

function bump(counts: Map<string, number>, key: string, maxKeys = Number.POSITIVE_INFINITY): void {
  const known = counts.has(key) || counts.size < maxKeys ? key : 'other';
  counts.set(known, (counts.get(known) ?? 0) + 1);
}

function since(fromMs: number | undefined, toMs: number): number | null {
  return fromMs === undefined || Number.isNaN(toMs) ? null : Math.max(0, toMs - fromMs);
}

function number(value: unknown): number | null {
  return typeof value === 'number' && Number.isFinite(value) && value >= 0 ? value : null;
}

function text(value: unknown): string | undefined {
  return typeof value === 'string' ? value : undefined;
}
