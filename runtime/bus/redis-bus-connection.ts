// How this node connects to Redis, whatever for: nothing queues while Redis is away, every command ends, reconnecting never stops.

import type { RedisOptions } from 'ioredis';

export const COMMAND_TIMEOUT_MS = 1_000;

export const CONNECTION = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  commandTimeout: COMMAND_TIMEOUT_MS,
  connectTimeout: 3_000,
  enableReadyCheck: false,
  // One second at most: a server that is back is found, and its group made, within two.
  retryStrategy: (tries: number) => Math.min(50 * 2 ** Math.min(tries, 10), 1_000) * (0.5 + Math.random() / 2),
} as const satisfies RedisOptions;
