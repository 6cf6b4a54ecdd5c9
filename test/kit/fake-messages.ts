// MessagesApi in memory for tests of the HTTP edge: channels, subscriptions and letters are kept, nothing is delivered.

import type { CallContext } from '../../runtime/contracts/call.ts';
import type { TellResult } from '../../runtime/contracts/envelope.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import {
  type ChannelView,
  createChannelSchema,
  type FanOut,
  type SendResult,
  type Subscription,
  sendSchema,
} from '../../runtime/contracts/messages.ts';
import type { MessagesApi } from '../../runtime/contracts/messages-api.ts';
import type { DeadLetterRow } from '../../runtime/contracts/store.ts';
import { parseInput } from '../../runtime/contracts/validation.ts';
import type { TestAmbient } from './ambient.ts';

const at = '2026-01-01T00:00:00.000Z';

export interface FakeMessages extends MessagesApi {
  /** What direct messages come to. */
  told: TellResult;
  /** Puts a letter there to be read. */
  letter(tenant: string): DeadLetterRow;
}

export function fakeMessages(
  { newId }: TestAmbient,
  enter: (method: string, call: CallContext | undefined) => string,
  findAgent: (idOrName: string, tenant: string) => { readonly id: AgentId; readonly name: string },
): FakeMessages {
  const channels = new Map<string, { tenant: string; view: ChannelView; members: AgentId[] }>();
  const letters = new Map<string, DeadLetterRow>();
  const subscriptions: Subscription[] = [];
  const channel = (idOrName: string, tenant: string) => {
    const found = [...channels.values()].find(
      ({ tenant: owner, view }) => owner === tenant && (view.id === idOrName || view.name === idOrName),
    );
    if (!found) throw new RuntimeError('channel_not_found', `nothing is called ${idOrName}`);
    return found;
  };
  const changed = (found: ReturnType<typeof channel>, members: AgentId[]): ChannelView => {
    found.members = members;
    found.view = { ...found.view, members: members.length };
    return found.view;
  };
  const letterOf = (id: string, tenant: string): DeadLetterRow => {
    const letter = letters.get(id);
    if (letter?.tenant !== tenant) throw new RuntimeError('dead_letter_not_found', `no letter ${id}`);
    return letter;
  };
  const toMany = (attempted: number): FanOut => ({ viewId: `view/${attempted}`, attempted, filtered: 0 });
  const fake: FakeMessages = {
    told: { outcome: 'delivered', via: 'message-port' },
    letter(tenant) {
      const letter: DeadLetterRow = {
        id: newId('deadLetter'),
        tenant,
        reason: 'mailbox_full',
        to: newId('agent'),
        type: 'hello',
        body: 1,
        messageId: 'm-1',
        atMs: 1,
        replays: 0,
      };
      letters.set(letter.id, letter);
      return letter;
    },
    channels: {
      async create(wanted, call) {
        const tenant = enter('channels.create', call);
        const { name, kind, members = [], filter } = parseInput(createChannelSchema, wanted);
        const ids = members.map((one) => findAgent(one, tenant).id);
        const id = newId('channel');
        const view = {
          id,
          name,
          kind,
          viewId: `${id}/1`,
          members: ids.length,
          ...(filter ? { filter } : {}),
          createdAt: at,
        };
        channels.set(id, { tenant, view, members: ids });
        return view;
      },
      async get(idOrName, call) {
        return channel(idOrName, enter('channels.get', call)).view;
      },
      async list(_filter, call) {
        const tenant = enter('channels.list', call);
        const mine = [...channels.values()].filter((one) => one.tenant === tenant);
        return { items: mine.map(({ view }) => view), nextCursor: null };
      },
      async members(idOrName, _page, call) {
        const { members } = channel(idOrName, enter('channels.members', call));
        return { items: members.map((agentId) => ({ agentId, name: agentId, joinedAt: at })), nextCursor: null };
      },
      async join(idOrName, { agents }, call) {
        const tenant = enter('channels.join', call);
        const found = channel(idOrName, tenant);
        const ids = agents.map((one) => findAgent(one, tenant).id);
        return changed(found, [...new Set([...found.members, ...ids])]);
      },
      async leave(idOrName, { agents }, call) {
        const tenant = enter('channels.leave', call);
        const found = channel(idOrName, tenant);
        const ids = agents.map((one) => findAgent(one, tenant).id);
        return changed(
          found,
          found.members.filter((id) => !ids.includes(id)),
        );
      },
      async remove(idOrName, call) {
        const { view, members } = channel(idOrName, enter('channels.remove', call));
        channels.delete(view.id);
        return toMany(members.length);
      },
    },
    async send(message, call): Promise<SendResult> {
      const tenant = enter('messages.send', call);
      const sent = parseInput(sendSchema, message);
      switch (sent.protocol) {
        case 'direct':
          findAgent(sent.to, tenant);
          return { protocol: 'direct', ...fake.told };
        case 'request-response':
          findAgent(sent.to, tenant);
          return { protocol: 'request-response', reply: sent.body ?? null, replayed: false };
        case 'broadcast':
          return { protocol: 'broadcast', ...toMany(channel(sent.channel, tenant).members.length) };
        case 'multicast':
        case 'publish-subscribe':
          return { protocol: sent.protocol, ...toMany(0) };
      }
    },
    async broadcast(_channel, _type, _body, call) {
      enter('messages.broadcast', call);
      return toMany(0);
    },
    async multicast(_select, _type, _body, call) {
      enter('messages.multicast', call);
      return toMany(0);
    },
    async publish(_topic, _type, _body, call) {
      enter('messages.publish', call);
      return toMany(0);
    },
    async subscribe({ agent, topic = null, type = null }, call) {
      const subscription = { agentId: findAgent(agent, enter('messages.subscribe', call)).id, topic, type, since: at };
      subscriptions.push(subscription);
      return subscription;
    },
    async unsubscribe({ agent }, call) {
      findAgent(agent, enter('messages.unsubscribe', call));
      return subscriptions.splice(0).length > 0;
    },
    async subscriptions(_filter, call) {
      enter('messages.subscriptions', call);
      return subscriptions;
    },
    statistics: () => ({
      sent: { direct: 1 },
      attempted: 0,
      filtered: { refused: 0, leftOut: 0 },
      lateReplies: 0,
      replayedReplies: 0,
      deadLetters: {},
    }),
    async deadLetter(id, call) {
      return letterOf(id, enter('messages.deadLetter', call));
    },
    async replay(id, call) {
      letterOf(id, enter('messages.replay', call));
      return { id, replays: 1, result: fake.told };
    },
    async offers(capability, call) {
      enter('messages.offers', call);
      return { capability, agents: [] };
    },
    followOffers(capability, listener, call) {
      enter('messages.followOffers', call);
      listener({ capability, agents: [] });
      return () => undefined;
    },
  };
  return fake;
}
