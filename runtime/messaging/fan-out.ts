// One message to many: the filter of the channel, the conditions of members, the limits of payload and hops, and the counts of all of it.

import type { DurableDoor } from '../contracts/durable.ts';
import type { DeadLetter, Protocol } from '../contracts/envelope.ts';
import { fromWireError, RuntimeError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { FanOut } from '../contracts/messages.ts';
import type { Counts } from './counts.ts';
import type { Filter } from './filters.ts';
import { filteredError } from './filters.ts';
import { checkPayload } from './payload.ts';
import type { Post, Sending } from './ports.ts';
import type { Member } from './views.ts';

/** A message to many that handlers of such messages send on may go this far. */
export const MAX_HOPS = 16;

/** Who sends, as the runtime knows it. */
export interface Sender {
  readonly tenant: string;
  readonly from?: AgentId;
  readonly traceparent?: string;
  readonly hops?: number;
}

export interface Content {
  readonly type: string;
  readonly body: unknown;
  /** Kept until every member has handled it: see {@link FanOuts.keepForMembers}. */
  readonly durable?: boolean;
  /** Makes saying it again harmless, where it is durable. */
  readonly idempotencyKey?: string;
}

export interface FanOutOptions {
  readonly post: Pick<Post, 'tellMany'>;
  /** Messages that are kept until they are handled. */
  readonly durable?: () => DurableDoor;
  readonly counts: Counts;
  readonly maxBytes: number;
  readonly onRefused: (letter: Omit<DeadLetter, 'messageId' | 'atMs'>, tenant: string) => void;
}

/** What is sent to: a channel, a group, the subscriptions of a tenant, or agents that were selected. */
export interface Target {
  /** For people. */
  readonly label: string;
  /** Name of the channel or group that the message is told to have come through. */
  readonly channel?: string;
  readonly viewId: string;
  readonly filter: Filter | undefined;
}

type ToMany = Exclude<Protocol, 'direct' | 'request-response'>;

export class FanOuts {
  readonly #options: FanOutOptions;

  constructor(options: FanOutOptions) {
    this.#options = options;
  }

  /** As the content wants it: {@link keepForMembers} or {@link toMembers}. */
  async give(...what: Parameters<FanOuts['toMembers']>): Promise<FanOut> {
    return what[3].durable ? this.keepForMembers(...what) : this.toMembers(...what);
  }

  /** To these members: each at most once. Throws `filtered`, `payload_too_large`, `hop_limit`. */
  toMembers(
    protocol: ToMany,
    { label, channel, viewId, filter }: Target,
    members: Iterable<Member>,
    content: Content,
    sender: Sender,
    topic?: string,
  ): FanOut {
    const { to, out } = this.#choose(
      { label, ...(channel ? { channel } : {}), viewId, filter },
      members,
      content,
      sender,
      topic,
    );
    this.send(protocol, to, content, sender, { ...(topic ? { topic } : {}), ...(channel ? { channel } : {}) });
    this.#options.counts.leftOut += out;
    return { viewId, attempted: to.length, filtered: out };
  }

  /**
   * To these members, each at least once until its handler is done: all are stored when it resolves. Members that are gone are left out.
   * Throws as {@link toMembers}, and `store_unavailable` (some may be stored: say it again with an idempotency key).
   */
  async keepForMembers(
    protocol: ToMany,
    target: Target,
    members: Iterable<Member>,
    content: Content,
    sender: Sender,
    topic?: string,
  ): Promise<FanOut> {
    const { counts, durable } = this.#options;
    if (!durable) throw new RuntimeError('unsupported', 'this node does not keep messages');
    const { to, out } = this.#choose(target, members, content, sender, topic);
    const { tenant, from, traceparent, hops } = sender;
    const { type, body, idempotencyKey } = content;
    const { channel } = target;
    const via = { ...(topic ? { topic } : {}), ...(channel ? { channel } : {}), ...(hops ? { hops } : {}) };
    counts.sent(protocol);
    const sent = await durable().sendAll(
      to.map((id) => ({
        ...{ tenant, to: id, type, body, protocol, via },
        ...(from ? { from } : {}),
        ...(traceparent ? { traceparent } : {}),
        ...(idempotencyKey === undefined ? {} : { idempotencyKey }),
      })),
    );
    let attempted = 0;
    for (const each of sent) {
      if (each.ok) attempted++;
      else if (each.error.code !== 'actor_not_found') throw fromWireError(each.error);
    }
    counts.attempted += attempted;
    counts.leftOut += out;
    return { viewId: target.viewId, attempted, filtered: out };
  }

  /** Who gets it, and how many do not because of their own condition. */
  #choose(
    { label, channel, filter }: Target,
    members: Iterable<Member>,
    content: Content,
    sender: Sender,
    topic: string | undefined,
  ): { readonly to: readonly AgentId[]; readonly out: number } {
    const { counts } = this.#options;
    this.check(content, sender, label);
    const { type, body } = content;
    const judged = { type, body, from: sender.from, topic, channel };
    const refusal = filter?.(judged);
    if (refusal) {
      counts.refused++;
      this.#options.onRefused({ reason: 'filtered', to: label, type, body, ...fromOf(sender) }, sender.tenant);
      throw filteredError(label, refusal);
    }
    const to = new Set<AgentId>();
    const out = new Set<AgentId>();
    for (const { agentId, type: only, holds } of members) {
      if (only !== '' && only !== type) continue;
      if (holds && !holds(judged)) out.add(agentId);
      else to.add(agentId);
    }
    for (const id of to) out.delete(id);
    return { to: [...to], out: out.size };
  }

  /** Throws `payload_too_large`, and `hop_limit` for a message that has been sent on too often. */
  check(content: Content, sender: Sender, to: string): void {
    const { maxBytes, onRefused } = this.#options;
    const refused = (reason: 'payload_too_large' | 'hop_limit', body: unknown) =>
      onRefused({ reason, to, type: content.type, body, ...fromOf(sender) }, sender.tenant);
    if ((sender.hops ?? 0) > MAX_HOPS) {
      refused('hop_limit', content.body);
      throw new RuntimeError('hop_limit', `a message to many was sent on more than ${MAX_HOPS} times`, {
        details: { limit: MAX_HOPS },
      });
    }
    try {
      checkPayload(content.body, maxBytes);
    } catch (error) {
      refused('payload_too_large', '(body not kept: it is too large)');
      throw error;
    }
  }

  send(
    protocol: ToMany,
    to: readonly AgentId[],
    { type, body }: Content,
    sender: Sender,
    where: Partial<Sending>,
  ): void {
    const { counts, post } = this.#options;
    counts.sent(protocol);
    counts.attempted += to.length;
    if (to.length === 0) return;
    post.tellMany(to, type, body, {
      protocol,
      ...fromOf(sender),
      ...(sender.traceparent ? { traceparent: sender.traceparent } : {}),
      ...(sender.hops ? { hops: sender.hops } : {}),
      ...where,
    });
  }
}

const fromOf = ({ from }: Sender): { readonly from?: AgentId } => (from ? { from } : {});
