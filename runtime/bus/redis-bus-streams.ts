// Frames between nodes over Redis: one stream per node, read by a consumer group of one. A frame is acknowledged and deleted once it was
// handed over; what was read and not acknowledged is read again. Redis may lose all of it: the links above send again.

import type { NodeId } from '../contracts/ids.ts';
import type { NodeWire } from '../contracts/messaging.ts';
import type { Logger } from '../contracts/ports.ts';
import { COMMAND_TIMEOUT_MS, CONNECTION, type Connection, connectionTo } from './redis-bus-connection.ts';
import { createSeal } from './seal.ts';

export interface RedisStreamsOptions {
  readonly url: string;
  readonly node: NodeId;
  /** The secret that only nodes of the cluster know. */
  readonly key: Uint8Array;
  readonly log: Logger;
  /** How often the way to Redis is tried when nothing else goes over it. Default 1 s. */
  readonly beatMs?: number;
}

const GROUP = 'troupe';
const CONSUMER = 'node';
const FIELD = 'f';
const BEAT_MS = 1_000;
const BLOCK_MS = 2_000;
/** Frames of one read. */
const READ = 64;
/** A reader that hears nothing for this long, not even the end of its own wait, has a dead connection. */
const SILENCE_MS = 5_000;
/** The stream of a node that died is forgotten by Redis after this long. */
const KEPT_MS = 600_000;
/** Far above what the windows of the links let in: a guard against senders that do not know them. */
const MAX_ENTRIES = 100_000;
const RETRY_MS = 50;

/** Keys of one node share a hash tag, so that they live together in a Redis Cluster. */
export const streamKey = (node: string): string => `troupe:v1:{${node}}:in`;

type Handler = (from: NodeId, frame: unknown) => void;
type Entry = readonly [id: Buffer, fields: readonly Buffer[] | null];

/** Opens at once and connects in the background. */
export function openRedisStreams(options: RedisStreamsOptions): NodeWire {
  return new RedisStreams(options);
}

/** States: down (no connection, or nothing came back over it) <-> up; then closed. */
class RedisStreams implements NodeWire {
  readonly kind = 'redis';
  readonly #key: string;
  readonly #log: Logger;
  readonly #seal;
  readonly #writer: Connection;
  readonly #reader: Connection;
  readonly #listeners = new Set<() => void>();
  readonly #beating: NodeJS.Timeout;
  #handler: Handler | undefined;
  #garbage = 0;
  #open = true;
  #writes = false;
  #reads = false;
  #proven = false;
  #complained = false;
  /** What was handed to this consumer before and may not have arrived is read first. */
  #pendingFirst = true;

  constructor({ url, node, key, log, beatMs = BEAT_MS }: RedisStreamsOptions) {
    this.#key = streamKey(node);
    this.#log = log;
    this.#seal = createSeal({ node, key });
    this.#writer = connectionTo(url, { ...CONNECTION, connectionName: 'troupe-node-out' });
    this.#reader = connectionTo(url, {
      ...CONNECTION,
      connectionName: 'troupe-node-in',
      commandTimeout: undefined,
      blockingTimeout: BLOCK_MS,
      blockingTimeoutGrace: COMMAND_TIMEOUT_MS,
      socketTimeout: SILENCE_MS,
    });
    for (const connection of [this.#writer, this.#reader]) {
      connection.on('error', (error) => this.#complain(error));
      connection.on('close', () => this.#down(connection));
      connection.connect().catch((error: unknown) => this.#complain(error));
    }
    this.#writer.on('ready', () => void this.#prove());
    this.#reader.on('ready', () => {
      this.#reads = true;
      this.#changed();
    });
    this.#beating = setInterval(() => void this.#beat(), beatMs);
    this.#beating.unref();
    void this.#readOn();
  }

  seal(to: NodeId, frame: unknown): Uint8Array {
    return this.#seal.close(to, frame);
  }

  async send(to: NodeId, sealed: Uint8Array): Promise<boolean> {
    if (!this.healthy()) return false;
    const bytes = Buffer.from(sealed.buffer, sealed.byteOffset, sealed.byteLength);
    try {
      const id = await this.#writer.xadd(streamKey(to), 'NOMKSTREAM', 'MAXLEN', '~', MAX_ENTRIES, '*', FIELD, bytes);
      this.#proven = true;
      return id !== null;
    } catch (error) {
      // Redis has answered and refused: out of memory, a read-only replica, a key that is no stream.
      if (isReply(error)) {
        this.#complain(error);
        return false;
      }
      this.#restart(error);
      throw error;
    }
  }

  receive(handler: Handler): void {
    this.#handler = handler;
  }

  healthy(): boolean {
    return this.#open && this.#writes && this.#reads;
  }

  onHealthy(listener: () => void) {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  garbage(): number {
    return this.#garbage;
  }

  async close(): Promise<void> {
    if (!this.#open) return;
    const gone = this.#writes ? this.#writer.del(this.#key).catch(() => 0) : undefined;
    this.#open = false;
    clearInterval(this.#beating);
    this.#listeners.clear();
    await gone;
    // not quit(): it waits for an answer that a dead server never gives
    this.#writer.disconnect();
    this.#reader.disconnect();
  }

  // ---- the connections --------------------------------------------------------------------------------------------------------

  /** A connection counts once something has come back over it: behind a black hole it looks as good as any. */
  async #prove(): Promise<void> {
    try {
      await this.#makeGroup();
      this.#writes = true;
      this.#changed();
    } catch (error) {
      this.#complain(error);
      if (this.#open) setTimeout(() => this.#writer.disconnect(true), RETRY_MS).unref();
    }
  }

  /** Shows that Redis answers, and keeps the stream from being forgotten. */
  async #beat(): Promise<void> {
    if (!this.#writes) return;
    const quiet = !this.#proven;
    this.#proven = false;
    try {
      const kept = await this.#writer.pexpire(this.#key, KEPT_MS);
      if (kept === 0) await this.#makeGroup();
    } catch (error) {
      if (isReply(error)) this.#complain(error);
      else if (quiet) this.#restart(error);
    }
  }

  async #makeGroup(): Promise<void> {
    try {
      await this.#writer.xgroup('CREATE', this.#key, GROUP, '0', 'MKSTREAM');
      await this.#writer.pexpire(this.#key, KEPT_MS);
    } catch (error) {
      if (!(isReply(error) && error.message.startsWith('BUSYGROUP'))) throw error;
    }
  }

  #restart(error: unknown): void {
    if (!this.#open || !this.#writes) return;
    this.#complain(error);
    this.#writes = false;
    this.#writer.disconnect(true);
    // The reader goes the same way; what it had under way is read again.
    this.#reads = false;
    this.#reader.disconnect(true);
  }

  #down(connection: Connection): void {
    if (connection === this.#writer) this.#writes = false;
    else {
      this.#reads = false;
      this.#pendingFirst = true;
    }
  }

  #changed(): void {
    if (!this.healthy()) return;
    if (this.#complained) this.#log.info('Redis is back: nodes talk again');
    this.#complained = false;
    for (const listener of [...this.#listeners]) listener();
  }

  #complain(error: unknown): void {
    // one line per outage: the retries say nothing new
    if (this.#complained || !this.#open) return;
    this.#complained = true;
    this.#log.warn('Redis is away; messages to other nodes are refused until it is back', { error });
  }

  // ---- reading ----------------------------------------------------------------------------------------------------------------

  async #readOn(): Promise<void> {
    while (this.#open) {
      if (!this.#reads || !this.#writes) {
        await sleep(RETRY_MS);
        continue;
      }
      try {
        await this.#readOnce();
      } catch (error) {
        this.#pendingFirst = true;
        if (isReply(error) && /^(NOGROUP|UNBLOCKED)/.test(error.message)) {
          await this.#makeGroup().catch((failure: unknown) => this.#complain(failure));
        } else if (this.#open) this.#complain(error);
        await sleep(RETRY_MS);
      }
    }
  }

  async #readOnce(): Promise<void> {
    const pending = this.#pendingFirst;
    const answer = (await this.#reader.xreadgroupBuffer(
      'GROUP',
      GROUP,
      CONSUMER,
      'COUNT',
      READ,
      'BLOCK',
      BLOCK_MS,
      'STREAMS',
      this.#key,
      pending ? '0' : '>',
    )) as readonly (readonly [Buffer, readonly Entry[]])[] | null;
    const entries = answer?.[0]?.[1] ?? [];
    if (pending && entries.length === 0) this.#pendingFirst = false;
    if (entries.length === 0) return;
    for (const [, fields] of entries) this.#hand(fields);
    this.#acknowledge(entries.map(([id]) => id));
  }

  #hand(fields: readonly Buffer[] | null): void {
    const bytes = fields?.[1];
    const opened = bytes && this.#seal.open(bytes);
    if (!opened) {
      // An entry without fields was deleted while it was pending.
      if (fields !== null) this.#garbage += 1;
      return;
    }
    try {
      this.#handler?.(opened.from, opened.frame);
    } catch (error) {
      this.#log.error('a frame of another node could not be taken', { from: opened.from, error });
    }
  }

  #acknowledge(ids: readonly Buffer[]): void {
    const failed = () => {
      this.#pendingFirst = true;
    };
    this.#writer.xack(this.#key, GROUP, ...ids).catch(failed);
    this.#writer.xdel(this.#key, ...ids).catch(failed);
  }
}

function isReply(error: unknown): error is Error {
  return error instanceof Error && error.name === 'ReplyError';
}

const sleep = (ms: number): Promise<void> =>
  new Promise((resolve) => {
    setTimeout(resolve, ms).unref();
  });
