// Who is in a channel, a group or the subscriptions of a tenant, as this node knows it. A view is read whole and replaced whole; its number
// says whether it still is the one in the database.

import type { AgentId, ChannelId } from '../contracts/ids.ts';
import type { Clock } from '../contracts/ports.ts';
import type { ChannelRow, ChannelStore } from '../contracts/store.ts';
import type { MemberRow, MemberSetKind } from '../contracts/store-channels.ts';
import { compileCondition, type Predicate } from './conditions.ts';
import { compileFilter, type Filter } from './filters.ts';
import { TopicIndex } from './topic-index.ts';

export interface Member {
  readonly agentId: AgentId;
  /** Empty: any type. */
  readonly type: string;
  readonly holds: Predicate | undefined;
}

export interface View {
  readonly id: ChannelId;
  readonly name: string;
  readonly kind: MemberSetKind;
  /** The number of the view; `viewId` names it in the whole database. */
  readonly view: number;
  readonly viewId: string;
  readonly filter: Filter | undefined;
  readonly members: readonly Member[];
  /** Of subscriptions, by pattern of their topic. */
  readonly topics: TopicIndex<Member>;
}

export interface ViewsOptions {
  readonly store: Pick<ChannelStore, 'get' | 'members'>;
  readonly clock: Clock;
  /** How old a view may be before its number is compared with the database; infinite where nobody else writes to it. */
  readonly freshMs: number;
}

interface Kept {
  readonly view: View;
  checkedAtMs: number;
}

const MAX_KEPT = 1_000;

export const viewIdOf = ({ id, view }: { readonly id: ChannelId; readonly view: number }): string => `${id}/${view}`;

/** Views by tenant, kind and name or id. Those used least lately are forgotten beyond 1,000. */
export class Views {
  readonly #options: ViewsOptions;
  readonly #kept = new Map<string, Kept>();
  readonly #reading = new Map<string, Promise<View | undefined>>();
  /** Grows with every `drop`, so that what was being read meanwhile is not kept. */
  #drops = 0;

  constructor(options: ViewsOptions) {
    this.#options = options;
  }

  /** The view of now, or one that was that of now `freshMs` ago; undefined when there is no such set. */
  get(tenant: string, kind: MemberSetKind, idOrName: string): View | undefined | Promise<View | undefined> {
    const key = keyOf(tenant, kind, idOrName);
    const kept = this.#kept.get(key);
    if (kept && this.#options.clock.monotonicMs() - kept.checkedAtMs < this.#options.freshMs) return kept.view;
    const reading = this.#reading.get(key);
    if (reading) return reading;
    const read = this.#read(key, tenant, kind, idOrName).finally(() => this.#reading.delete(key));
    this.#reading.set(key, read);
    return read;
  }

  /** Something of the tenant has changed: what is kept of it is read anew. */
  drop(tenant: string): void {
    this.#drops++;
    this.#reading.clear();
    for (const key of this.#kept.keys()) if (key.startsWith(`${tenant}\n`)) this.#kept.delete(key);
  }

  async #read(key: string, tenant: string, kind: MemberSetKind, idOrName: string): Promise<View | undefined> {
    const { store, clock } = this.#options;
    const drops = this.#drops;
    const startedAtMs = clock.monotonicMs();
    const row = await store.get(idOrName, tenant, kind);
    const kept = this.#kept.get(key);
    if (!row) {
      this.#kept.delete(key);
      return undefined;
    }
    if (kept && kept.view.id === row.id && kept.view.view === row.view && drops === this.#drops) {
      kept.checkedAtMs = startedAtMs;
      return kept.view;
    }
    const read = await store.members(row.id);
    if (!read) return undefined;
    const view = viewOf(row, read.view, read.members);
    if (drops === this.#drops) this.#keep(key, { view, checkedAtMs: startedAtMs });
    return view;
  }

  #keep(key: string, kept: Kept): void {
    this.#kept.delete(key);
    this.#kept.set(key, kept);
    if (this.#kept.size <= MAX_KEPT) return;
    const [oldest] = this.#kept.keys();
    if (oldest !== undefined) this.#kept.delete(oldest);
  }
}

const keyOf = (tenant: string, kind: MemberSetKind, idOrName: string): string => `${tenant}\n${kind}\n${idOrName}`;

function viewOf(row: ChannelRow, view: number, rows: readonly MemberRow[]): View {
  const topics = new TopicIndex<Member>();
  const members = rows.map(({ agentId, topic, type, where }) => {
    const member: Member = { agentId, type, holds: where ? compileCondition(where, 'where') : undefined };
    if (row.kind === 'topics') topics.add(topic || '**', member);
    return member;
  });
  const { id, name, kind, filter } = row;
  return {
    id,
    name,
    kind,
    view,
    viewId: viewIdOf({ id, view }),
    filter: filter ? compileFilter(filter) : undefined,
    members,
    topics,
  };
}
