// Hints between nodes over Redis pub/sub. Lossy by contract: Redis may be slow, frozen, restarted or never there, and nobody
// who publishes notices more than a poll's delay. Only the files redis-bus* know ioredis.

import type { Bus, Logger } from '../contracts/ports.ts';
import { decodeHints } from './hint-codec.ts';
import { HintListeners } from './hint-listeners.ts';
import { HintOutbox } from './hint-outbox.ts';
import { CONNECTION, type Connection, connectionTo } from './redis-bus-connection.ts';

export interface RedisBusOptions {
  readonly url: string;
  readonly log: Logger;
  /** Nodes of one cluster share it. Default `troupe:v1:hints`. */
  readonly channel?: string;
  /**
   * How often each connection must show that it lives; two failures make it connect anew. Every fifth time the bus says something that it
   * must hear itself. Default 1 s.
   */
  readonly beatMs?: number;
}

export interface RedisBusStats {
  readonly published: number;
  readonly received: number;
  /** Texts on the channel that are no hints. */
  readonly garbage: number;
  /** Texts that were not sent: Redis away, too slow, or too many in one turn. */
  readonly lost: number;
}

export interface RedisBus extends Bus {
  stats(): RedisBusStats;
}

const CHANNEL = 'troupe:v1:hints';
const BEAT_MS = 1_000;
/** A side that was never told of the end of its connection finds out by this, not by what it sends: most nodes only listen. */
const FAILED_PINGS = 2;
/** Every node hears it. */
const SPEAK_EVERY = 5;
const SILENT_BEATS = 3 * SPEAK_EVERY;
/** An empty batch: every bus of the channel ignores it, and its sender knows that the way there and back works. */
const BEAT = '[]';
/** Texts on their way to a server that does not answer; beyond them hints are lost at once. */
const MOST_IN_FLIGHT = 64;

/** Opens at once and connects in the background. Never throws, publishing included. */
export function openRedisBus({ url, log, channel = CHANNEL, beatMs = BEAT_MS }: RedisBusOptions): RedisBus {
  const stats = { published: 0, received: 0, garbage: 0, lost: 0 };
  const listeners = new HintListeners(log);
  const publisher = connectionTo(url, { ...CONNECTION, connectionName: 'troupe-hints-out' });
  const subscriber = connectionTo(url, { ...CONNECTION, connectionName: 'troupe-hints-in' });
  let open = true;
  let subscribed = false;
  let silentBeats = 0;
  let beats = 0;
  let inFlight = 0;
  let complained = false;

  const send = (text: string): void => {
    if (!open) return;
    if (publisher.status !== 'ready' || inFlight >= MOST_IN_FLIGHT) {
      stats.lost += 1;
      return;
    }
    inFlight += 1;
    publisher
      .publish(channel, text)
      .then(() => {
        stats.published += 1;
      })
      .catch(() => {
        stats.lost += 1;
      })
      .finally(() => {
        inFlight -= 1;
      });
  };
  const outbox = new HintOutbox(send);

  const complain = (error: unknown): void => {
    // one line per outage: the retries say nothing new
    if (complained || !open) return;
    complained = true;
    log.warn('Redis is away; hints are lost and nodes poll until it is back', { error });
  };
  const onMessage = (_channel: string, text: string): void => {
    silentBeats = 0;
    const hints = decodeHints(text);
    if (!hints) {
      stats.garbage += 1;
      if (stats.garbage === 1)
        log.warn('something else than hints is published on the channel of the bus', { channel });
      return;
    }
    stats.received += hints.length;
    listeners.tell(hints);
  };
  const subscribe = async (): Promise<void> => {
    try {
      await subscriber.subscribe(channel);
      subscribed = true;
      silentBeats = 0;
      if (complained) log.info('Redis is back');
      complained = false;
    } catch (error) {
      complain(error);
      if (open) subscriber.disconnect(true);
    }
  };
  const again = (error: unknown): void => {
    if (!open) return;
    silentBeats = 0;
    subscribed = false;
    complain(error);
    subscriber.disconnect(true);
    publisher.disconnect(true);
  };
  const pings = [publisher, subscriber].map((connection) => pinger(connection, again));
  const beat = (): void => {
    for (const ping of pings) ping();
    silentBeats += 1;
    beats += 1;
    if (beats % SPEAK_EVERY === 0) send(BEAT);
    // a connection that looks alive and brings nothing: a subscription that the server has forgotten
    if (silentBeats > SILENT_BEATS && subscriber.status === 'ready') again(new Error('the channel is silent'));
  };

  for (const connection of [publisher, subscriber]) {
    connection.on('error', complain);
    connection.connect().catch(complain);
  }
  subscriber.on('ready', () => void subscribe());
  subscriber.on('close', () => {
    subscribed = false;
  });
  subscriber.on('message', onMessage);
  const beating = setInterval(beat, beatMs);
  beating.unref();

  return {
    kind: 'redis',
    publish: (hint) => {
      if (open) outbox.add(hint);
    },
    subscribe: (listener) => listeners.add(listener),
    healthy: () => open && subscribed && publisher.status === 'ready',
    stats: () => ({ ...stats, lost: stats.lost + outbox.dropped }),
    async close() {
      open = false;
      clearInterval(beating);
      outbox.clear();
      listeners.clear();
      // not quit(): it waits for an answer that a dead server never gives
      publisher.disconnect();
      subscriber.disconnect();
    },
  };
}

/** Asks whether the connection lives, one question at a time; `dead` after some of them in a row had no answer. */
function pinger(connection: Connection, dead: (error: unknown) => void): () => void {
  let asking = false;
  let failed = 0;
  return () => {
    if (asking || connection.status !== 'ready') return;
    asking = true;
    connection
      .ping()
      .then(() => {
        failed = 0;
      })
      .catch((error: unknown) => {
        // A refusal is an answer.
        failed = error instanceof Error && error.name === 'ReplyError' ? 0 : failed + 1;
        if (failed < FAILED_PINGS) return;
        failed = 0;
        if (connection.status === 'ready') dead(error);
      })
      .finally(() => {
        asking = false;
      });
  };
}
