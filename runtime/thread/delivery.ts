// Mail of the cells of one thread: into mailboxes, or at once to the handler of a cell that waits for nothing; out of
// mailboxes fairly, a visit a cell; senders are slowed and let go again.

import type { Message } from '../contracts/envelope.ts';
import { toWireError, type WireError } from '../contracts/errors.ts';
import { inSpan, tracing } from '../contracts/tracing.ts';
import { Delivered, type Envelope } from '../transport/envelope.ts';
import { GRANT, NACK, NACK_REASONS, type NackReason, PAUSE } from '../transport/frames.ts';
import type { Link } from '../transport/link.ts';
import type { Peer } from '../transport/peer.ts';
import { Queue } from '../transport/queue.ts';
import type { Attribution } from './attribution.ts';
import type { Cell } from './cell.ts';
import type { CellTable } from './cell-table.ts';
import type { DurableMail } from './durable-mail.ts';
import type { HostEnv } from './host-env.ts';
import type { Meters } from './meters.ts';
import type { OpenAsks } from './open-asks.ts';
import type { Tap } from './tap.ts';

/** Messages one cell handles before the next has its turn. */
const VISIT = 64;
/** Messages of one turn of the event loop; then ports and timers come first again. */
const TURN_BUDGET = 4_096;

export interface DeliveryOwner {
  readonly env: HostEnv;
  readonly peer: Peer;
  readonly cells: CellTable;
  readonly attribution: Attribution;
  readonly asks: OpenAsks;
  readonly durable: DurableMail;
  readonly tap: Tap;
  fail(cell: Cell, error: WireError): void;
}

export class Delivery {
  readonly #owner: DeliveryOwner;
  readonly #cells: CellTable;
  readonly #meters: Meters;
  readonly #attribution: Attribution;
  readonly #asks: OpenAsks;
  readonly #peer: Peer;
  readonly #tap: Tap;
  readonly #ready = new Queue<Cell>();
  /** A cell has handled a message of the frame being read. */
  #inFrame = false;
  #runScheduled = false;
  /** Messages handled from mailboxes since the event loop last turned. */
  #spent = 0;
  #confirmations: NonNullable<Envelope['confirm']>[] = [];

  constructor(owner: DeliveryOwner) {
    this.#owner = owner;
    this.#cells = owner.cells;
    this.#meters = owner.cells.meters;
    this.#attribution = owner.attribution;
    this.#asks = owner.asks;
    this.#peer = owner.peer;
    this.#tap = owner.tap;
  }

  /** From a cell of this thread to another; false when the addressee does not live here. */
  local(envelope: Envelope): boolean {
    const cell = this.#cells.get(envelope.to);
    if (!cell || cell.moving) return false;
    if (cell.phase === 'draining') {
      this.#peer.refuse(envelope, 'actor_stopped');
      return true;
    }
    const { from, type, body, meta, correlation } = envelope;
    if (correlation === 0 && cell.behavior?.accepts && !cell.behavior.accepts(preview(envelope))) {
      cell.refused++;
      this.#peer.refuse(envelope, 'filtered');
      return true;
    }
    if (cell.mailbox.room <= 0 && cell.mailbox.overflow === 'backpressure') {
      if (cell.waiting.length >= cell.mailbox.capacity) {
        cell.refused++;
        this.#peer.refuse(envelope, 'backpressure');
      } else {
        cell.waiting.push(envelope);
        this.#meters.show(cell.meter, cell.losable);
      }
      return true;
    }
    const message = new Delivered(this.#peer.here, this.#peer.nextSequence(), from, type, body, meta, correlation);
    const offer = cell.mailbox.offer(message);
    if (offer.type === 'refused') {
      cell.refused++;
      this.#peer.refuse(envelope, offer.reason);
      return true;
    }
    if (offer.type === 'dropped') this.#asks.dropOldest(cell, offer.oldest);
    if (correlation > 0) this.#asks.open(cell, message, envelope.timeoutMs);
    if (envelope.confirm) this.#confirmations.push(envelope.confirm);
    this.schedule(cell);
    return true;
  }

  /** From another thread. `timeoutMs` is 0 for a tell. */
  remote(link: Link, sequence: number, slot: number, message: Delivered, timeoutMs: number): void {
    const cell = this.#cells.at(slot);
    if (!cell || cell.moving) {
      nack(link, sequence, 'gone');
      return;
    }
    if (timeoutMs === 0 && cell.behavior?.accepts && !cell.behavior.accepts(message)) {
      cell.refused++;
      nack(link, sequence, 'filtered');
      return;
    }
    if (timeoutMs > 0 && !message.durable) this.#asks.open(cell, message, timeoutMs);
    if (cell.mailbox.length === 0 && cell.receptive && cell.pausedLinks.size === 0) {
      this.#inFrame = true;
      this.#handle(cell, message);
      return;
    }
    if (cell.phase === 'draining') {
      cell.openAsks.delete(message.correlationId ?? '');
      nack(link, sequence, 'actor_stopped');
      return;
    }
    const granted = cell.pausedLinks.size > 0 ? cell.pausedLinks.get(link) : undefined;
    if (granted !== undefined && granted > 0) cell.pausedLinks.set(link, granted - 1);
    const offer = cell.mailbox.offer(message);
    switch (offer.type) {
      case 'hold':
        // What is on its way already still comes in; from now on the sender holds it back.
        cell.mailbox.overrun(message);
        if (!cell.pausedLinks.has(link)) {
          cell.pausedLinks.set(link, 0);
          link.control([PAUSE, slot]);
        }
        break;
      case 'refused':
        cell.refused++;
        if (message.durable) this.#owner.durable.refused(cell, message);
        else cell.openAsks.delete(message.correlationId ?? '');
        nack(link, sequence, offer.reason);
        return;
      case 'dropped':
        this.#asks.dropOldest(cell, offer.oldest);
    }
    if (message.durable) cell.durables++;
    this.schedule(cell);
  }

  /** A frame has been worked off: what its handlers entered is left. */
  frameEnded(): void {
    if (!this.#inFrame) return;
    this.#inFrame = false;
    this.#attribution.leave();
  }

  /** What waits in a mailbox is handled at the end of this turn. */
  schedule(cell: Cell): void {
    this.#meters.show(cell.meter, cell.losable);
    this.#requeue(cell);
    if (this.#runScheduled || (this.#ready.length === 0 && this.#confirmations.length === 0)) return;
    this.#scheduleRun();
  }

  /** At the end of this turn; or in a later one, when this has done enough: ports and timers come first then. */
  #scheduleRun(): void {
    this.#runScheduled = true;
    const { turn } = this.#owner.env;
    if (this.#spent < TURN_BUDGET) turn.atEnd(() => this.#run());
    else {
      turn.later(() => {
        this.#spent = 0;
        this.#run();
      });
    }
  }

  #run(): void {
    while (this.#spent < TURN_BUDGET) {
      const cell = this.#ready.shift();
      if (!cell) break;
      cell.queued = false;
      for (let visit = VISIT; visit > 0 && cell.receptive; visit--) {
        const message = cell.mailbox.shift();
        if (!message) break;
        this.#spent++;
        if (message.durable) cell.durables--;
        this.#meters.show(cell.meter, cell.losable);
        this.#handle(cell, message);
      }
      if (cell.pausedLinks.size > 0 || cell.waiting.length > 0) this.#makeRoom(cell);
      if (cell.mailbox.length > 0) this.#requeue(cell);
      else cell.quiet();
    }
    this.#attribution.leave();
    // Senders of this thread hear only now, so that one who waits for it gives the receiver its turn.
    if (this.#confirmations.length > 0) {
      const confirmations = this.#confirmations;
      this.#confirmations = [];
      for (const confirm of confirmations) confirm({ outcome: 'delivered', via: 'same-thread' });
    }
    this.#runScheduled = false;
    if (this.#ready.length > 0) this.#scheduleRun();
  }

  #requeue(cell: Cell): void {
    if (cell.queued || !cell.receptive) return;
    cell.queued = true;
    this.#ready.push(cell);
  }

  #handle(cell: Cell, message: Delivered): void {
    const { behavior } = cell;
    if (!behavior) return;
    if ((cell.received++ & 63) === 0) {
      const route = Delivered.route(message);
      if (route && route.origin.sentAtMs > 0) {
        cell.sampleDelivery(this.#owner.env.turn.nowMs() - route.origin.sentAtMs);
      }
    }
    if (message.correlationId !== undefined && !message.durable) {
      const open = cell.openAsks.get(message.correlationId);
      if (open) open.taken = true;
    }
    if (this.#tap.messages) this.#tap.handled(cell, message);
    this.#attribution.handling(cell);
    try {
      const result =
        message.traceparent !== undefined && tracing() ? this.#traced(cell, message) : this.#give(cell, message);
      if (result !== undefined) this.#async(cell, result);
    } catch (error) {
      this.#owner.fail(cell, toWireError(error, 'agent_crashed'));
    }
    this.#attribution.handled();
  }

  #give(cell: Cell, message: Delivered): void | Promise<void> {
    return message.durable ? this.#owner.durable.receive(cell, message) : cell.behavior?.receive(message);
  }

  /** What its sender traced goes on here. */
  #traced(cell: Cell, message: Delivered): void | Promise<void> {
    const { traceparent, type, protocol } = message;
    const spec = {
      name: `process ${type}`,
      kind: 'consumer',
      ...(traceparent === undefined ? {} : { parent: traceparent }),
      attributes: {
        'messaging.system': 'troupe',
        'messaging.operation.name': 'process',
        'messaging.message.id': message.messageId,
        'gen_ai.agent.id': cell.spec.id,
        'gen_ai.agent.name': cell.spec.name,
        'troupe.protocol': protocol,
      },
    } as const;
    return inSpan(spec, () => this.#give(cell, message));
  }

  #async(cell: Cell, handling: Promise<void>): void {
    cell.busy = true;
    handling.then(
      () => {
        cell.busy = false;
        if (cell.mailbox.length > 0) this.schedule(cell);
        else cell.quiet();
      },
      (error) => {
        cell.busy = false;
        this.#owner.fail(cell, toWireError(error, 'agent_crashed'));
      },
    );
  }

  /** Takes in senders that wait, once half of the mailbox is free. */
  #makeRoom(cell: Cell): void {
    if (cell.mailbox.length > cell.mailbox.capacity >> 1) return;
    while (cell.waiting.length > 0 && cell.mailbox.room > 0) {
      const envelope = cell.waiting.shift();
      if (envelope) this.local(envelope);
    }
    const share = Math.max(1, Math.floor(cell.mailbox.room / Math.max(1, cell.pausedLinks.size)));
    for (const [link, granted] of cell.pausedLinks) {
      if (granted > 0) continue;
      cell.pausedLinks.set(link, share);
      link.control([GRANT, cell.slot, share]);
    }
  }
}

/** A message that is not made yet, for who has to say whether it will be. */
function preview({ from, type, body, meta }: Envelope): Message {
  const { protocol = 'direct', ...rest } = meta ?? {};
  return { messageId: '', type, body, protocol, ...rest, ...(from === undefined ? {} : { from }) };
}

function nack(link: Link, sequence: number, reason: NackReason): void {
  link.control([NACK, sequence, NACK_REASONS.indexOf(reason)]);
}
