// How much one caller may ask for: requests a minute (reads and writes apart), open streams, size of the request line and headers.

import { RateLimiterMemory, RateLimiterRes } from 'rate-limiter-flexible';
import { EdgeError } from './problem.ts';

const WINDOW_S = 60;
const MAX_URL_CHARS = 8_000;
const MAX_HEADERS = 100;
const MAX_STREAMS = 5;
/** Failed logins a minute from one address. */
const MAX_FAILED_LOGINS = 60;

export type Budget = 'read' | 'write';

/** Counts in this process. Both headers follow draft-ietf-httpapi-ratelimit-headers. */
export interface RateLimits {
  /** Takes one request from the caller's budget and returns the headers that tell what is left. Throws `rate_limited`. */
  take(budget: Budget, caller: string): Promise<Record<string, string>>;
  /** Throws `rate_limited` when this address failed to authenticate too often. */
  checkAddress(address: string): Promise<void>;
  failedLogin(address: string): Promise<void>;
}

/** `perMinute` requests per caller and budget; 0 switches the limit off. */
export function createRateLimits(perMinute: number): RateLimits {
  if (perMinute === 0) return { take: async () => ({}), checkAddress: async () => {}, failedLogin: async () => {} };
  const limiters = {
    read: new RateLimiterMemory({ points: perMinute, duration: WINDOW_S, keyPrefix: 'read' }),
    write: new RateLimiterMemory({ points: perMinute, duration: WINDOW_S, keyPrefix: 'write' }),
  };
  const logins = new RateLimiterMemory({ points: MAX_FAILED_LOGINS, duration: WINDOW_S, keyPrefix: 'login' });
  return {
    async take(budget, caller) {
      const policy = `"${budget}";q=${perMinute};w=${WINDOW_S}`;
      try {
        return { 'ratelimit-policy': policy, ratelimit: state(budget, await limiters[budget].consume(caller)) };
      } catch (refused) {
        if (!(refused instanceof RateLimiterRes)) throw refused;
        throw limited(`At most ${perMinute} requests a minute (${budget}).`, refused, {
          'ratelimit-policy': policy,
          ratelimit: state(budget, refused),
        });
      }
    },
    async checkAddress(address) {
      const used = await logins.get(address);
      if (used && used.consumedPoints >= MAX_FAILED_LOGINS) throw limited('Too many failed logins.', used, {});
    },
    async failedLogin(address) {
      await logins.consume(address).catch(() => {});
    },
  };
}

function state(budget: Budget, result: RateLimiterRes): string {
  return `"${budget}";r=${Math.max(0, result.remainingPoints)};t=${seconds(result)}`;
}

function limited(detail: string, result: RateLimiterRes, headers: Record<string, string>): EdgeError {
  return new EdgeError('rate_limited', detail, { headers: { ...headers, 'retry-after': String(seconds(result)) } });
}

function seconds(result: RateLimiterRes): number {
  return Math.max(1, Math.ceil(result.msBeforeNext / 1_000));
}

/** Streams that are open, by caller. */
export class StreamSlots {
  readonly #open = new Map<string, number>();

  /** Takes a slot and returns what gives it back (once). Throws `too_many_streams`. */
  take(caller: string): () => void {
    const open = this.#open.get(caller) ?? 0;
    if (open >= MAX_STREAMS) throw new EdgeError('too_many_streams', `At most ${MAX_STREAMS} streams at once.`);
    this.#open.set(caller, open + 1);
    let given = false;
    return () => {
      if (given) return;
      given = true;
      const left = (this.#open.get(caller) ?? 1) - 1;
      if (left > 0) this.#open.set(caller, left);
      else this.#open.delete(caller);
    };
  }
}

/** Refuses request lines and header lists that no honest caller sends. `headerCount` is what came over the socket. */
export function checkRequestSize(url: string, headerCount: number): void {
  if (url.length > MAX_URL_CHARS) throw new EdgeError('uri_too_long', `At most ${MAX_URL_CHARS} characters.`);
  if (headerCount > MAX_HEADERS) throw new EdgeError('headers_too_large', `At most ${MAX_HEADERS} headers.`);
}
