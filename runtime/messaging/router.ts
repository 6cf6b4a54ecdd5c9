// MessagesApi: the five protocols behind one door. It decides whom a message goes to and whether it may; carrying it is the post's matter.

import { type CallContext, traceOf } from '../contracts/call.ts';
import { canonicalJson } from '../contracts/canonical-json.ts';
import { assertNever, RuntimeError } from '../contracts/errors.ts';
import { type AgentId, isId } from '../contracts/ids.ts';
import {
  CHANNEL_DELETED,
  type FanOut,
  MAX_REPLAYS,
  type MessageStatistics,
  type Offers,
  type Selector,
  type SendMessage,
  type SendResult,
  type Subscribe,
  type Subscription,
  selectorSchema,
  sendSchema,
  topicSchema,
  type Unsubscribe,
} from '../contracts/messages.ts';
import type { ChannelsApi, MessagesApi, Replay } from '../contracts/messages-api.ts';
import type { Ambient, Clock, Dispose } from '../contracts/ports.ts';
import type { ChannelStore, DeadLetterRow, DeadLetterStore } from '../contracts/store.ts';
import { invalidInput, parseInput } from '../contracts/validation.ts';
import { notFound } from './channels.ts';
import type { Counts } from './counts.ts';
import type { Content, FanOuts, Sender, Target } from './fan-out.ts';
import { checkPayload } from './payload.ts';
import type { Correspondents, Post } from './ports.ts';
import type { Receptionist } from './receptionist.ts';
import { REPLIES_KEPT_MS, ReplyMemory } from './reply-memory.ts';
import type { Subscriptions } from './subscriptions.ts';
import type { Member, View, Views } from './views.ts';

export interface RouterOptions {
  readonly store: Pick<ChannelStore, 'select'>;
  readonly letters: Pick<DeadLetterStore, 'get' | 'takeReplay'>;
  /** Stores letters that wait. */
  readonly flushLetters: () => Promise<void>;
  readonly agents: Correspondents;
  readonly post: Pick<Post, 'tell'>;
  readonly channels: ChannelsApi;
  readonly subscriptions: Subscriptions;
  readonly views: Views;
  readonly fanOuts: FanOuts;
  readonly counts: Counts;
  readonly receptionist: Receptionist;
  readonly ambient: Pick<Ambient, 'clock'>;
  readonly maxBytes: number;
}

/** Agents a selector may name. */
const MAX_SELECTED = 100_000;
const DEFAULT_CALL: CallContext = { tenant: 'default' };
const FNV_PRIME = 0x01000193;

type Sent = ReturnType<typeof sendSchema.parse>;
type SentAs<Name extends Sent['protocol']> = Extract<Sent, { protocol: Name }>;

export class Router implements MessagesApi {
  readonly channels: ChannelsApi;
  readonly #options: RouterOptions;
  readonly #replies: ReplyMemory<SendResult>;

  constructor(options: RouterOptions) {
    this.#options = options;
    this.channels = options.channels;
    this.#replies = new ReplyMemory(options.ambient.clock);
  }

  async send(message: SendMessage, call: CallContext = DEFAULT_CALL): Promise<SendResult> {
    const sent = parseInput(sendSchema, message);
    if (sent.type === CHANNEL_DELETED) throw invalidInput('type', 'is said by the runtime itself; choose another one');
    if (sent.protocol === 'request-response') return this.#request(sent, call);
    // What is stored has its key stored with it.
    if (call.idempotencyKey === undefined || sent.durable) return this.#send(sent, call);
    const key = `${call.tenant}\nkey\n${call.idempotencyKey}`;
    return (await this.#replies.once(key, canonicalJson(sent), () => this.#send(sent, call), isAnswer)).answer;
  }

  async broadcast(channel: string, type: string, body?: unknown, call: CallContext = DEFAULT_CALL): Promise<FanOut> {
    return fanOutOf(await this.send({ protocol: 'broadcast', channel, type, body }, call));
  }

  async multicast(select: Selector, type: string, body?: unknown, call: CallContext = DEFAULT_CALL): Promise<FanOut> {
    return fanOutOf(await this.send({ protocol: 'multicast', select, type, body }, call));
  }

  async publish(topic: string, type: string, body?: unknown, call: CallContext = DEFAULT_CALL): Promise<FanOut> {
    return fanOutOf(await this.send({ protocol: 'publish-subscribe', topic, type, body }, call));
  }

  subscribe(subscription: Subscribe, call: CallContext = DEFAULT_CALL): Promise<Subscription> {
    return this.#options.subscriptions.subscribe(subscription, call);
  }

  unsubscribe(subscription: Unsubscribe, call: CallContext = DEFAULT_CALL): Promise<boolean> {
    return this.#options.subscriptions.unsubscribe(subscription, call);
  }

  subscriptions(filter: { agent?: string } = {}, call: CallContext = DEFAULT_CALL): Promise<readonly Subscription[]> {
    return this.#options.subscriptions.list(filter, call);
  }

  statistics(): MessageStatistics {
    return this.#options.counts.statistics();
  }

  async deadLetter(id: string, call: CallContext = DEFAULT_CALL): Promise<DeadLetterRow> {
    await this.#options.flushLetters();
    const letter = await this.#options.letters.get(id, call.tenant);
    if (!letter) throw new RuntimeError('dead_letter_not_found', `there is no letter ${id}`, { details: { id } });
    return letter;
  }

  async replay(id: string, call: CallContext = DEFAULT_CALL): Promise<Replay> {
    const letter = await this.deadLetter(id, call);
    const why = whyNotReplayed(letter);
    if (why) throw new RuntimeError('unsupported', `this letter cannot be sent again: ${why}`, { details: { id } });
    const taken = await this.#options.letters.takeReplay(id, call.tenant, MAX_REPLAYS);
    if (!taken) {
      throw new RuntimeError('replay_limit', `this letter was sent again ${MAX_REPLAYS} times, which is all there is`, {
        details: { id, limit: MAX_REPLAYS },
      });
    }
    const { from } = letter;
    const result = await this.#options.post.tell(letter.to as AgentId, letter.type, letter.body, {
      protocol: 'direct',
      ...(from !== undefined && isId('agent', from) ? { from } : {}),
      ...traceOf(call),
    });
    return { id, replays: taken.replays, result };
  }

  offers(capability: string, call: CallContext = DEFAULT_CALL): Promise<Offers> {
    return this.#options.receptionist.offers(capability, call.tenant);
  }

  followOffers(capability: string, listener: (offers: Offers) => void, call: CallContext = DEFAULT_CALL): Dispose {
    return this.#options.receptionist.follow(capability, call.tenant, listener);
  }

  /** To every member of a channel, in the name of whoever sends. */
  async broadcastAs(sender: Sender, channel: string, content: Content): Promise<FanOut> {
    const view = await this.#options.views.get(sender.tenant, 'channel', channel);
    if (!view) throw notFound(channel);
    return this.#options.fanOuts.give('broadcast', ofView(view), view.members, content, sender);
  }

  async publishAs(sender: Sender, topic: string, content: Content): Promise<FanOut> {
    parseInput(topicSchema, topic, 'topic');
    const view = await this.#options.subscriptions.view(sender.tenant);
    const { fanOuts } = this.#options;
    const target = view ? ofView(view) : { label: `topic ${topic}`, viewId: 'none', filter: undefined };
    const members = view ? view.topics.match(topic) : [];
    return fanOuts.give('publish-subscribe', target, members, content, sender, topic);
  }

  async multicastAs(sender: Sender, wanted: Selector, content: Content): Promise<FanOut> {
    const { group, ...selector } = parseInput(selectorSchema, wanted, 'select');
    const { fanOuts, store, views } = this.#options;
    const view = group === undefined ? undefined : await views.get(sender.tenant, 'group', group);
    if (group !== undefined && !view) throw notFound(group);
    const narrowed = Object.keys(selector).length > 0;
    if (view && !narrowed) return fanOuts.give('multicast', ofView(view), view.members, content, sender);
    const ids = await store.select(sender.tenant, selector, MAX_SELECTED + 1);
    if (ids.length > MAX_SELECTED) throw invalidInput('select', `names more than ${MAX_SELECTED} agents; name fewer`);
    const members = membersAmong(ids, view);
    const viewId = setId(members.map(({ agentId }) => agentId));
    const target = view ? { ...ofView(view), viewId } : { label: 'selected agents', viewId, filter: undefined };
    return fanOuts.give('multicast', target, members, content, sender);
  }

  async #send(sent: Exclude<Sent, { protocol: 'request-response' }>, call: CallContext): Promise<SendResult> {
    const sender: Sender = { tenant: call.tenant, ...traceOf(call) };
    const content: Content = {
      ...{ type: sent.type, body: sent.body, durable: sent.durable ?? false },
      ...(call.idempotencyKey === undefined ? {} : { idempotencyKey: call.idempotencyKey }),
    };
    switch (sent.protocol) {
      case 'direct':
        checkPayload(sent.body, this.#options.maxBytes);
        this.#options.counts.sent('direct');
        if (sent.durable) {
          const stored = await this.#options.agents.tell(sent.to, sent.type, sent.body, { ...call, durable: true });
          return { protocol: 'direct', ...stored };
        }
        return { protocol: 'direct', ...(await this.#options.agents.tell(sent.to, sent.type, sent.body, call)) };
      case 'broadcast':
        return { protocol: sent.protocol, ...(await this.broadcastAs(sender, sent.channel, content)) };
      case 'multicast':
        return { protocol: sent.protocol, ...(await this.multicastAs(sender, sent.select, content)) };
      case 'publish-subscribe':
        return { protocol: sent.protocol, ...(await this.publishAs(sender, sent.topic, content)) };
      default:
        return assertNever(sent);
    }
  }

  /**
   * A question with an id stays open beyond the time of who asks: its reply is kept for whoever asks with the same id again, and it is
   * asked once.
   */
  async #request(sent: SentAs<'request-response'>, call: CallContext): Promise<SendResult> {
    const { to, type, body, timeoutMs, correlationId = call.idempotencyKey } = sent;
    const { agents, counts, maxBytes, ambient } = this.#options;
    checkPayload(body, maxBytes);
    const ask = (limitMs: number) => {
      counts.sent('request-response');
      return agents.ask(to, type, body, { timeoutMs: limitMs }, call);
    };
    if (sent.durable) {
      counts.sent('request-response');
      const options = { timeoutMs, ...(correlationId === undefined ? {} : { correlationId }) };
      const { reply, replayed } = await agents.askDurably(to, type, body, options, call);
      if (replayed) counts.replayedReplies++;
      return replyOf(reply, replayed);
    }
    if (correlationId === undefined) return replyOf(await ask(timeoutMs), false);
    const key = `${call.tenant}\nquestion\n${correlationId}`;
    const same = canonicalJson({ to, type, body });
    const asked = this.#replies.once(
      key,
      same,
      () => ask(REPLIES_KEPT_MS).then((reply) => replyOf(reply, false)),
      isAnswer,
    );
    const { answer, replayed } = await inTime(asked, timeoutMs, ambient.clock, () => timedOut(to, type, timeoutMs));
    if (replayed) counts.replayedReplies++;
    return { ...answer, replayed } as SendResult;
  }
}

const replyOf = (reply: unknown, replayed: boolean): SendResult => ({
  protocol: 'request-response',
  reply: reply ?? null,
  replayed,
});

function timedOut(to: string, type: string, timeoutMs: number): RuntimeError {
  const message = `${to} did not answer ${type} within ${timeoutMs} ms; whether it did what was asked is unknown`;
  return new RuntimeError('ask_timeout', message, { details: { to, type, timeoutMs } });
}

/** The value when it comes in time, else the error; the promise goes on by itself. */
function inTime<T>(promise: Promise<T>, timeoutMs: number, clock: Clock, late: () => Error): Promise<T> {
  return new Promise((resolve, reject) => {
    const cancel = clock.setTimeout(() => reject(late()), timeoutMs);
    promise.then(resolve, reject).finally(cancel);
  });
}

/** Members of the view among these; all of these without one. */
function membersAmong(ids: readonly AgentId[], view: View | undefined): readonly Member[] {
  if (!view) return ids.map((agentId) => ({ agentId, type: '', holds: undefined }));
  const wanted = new Set(ids);
  return view.members.filter(({ agentId }) => wanted.has(agentId));
}

const ofView = ({ name, kind, viewId, filter }: View): Target =>
  kind === 'topics' ? { label: 'topics', viewId, filter } : { label: `${kind} ${name}`, channel: name, viewId, filter };

/** The same agents have the same id: it names a set that is nowhere stored. Two FNV-1a hashes of 32 bits. */
function setId(ids: readonly AgentId[]): string {
  let [one, two] = [0x811c9dc5, 0x9747b28c];
  for (const id of ids) {
    for (let at = 0; at < id.length; at++) {
      const code = id.charCodeAt(at);
      one = Math.imul(one ^ code, FNV_PRIME);
      two = Math.imul(two ^ (code + at), FNV_PRIME);
    }
  }
  const hex = (hash: number) => (hash >>> 0).toString(16).padStart(8, '0');
  return `set/${ids.length}/${hex(one)}${hex(two)}`;
}

/** What a question came to for good, and for whoever asks it again: the handler's error, and that its outcome is unknown. */
function isAnswer(error: unknown): boolean {
  const { code } = error as { readonly code?: unknown };
  return typeof code === 'string' && !NO_ANSWER.has(code);
}

/** It surely did not happen, or may be tried again: the next one with the same id tries. */
const NO_ANSWER: ReadonlySet<string> = new Set([
  'ask_timeout',
  'target_lost',
  'unreachable',
  'mailbox_full',
  'backpressure',
  'actor_not_found',
  'agent_stopped',
  'agent_crashed',
  'channel_not_found',
  'draining',
  'store_unavailable',
  'invalid_input',
  'filtered',
  'payload_too_large',
]);

function whyNotReplayed({ to, reason, type }: DeadLetterRow): string | undefined {
  if (reason === 'late_reply') return 'it is a reply, and nobody waits for it any more';
  if (type === 'mailbox.lost') return 'it counts messages that were not kept';
  if (reason === 'not_cloneable' || reason === 'payload_too_large') return 'its body was not kept';
  if (!isId('agent', to)) return `${to} is no agent`;
  return undefined;
}

function fanOutOf(result: SendResult): FanOut {
  if (!('attempted' in result)) throw new RuntimeError('internal', 'a message to many was sent to one');
  const { viewId, attempted, filtered } = result;
  return { viewId, attempted, filtered };
}
