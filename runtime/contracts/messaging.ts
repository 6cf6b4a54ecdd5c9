// The borders of messaging: what threads hand to the cluster, what the cluster hands back to the threads of another node,
// what the router sends to the routers of other nodes, and the way frames travel. Implemented by cluster/, pool/ and bus/.

import type { Protocol, TellResult } from './envelope.ts';
import type { AgentId, NodeId } from './ids.ts';
import type { Dispose } from './ports.ts';
import type { NodeRow } from './store-nodes.ts';
import type { Terminated } from './supervision.ts';

/** One message for an actor, wherever it lives. `body` is plain data, or what a structured clone carries. */
export interface Mail {
  readonly to: AgentId;
  /** The sending actor as its runtime stamped it. */
  readonly from?: AgentId;
  readonly type: string;
  readonly body: unknown;
  /** Default `direct`. */
  readonly protocol?: Protocol;
  readonly traceparent?: string;
  /** Of a message to many: what it was published to, which channel or group it came through, how many such messages led to it. */
  readonly topic?: string;
  readonly channel?: string;
  readonly hops?: number;
}

/** A message whose sender waits for a reply. */
export interface MailAsk extends Mail {
  /** Positive; a question without a deadline is refused. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
}

/**
 * Actors of this node as the cluster sees them (implemented by pool/). Nothing here looks further than this node: what came
 * over the network is never sent out again.
 */
export interface LocalMail {
  /** Whether the actor lives here, is starting here, or is expected back after the loss of its thread. */
  hosts(id: AgentId): boolean;
  /** In order per sender. `settled` is called exactly once. */
  deliver(mail: Mail, settled: (result: TellResult) => void): void;
  /** Rejects like `ThreadPool.ask`. */
  question(ask: MailAsk): Promise<unknown>;
}

/** Where to send what is not of this node: the route that main offers to its threads and to itself (implemented by cluster/). */
export interface RemoteRoute {
  /**
   * Whether an actor of another node has this id. Reads a bounded cache, else the database; never rejects: a database that does
   * not answer is `unreachable`.
   */
  locate(id: AgentId): Promise<'elsewhere' | 'unknown' | 'unreachable'>;
  /** What is known without asking. */
  known(id: AgentId): boolean;
  /**
   * Exactly one `settled`: `delivered` with `via: 'redis'` once it is in the mailbox there; `refused` when it surely is not
   * (`unreachable`: no Redis, too long without an owner; `backpressure`: the outbox is full; and what the other node says);
   * `unknown` / `target_lost` when the node was lost, or did not answer in time, after the message may have been sent.
   */
  tell(mail: Mail, settled: (result: TellResult) => void): void;
  /** Rejects with `ask_timeout`, `actor_not_found`, `unreachable`, `target_lost`, `backpressure` or what the other node says. */
  ask(ask: MailAsk): Promise<unknown>;
  /** Exactly one `terminated`: the agent's end, or `node_lost` when its node is lost; `not_found` for an id nobody knows. */
  watch(id: AgentId, listener: (end: Terminated) => void): Dispose;
}

/** A node of the cluster as this node sees it, under the clock of the database. */
export interface Member extends NodeRow {
  /** `suspect`: its lease has expired, and it is not yet given up. */
  readonly state: 'active' | 'draining' | 'suspect';
  /** This very node. */
  readonly self: boolean;
  /** Since its last renewal, by the clock of the database. */
  readonly heartbeatAgeMs: number;
  /** Agents it owns. */
  readonly agents: number;
}

/** A node came or went for good. A node that restarts comes back as another member. */
export type MemberChange =
  | { readonly type: 'joined'; readonly node: NodeId }
  | { readonly type: 'lost'; readonly node: NodeId };

/**
 * What routers of different nodes say to each other. Without Redis there are no peers: casts reach nobody and calls are
 * refused `unreachable`.
 */
export interface Cluster {
  readonly node: NodeId;
  /** Other nodes that can be sent to now. */
  peers(): readonly NodeId[];
  onChange(listener: (change: MemberChange) => void): Dispose;
  /**
   * One frame to the routers of these nodes, e.g. those that have subscribers. At most once per node, in the order of the calls
   * with the same node, duplicates removed. Answers to how many it is on its way; the others refused it at once (outbox full, unknown
   * node, no Redis) and are counted.
   */
  cast(nodes: readonly NodeId[], topic: string, body: unknown): number;
  /** As {@link cast}, with an answer from one node. Rejects with `ask_timeout`, `unreachable`, `target_lost` or what the handler threw. */
  call(node: NodeId, topic: string, body: unknown, timeoutMs: number): Promise<unknown>;
  /**
   * Takes what other nodes cast or call under a topic; one handler a topic. The value it returns answers a call. What arrives for a
   * topic without a handler is counted; a call is answered `no_handler`.
   */
  handle(topic: string, handler: (from: NodeId, body: unknown) => unknown): Dispose;
  /** From the database; this node among them. */
  members(): Promise<readonly Member[]>;
  stats(): ClusterStats;
}

export interface ClusterStats {
  readonly peers: number;
  /** Messages handed over by the other side and acknowledged, in and out. */
  readonly messagesOut: number;
  readonly messagesIn: number;
  readonly framesOut: number;
  readonly framesIn: number;
  /** Frames that came again and were dropped. */
  readonly duplicates: number;
  /** Frames sent again because no acknowledgement came. */
  readonly resent: number;
  /** Frames with a bad signature, version or shape, or meant for another node. */
  readonly garbage: number;
  /** Messages refused before they were sent. */
  readonly refused: number;
  /** Messages that ended `unknown`. */
  readonly unknown: number;
  /** Messages that wait to be sent or acknowledged. */
  readonly waiting: number;
}

/**
 * Carries sealed frames to one stream per node (implemented by bus/, in a process and over Redis). Lossy by contract: it may lose,
 * repeat and delay; it never invents: what it hands over was sealed with the key of the cluster for this node.
 */
export interface NodeWire {
  readonly kind: 'in-process' | 'redis';
  /** The bytes of a frame: encoded, compressed when it is large, signed for this receiver. */
  seal(to: NodeId, frame: unknown): Uint8Array;
  /** `false`: surely not taken (no connection, no such stream). A rejection: it may have been. Ends within the command timeout. */
  send(to: NodeId, sealed: Uint8Array): Promise<boolean>;
  /** The one receiver, called in the order of the stream; a frame is acknowledged to the stream when it returns. */
  receive(handler: (from: NodeId, frame: unknown) => void): void;
  /** Whether a send has a chance now. */
  healthy(): boolean;
  /** Calls back when a connection is back. */
  onHealthy(listener: () => void): Dispose;
  /** Frames dropped because they were not sealed with the key, for this node, in a known version. */
  garbage(): number;
  close(): Promise<void>;
}
