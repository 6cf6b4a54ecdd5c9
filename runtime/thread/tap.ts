// What a thread tells an inspector while something here is in focus: messages that reach their handlers, replies, XState events of actors.
// States: closed (nothing is in focus; costs one look at a field per message) <-> open. Gathers for a moment, drops beyond its bounds and says how much.

import type { Message } from '../contracts/envelope.ts';
import type { AgentId } from '../contracts/ids.ts';
import {
  type MessageFilter,
  NO_FOCUS,
  type RawActorEvent,
  type RawMessage,
  type ThreadFocus,
} from '../contracts/inspection-wire.ts';
import { clip, roughBytes } from '../transport/clip.ts';
import { Delivered } from '../transport/envelope.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import type { HostEnv } from './host-env.ts';
import type { OutgoingNotices } from './outgoing-notices.ts';

const GATHER_MS = 100;
/** XState events of one gathering. */
const MAX_ACTOR_EVENTS = 300;
const MAIN = 0;

export interface TapOwner {
  readonly thread: number;
  readonly env: Pick<HostEnv, 'clock' | 'turn'>;
  readonly cells: CellTable;
  readonly notices: OutgoingNotices;
}

interface Wanted {
  readonly filter: MessageFilter;
  readonly agents: ReadonlySet<string> | null;
  readonly types: { readonly whole: ReadonlySet<string>; readonly starts: readonly string[] } | null;
  /** Records it may still take in this window. */
  left: number;
  dropped: number;
}

export class Tap {
  /** Whether messages are told. Read for every message. */
  messages = false;
  readonly #owner: TapOwner;
  #focus: ThreadFocus = NO_FOCUS;
  #wanted: readonly Wanted[] = [];
  #windowEndsMs = 0;
  readonly #observed = new Map<AgentId, { readonly cell: Cell; readonly stop: () => void }>();
  #actors: RawActorEvent[] = [];
  #actorsDropped = 0;
  #told: RawMessage[] = [];
  #seq = 0;
  #gathering = false;

  constructor(owner: TapOwner) {
    this.#owner = owner;
  }

  /** Takes the place of the focus before. */
  focus(focus: ThreadFocus): void {
    const before = new Map(this.#wanted.map((wanted) => [wanted.filter.id, wanted]));
    this.#focus = focus;
    this.#wanted = focus.messages.map((filter) => wantedOf(filter, before.get(filter.id)));
    this.messages = this.#wanted.length > 0;
    const actors = new Set(focus.actors);
    for (const [id, { stop }] of this.#observed) {
      if (actors.has(id)) continue;
      stop();
      this.#observed.delete(id);
    }
    for (const id of actors) {
      const cell = this.#owner.cells.get(id);
      if (cell?.live && cell.behavior) this.#observe(cell);
    }
  }

  /** A cell is up: it may be a new incarnation of one in focus. */
  started(cell: Cell): void {
    if (this.#focus.actors.length > 0 && this.#focus.actors.includes(cell.spec.id)) this.#observe(cell);
  }

  /** A message is about to be given to its handler. */
  handled(cell: Cell, message: Delivered): void {
    const route = Delivered.route(message);
    const peer = route && 'peer' in route.origin ? (route.origin.peer as number) : undefined;
    const sentAtMs = route && route.origin.sentAtMs > 0 ? route.origin.sentAtMs : null;
    this.#tell(message, {
      tenant: cell.spec.tenant,
      from: message.from ?? null,
      to: cell.spec.id,
      kind: message.durable ? 'durable' : message.correlationId === undefined ? 'tell' : 'ask',
      seen: 'handled',
      via: peer === undefined ? 'same-thread' : peer === MAIN ? 'main' : 'message-port',
      body: message.body,
      sentAtMs,
    });
  }

  /** A reply, or an error in its place, goes back to who asked. */
  replied(cell: Cell, message: Message, kind: 'reply' | 'error', body: unknown): void {
    const route = Delivered.route(message);
    const peer = route && 'peer' in route.origin ? (route.origin.peer as number) : undefined;
    this.#tell(message, {
      tenant: cell.spec.tenant,
      from: cell.spec.id,
      to: message.from ?? null,
      kind,
      seen: 'sent',
      via: peer === undefined ? 'same-thread' : peer === MAIN ? 'main' : 'message-port',
      body,
      sentAtMs: null,
    });
  }

  stop(): void {
    this.focus(NO_FOCUS);
  }

  #tell(
    message: Message,
    facts: Pick<RawMessage, 'tenant' | 'from' | 'to' | 'kind' | 'seen' | 'via' | 'sentAtMs'> & {
      readonly body: unknown;
    },
  ): void {
    const nowMs = this.#owner.env.turn.nowMs();
    this.#newWindow(nowMs);
    let ids: string[] | undefined;
    let bodies = false;
    for (const wanted of this.#wanted) {
      if (!fits(wanted, message, facts)) continue;
      if (wanted.left <= 0) {
        wanted.dropped += 1;
        this.#gather();
        continue;
      }
      wanted.left -= 1;
      bodies ||= wanted.filter.bodies;
      ids ??= [];
      ids.push(wanted.filter.id);
    }
    if (ids === undefined) return;
    const { body, ...rest } = facts;
    this.#told.push({
      seq: ++this.#seq,
      atMs: nowMs,
      ...rest,
      protocol: message.protocol,
      type: message.type,
      messageId: message.messageId,
      correlation: message.correlationId ?? null,
      trace: traceOf(message),
      topic: message.topic ?? null,
      channel: message.channel ?? null,
      bytes: roughBytes(body),
      ...(bodies ? { body: clip(body) ?? null } : {}),
      wanted: ids,
    });
    this.#gather();
  }

  #newWindow(nowMs: number): void {
    if (nowMs < this.#windowEndsMs) return;
    this.#windowEndsMs = nowMs + 1_000;
    for (const wanted of this.#wanted) wanted.left = wanted.filter.perSecond;
  }

  #observe(cell: Cell): void {
    const { id, incarnation } = cell.spec;
    const known = this.#observed.get(id);
    if (known?.cell === cell) return;
    known?.stop();
    const stop = cell.behavior?.observe?.((told) => {
      if (this.#actors.length >= MAX_ACTOR_EVENTS) {
        this.#actorsDropped += 1;
        return;
      }
      const { event, snapshot, ...rest } = told;
      this.#actors.push({
        agent: id,
        incarnation,
        atMs: this.#owner.env.turn.nowMs(),
        told: {
          ...rest,
          ...(event === undefined ? {} : { event: clip(event) }),
          ...(snapshot === undefined ? {} : { snapshot: clip(snapshot) }),
        },
      });
      this.#gather();
    });
    if (stop) this.#observed.set(id, { cell, stop });
  }

  #gather(): void {
    if (this.#gathering) return;
    this.#gathering = true;
    this.#owner.env.clock.setTimeout(() => this.#flush(), GATHER_MS);
  }

  #flush(): void {
    this.#gathering = false;
    const dropped: Record<string, number> = {};
    for (const wanted of this.#wanted) {
      if (wanted.dropped > 0) dropped[wanted.filter.id] = wanted.dropped;
      wanted.dropped = 0;
    }
    const [actors, messages, actorsDropped] = [this.#actors, this.#told, this.#actorsDropped];
    this.#actors = [];
    this.#told = [];
    this.#actorsDropped = 0;
    if (actors.length === 0 && messages.length === 0 && actorsDropped === 0 && Object.keys(dropped).length === 0)
      return;
    const { thread, notices } = this.#owner;
    notices.push({
      type: 'inspection',
      thread,
      actors,
      messages,
      dropped: { actors: actorsDropped, messages: dropped },
    });
  }
}

function wantedOf(filter: MessageFilter, before: Wanted | undefined): Wanted {
  const starts = filter.types.filter((type) => type.endsWith('*')).map((type) => type.slice(0, -1));
  return {
    filter,
    agents: filter.agents.length === 0 ? null : new Set(filter.agents),
    types: filter.types.length === 0 ? null : { whole: new Set(filter.types), starts },
    left: Math.min(before?.left ?? filter.perSecond, filter.perSecond),
    dropped: before?.dropped ?? 0,
  };
}

function fits(
  { filter, agents, types }: Wanted,
  message: Message,
  { tenant, from, to }: Pick<RawMessage, 'tenant' | 'from' | 'to'>,
): boolean {
  if (filter.tenant !== tenant) return false;
  if (agents && !(to !== null && agents.has(to)) && !(from !== null && agents.has(from))) return false;
  if (types && !types.whole.has(message.type) && !types.starts.some((start) => message.type.startsWith(start)))
    return false;
  const { correlation } = filter;
  return (
    correlation === undefined ||
    message.correlationId === correlation ||
    traceOf(message) === correlation ||
    message.messageId === correlation
  );
}

/** Of `00-TRACE-SPAN-FLAGS` (W3C trace context). */
function traceOf({ traceparent }: Message): string | null {
  return traceparent?.split('-')[1] ?? null;
}
