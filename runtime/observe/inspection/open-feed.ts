// One open feed: its view of this node, the views other nodes keep for it, and the queue its reader takes from.
// States: open -> closed.

import type { CallContext } from '../../contracts/call.ts';
import type { InspectFocus, InspectFrame } from '../../contracts/inspection.ts';
import type { Clock, Dispose } from '../../contracts/ports.ts';
import { FrameQueue } from './frame-queue.ts';
import type { LocalInspector } from './local-inspector.ts';
import type { LocalView } from './local-view.ts';
import { type OtherNodes, RENEW_MS } from './other-nodes.ts';

export interface OpenFeedParts {
  readonly id: string;
  readonly call: CallContext;
  readonly local: LocalInspector;
  readonly others: OtherNodes;
  readonly clock: Clock;
  /** Nodes of the cluster that cannot be asked. */
  readonly unreachable: () => Promise<readonly string[]>;
}

export class OpenFeed {
  readonly queue = new FrameQueue();
  readonly #parts: OpenFeedParts;
  readonly #view: LocalView;
  readonly #renewal: Dispose;
  #focus: InspectFocus;
  /** Nodes that keep a view for it. */
  #nodes: readonly string[] = [];
  #unreachable: readonly string[] = [];
  #closed = false;

  constructor(parts: OpenFeedParts, focus: InspectFocus) {
    this.#parts = parts;
    this.#focus = focus;
    const { id, call, local, clock, others } = parts;
    this.#nodes = others.peers();
    const { node } = local.sources;
    this.queue.push({
      type: 'hello',
      stream: id,
      node,
      nodes: [node, ...this.#nodes],
      unreachable: [],
      revisions: { [node]: local.revision },
      focus,
    });
    const viewer = {
      id,
      tenant: call.tenant,
      focus: unresolved(focus),
      emit: (frame: InspectFrame) => this.take(frame),
    };
    this.#view = local.view(viewer);
    this.#renewal = clock.setInterval(() => void this.renew(), RENEW_MS);
    void this.renew();
  }

  get ended(): boolean {
    return this.#closed || this.queue.ended;
  }

  isOf({ tenant, subject }: CallContext): boolean {
    return this.#parts.call.tenant === tenant && this.#parts.call.subject === subject;
  }

  take(frame: InspectFrame): void {
    this.queue.push(frame);
    if (this.queue.ended) this.close();
  }

  /** Agents by their ids; `missing`: named, and not there. */
  turn(focus: InspectFocus, missing: readonly string[]): void {
    if (this.ended) return;
    this.#focus = focus;
    this.#view.focus(focus);
    for (const node of this.#nodes) void this.#tell(node);
    this.take({ type: 'focus', focus, missing: [...missing] });
  }

  /** Looks which nodes are there, and keeps their views alive. */
  async renew(): Promise<void> {
    if (this.ended) {
      this.close();
      return;
    }
    const nodes = this.#parts.others.peers();
    const before = [...this.#nodes, ...this.#unreachable].join();
    this.#nodes = nodes;
    for (const node of nodes) void this.#tell(node);
    this.#unreachable = await this.#parts.unreachable().catch(() => this.#unreachable);
    if ([...nodes, ...this.#unreachable].join() === before || this.#closed) return;
    const own = this.#parts.local.sources.node;
    this.take({ type: 'nodes', nodes: [own, ...nodes], unreachable: [...this.#unreachable] });
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#renewal();
    this.#view.close();
    for (const node of this.#nodes) this.#parts.others.end(node, this.#parts.id);
    this.queue.end();
  }

  /** A node that does not answer is asked again with the next renewal; its loss is told by the members. */
  async #tell(node: string): Promise<void> {
    const { id, call, others } = this.#parts;
    await others.view(node, id, call.tenant, this.#focus).catch(() => undefined);
  }
}

/** Before names are known to be agents of the tenant, nobody is in focus. */
export function unresolved(focus: InspectFocus): InspectFocus {
  return { ...focus, actors: [], messages: null };
}
