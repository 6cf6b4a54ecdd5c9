// What this node has counted of messages since it began.

import { type DeadLetterReason, PROTOCOLS, type Protocol } from '../contracts/envelope.ts';
import type { MessageStatistics } from '../contracts/messages.ts';

export class Counts {
  attempted = 0;
  /** Messages that a filter refused to their sender. */
  refused = 0;
  /** Deliveries left out because of a condition of the member. */
  leftOut = 0;
  replayedReplies = 0;
  /** Replies to durable questions that nobody waited for any more; they are kept for whoever asks again. */
  lateDurable = 0;
  readonly #sent = new Map<Protocol, number>(PROTOCOLS.map((protocol) => [protocol, 0]));
  readonly #letters = new Map<DeadLetterReason, number>();

  sent(protocol: Protocol): void {
    this.#sent.set(protocol, (this.#sent.get(protocol) ?? 0) + 1);
  }

  deadLetter(reason: DeadLetterReason): void {
    this.#letters.set(reason, (this.#letters.get(reason) ?? 0) + 1);
  }

  statistics(): MessageStatistics {
    return {
      sent: Object.fromEntries(this.#sent),
      attempted: this.attempted,
      filtered: { refused: this.refused, leftOut: this.leftOut },
      lateReplies: (this.#letters.get('late_reply') ?? 0) + this.lateDurable,
      replayedReplies: this.replayedReplies,
      deadLetters: Object.fromEntries(this.#letters),
    };
  }
}
