// Which bus a node uses: Redis when a URL is given, else the one inside the process.

import type { Bus, Logger } from '../contracts/ports.ts';
import { createInProcessBus } from './in-process-bus.ts';

export interface OpenBusOptions {
  /** `redis://` or `rediss://`; without it hints stay inside the process and other nodes poll. */
  readonly redisUrl?: string | undefined;
  readonly log: Logger;
}

/** Opens the bus. Does not wait for Redis: a node starts without it and uses it when it comes. */
export async function openBus({ redisUrl, log }: OpenBusOptions): Promise<Bus> {
  if (redisUrl === undefined) return createInProcessBus({ log });
  const { openRedisBus } = await import('./redis-bus.ts');
  return openRedisBus({ url: redisUrl, log });
}
