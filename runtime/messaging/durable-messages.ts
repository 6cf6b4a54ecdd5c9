// Durable messages as the doors use them: accepted once they are committed, to one agent or to many, with a reply or without. What happens
// to them then is durable-delivery.ts.

import type { DurableAsk, DurableDoor, DurableSend, DurableSent } from '../contracts/durable.ts';
import type { StoredTell } from '../contracts/envelope.ts';
import { fromWireError, RuntimeError, toWireError } from '../contracts/errors.ts';
import type { Ambient } from '../contracts/ports.ts';
import type { AcceptOutcome, MessageStore, NewDurableMessage } from '../contracts/store.ts';
import type { DurableDelivery } from './durable-delivery.ts';
import { DEFAULT_MAX_ATTEMPTS } from './durable-inbox.ts';
import type { DurableReplies } from './durable-replies.ts';
import { checkPayload, MAX_PAYLOAD_BYTES } from './payload.ts';

export interface DurableMessagesOptions {
  readonly store: Pick<MessageStore, 'accept'>;
  readonly delivery: Pick<DurableDelivery, 'accepted'>;
  readonly replies: DurableReplies;
  readonly ambient: Ambient;
  /** SHA-256 of a value's canonical JSON. */
  readonly hash: (value: unknown) => string;
}

export class DurableMessages implements DurableDoor {
  readonly #options: DurableMessagesOptions;

  constructor(options: DurableMessagesOptions) {
    this.#options = options;
  }

  async send(message: DurableSend): Promise<StoredTell> {
    return stored(message, await this.#accept(this.#make(message)));
  }

  async sendAll(messages: readonly DurableSend[]): Promise<readonly DurableSent[]> {
    const settled = await Promise.allSettled(messages.map((message) => this.send(message)));
    return settled.map((each) =>
      each.status === 'fulfilled' ? { ok: true, value: each.value } : { ok: false, error: toWireError(each.reason) },
    );
  }

  async ask(message: DurableAsk): Promise<{ readonly reply: unknown; readonly replayed: boolean }> {
    const { timeoutMs, signal, correlationId = this.#options.ambient.newId('message'), tenant, to, type } = message;
    if (!Number.isFinite(timeoutMs) || timeoutMs <= 0)
      throw new RuntimeError('invalid_input', `the time limit of an ask must be a positive number of milliseconds`, {
        details: { timeoutMs },
      });
    const wanted = this.#options.replies.wait(tenant, correlationId, {
      timeoutMs,
      ...(signal ? { signal } : {}),
      to,
      type,
    });
    try {
      const outcome = await this.#accept({
        ...this.#make({ protocol: 'request-response', ...message }),
        correlationId,
      });
      const { duplicate } = stored(message, outcome);
      if (duplicate) wanted.look();
      const reply = await wanted.reply;
      if ('error' in reply) throw fromWireError(reply.error);
      return { reply: reply.value, replayed: duplicate };
    } finally {
      wanted.end();
    }
  }

  async #accept(message: NewDurableMessage): Promise<AcceptOutcome> {
    const { store, delivery } = this.#options;
    const outcome = await store.accept(message);
    if (outcome.outcome === 'accepted') delivery.accepted([{ to: message.to, owner: outcome.owner }]);
    return outcome;
  }

  #make(message: DurableSend): NewDurableMessage {
    const { tenant, to, from, subject, type, body, protocol = 'direct', traceparent, via, maxAttempts } = message;
    const { idempotencyKey } = message;
    checkPayload(body, MAX_PAYLOAD_BYTES);
    assertJson(body);
    return {
      ...{ id: this.#options.ambient.newId('message'), tenant, to, type, body, protocol },
      lane: from ?? (subject === undefined ? '' : `@${subject}`),
      maxAttempts: maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
      ...(from === undefined ? {} : { from }),
      ...(traceparent === undefined ? {} : { traceparent }),
      ...(via === undefined ? {} : { via }),
      ...(idempotencyKey === undefined
        ? {}
        : {
            idempotency: { key: `${to}/${idempotencyKey}`, bodyHash: this.#options.hash({ type, body: body ?? null }) },
          }),
    };
  }
}

function stored({ to }: DurableSend, outcome: AcceptOutcome): StoredTell {
  switch (outcome.outcome) {
    case 'accepted':
      return { outcome: 'stored', messageId: outcome.id, duplicate: false };
    case 'duplicate':
      return { outcome: 'stored', messageId: outcome.id, duplicate: true };
    case 'mismatch':
      throw new RuntimeError('idempotency_mismatch', 'this idempotency key was used with another message');
    case 'not_found':
      throw new RuntimeError('actor_not_found', 'no such agent', { details: { id: to } });
  }
}

function assertJson(body: unknown): void {
  try {
    JSON.stringify(body);
  } catch (error) {
    throw new RuntimeError(
      'invalid_input',
      `the body of a durable message must be JSON: ${toWireError(error).message}`,
      {
        details: { field: 'body' },
        cause: error,
      },
    );
  }
}
