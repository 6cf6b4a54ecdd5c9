// Figures of this node, second by second, while somebody looks: rates from what was counted since the last reading.
// One meter serves all viewers of the node.

import type { NodeFigures, ThreadFigures } from '../../contracts/inspection.ts';
import type { Dispose } from '../../contracts/ports.ts';
import type { InspectSources } from './ports.ts';
import { mailByThread } from './tree-nodes.ts';

export const FIGURES_MS = 1_000;
const TASKS_EVERY_MS = 2_000;
const WAITS_KEPT_MS = 30_000;
const WAITS_KEPT = 4_096;
const DEEPEST = 20;

interface Ends {
  started: number;
  completed: number;
  failed: number;
  deadLetters: number;
}

type QueueFigures = {
  readonly queued: number | null;
  readonly running: number | null;
  readonly oldestQueuedMs: number | null;
};
const UNKNOWN: QueueFigures = { queued: null, running: null, oldestQueuedMs: null };

/** What a tenant's viewers share. */
interface OfTenant {
  readonly seen: Ends;
  readonly waits: { readonly atMs: number; readonly waitMs: number }[];
  before: Ends;
  queue: QueueFigures;
  queueAtMs: number;
}

export interface Reading {
  readonly threads: readonly ThreadFigures[];
  readonly mailboxes: readonly { readonly node: string; readonly agent: string; readonly waiting: number }[];
  node(tenant: string): Omit<NodeFigures, 'counts'>;
}

/** States: off (nobody listens) <-> on. */
export class NodeMeter {
  readonly #sources: InspectSources;
  readonly #listeners = new Set<(reading: Reading) => void>();
  readonly #tenants = new Map<string, OfTenant>();
  #disposers: Dispose[] = [];
  #atMs = Number.NaN;
  #before = new Map<number, { readonly messagesIn: number; readonly messagesOut: number }>();

  constructor(sources: InspectSources) {
    this.#sources = sources;
  }

  listen(listener: (reading: Reading) => void): Dispose {
    if (this.#listeners.size === 0) this.#begin();
    this.#listeners.add(listener);
    return () => {
      if (this.#listeners.delete(listener) && this.#listeners.size === 0) this.#end();
    };
  }

  /** As it stands, for who asks once. Rates are those of the last second while viewers are there, else 0. */
  read(): Reading {
    return this.#reading(this.#listeners.size > 0 ? this.#elapsedMs() : 0, false);
  }

  /** Asks the database for the queue now. */
  async queueOf(tenant: string): Promise<QueueFigures> {
    const own = this.#of(tenant);
    await this.#readQueue(own, tenant);
    return own.queue;
  }

  #begin(): void {
    const { clock, feed } = this.#sources;
    this.#tenants.clear();
    this.#atMs = clock.monotonicMs();
    this.#before = new Map(this.#sources.threads().map((stats) => [stats.thread, stats]));
    this.#disposers = [
      feed.subscribe((event) => {
        const own = this.#of(event.tenant);
        if (event.type === 'task.started') this.#started(own, event.data.queuedForMs);
        else if (event.type === 'task.completed') own.seen.completed += 1;
        else if (event.type === 'task.failed' || event.type === 'task.dead' || event.type === 'task.timed_out')
          own.seen.failed += 1;
        else if (event.type === 'message.dead_letter') own.seen.deadLetters += 1;
      }),
      clock.setInterval(() => this.#tick(), FIGURES_MS),
    ];
  }

  #end(): void {
    for (const dispose of this.#disposers.splice(0)) dispose();
    this.#tenants.clear();
  }

  #started(own: OfTenant, waitMs: unknown): void {
    own.seen.started += 1;
    if (typeof waitMs !== 'number') return;
    own.waits.push({ atMs: this.#sources.clock.monotonicMs(), waitMs });
    if (own.waits.length > WAITS_KEPT) own.waits.splice(0, WAITS_KEPT / 4);
  }

  #tick(): void {
    const reading = this.#reading(this.#elapsedMs(), true);
    for (const listener of this.#listeners) {
      try {
        listener(reading);
      } catch (error) {
        this.#sources.log.error('a viewer of the inspector threw', { error });
      }
    }
    for (const own of this.#tenants.values()) own.before = { ...own.seen };
  }

  #elapsedMs(): number {
    return Math.max(1, this.#sources.clock.monotonicMs() - this.#atMs);
  }

  #reading(elapsedMs: number, moveOn: boolean): Reading {
    const threads = this.#threads(elapsedMs);
    if (moveOn) {
      this.#atMs = this.#sources.clock.monotonicMs();
      this.#before = new Map(threads.map((figures) => [figures.thread, figures]));
    }
    const { node } = this.#sources;
    const mailboxes = [...this.#sources.mail()]
      .sort((a, b) => b.waiting - a.waiting)
      .slice(0, DEEPEST)
      .map(({ agent, waiting }) => ({ node, agent, waiting }));
    const own = this.#sources.process();
    return { threads, mailboxes, node: (tenant) => this.#node(tenant, { threads, elapsedMs, own }) };
  }

  #threads(elapsedMs: number): ThreadFigures[] {
    const { node } = this.#sources;
    const mail = mailByThread(this.#sources);
    const heapLimitBytes = this.#sources.heapLimitBytes();
    return this.#sources.threads().map((stats) => {
      const { thread, cells, heapBytes, utilization, liveness, lastBeatAgoMs, messagesIn, messagesOut } = stats;
      const before = this.#before.get(thread);
      return {
        node,
        thread,
        liveness,
        utilization,
        heapBytes,
        heapLimitBytes,
        agents: cells,
        mailbox: mail.get(thread) ?? 0,
        lastBeatAgoMs,
        messagesIn,
        messagesOut,
        inPerSecond: before ? perSecond(messagesIn - before.messagesIn, elapsedMs) : 0,
        outPerSecond: before ? perSecond(messagesOut - before.messagesOut, elapsedMs) : 0,
        ...(stats.dedicatedTo === undefined ? {} : { dedicatedTo: stats.dedicatedTo }),
      };
    });
  }

  #node(
    tenant: string,
    { threads, elapsedMs, own }: { threads: readonly ThreadFigures[]; elapsedMs: number; own: ProcessFigures },
  ): Omit<NodeFigures, 'counts'> {
    const figures = this.#of(tenant);
    void this.#readQueue(figures, tenant);
    const { seen, before } = figures;
    return {
      node: this.#sources.node,
      status: this.#sources.status(),
      uptimeMs: this.#sources.uptimeMs(),
      ...own,
      tasks: {
        ...figures.queue,
        startedPerSecond: perSecond(seen.started - before.started, elapsedMs),
        completedPerSecond: perSecond(seen.completed - before.completed, elapsedMs),
        failedPerSecond: perSecond(seen.failed - before.failed, elapsedMs),
        queueWaitP95Ms: this.#waitP95(figures),
      },
      messages: {
        inPerSecond: sum(threads, 'inPerSecond'),
        outPerSecond: sum(threads, 'outPerSecond'),
        deadLettersPerSecond: perSecond(seen.deadLetters - before.deadLetters, elapsedMs),
      },
    };
  }

  #waitP95({ waits }: OfTenant): number | null {
    const sinceMs = this.#sources.clock.monotonicMs() - WAITS_KEPT_MS;
    const fresh = waits.findIndex(({ atMs }) => atMs >= sinceMs);
    if (fresh !== 0) waits.splice(0, fresh < 0 ? waits.length : fresh);
    const sorted = waits.map(({ waitMs }) => waitMs).sort((a, b) => a - b);
    return sorted[Math.floor(sorted.length * 0.95)] ?? null;
  }

  /** At most every other second; what was read last stands while the database does not answer. */
  async #readQueue(own: OfTenant, tenant: string): Promise<void> {
    const nowMs = this.#sources.clock.monotonicMs();
    if (nowMs - own.queueAtMs < TASKS_EVERY_MS) return;
    own.queueAtMs = nowMs;
    try {
      own.queue = await this.#sources.tasks(tenant);
    } catch {
      own.queue = UNKNOWN;
    }
  }

  #of(tenant: string): OfTenant {
    const known = this.#tenants.get(tenant);
    if (known) return known;
    const none = { started: 0, completed: 0, failed: 0, deadLetters: 0 };
    const made: OfTenant = {
      seen: { ...none },
      before: none,
      waits: [],
      queue: UNKNOWN,
      queueAtMs: Number.NEGATIVE_INFINITY,
    };
    this.#tenants.set(tenant, made);
    return made;
  }
}

type ProcessFigures = ReturnType<InspectSources['process']>;

function perSecond(count: number, elapsedMs: number): number {
  return elapsedMs > 0 ? Math.round((Math.max(0, count) * 10_000) / elapsedMs) / 10 : 0;
}

function sum(threads: readonly ThreadFigures[], key: 'inPerSecond' | 'outPerSecond'): number {
  return Math.round(threads.reduce((total, thread) => total + thread[key], 0) * 10) / 10;
}
