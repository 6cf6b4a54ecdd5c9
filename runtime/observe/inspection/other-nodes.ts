// What inspectors of different nodes say to each other, over the links of the cluster: questions with answers, and views that one node keeps
// for a viewer of another one. A view is a lease: it ends when it is not renewed.

import type { CallContext } from '../../contracts/call.ts';
import { RuntimeError } from '../../contracts/errors.ts';
import type { NodeId } from '../../contracts/ids.ts';
import type {
  CpuProfile,
  InspectedAgent,
  InspectFocus,
  InspectFrame,
  InspectTreeQuery,
  NodeFigures,
  ProfileRequest,
} from '../../contracts/inspection.ts';
import type { Cluster } from '../../contracts/messaging.ts';
import type { Clock, Dispose } from '../../contracts/ports.ts';
import type { LocalInspector, LocalThreads, LocalTree } from './local-inspector.ts';
import type { LocalView } from './local-view.ts';

const ASK = 'inspect';
const FRAMES = 'inspect.frames';
const ANSWER_MS = 3_000;
const PROFILE_MARGIN_MS = 15_000;
export const RENEW_MS = 5_000;
const LEASE_MS = 15_000;
const GATHER_MS = 100;

/** What one inspector asks of another. */
type Question =
  | {
      readonly ask: 'tree';
      readonly query: InspectTreeQuery;
      readonly offset: number;
      readonly limit: number;
      readonly tenant: string;
    }
  | { readonly ask: 'agent'; readonly agent: string; readonly call: CallContext }
  | { readonly ask: 'threads' }
  | { readonly ask: 'figures'; readonly tenant: string }
  | { readonly ask: 'profile'; readonly thread: number; readonly request: ProfileRequest }
  | { readonly ask: 'view'; readonly stream: string; readonly tenant: string; readonly focus: InspectFocus }
  | { readonly ask: 'end'; readonly stream: string };

interface Guest {
  readonly view: LocalView;
  renewedAtMs: number;
}

export interface OtherNodesOptions {
  readonly cluster: Pick<Cluster, 'peers' | 'call' | 'cast' | 'handle'>;
  readonly local: LocalInspector;
  readonly clock: Clock;
  readonly profile: (thread: number, request: ProfileRequest) => Promise<CpuProfile>;
  /** Frames of another node for a stream of this one. */
  readonly onFrames: (stream: string, frames: readonly InspectFrame[]) => void;
}

export class OtherNodes {
  readonly #options: OtherNodesOptions;
  /** Views kept for viewers of other nodes, by node and stream. */
  readonly #guests = new Map<string, Guest>();
  #expiry: Dispose | undefined;

  constructor(options: OtherNodesOptions) {
    this.#options = options;
    const { cluster } = options;
    cluster.handle(ASK, (from, body) => this.#answer(from, body as Question));
    cluster.handle(FRAMES, (_from, body) => {
      const { stream, frames } = body as { stream: string; frames: readonly InspectFrame[] };
      options.onFrames(stream, frames);
    });
  }

  /** Those that can be asked now. */
  peers(): readonly string[] {
    return this.#options.cluster.peers();
  }

  tree(node: string, query: InspectTreeQuery, window: { offset: number; limit: number }, tenant: string) {
    return this.#ask<LocalTree>(node, { ask: 'tree', query, ...window, tenant });
  }

  agent(node: string, agent: string, call: CallContext) {
    return this.#ask<InspectedAgent>(node, { ask: 'agent', agent, call });
  }

  threads(node: string) {
    return this.#ask<LocalThreads>(node, { ask: 'threads' });
  }

  figures(node: string, tenant: string) {
    return this.#ask<NodeFigures>(node, { ask: 'figures', tenant });
  }

  profile(node: string, thread: number, request: ProfileRequest) {
    const timeoutMs = request.seconds * 1_000 + PROFILE_MARGIN_MS;
    return this.#ask<CpuProfile>(node, { ask: 'profile', thread, request }, timeoutMs);
  }

  /** Begins, renews or turns a view there. Answers the revision of its tree. */
  view(node: string, stream: string, tenant: string, focus: InspectFocus) {
    return this.#ask<{ revision: number }>(node, { ask: 'view', stream, tenant, focus });
  }

  end(node: string, stream: string): void {
    this.#ask(node, { ask: 'end', stream }).catch(() => undefined);
  }

  #ask<Answer>(node: string, question: Question, timeoutMs = ANSWER_MS): Promise<Answer> {
    const { cluster } = this.#options;
    if (!cluster.peers().includes(node as NodeId))
      return Promise.reject(new RuntimeError('unreachable', `node ${node} cannot be asked`, { details: { node } }));
    return cluster.call(node as NodeId, ASK, question, timeoutMs) as Promise<Answer>;
  }

  // ---- for viewers of other nodes ---------------------------------------------------------------------------------------------

  #answer(from: NodeId, question: Question): unknown {
    const { local, profile } = this.#options;
    switch (question.ask) {
      case 'tree':
        return local.tree(question.query, question, question.tenant);
      case 'agent':
        return local.agent(question.agent, question.call);
      case 'threads':
        return local.threads();
      case 'figures':
        return local.figures(question.tenant);
      case 'profile':
        return profile(question.thread, question.request);
      case 'view':
        return this.#keep(from, question);
      case 'end':
        this.#drop(`${from} ${question.stream}`);
        return null;
    }
  }

  #keep(from: NodeId, { stream, tenant, focus }: Extract<Question, { ask: 'view' }>): { revision: number } {
    const { local, clock } = this.#options;
    const key = `${from} ${stream}`;
    const known = this.#guests.get(key);
    if (known) {
      known.renewedAtMs = clock.monotonicMs();
      known.view.focus(focus);
    } else {
      const post = this.#poster(from, stream);
      const view = local.view({ id: stream, tenant, focus, emit: post });
      this.#guests.set(key, { view, renewedAtMs: clock.monotonicMs() });
      this.#expiry ??= clock.setInterval(() => this.#expire(), LEASE_MS / 3);
    }
    return { revision: local.revision };
  }

  /** Sends frames on in batches; those that could not be sent are told as a reset with the next that can. */
  #poster(to: NodeId, stream: string): (frame: InspectFrame) => void {
    const { cluster, clock } = this.#options;
    let waiting: InspectFrame[] = [];
    let lost = false;
    return (frame) => {
      waiting.push(frame);
      if (waiting.length > 1) return;
      clock.setTimeout(() => {
        const frames: InspectFrame[] = lost
          ? [{ type: 'reset', why: `frames between the nodes were lost`, end: false }, ...waiting]
          : waiting;
        waiting = [];
        lost = cluster.cast([to], FRAMES, { stream, frames }) === 0;
      }, GATHER_MS);
    };
  }

  #expire(): void {
    const nowMs = this.#options.clock.monotonicMs();
    for (const [key, { renewedAtMs }] of this.#guests) if (nowMs - renewedAtMs > LEASE_MS) this.#drop(key);
  }

  #drop(key: string): void {
    this.#guests.get(key)?.view.close();
    this.#guests.delete(key);
    if (this.#guests.size > 0) return;
    this.#expiry?.();
    this.#expiry = undefined;
  }
}
