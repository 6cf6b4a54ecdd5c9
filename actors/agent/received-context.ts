// The views that handlers of messages have: one light object per message.

import type { DurableOutcome } from '../../runtime/contracts/actor.ts';
import { type DurableTell, durableTellSchema, type Message } from '../../runtime/contracts/envelope.ts';
import { toWireError, type WireError } from '../../runtime/contracts/errors.ts';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import { activeTraceparent, traceIdOf } from '../../runtime/contracts/tracing.ts';
import { parseInput } from '../../runtime/contracts/validation.ts';
import type { OutgoingMail } from '../../runtime/contracts/wire.ts';
import { type AgentCore, logOf } from './agent-core.ts';
import type { AgentLog, MessageContext } from './context.ts';
import { CoreContext } from './core-context.ts';
import type { BidderSelf } from './options.ts';

/** Made per message, so that a reply after an await still answers the message it was made for. */
export class ReceivedContext extends CoreContext implements MessageContext {
  readonly message: Message;
  #answered = false;

  constructor(core: AgentCore, message: Message) {
    super(core);
    this.message = message;
  }

  override get log(): AgentLog {
    const { messageId, traceparent } = this.message;
    const traceId = traceIdOf(traceparent);
    return logOf(this.core.cell, { messageId, ...(traceId === undefined ? {} : { traceId }) });
  }

  protected override hops(): { readonly hops?: number } {
    const { protocol, hops = 0 } = this.message;
    const toMany = protocol !== 'direct' && protocol !== 'request-response';
    return toMany ? { hops: hops + 1 } : hops > 0 ? { hops } : {};
  }

  reply(body: unknown): boolean {
    if (this.message.correlationId === undefined || this.#answered) return false;
    this.#answered = true;
    this.core.cell.reply(this.message, body);
    return true;
  }

  /** What a bidding agent knows of itself. */
  bidder(capability: string): BidderSelf {
    return this.core.self(capability);
  }

  /** The body does not match its schema: who asked hears of it, a tell becomes a dead letter. */
  filter(error: unknown): void {
    if (!this.refuse(error)) this.core.cell.deadLetter(this.message, 'filtered');
    this.core.handlerFailed(`schema of ${this.message.type}`, error, this.log);
  }

  /** The handler threw: who asked hears of it. */
  refuse(error: unknown): boolean {
    if (this.message.correlationId === undefined || this.#answered) return false;
    this.#answered = true;
    this.core.cell.replyError(this.message, toWireError(error, 'handler_failed'));
    return true;
  }
}

/** The context of a durable message: what it changes and sends counts when its handler is done, or not at all. */
export class DurableContext extends ReceivedContext {
  #open = true;
  #refused: WireError | undefined;
  #filtered = false;
  readonly #out: OutgoingMail[] = [];

  override get state(): Readonly<unknown> {
    return super.state;
  }
  override set state(next: Readonly<unknown>) {
    if (this.#open) this.core.changeDurably(next);
    else this.core.state = next;
  }

  /** Nothing to be done: the state is saved with the acknowledgement of the message. */
  override async save(): Promise<void> {
    if (!this.#open) await super.save();
  }

  protected override async tellDurably(to: AgentId, type: string, body: unknown, options: DurableTell): Promise<void> {
    if (!this.#open) return super.tellDurably(to, type, body, options);
    const { maxAttempts } = parseInput(durableTellSchema, options, 'options');
    const traceparent = activeTraceparent();
    this.#out.push({
      ...{ to, type, body },
      ...(maxAttempts === undefined ? {} : { maxAttempts }),
      ...(traceparent === undefined ? {} : { traceparent }),
    });
  }

  override filter(error: unknown): void {
    this.#filtered = true;
    this.#refused = toWireError(error, 'invalid_input');
    this.core.handlerFailed(`schema of ${this.message.type}`, error, this.log);
  }

  override refuse(error: unknown): boolean {
    const wire = toWireError(error, 'handler_failed');
    const says = typeof error === 'object' && error !== null && 'retryable' in error;
    this.#refused ??= says ? wire : { ...wire, retryable: true };
    return true;
  }

  /** The handler is done, or has been refused the message. */
  end(): DurableOutcome {
    this.#open = false;
    if (this.#refused === undefined) {
      const snapshot = this.core.keepDurable();
      return { type: 'handled', out: this.#out, ...(snapshot ? { snapshot } : {}) };
    }
    this.core.undoDurable();
    return { type: 'failed', error: this.#refused, ...(this.#filtered ? { reason: 'filtered' } : {}) };
  }
}
