// Subscriptions of a tenant: one set of members whose view is what a message to a topic goes to.

import type { CallContext } from '../contracts/call.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { AgentId, ChannelId, NewId } from '../contracts/ids.ts';
import {
  type Subscribe,
  type Subscription,
  subscribeSchema,
  type Unsubscribe,
  unsubscribeSchema,
} from '../contracts/messages.ts';
import type { ChannelStore } from '../contracts/store.ts';
import type { MemberRow } from '../contracts/store-channels.ts';
import { parseInput } from '../contracts/validation.ts';
import { compileCondition } from './conditions.ts';
import { knownAgents } from './members.ts';
import type { View, Views } from './views.ts';

export interface SubscriptionsOptions {
  readonly store: ChannelStore;
  readonly views: Views;
  readonly newId: NewId;
}

/** Name of the set, one per tenant. */
export const TOPICS = 'topics';
const MAX_LISTED = 1_000;

export class Subscriptions {
  readonly #options: SubscriptionsOptions;
  /** Sets that are known to exist, by tenant: they are never deleted. */
  readonly #sets = new Map<string, Promise<ChannelId>>();

  constructor(options: SubscriptionsOptions) {
    this.#options = options;
  }

  /** What a message to a topic goes to; undefined: nobody has ever subscribed. */
  view(tenant: string): View | undefined | Promise<View | undefined> {
    return this.#options.views.get(tenant, 'topics', TOPICS);
  }

  async subscribe(subscription: Subscribe, call: CallContext): Promise<Subscription> {
    const { agent, topic = '', type = '', where } = parseInput(subscribeSchema, subscription);
    if (where) compileCondition(where, 'where');
    const { store, views } = this.#options;
    const [agentId] = await knownAgents(store, [agent], call.tenant);
    const set = await this.#set(call.tenant);
    if (agentId) await store.join(set, [{ agentId, topic, type, ...(where ? { where } : {}) }]);
    views.drop(call.tenant);
    const made = (await this.#rows(set)).find(
      (row) => row.agentId === agentId && row.topic === topic && row.type === type,
    );
    if (!made) throw new RuntimeError('actor_not_found', `there is no agent ${agent}`, { details: { id: agent } });
    return subscriptionOf(made);
  }

  /** For an agent of this node that asks for itself: its id is the runtime's knowledge. */
  async subscribeSelf(agentId: AgentId, wanted: Omit<Subscribe, 'agent'>, tenant: string): Promise<void> {
    const { topic = '', type = '', where } = parseInput(subscribeSchema, { agent: agentId, ...wanted });
    if (where) compileCondition(where, 'where');
    const { store, views } = this.#options;
    await store.join(await this.#set(tenant), [{ agentId, topic, type, ...(where ? { where } : {}) }]);
    views.drop(tenant);
  }

  async unsubscribe(subscription: Unsubscribe, call: CallContext): Promise<boolean> {
    const { agent, topic = '', type = '' } = parseInput(unsubscribeSchema, subscription);
    const { store, views } = this.#options;
    const [agentId] = await knownAgents(store, [agent], call.tenant);
    if (!agentId) return false;
    const left = await store.leave(await this.#set(call.tenant), [{ agentId, topic, type }]);
    views.drop(call.tenant);
    return (left?.left ?? 0) > 0;
  }

  async list(filter: { readonly agent?: string }, call: CallContext): Promise<readonly Subscription[]> {
    const { store } = this.#options;
    const [agent] = filter.agent === undefined ? [] : await knownAgents(store, [filter.agent], call.tenant);
    const set = await store.get(TOPICS, call.tenant, 'topics');
    if (!set) return [];
    const rows = await this.#rows(set.id);
    return rows
      .filter(({ agentId }) => agent === undefined || agentId === agent)
      .slice(0, MAX_LISTED)
      .map(subscriptionOf);
  }

  async #rows(set: ChannelId): Promise<readonly MemberRow[]> {
    return (await this.#options.store.members(set))?.members ?? [];
  }

  #set(tenant: string): Promise<ChannelId> {
    const known = this.#sets.get(tenant);
    if (known) return known;
    const { store, newId } = this.#options;
    const made = store
      .create({ id: newId('channel'), tenant, kind: 'topics', name: TOPICS })
      .then(({ channel }) => channel.id);
    this.#sets.set(tenant, made);
    made.catch(() => this.#sets.delete(tenant));
    return made;
  }
}

function subscriptionOf({ agentId, topic, type, where, joinedAt }: MemberRow): Subscription {
  return { agentId, topic: topic || null, type: type || null, ...(where ? { where } : {}), since: joinedAt };
}
