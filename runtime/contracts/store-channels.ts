// Channels, groups and the subscriptions of a tenant in the store: each is a set of members with a view number that grows with every change.

import type { AgentId, ChannelId } from './ids.ts';
import type { ChannelKind, MessageFilter, Selector } from './messages.ts';
import type { Page } from './store-page.ts';
import type { Condition } from './workflow.ts';

/** `topics`: all subscriptions of a tenant; there is one, made when it is first needed. */
export type MemberSetKind = ChannelKind | 'topics';

export interface ChannelRow {
  readonly id: ChannelId;
  readonly tenant: string;
  readonly kind: MemberSetKind;
  readonly name: string;
  /** Grows with every join and leave. */
  readonly view: number;
  readonly filter: MessageFilter | null;
  readonly members: number;
  readonly createdAt: string;
}

/** One member; of `topics` one subscription. */
export interface MemberRow {
  readonly agentId: AgentId;
  /** Pattern of topics; empty where there is none. */
  readonly topic: string;
  /** Type of messages; empty where there is none. */
  readonly type: string;
  readonly where: Condition | null;
  readonly joinedAt: string;
}

export interface NewMember {
  readonly agentId: AgentId;
  readonly topic?: string;
  readonly type?: string;
  readonly where?: Condition;
}

export interface ChannelStore {
  create(channel: {
    readonly id: ChannelId;
    readonly tenant: string;
    readonly kind: MemberSetKind;
    readonly name: string;
    readonly filter?: MessageFilter;
  }): Promise<{ readonly outcome: 'created' | 'exists'; readonly channel: ChannelRow }>;
  get(idOrName: string, tenant: string, kind?: MemberSetKind): Promise<ChannelRow | null>;
  list(filter: {
    readonly tenant: string;
    readonly kind?: ChannelKind;
    readonly member?: AgentId;
    readonly limit: number;
    readonly cursor?: string;
  }): Promise<Page<ChannelRow>>;
  /** All members of the view it answers with; agents that were removed are none. Null: it is gone. */
  members(id: ChannelId): Promise<{ readonly view: number; readonly members: readonly MemberRow[] } | null>;
  memberPage(id: ChannelId, limit: number, cursor?: string): Promise<Page<MemberRow & { readonly name: string }>>;
  /** Members whose agent does not exist in the tenant are left out. Null: it is gone. */
  join(id: ChannelId, members: readonly NewMember[]): Promise<ChannelRow | null>;
  leave(
    id: ChannelId,
    members: readonly { readonly agentId: AgentId; readonly topic?: string; readonly type?: string }[],
  ): Promise<{ readonly channel: ChannelRow; readonly left: number } | null>;
  /** Deletes it and answers who was in it. Null: it was gone already. */
  remove(id: ChannelId): Promise<{ readonly view: number; readonly members: readonly AgentId[] } | null>;
  /** Ids of the tenant's agents for which the selector (its group left out) holds, in order; at most `limit`. */
  select(tenant: string, selector: Omit<Selector, 'group'>, limit: number): Promise<readonly AgentId[]>;
  /** Ids by id or name, in the order asked; null for one that is no agent of the tenant. */
  agentIds(idsOrNames: readonly string[], tenant: string): Promise<readonly (AgentId | null)[]>;
  /** Agents that offer the capability on a living node and take work, as far as the last roll-up of states says. */
  offering(tenant: string, capability: string, version: number | null): Promise<readonly AgentId[]>;
}
