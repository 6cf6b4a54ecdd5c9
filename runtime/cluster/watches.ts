// Watching agents of other nodes: exactly one `terminated` per watch, the loss of the node included. The watcher's node asks the owner's
// node to watch for it and hears of the end by a call that is repeated until it has arrived.

import { z } from 'zod';
import type { AgentId, NodeId } from '../contracts/ids.ts';
import type { Clock, Dispose } from '../contracts/ports.ts';
import type { AgentPlace } from '../contracts/store-cluster.ts';
import type { Terminated } from '../contracts/supervision.ts';

const WATCH = 'cluster.watch';
const UNWATCH = 'cluster.unwatch';
const ENDED = 'cluster.ended';
const CALL_MS = 2_000;
const RETRY_MS = 250;

const watchSchema = z.strictObject({ watch: z.number().int(), id: z.string() });
const unwatchSchema = z.strictObject({ watch: z.number().int() });
const endedSchema = z.strictObject({
  watch: z.number().int(),
  reason: z.enum(['stopped', 'done', 'crashed', 'restart_intensity', 'thread_lost', 'node_lost', 'not_found']),
  error: z.looseObject({ code: z.string(), message: z.string(), retryable: z.boolean() }).optional(),
});

export interface WatchesParts {
  readonly node: NodeId;
  readonly clock: Clock;
  read(id: AgentId): Promise<AgentPlace | undefined>;
  /** Whether the agent lives on this node. */
  hosts(id: AgentId): boolean;
  /** A watch of this node's own agents. */
  watchHere(id: AgentId, listener: (end: Terminated) => void): Dispose;
  /** Whether the node is there; false once it is given up. */
  has(node: NodeId): boolean;
  call(node: NodeId, topic: string, body: unknown, timeoutMs: number): Promise<unknown>;
  cast(nodes: readonly NodeId[], topic: string, body: unknown): number;
  handle(topic: string, handler: (from: NodeId, body: unknown) => unknown): Dispose;
}

interface Watch {
  readonly id: AgentId;
  readonly listener: (end: Terminated) => void;
  /** Where it is watched, once that is agreed. */
  node: NodeId | undefined;
  here: Dispose | undefined;
}

export class RemoteWatches {
  readonly #parts: WatchesParts;
  /** Of this node's watchers. */
  readonly #mine = new Map<number, Watch>();
  /** For watchers of other nodes, by node and number. */
  readonly #theirs = new Map<string, Dispose>();
  readonly #disposers: Dispose[];
  #last = 0;
  #open = true;

  constructor(parts: WatchesParts) {
    this.#parts = parts;
    this.#disposers = [
      parts.handle(WATCH, (from, body) => this.#watchFor(from, watchSchema.parse(body))),
      parts.handle(UNWATCH, (from, body) => this.#unwatchFor(from, unwatchSchema.parse(body).watch)),
      parts.handle(ENDED, (_from, body) => this.#ended(endedSchema.parse(body))),
    ];
  }

  watch(id: AgentId, listener: (end: Terminated) => void): Dispose {
    this.#last += 1;
    const number = this.#last;
    const watch: Watch = { id, listener, node: undefined, here: undefined };
    this.#mine.set(number, watch);
    void this.#agree(number, watch);
    return () => {
      if (!this.#mine.delete(number)) return;
      watch.here?.();
      if (watch.node) this.#parts.cast([watch.node], UNWATCH, { watch: number });
    };
  }

  /** The node is gone: its agents ended for whoever watched them, and its own watchers are no more. */
  lost(node: NodeId): void {
    for (const [number, watch] of [...this.#mine]) if (watch.node === node) this.#fire(number, 'node_lost');
    for (const [key, dispose] of [...this.#theirs]) {
      if (!key.startsWith(`${node}/`)) continue;
      dispose();
      this.#theirs.delete(key);
    }
  }

  stop(): void {
    this.#open = false;
    for (const dispose of [...this.#disposers, ...this.#theirs.values()]) dispose();
    for (const { here } of this.#mine.values()) here?.();
    this.#mine.clear();
    this.#theirs.clear();
  }

  /** Asks until some node watches, or there is nothing to watch. */
  async #agree(number: number, watch: Watch): Promise<void> {
    const { read, hosts, watchHere, node: self } = this.#parts;
    while (this.#open && this.#mine.has(number)) {
      try {
        const place = await read(watch.id);
        if (!this.#mine.has(number)) return;
        if (!place || place.ended) return this.#fire(number, 'not_found');
        if (place.owner === self || hosts(watch.id)) {
          watch.here = watchHere(watch.id, (end) => this.#fireAs(number, end));
          return;
        }
        if (place.owner && (await this.#askFor(number, watch, place.owner))) return;
      } catch {
        // The database or the other node did not answer: again.
      }
      await new Promise<void>((resolve) => this.#parts.clock.setTimeout(resolve, RETRY_MS));
    }
  }

  async #askFor(number: number, watch: Watch, owner: NodeId): Promise<boolean> {
    // From here on its loss is the agent's end: whether it watches already may be unknown.
    watch.node = owner;
    const agreed = await this.#parts.call(owner, WATCH, { watch: number, id: watch.id }, CALL_MS).catch((error) => {
      if (this.#parts.has(owner)) watch.node = undefined;
      else this.#fire(number, 'node_lost');
      throw error;
    });
    if (agreed !== true) watch.node = undefined;
    return agreed === true;
  }

  #ended({ watch, reason, error }: z.infer<typeof endedSchema>): void {
    const { id } = this.#mine.get(watch) ?? {};
    if (id !== undefined) this.#fireAs(watch, { type: 'terminated', id, reason, ...(error ? { error } : {}) });
  }

  #fire(number: number, reason: Terminated['reason']): void {
    const { id } = this.#mine.get(number) ?? {};
    if (id !== undefined) this.#fireAs(number, { type: 'terminated', id, reason });
  }

  #fireAs(number: number, end: Terminated): void {
    const watch = this.#mine.get(number);
    if (!watch) return;
    this.#mine.delete(number);
    watch.listener(end);
  }

  // ---- for other nodes --------------------------------------------------------------------------------------------------------

  /** False when the agent does not live here: the asker looks again. Asked twice it watches once. */
  #watchFor(from: NodeId, { watch, id }: z.infer<typeof watchSchema>): boolean {
    const agent = id as AgentId;
    if (!this.#parts.hosts(agent)) return false;
    const key = `${from}/${watch}`;
    if (this.#theirs.has(key)) return true;
    this.#theirs.set(
      key,
      this.#parts.watchHere(agent, ({ reason, error }) => {
        this.#theirs.delete(key);
        void this.#tell(from, { watch, reason, ...(error ? { error } : {}) });
      }),
    );
    return true;
  }

  #unwatchFor(from: NodeId, watch: number): void {
    const key = `${from}/${watch}`;
    this.#theirs.get(key)?.();
    this.#theirs.delete(key);
  }

  /** Until it has arrived, or its watcher's node is gone. Told twice it is heard once. */
  async #tell(node: NodeId, ended: z.infer<typeof endedSchema>): Promise<void> {
    while (this.#open && this.#parts.has(node)) {
      try {
        await this.#parts.call(node, ENDED, ended, CALL_MS);
        return;
      } catch {
        await new Promise<void>((resolve) => this.#parts.clock.setTimeout(resolve, RETRY_MS));
      }
    }
  }
}
