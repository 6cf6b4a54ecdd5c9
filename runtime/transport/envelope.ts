// One message on its way out (Envelope) and on its way in (Delivered). Both are private to the data plane.

import type { DeadLetter, DeadLetterReason, Message, Protocol, TellResult } from '../contracts/envelope.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { DurableDelivery } from '../contracts/wire.ts';

/** What makes a message durable, as far as its receiver must know. */
export type DurableMark = Pick<DurableDelivery, 'id' | 'lane' | 'generation' | 'attempt' | 'correlationId'>;

/** What few messages carry. */
export interface Meta {
  readonly protocol?: Protocol;
  readonly traceparent?: string;
  /** A tell to another node whose sender waits to hear what became of it: it goes to main as a question. */
  readonly confirm?: Protocol;
  readonly durable?: DurableMark;
  readonly topic?: string;
  readonly channel?: string;
  readonly hops?: number;
}

/** Slot number of a sender that is no cell of this thread; so is every one below. */
export const NO_SLOT = 0;

/** A message kept by its sender until it is acknowledged. */
export class Envelope {
  readonly to: AgentId;
  readonly from: AgentId | undefined;
  readonly fromSlot: number;
  readonly type: string;
  readonly body: unknown;
  /** Whether the codec can carry the body; else it goes as a structured clone. */
  readonly plain: boolean;
  readonly meta: Meta | null;
  /** 0 for a tell. */
  readonly correlation: number;
  readonly timeoutMs: number;
  /** Told what became of it; null for a plain tell. */
  readonly confirm: ((result: TellResult) => void) | null;
  /** Where it goes, once resolved. */
  slot = 0;
  /** Times it was sent to where the addressee had left. */
  hops = 0;
  /** The receiver has refused it: its acknowledgement says nothing more. */
  refused = false;

  constructor(
    to: AgentId,
    from: AgentId | undefined,
    fromSlot: number,
    type: string,
    body: unknown,
    plain: boolean,
    meta: Meta | null,
    correlation: number,
    timeoutMs: number,
    confirm: ((result: TellResult) => void) | null,
  ) {
    this.to = to;
    this.from = from;
    this.fromSlot = fromSlot;
    this.type = type;
    this.body = body;
    this.plain = plain;
    this.meta = meta;
    this.correlation = correlation;
    this.timeoutMs = timeoutMs;
    this.confirm = confirm;
  }
}

/** Where a message came from, as far as its receiver needs to know: for replies, refusals and ids. */
export interface Origin {
  /** Prefix of message ids: node, sending thread, receiving thread. */
  readonly label: string;
  /** Time of the frame being read, on the clock all threads share. */
  sentAtMs: number;
}

/** A message as its handler gets it. */
export class Delivered implements Message {
  readonly type: string;
  readonly body: unknown;
  readonly from?: AgentId;
  readonly protocol: Protocol;
  readonly correlationId?: string;
  readonly traceparent?: string;
  readonly attempt?: number;
  /** Set on a confirmed tell that main passes on: how it was sent. */
  readonly confirm?: Protocol;
  /** Set on durable messages, whose transport waits for a report in the place of a reply. */
  readonly durable?: DurableMark;
  readonly topic?: string;
  readonly channel?: string;
  readonly hops?: number;
  readonly #origin: Origin;
  readonly #sequence: number;
  readonly #correlation: number;

  constructor(
    origin: Origin,
    sequence: number,
    from: AgentId | undefined,
    type: string,
    body: unknown,
    meta: Meta | null,
    correlation: number,
  ) {
    this.type = type;
    this.body = body;
    if (from !== undefined) this.from = from;
    this.#origin = origin;
    this.#sequence = sequence;
    this.#correlation = correlation;
    if (meta?.confirm) this.confirm = meta.confirm;
    const durable = meta?.durable;
    if (durable) {
      this.durable = durable;
      this.attempt = durable.attempt;
      this.protocol = meta.protocol ?? 'direct';
      if (durable.correlationId !== undefined) this.correlationId = durable.correlationId;
    } else {
      this.protocol = correlation > 0 ? 'request-response' : (meta?.protocol ?? 'direct');
      if (correlation > 0) this.correlationId = `${origin.label}?${correlation}`;
    }
    if (meta === null) return;
    if (meta.traceparent) this.traceparent = meta.traceparent;
    if (meta.topic) this.topic = meta.topic;
    if (meta.channel) this.channel = meta.channel;
    if (meta.hops) this.hops = meta.hops;
  }

  get messageId(): string {
    return this.durable?.id ?? `${this.#origin.label}-${this.#sequence}`;
  }

  /** What the data plane knows of it; undefined for a message made elsewhere. */
  static route(message: Message): { origin: Origin; correlation: number; sequence: number } | undefined {
    return #origin in message
      ? { origin: message.#origin, correlation: message.#correlation, sequence: message.#sequence }
      : undefined;
  }
}

/** The dead letter of a message that was never taken. */
export function letterOf(
  envelope: { to: string; from?: string | undefined; type: string; body: unknown },
  reason: DeadLetterReason,
  messageId: string,
  atMs: number,
): DeadLetter {
  return {
    reason,
    to: envelope.to,
    ...(envelope.from === undefined ? {} : { from: envelope.from }),
    type: envelope.type,
    body: envelope.body,
    messageId,
    atMs,
  };
}
