// ChannelsApi: channels and groups are rows; what is kept here is only what a send needs. A change is written first, then told.

import type { CallContext } from '../contracts/call.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { NewId } from '../contracts/ids.ts';
import {
  CHANNEL_DELETED,
  type ChannelKind,
  type ChannelMember,
  type ChannelView,
  type CreateChannel,
  channelKindSchema,
  createChannelSchema,
  type FanOut,
  type JoinChannel,
  joinChannelSchema,
  type LeaveChannel,
  leaveChannelSchema,
  MAX_MEMBERS,
} from '../contracts/messages.ts';
import type { ChannelsApi } from '../contracts/messages-api.ts';
import type { ChannelRow, ChannelStore, Page } from '../contracts/store.ts';
import { invalidInput, parseInput } from '../contracts/validation.ts';
import { compileCondition } from './conditions.ts';
import type { FanOuts } from './fan-out.ts';
import { compileFilter } from './filters.ts';
import { knownAgents } from './members.ts';
import { type Views, viewIdOf } from './views.ts';

export interface ChannelsOptions {
  readonly store: ChannelStore;
  readonly views: Views;
  readonly fanOuts: FanOuts;
  readonly newId: NewId;
}

const DEFAULT_CALL: CallContext = { tenant: 'default' };
const DEFAULT_LIMIT = 50;
const MAX_LIMIT = 1_000;

export class Channels implements ChannelsApi {
  readonly #options: ChannelsOptions;

  constructor(options: ChannelsOptions) {
    this.#options = options;
  }

  async create(channel: CreateChannel, call: CallContext = DEFAULT_CALL): Promise<ChannelView> {
    const { store, views, newId } = this.#options;
    const { name, kind, filter, members = [] } = parseInput(createChannelSchema, channel);
    if (filter) compileFilter(filter);
    const agents = await knownAgents(store, members, call.tenant);
    const id = newId('channel');
    const made = await store.create({ id, tenant: call.tenant, kind, name, ...(filter ? { filter } : {}) });
    if (made.outcome === 'exists') {
      throw new RuntimeError('channel_exists', `a channel or group named "${name}" exists; choose another name`, {
        details: { name },
      });
    }
    const row =
      agents.length > 0
        ? await store.join(
            id,
            agents.map((agentId) => ({ agentId })),
          )
        : made.channel;
    views.drop(call.tenant);
    return channelView(row ?? made.channel);
  }

  async get(idOrName: string, call: CallContext = DEFAULT_CALL): Promise<ChannelView> {
    return channelView(await this.#row(idOrName, call.tenant));
  }

  async list(
    filter: { kind?: ChannelKind; member?: string; limit?: number; cursor?: string },
    call: CallContext = DEFAULT_CALL,
  ): Promise<Page<ChannelView>> {
    const { store } = this.#options;
    const { kind, member, cursor } = filter;
    const [agent] = member === undefined ? [] : await knownAgents(store, [member], call.tenant);
    const page = await store.list({
      tenant: call.tenant,
      limit: limitOf(filter.limit),
      ...(kind === undefined ? {} : { kind: parseInput(channelKindSchema, kind, 'kind') }),
      ...(agent === undefined ? {} : { member: agent }),
      ...(cursor === undefined ? {} : { cursor }),
    });
    return { items: page.items.map(channelView), nextCursor: page.nextCursor };
  }

  async members(
    idOrName: string,
    page: { limit?: number; cursor?: string } = {},
    call: CallContext = DEFAULT_CALL,
  ): Promise<Page<ChannelMember>> {
    const { id } = await this.#row(idOrName, call.tenant);
    const { items, nextCursor } = await this.#options.store.memberPage(id, limitOf(page.limit), page.cursor);
    return {
      items: items.map(({ agentId, name, where, joinedAt }) => ({
        agentId,
        name,
        ...(where ? { where } : {}),
        joinedAt,
      })),
      nextCursor,
    };
  }

  async join(idOrName: string, join: JoinChannel, call: CallContext = DEFAULT_CALL): Promise<ChannelView> {
    const { store } = this.#options;
    const { agents, where } = parseInput(joinChannelSchema, join);
    if (where) compileCondition(where, 'where');
    const row = await this.#row(idOrName, call.tenant);
    if (row.members + agents.length > MAX_MEMBERS)
      throw invalidInput('agents', `a channel or group has at most ${MAX_MEMBERS} members`);
    const ids = await knownAgents(store, agents, call.tenant);
    const joined = await store.join(
      row.id,
      ids.map((agentId) => ({ agentId, ...(where ? { where } : {}) })),
    );
    return this.#changed(joined, idOrName, call.tenant);
  }

  async leave(idOrName: string, leave: LeaveChannel, call: CallContext = DEFAULT_CALL): Promise<ChannelView> {
    const { store } = this.#options;
    const { agents } = parseInput(leaveChannelSchema, leave);
    const row = await this.#row(idOrName, call.tenant);
    const ids = await knownAgents(store, agents, call.tenant);
    const left = await store.leave(
      row.id,
      ids.map((agentId) => ({ agentId })),
    );
    return this.#changed(left?.channel ?? null, idOrName, call.tenant);
  }

  async remove(idOrName: string, call: CallContext = DEFAULT_CALL): Promise<FanOut> {
    const { store, views, fanOuts } = this.#options;
    const { id, name, kind } = await this.#row(idOrName, call.tenant);
    const removed = await store.remove(id);
    views.drop(call.tenant);
    if (!removed) throw notFound(idOrName);
    const viewId = viewIdOf({ id, view: removed.view });
    const content = { type: CHANNEL_DELETED, body: { id, name, kind, viewId } };
    fanOuts.send('broadcast', removed.members, content, { tenant: call.tenant }, { channel: name });
    return { viewId, attempted: removed.members.length, filtered: 0 };
  }

  #changed(row: ChannelRow | null, idOrName: string, tenant: string): ChannelView {
    this.#options.views.drop(tenant);
    if (!row) throw notFound(idOrName);
    return channelView(row);
  }

  async #row(idOrName: string, tenant: string): Promise<ChannelRow> {
    const row = await this.#options.store.get(idOrName, tenant);
    if (!row || row.kind === 'topics') throw notFound(idOrName);
    return row;
  }
}

export function notFound(idOrName: string): RuntimeError {
  return new RuntimeError('channel_not_found', `there is no channel or group ${idOrName}`, {
    details: { id: idOrName },
  });
}

function channelView(row: ChannelRow): ChannelView {
  const { id, name, kind, members, filter, createdAt } = row;
  return {
    id,
    name,
    kind: kind as ChannelKind,
    viewId: viewIdOf(row),
    members,
    ...(filter ? { filter } : {}),
    createdAt,
  };
}

function limitOf(limit: number | undefined): number {
  if (limit === undefined) return DEFAULT_LIMIT;
  if (!Number.isInteger(limit) || limit < 1 || limit > MAX_LIMIT)
    throw invalidInput('limit', `expected an integer from 1 to ${MAX_LIMIT}`);
  return limit;
}
