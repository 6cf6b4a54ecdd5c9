// How this node connects to Redis, whatever for and whichever kind it is: one server, a master that sentinels name, or a cluster. Nothing
// queues while Redis is away, every command ends, reconnecting never stops.

import { Cluster, Redis, type RedisOptions } from 'ioredis';

/** Replies are taken as they come. */
type Options = Omit<RedisOptions, 'replyMapping'>;

export const COMMAND_TIMEOUT_MS = 1_000;

const retryMs = (tries: number): number => Math.min(50 * 2 ** Math.min(tries, 10), 2_000) * (0.5 + Math.random() / 2);

export const CONNECTION = {
  lazyConnect: true,
  enableOfflineQueue: false,
  autoResendUnfulfilledCommands: false,
  autoResubscribe: false,
  maxRetriesPerRequest: 0,
  commandTimeout: COMMAND_TIMEOUT_MS,
  connectTimeout: 3_000,
  enableReadyCheck: false,
  retryStrategy: retryMs,
} as const satisfies RedisOptions;

export type Connection = Redis | Cluster;

const DEFAULT_PORT = { redis: 6379, sentinel: 26379 };
/** Between looks at which node of a cluster has which keys. */
const SLOTS_EVERY_MS = 2_000;

/**
 * Makes a connection that is opened with `connect()`. `redis://` and `rediss://` name one server; `redis+sentinel://host:port,host:port/master`
 * the sentinels that know the master of that name, which is followed when it changes; `redis+cluster://host:port,host:port` some nodes of a
 * cluster. A user and a password are those of the servers; with `rediss+` instead of `redis+` all connections are encrypted.
 */
export function connectionTo(url: string, options: Options): Connection {
  const [, secure, kind] = /^redis(s?)(?:\+(sentinel|cluster))?:/.exec(url) ?? [];
  if (!kind) return new Redis(url, options);
  const { username, password, hosts, path } = partsOf(
    url,
    kind === 'sentinel' ? DEFAULT_PORT.sentinel : DEFAULT_PORT.redis,
  );
  const all: Options = {
    ...options,
    ...(username ? { username } : {}),
    ...(password ? { password } : {}),
    ...(secure ? { tls: {} } : {}),
  };
  if (kind === 'sentinel') {
    return new Redis({
      ...all,
      sentinels: [...hosts],
      name: path || 'mymaster',
      sentinelRetryStrategy: retryMs,
      sentinelCommandTimeout: COMMAND_TIMEOUT_MS,
      failoverDetector: true,
      ...(secure ? { enableTLSForSentinelMode: true } : {}),
      // The old master is a replica by now: the next connection asks the sentinels anew.
      reconnectOnError: ({ message }: Error) => message.startsWith('READONLY'),
    });
  }
  return new Cluster([...hosts], {
    redisOptions: all,
    lazyConnect: true,
    enableOfflineQueue: false,
    enableReadyCheck: false,
    clusterRetryStrategy: retryMs,
    slotsRefreshInterval: SLOTS_EVERY_MS,
  });
}

/** URLs with several hosts are none that the platform could read. */
function partsOf(url: string, defaultPort: number) {
  const [, credentials = '', hostList = '', path = ''] = /^[^:]+:\/\/(?:([^@/]*)@)?([^/]*)\/?(.*)$/.exec(url) ?? [];
  const [username = '', password = ''] = credentials.split(':').map(decodeURIComponent);
  const hosts = hostList.split(',').map((each) => {
    const [, host = '', port] = /^(.*?)(?::(\d+))?$/.exec(each) ?? [];
    return { host: host.replace(/^\[|\]$/g, ''), port: port ? Number(port) : defaultPort };
  });
  return { username, password, hosts, path };
}
