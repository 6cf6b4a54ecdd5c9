// The durable mail of one agent that lives on this node: read in order, given to its cell a window at a time, acknowledged in batches with
// the state it left. The store is the truth; what is kept here is only what is in hand, and may be lost at any moment.
// States: reading and delivering -> away (its cell is gone; a look or its return wakes it) -> ... -> gone (another owner, or removed).

import { type RuntimeError, toWireError, type WireError } from '../contracts/errors.ts';
import type { AgentId, NodeId } from '../contracts/ids.ts';
import type { Ambient, ThreadPool } from '../contracts/ports.ts';
import type { InboxMessage, MessageStore, NewDurableMessage } from '../contracts/store.ts';
import type { DurableReport, OutgoingMail } from '../contracts/wire.ts';
import { Lanes } from './durable-lanes.ts';
import type { SnapshotOrder } from './snapshot-order.ts';

export interface InboxOwner {
  readonly store: MessageStore;
  readonly pool: Pick<ThreadPool, 'handle'>;
  readonly ambient: Ambient;
  /** The agent as it lives here; undefined: it does not. */
  resident(id: AgentId): { readonly epoch: number; readonly tenant: string; readonly capacity: number } | undefined;
  readonly order: SnapshotOrder;
  /** Resolves when no outcome of a task with a snapshot of the agent is on its way to the store. */
  quiet(id: AgentId): Promise<void>;
  /** Its state in the store is newer than what it was started with. */
  saved(id: AgentId): void;
  /** Mail was accepted for others. */
  accepted(mail: readonly { readonly to: AgentId; readonly owner: NodeId | null }[]): void;
  replied(tenant: string, correlationIds: readonly string[]): void;
  /** Nothing new is begun: the node drains. */
  paused(): boolean;
  readonly poisonAfter: number;
  /** Grows with every call. */
  nextGeneration(): number;
  readonly counters: DurableCounters;
}

export interface DurableCounters {
  acknowledged: number;
  failed: number;
  deadLettered: number;
  redelivered: number;
  fenced: number;
}

/** Messages in hand at most, and at most half of a mailbox. */
const WINDOW = 256;
const RETRY_MIN_MS = 200;
const RETRY_MAX_MS = 30_000;
/** After a refusal that is nobody's fault. */
const AGAIN_MS = 50;
const STORE_RETRY_MAX_MS = 5_000;

type Handled = Extract<DurableReport, { type: 'handled' }>;
type Done = { readonly message: InboxMessage; readonly report: Handled };

interface Reading {
  /** Taken out of hand meanwhile; the read may still bring them. */
  readonly left: Set<number>;
  /** Lanes of which one came back meanwhile. They may be open again before the read is done. */
  readonly heldUp: Set<string>;
  /** The cell went meanwhile with what was in hand, and may be back already. */
  lost: boolean;
}

export class DurableInbox {
  readonly id: AgentId;
  readonly epoch: number;
  readonly #owner: InboxOwner;
  readonly #tenant: string;
  readonly #window: number;
  readonly #lanes: Lanes;
  readonly #inHand = new Map<number, InboxMessage>();
  /** What has changed since the read began that is under way. */
  #reading: Reading | undefined;
  #after = 0;
  #rewinds = 0;
  #more = true;
  #away = false;
  #gone = false;
  /** Messages at once while it is unknown which of them takes its thread or node down; undefined: no suspicion. */
  #careful: number | undefined;
  #covered: Done[] = [];
  /** What is told now goes into this acknowledgement, as long as nothing else is to be written of the agent after it. */
  #batch: Done[] = [];

  constructor(id: AgentId, owner: InboxOwner, careful: boolean) {
    const resident = owner.resident(id);
    this.id = id;
    this.#owner = owner;
    this.epoch = resident?.epoch ?? 0;
    this.#tenant = resident?.tenant ?? '';
    this.#window = Math.max(1, Math.min(WINDOW, (resident?.capacity ?? WINDOW) >> 1));
    this.#careful = careful ? 1 : undefined;
    this.#lanes = new Lanes(owner.ambient.clock, owner.nextGeneration, () => this.rewind());
  }

  /** Nothing is in hand, nothing is known to wait, and no suspicion would be forgotten with it: its cell may be away for long. */
  get idle(): boolean {
    if (this.#gone) return true;
    return this.calm && this.#inHand.size === 0 && !this.#more && this.#reading === undefined && this.#lanes.calm;
  }

  /** No message of it is under suspicion any more. */
  get calm(): boolean {
    return this.#careful === undefined;
  }

  /** There is more to read at the end. */
  notify(): void {
    this.#more = true;
    this.#pump();
  }

  /** Reads from the beginning: what was accepted late, and what came back. */
  rewind(): void {
    this.#after = 0;
    this.#rewinds++;
    this.#away = false;
    this.notify();
  }

  /** It is not ours any more, or the node stops. */
  close(): void {
    this.#gone = true;
    this.#lanes.close();
  }

  // ---- in -------------------------------------------------------------------------------------------------------------------

  #pump(): void {
    if (this.#reading || this.#away || this.#gone || !this.#more || this.#owner.paused()) return;
    const { size } = this.#inHand;
    const room = this.#careful === undefined ? this.#window - size : size === 0 ? this.#careful : 0;
    if (room <= 0 || (this.#careful === undefined && size > this.#window >> 1)) return;
    void this.#read(room);
  }

  async #read(room: number): Promise<void> {
    const reading: Reading = { left: new Set(), heldUp: new Set(), lost: false };
    this.#reading = reading;
    this.#more = false;
    const { after, rewinds } = { after: this.#after, rewinds: this.#rewinds };
    // From the beginning, what is in hand is read again.
    const most = after === 0 ? room + this.#inHand.size : room;
    try {
      const messages = await this.#owner.store.read({ to: this.id, after, most });
      // A rewind meanwhile has the next read begin at the beginning.
      if (rewinds === this.#rewinds) this.#after = messages.at(-1)?.seq ?? after;
      if (messages.length === most) this.#more = true;
      await this.#take(messages, room, reading);
    } catch (error) {
      // The next look tries again.
      this.#owner.ambient.log.debug('an inbox could not be read', {
        agent: this.id,
        error: toWireError(error).message,
      });
    } finally {
      this.#reading = undefined;
    }
    this.#pump();
  }

  async #take(messages: readonly InboxMessage[], room: number, reading: Reading): Promise<void> {
    const taken: InboxMessage[] = [];
    for (const message of messages) {
      if (this.#inHand.has(message.seq) || reading.left.has(message.seq)) continue;
      // Behind one that came back: what is read anew brings both, in order.
      if (this.#lanes.holds(message.lane) || reading.heldUp.has(message.lane)) continue;
      if (message.crashes >= this.#owner.poisonAfter) await this.#poison(message);
      else if (message.waitMs > 0) this.#lanes.hold(message.lane, message.waitMs);
      else if (taken.length === room || (message.crashes > 0 && taken.length > 0)) {
        this.#goOnAt(message.seq);
        break;
      } else if (message.crashes > 0) {
        // One that was there when its node or thread died goes alone.
        this.#careful = 1;
        this.#goOnAt(message.seq + (this.#inHand.size > 0 ? 0 : 1));
        if (this.#inHand.size === 0) taken.push(message);
        break;
      } else taken.push(message);
    }
    // These are behind the ones that were lost, which are read anew when the cell is back. Sent now they would wait for it and be first.
    if (reading.lost) return;
    if (messages.length === 0) this.#careful = undefined;
    const fit = taken.filter(({ lane }) => !reading.heldUp.has(lane));
    if (fit.length === 0) return;
    // With a suspicion nothing else is in hand: nothing comes back meanwhile.
    if (this.#careful !== undefined && !(await this.#suspected(fit))) return;
    for (const message of fit) this.#deliver(message);
  }

  #goOnAt(seq: number): void {
    this.#after = Math.min(this.#after, seq - 1);
    this.#more = true;
  }

  #poison(message: InboxMessage): Promise<void> {
    this.#lanes.hold(message.lane);
    return this.#giveUp(message, 'poison', {
      code: 'poison',
      message: 'it took down what ran it too often',
      retryable: false,
    });
  }

  /** Their crash, should there be one, is known beforehand: a node that dies cannot count. */
  async #suspected(taken: readonly InboxMessage[]): Promise<boolean> {
    const outcome = await this.#owner.store.suspect(
      this.id,
      this.epoch,
      taken.map(({ seq }) => seq),
    );
    if (outcome === 'fenced') this.#fenced();
    return outcome === 'committed';
  }

  #deliver(message: InboxMessage): void {
    const { seq, id, from, type, body, protocol, traceparent, via, correlationId, lane } = message;
    if (message.attempts + message.crashes > 0) this.#owner.counters.redelivered++;
    this.#inHand.set(seq, message);
    const generation = this.#lanes.enter(lane);
    this.#owner.pool
      .handle(this.id, {
        ...{ id, type, body, protocol, lane, generation, attempt: message.attempts + 1 },
        ...(from ? { from } : {}),
        ...(traceparent ? { traceparent } : {}),
        ...(via ? { via } : {}),
        ...(correlationId === undefined ? {} : { correlationId }),
      })
      .then(
        (report) => this.#reported(message, report),
        (error: RuntimeError) => this.#refused(message, error),
      );
  }

  #leave(message: InboxMessage): void {
    this.#inHand.delete(message.seq);
    this.#reading?.left.add(message.seq);
  }

  // ---- what became of it ------------------------------------------------------------------------------------------------------

  #reported(message: InboxMessage, report: DurableReport): void {
    switch (report.type) {
      case 'handled':
        this.#lanes.leave(message.lane);
        this.#covered.push({ message, report });
        if (report.covered) return;
        if (report.snapshot !== undefined) this.#owner.saved(this.id);
        this.#handled(this.#covered.splice(0));
        return;
      case 'failed':
        this.#reading?.heldUp.add(message.lane);
        this.#lanes.hold(message.lane);
        this.#lanes.leave(message.lane);
        void this.#failed(message, report);
        return;
      case 'skipped':
      case 'returned':
        this.#back(message, report.type === 'returned');
    }
  }

  /** It was not begun, or it is lost with all that its cell had not told. */
  #refused(message: InboxMessage, error: RuntimeError): void {
    const { code } = error;
    if (code === 'mailbox_full' || code === 'backpressure') {
      this.#back(message, true);
      return;
    }
    const covered = this.#covered.splice(0);
    if (code === 'not_cloneable') {
      this.#lanes.leave(message.lane);
      void this.#unstorable([...covered.map((done) => done.message), message], toWireError(error));
      return;
    }
    for (const done of covered) this.#leave(done.message);
    this.#away = true;
    if (this.#reading) this.#reading.lost = true;
    if (code === 'target_lost') this.#careful = 1;
    this.#back(message, false);
  }

  /** It is only in the store again, and comes with a later read: when its lane opens, or its cell is back. */
  #back(message: InboxMessage, holds: boolean): void {
    this.#leave(message);
    this.#reading?.heldUp.add(message.lane);
    if (holds) this.#lanes.hold(message.lane, AGAIN_MS);
    this.#lanes.leave(message.lane);
    this.#pump();
  }

  async #failed(message: InboxMessage, report: Extract<DurableReport, { type: 'failed' }>): Promise<void> {
    const { error, reason } = report;
    const attempts = message.attempts + 1;
    this.#owner.counters.failed++;
    const over = reason ?? (attempts >= message.maxAttempts || !error.retryable ? 'attempts_exhausted' : undefined);
    if (over) return this.#giveUp(message, over, error);
    const { random } = this.#owner.ambient;
    const delayMs = Math.min(RETRY_MAX_MS, RETRY_MIN_MS * 2 ** (attempts - 1)) * (0.75 + 0.5 * random());
    if (await this.#settle(message, error, { delayMs })) this.#lanes.release(message.lane, delayMs);
    this.notify();
  }

  async #giveUp(
    message: InboxMessage,
    dead: 'poison' | 'attempts_exhausted' | 'no_handler' | 'filtered',
    error: WireError,
  ) {
    if (await this.#settle(message, error, { dead })) {
      this.#owner.counters.deadLettered++;
      if (message.correlationId !== undefined) this.#owner.replied(this.#tenant, [message.correlationId]);
      this.#lanes.release(message.lane, 0);
    }
    this.notify();
  }

  async #settle(message: InboxMessage, error: WireError, next: Parameters<MessageStore['fail']>[0]['next']) {
    const { id, seq } = message;
    const { stack: _, ...told } = error;
    const outcome = await this.#persistently(() =>
      this.#owner.store.fail({ to: this.id, id, epoch: this.epoch, seq, error: told, charge: true, next }),
    );
    this.#leave(message);
    if (outcome === 'fenced') this.#fenced();
    return outcome === 'committed';
  }

  // ---- acknowledging ------------------------------------------------------------------------------------------------------------

  #handled(done: readonly Done[]): void {
    const { order } = this.#owner;
    if (order.isLast(this.id, this.#batch)) {
      this.#batch.push(...done);
      return;
    }
    const batch = [...done];
    this.#batch = batch;
    void order.run(this.id, () => this.#acknowledge(batch), batch);
  }

  async #acknowledge(batch: readonly Done[]): Promise<void> {
    // What is told in this turn goes along.
    await new Promise<void>((resolve) => void setImmediate(resolve));
    if (this.#batch === batch) this.#batch = [];
    if (this.#gone) return;
    await this.#store(batch);
    this.#pump();
  }

  async #store(batch: readonly Done[]): Promise<void> {
    const snapshot = batch.findLast(({ report }) => report.snapshot !== undefined)?.report.snapshot;
    const replies = batch.flatMap(({ message, report }) =>
      message.correlationId === undefined ? [] : [replyOf(message.correlationId, report)],
    );
    const out = batch.flatMap(({ report }) => (report.out ?? []).map((mail) => this.#outgoing(mail)));
    if (snapshot !== undefined) await this.#owner.quiet(this.id);
    const done = {
      ...{ to: this.id, tenant: this.#tenant, epoch: this.epoch, out, replies },
      seqs: batch.map(({ message }) => message.seq),
      ...(snapshot === undefined ? {} : { snapshot }),
    };
    const result = await this.#persistently(() => this.#owner.store.acknowledge(done)).catch((error: unknown) => error);
    for (const { message } of batch) this.#leave(message);
    if (result === undefined) return;
    if (!isOutcome(result))
      return this.#unstorable(
        batch.map(({ message }) => message),
        toWireError(result),
      );
    if (result.outcome === 'fenced') return this.#fenced();
    this.#owner.counters.acknowledged += batch.length;
    if (this.#careful !== undefined && this.#inHand.size === 0) {
      const next = this.#careful * 2;
      this.#careful = next >= this.#window ? undefined : next;
      this.#more = true;
    }
    if (result.accepted.length > 0) this.#owner.accepted(result.accepted);
    if (replies.length > 0)
      this.#owner.replied(
        this.#tenant,
        replies.map(({ correlationId }) => correlationId),
      );
  }

  /**
   * The handlers are done and what they left cannot be stored: to run them again would do it twice. They are given up, and said so.
   */
  async #unstorable(batch: readonly InboxMessage[], error: WireError): Promise<void> {
    this.#owner.ambient.log.error('handled messages left what cannot be stored; they are dead letters', {
      agent: this.id,
      messages: batch.length,
      error: error.message,
    });
    for (const message of batch) {
      if (await this.#settle(message, error, { dead: 'attempts_exhausted' })) this.#owner.counters.deadLettered++;
    }
  }

  #outgoing(mail: OutgoingMail): NewDurableMessage {
    return {
      id: this.#owner.ambient.newId('message'),
      tenant: this.#tenant,
      to: mail.to,
      from: this.id,
      lane: this.id,
      type: mail.type,
      body: mail.body,
      protocol: 'direct',
      maxAttempts: mail.maxAttempts ?? DEFAULT_MAX_ATTEMPTS,
      ...(mail.traceparent === undefined ? {} : { traceparent: mail.traceparent }),
    };
  }

  #fenced(): void {
    this.#owner.counters.fenced++;
    this.close();
  }

  /** Tries again while the database is away; undefined once the inbox is closed meanwhile. */
  async #persistently<T>(work: () => Promise<T>): Promise<T | undefined> {
    const { clock } = this.#owner.ambient;
    for (let waitMs = AGAIN_MS; ; waitMs = Math.min(STORE_RETRY_MAX_MS, waitMs * 2)) {
      try {
        return await work();
      } catch (error) {
        if (toWireError(error).code !== 'store_unavailable') throw error;
        if (this.#gone) return undefined;
        await new Promise<void>((resolve) => clock.setTimeout(resolve, waitMs));
      }
    }
  }
}

/** Handlers that may fail before a message is given up. */
export const DEFAULT_MAX_ATTEMPTS = 5;

function replyOf(correlationId: string, { reply }: Handled) {
  return { correlationId, reply: reply?.body ?? null };
}

function isOutcome(value: unknown): value is Awaited<ReturnType<MessageStore['acknowledge']>> {
  return typeof value === 'object' && value !== null && 'outcome' in value && !(value instanceof Error);
}
