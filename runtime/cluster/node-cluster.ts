// This node in the cluster, put together: members, links, the route to agents of other nodes, watches, and what routers say to each other.
// Without a wire (no Redis) it still knows who is where, and refuses honestly.

import type { TellResult } from '../contracts/envelope.ts';
import { RuntimeError, toWireError, type WireError } from '../contracts/errors.ts';
import type { AgentId, NodeId } from '../contracts/ids.ts';
import type {
  Cluster,
  ClusterStats,
  LocalMail,
  Mail,
  MailAsk,
  Member,
  MemberChange,
  NodeWire,
  RemoteRoute,
} from '../contracts/messaging.ts';
import type { Ambient, DeadLetterSink, Dispose } from '../contracts/ports.ts';
import type { ClusterStore } from '../contracts/store-cluster.ts';
import type { LeaseStore } from '../contracts/store-nodes.ts';
import type { Terminated } from '../contracts/supervision.ts';
import { Asks } from '../transport/asks.ts';
import { Wheel } from '../transport/wheel.ts';
import { callCargo, castCargo, Handlers, replyCargo } from './calls.ts';
import { ASK, CALL, CAST, type Extras, FAIL, type Parcel, REPLY, readFrame, TELL } from './frames.ts';
import { Members } from './members.ts';
import { type Ending, type LinkCounters, type LinkOwner, NodeLink } from './node-link.ts';
import { Places } from './places.ts';
import { NO_REDIS, Post, TELL_MS } from './post.ts';
import { RemoteWatches } from './watches.ts';

export interface NodeClusterOptions {
  readonly node: NodeId;
  readonly ambient: Ambient;
  readonly store: ClusterStore;
  readonly leases: Pick<LeaseStore, 'nodes'>;
  readonly leaseMs: number;
  /** Undefined without Redis. */
  readonly wire: NodeWire | undefined;
  readonly local: LocalMail;
  /** Whether an agent that this node owns has ended for good and only its row is left. */
  readonly finished: (id: AgentId) => boolean;
  /** A message is there for an agent that sleeps. */
  readonly activate?: (id: AgentId) => void;
  readonly watchHere: (id: AgentId, listener: (end: Terminated) => void) => Dispose;
  readonly deadLetters: DeadLetterSink;
}

/** Nodes that are lost are remembered, so that what they sent last makes no new links. */
const LOST_REMEMBERED = 1_024;
/** How long a node that stops waits for the acknowledgement of what it has sent. */
const LAST_WORDS_MS = 500;
const LOOK_MS = 10;
const MEMBERS_EVERY_MS = { least: 250, most: 2_000 };

type Decide = Parameters<LinkOwner['take']>[2];

/** States: created -> started -> stopped. */
export class NodeCluster implements Cluster, RemoteRoute, LinkOwner {
  readonly node: NodeId;
  readonly clock;
  readonly counters: LinkCounters = {
    messagesOut: 0,
    messagesIn: 0,
    framesOut: 0,
    framesIn: 0,
    duplicates: 0,
    resent: 0,
    unknown: 0,
  };
  readonly #options: NodeClusterOptions;
  readonly #wheel: Wheel;
  readonly #asks: Asks;
  readonly #places: Places;
  readonly #members: Members;
  readonly #handlers: Handlers;
  readonly #post: Post;
  readonly #watches: RemoteWatches;
  readonly #links = new Map<NodeId, NodeLink>();
  readonly #lost = new Set<NodeId>();
  readonly #listeners = new Set<(change: MemberChange) => void>();
  #disposeWake: Dispose | undefined;
  #linkCount = 0;
  #misshapen = 0;
  #refusedCasts = 0;
  #stopping = false;
  #open = true;

  constructor(options: NodeClusterOptions) {
    const { node, ambient, store, leases, leaseMs, wire, local, finished, activate, watchHere, deadLetters } = options;
    this.#options = options;
    this.node = node;
    this.clock = ambient.clock;
    this.#wheel = new Wheel(ambient.clock);
    this.#asks = new Asks(this.#wheel);
    this.#places = new Places(store);
    this.#handlers = new Handlers(ambient.log);
    const everyMs = Math.min(MEMBERS_EVERY_MS.most, Math.max(MEMBERS_EVERY_MS.least, leaseMs / 10));
    this.#members = new Members({
      leases,
      node,
      clock: ambient.clock,
      log: ambient.log,
      everyMs,
      changed: (change) => this.#changed(change),
    });
    this.#post = new Post({
      node,
      clock: ambient.clock,
      wire,
      local,
      finished,
      activate,
      places: this.#places,
      members: this.#members,
      asks: this.#asks,
      deadLetters,
      link: (other) => this.#link(other),
    });
    this.#watches = new RemoteWatches({
      node,
      clock: ambient.clock,
      read: (id) => this.#places.read(id),
      hosts: (id) => local.hosts(id),
      watchHere,
      has: (other) => this.#members.has(other),
      call: (...call) => this.call(...call),
      cast: (...cast) => this.cast(...cast),
      handle: (...handler) => this.handle(...handler),
    });
  }

  get wire(): NodeWire {
    const { wire } = this.#options;
    if (!wire) throw new RuntimeError('unreachable', NO_REDIS);
    return wire;
  }

  async start(): Promise<void> {
    const { wire } = this.#options;
    if (!wire) return;
    wire.receive((from, frame) => this.#frame(from, frame));
    this.#disposeWake = wire.onHealthy(() => {
      for (const link of this.#links.values()) link.wake();
    });
    await this.#members.start();
  }

  /** What was said last has a moment to get through. */
  async stop(): Promise<void> {
    if (!this.#open || this.#stopping) return;
    this.#stopping = true;
    const { wire } = this.#options;
    const until = this.clock.monotonicMs() + LAST_WORDS_MS;
    while (wire?.healthy() && this.#onItsWay() > 0 && this.clock.monotonicMs() < until) {
      await new Promise<void>((resolve) => this.clock.setTimeout(resolve, LOOK_MS));
    }
    this.#open = false;
    this.#disposeWake?.();
    this.#members.stop();
    this.#watches.stop();
    this.#post.stop();
    for (const link of [...this.#links.values()]) link.close();
    this.#asks.stop('target_lost', 'this node is stopping');
    this.#wheel.stop();
    await wire?.close();
  }

  // ---- RemoteRoute ------------------------------------------------------------------------------------------------------------

  async locate(id: AgentId): Promise<'elsewhere' | 'unknown' | 'unreachable'> {
    if (this.#places.get(id)) return 'elsewhere';
    try {
      const place = await this.#places.read(id);
      if (!place || place.ended) return 'unknown';
      return place.owner === this.node && this.#options.finished(id) ? 'unknown' : 'elsewhere';
    } catch {
      return 'unreachable';
    }
  }

  known(id: AgentId): boolean {
    return this.#places.get(id) !== undefined;
  }

  tell(mail: Mail, settled: (result: TellResult) => void): void {
    this.#post.tell(mail, settled);
  }

  ask(ask: MailAsk): Promise<unknown> {
    return this.#post.ask(ask);
  }

  watch(id: AgentId, listener: (end: Terminated) => void): Dispose {
    return this.#watches.watch(id, listener);
  }

  // ---- Cluster ----------------------------------------------------------------------------------------------------------------

  peers(): readonly NodeId[] {
    return this.#options.wire?.healthy() ? this.#members.others() : [];
  }

  onChange(listener: (change: MemberChange) => void): Dispose {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  cast(nodes: readonly NodeId[], topic: string, body: unknown): number {
    const dueAtMs = this.clock.monotonicMs() + TELL_MS;
    let sent = 0;
    for (const node of nodes) {
      if (this.#reaches(node) && this.#link(node).send(castCargo(topic, body, dueAtMs))) sent += 1;
      else this.#refusedCasts += 1;
    }
    return sent;
  }

  call(node: NodeId, topic: string, body: unknown, timeoutMs: number): Promise<unknown> {
    if (!this.#reaches(node)) {
      const why = this.#options.wire ? `node ${node} cannot be reached now` : NO_REDIS;
      return Promise.reject(new RuntimeError('unreachable', why, { details: { node } }));
    }
    return this.#asks.open({ to: node, type: topic }, timeoutMs, undefined, (ask) => {
      const link = this.#link(node);
      this.#asks.sentTo(ask, link.id);
      const dueAtMs = this.clock.monotonicMs() + timeoutMs;
      const ended = (ending: Ending): void => this.#callEnded(ask, node, ending);
      const cargo = callCargo({ topic, body, ask, dueAtMs, nowMs: () => this.clock.monotonicMs(), ended });
      if (!link.send(cargo)) ended({ type: 'refused', reason: 'backpressure' });
    });
  }

  handle(topic: string, handler: (from: NodeId, body: unknown) => unknown): Dispose {
    return this.#handlers.add(topic, handler);
  }

  async members(): Promise<readonly Member[]> {
    const rows = await this.#options.store.members();
    return rows.map((row) => ({
      ...row,
      self: row.id === this.node,
      state: row.alive ? (row.draining ? 'draining' : 'active') : 'suspect',
    }));
  }

  stats(): ClusterStats {
    const { wire } = this.#options;
    return {
      ...this.counters,
      peers: this.peers().length,
      garbage: (wire?.garbage() ?? 0) + this.#misshapen,
      refused: this.#post.refused + this.#refusedCasts,
      waiting: this.#post.waiting + this.#onItsWay(),
    };
  }

  #onItsWay(): number {
    let count = 0;
    for (const link of this.#links.values()) count += link.waiting;
    return count;
  }

  // ---- links ------------------------------------------------------------------------------------------------------------------

  #reaches(node: NodeId): boolean {
    return this.#open && this.#options.wire?.healthy() === true && node !== this.node && this.#members.active(node);
  }

  #link(node: NodeId): NodeLink {
    const open = this.#links.get(node);
    if (open) return open;
    this.#linkCount += 1;
    const link = new NodeLink(node, this.#linkCount, this);
    this.#links.set(node, link);
    return link;
  }

  #changed(change: MemberChange): void {
    if (change.type === 'lost') this.#loseNode(change.node);
    for (const listener of [...this.#listeners]) {
      try {
        listener(change);
      } catch (error) {
        this.#options.ambient.log.error('a listener of the cluster threw', { change, error: toWireError(error) });
      }
    }
  }

  #loseNode(node: NodeId): void {
    this.#lost.add(node);
    if (this.#lost.size > LOST_REMEMBERED) {
      for (const oldest of this.#lost) {
        this.#lost.delete(oldest);
        break;
      }
    }
    this.#places.forgetNode(node);
    const link = this.#links.get(node);
    this.#links.delete(node);
    if (link) {
      link.close();
      this.#asks.lose(link.id);
    }
    this.#watches.lost(node);
  }

  #frame(from: NodeId, value: unknown): void {
    if (!this.#open || this.#lost.has(from)) return;
    const frame = readFrame(value);
    if (!frame) {
      this.#misshapen += 1;
      return;
    }
    // A node that has just joined may be heard before it is read of.
    if (!this.#members.has(from)) this.#members.soon();
    this.#link(from).frame(frame);
  }

  // ---- what came from other nodes ---------------------------------------------------------------------------------------------

  take(link: NodeLink, parcel: Parcel, decide: Decide): void {
    switch (parcel[0]) {
      case TELL:
        this.#takeTell(mailOf(parcel), decide);
        break;
      case ASK:
        this.#takeAsk(link, mailOf(parcel), parcel[7] as number, parcel[8] as number, decide);
        break;
      case REPLY:
        decide();
        this.#post.replied(parcel[1] as number, parcel[2]);
        break;
      case FAIL:
        decide();
        this.#post.failed(parcel[1] as number, parcel[2] as WireError);
        break;
      case CAST:
        decide();
        this.#handlers.cast(link.node, parcel[1] as string, parcel[2]);
        break;
      case CALL:
        decide();
        this.#answer(link, parcel[3] as number, this.#handlers.call(link.node, parcel[1] as string, parcel[2]));
        break;
      default:
        decide(['not_cloneable']);
    }
  }

  #takeTell(mail: Mail, decide: Decide): void {
    const { local } = this.#options;
    if (!local.hosts(mail.to)) {
      this.#notHere(mail.to, decide);
      return;
    }
    local.deliver(mail, (result) => {
      if (result.outcome === 'delivered') decide();
      // It left while the message waited for it.
      else if (result.reason === 'actor_not_found') this.#notHere(mail.to, decide);
      else decide([result.reason]);
    });
  }

  #takeAsk(link: NodeLink, mail: Mail, ask: number, timeoutMs: number, decide: Decide): void {
    const { local } = this.#options;
    if (!local.hosts(mail.to)) {
      this.#notHere(mail.to, decide);
      return;
    }
    decide();
    const reply = local.question({ ...mail, timeoutMs }).then(
      (value) => ({ value }),
      (error: unknown) => toWireError(error),
    );
    this.#answer(link, ask, reply);
  }

  #notHere(id: AgentId, decide: Decide): void {
    decide([this.#options.finished(id) ? 'actor_not_found' : 'gone']);
  }

  #answer(link: NodeLink, ask: number, answer: Promise<{ readonly value: unknown } | WireError>): void {
    void answer.then((settled) => {
      if (!link.open) return;
      const dueAtMs = this.clock.monotonicMs() + TELL_MS;
      const instead = (error: WireError): void => {
        link.send(replyCargo(ask, error, dueAtMs, () => undefined));
      };
      link.send(replyCargo(ask, settled, dueAtMs, instead));
    });
  }

  #callEnded(ask: number, node: NodeId, ending: Ending): void {
    if (ending.type === 'taken') return;
    const surely = ending.type === 'refused' || ending.type === 'unsent';
    const code = surely
      ? ending.type === 'refused' && ending.reason === 'backpressure'
        ? 'backpressure'
        : 'unreachable'
      : 'target_lost';
    const why = surely ? 'it was surely not sent' : 'whether it arrived is unknown';
    this.#asks.reject(ask, new RuntimeError(code, `node ${node} did not answer: ${why}`, { details: { node } }));
  }
}

function mailOf(parcel: Parcel): Mail {
  const [, to, from, type, body, protocol, extras] = parcel as unknown as readonly [
    number,
    AgentId,
    AgentId | null,
    string,
    unknown,
    NonNullable<Mail['protocol']> | null,
    Extras | null,
  ];
  return {
    to,
    type,
    body,
    ...(from === null ? {} : { from }),
    ...(protocol === null ? {} : { protocol }),
    ...extras,
  };
}
