// Every option of a node in one schema: default, environment variable, meaning. A bad value names its key and what is allowed.

import { statSync } from 'node:fs';
import { z } from 'zod';
import { labelsSchema } from './contracts/agent.ts';
import { RuntimeError } from './contracts/errors.ts';

const flag = z.union([
  z.boolean(),
  z
    .enum(['0', '1', 'true', 'false', 'on', 'off'])
    .transform((text) => text === '1' || text === 'true' || text === 'on'),
]);
const int = (min: number, max: number) => {
  const error = `expected a whole number from ${min} to ${max}`;
  return z.coerce.number({ error }).int({ error }).min(min, { error }).max(max, { error });
};
/** A list, or a text with commas. */
const list = z.union([
  z.array(z.string()),
  z.string().transform((text) =>
    text
      .split(',')
      .map((part) => part.trim())
      .filter(Boolean),
  ),
]);
/** `gpu=true,zone=a`, or names with values. */
const labels = z.union([
  labelsSchema,
  z
    .string()
    .transform((text, ctx) => {
      const pairs = text.split(',').map((part) => part.trim().split('='));
      if (pairs.every((pair) => pair.length === 2)) return Object.fromEntries(pairs) as Record<string, string>;
      ctx.addIssue({ code: 'custom', message: 'expected names with values like gpu=true,zone=a' });
      return z.NEVER;
    })
    .pipe(labelsSchema),
]);
/** Told at the start: a fence around folders that do not exist would only show as agents that may read nothing. */
const folders = list
  .refine((paths) => paths.length > 0, { message: 'expected at least one folder' })
  .superRefine((paths, ctx) => {
    const missing = paths.find((path) => !statSync(path, { throwIfNoEntry: false })?.isDirectory());
    if (missing !== undefined) ctx.addIssue({ code: 'custom', message: `expected folders, and ${missing} is none` });
  });
const url = (...schemes: string[]) =>
  z.string().refine((text) => schemes.some((scheme) => text.startsWith(`${scheme}://`)) && URL.canParse(text), {
    message: `expected a URL that starts with ${schemes.map((scheme) => `${scheme}://`).join(' or ')}`,
  });

/** One server, or several of which the platform's URL knows nothing. */
const redis = z
  .string()
  .refine(
    (text) =>
      (/^rediss?:\/\//.test(text) && URL.canParse(text)) ||
      /^rediss?\+(sentinel|cluster):\/\/([^@/\s]*@)?[^,/@\s]+(,[^,/@\s]+)*(\/[^/\s]*)?$/.test(text),
    {
      message: 'expected redis://, rediss://, redis+sentinel://host:port,host:port/master or redis+cluster://host:port',
    },
  );

interface Option {
  readonly env: string;
  readonly schema: z.ZodType;
  readonly about: string;
  readonly secret?: boolean;
}
const option = <Schema extends z.ZodType>(env: string, schema: Schema, about: string, secret = false) => ({
  env,
  schema,
  about,
  secret,
});

/** The options, in the order in which `config print` shows them. */
export const OPTIONS = {
  host: option('TROUPE_HOST', z.string().min(1).default('127.0.0.1'), 'address the HTTP server binds'),
  port: option('TROUPE_PORT', int(0, 65_535).default(3_000), 'its port; 0 takes a free one'),
  dataDir: option(
    'TROUPE_DATA_DIR',
    z.string().min(1).default('.troupe'),
    'folder of the embedded database and of made secrets',
  ),
  databaseUrl: option(
    'DATABASE_URL',
    url('postgres', 'postgresql').optional(),
    'PostgreSQL 15 or newer; without it the embedded PGlite',
    true,
  ),
  redisUrl: option(
    'REDIS_URL',
    redis.optional(),
    'Redis (also redis+sentinel://host:port,host:port/master and redis+cluster://host:port,host:port) for messages and wake-ups between nodes; without it they poll, and reach only agents of their own',
    true,
  ),
  ollamaHost: option(
    'OLLAMA_HOST',
    z.string().min(1).default('http://127.0.0.1:11434'),
    'Ollama server; agents fall back to extraction when none answers',
  ),
  ollamaModel: option('TROUPE_OLLAMA_MODEL', z.string().min(1).default('llama3.2'), 'model the agents ask for'),
  labels: option(
    'TROUPE_LABELS',
    labels.default({}),
    'labels of this node, like gpu=true,zone=a; agents may require them',
  ),
  threads: option('TROUPE_THREADS', int(1, 256).optional(), 'threads of the pool; default the cores, at least 2'),
  agentRoots: option('TROUPE_AGENTS', list.default([]), 'folders or files with agent modules, comma separated'),
  fileRoots: option(
    'TROUPE_FILE_ROOTS',
    folders.optional(),
    'folders below which agents may read files, comma separated; without it any their config names',
  ),
  preload: option(
    'TROUPE_PRELOAD',
    list.default([]),
    'modules loaded first in the node and in each of its threads, comma separated, e.g. an OpenTelemetry SDK; threads see OTEL_* then',
  ),
  probe: option('TROUPE_PROBE', flag.optional(), 'load the probe agent; default yes unless NODE_ENV=production'),
  jwtSecret: option(
    'TROUPE_JWT_SECRET',
    z.string().min(32, 'expected at least 32 characters').optional(),
    'HS256 secret of the API tokens',
    true,
  ),
  jwksUrl: option(
    'TROUPE_JWKS_URL',
    url('https', 'http').optional(),
    'key set of an identity provider, instead of a secret',
  ),
  jwtAlgorithm: option(
    'TROUPE_JWT_ALGORITHM',
    z.enum(['RS256', 'PS256', 'ES256', 'EdDSA']).default('RS256'),
    'the one signature algorithm taken from the identity provider',
  ),
  jwtIssuer: option('TROUPE_JWT_ISSUER', z.string().min(1).default('troupe'), 'issuer a token must name'),
  jwtAudience: option('TROUPE_JWT_AUDIENCE', z.string().min(1).default('troupe'), 'audience a token must name'),
  rateLimit: option(
    'TROUPE_RATE_LIMIT',
    int(0, 1_000_000).default(6_000),
    'requests a minute per subject; 0 switches the limit off',
  ),
  inspector: option('TROUPE_INSPECTOR', flag.default(true), 'serve the inspector page at /inspect; off leaves the API'),
  logLevel: option(
    'TROUPE_LOG_LEVEL',
    z.enum(['debug', 'info', 'warn', 'error', 'silent']).default('info'),
    'least severe level that is logged',
  ),
  logFormat: option(
    'TROUPE_LOG_FORMAT',
    z.enum(['text', 'json']).default('text'),
    'text for people, json for machines',
  ),
  leaseMs: option(
    'TROUPE_LEASE_MS',
    int(1_000, 600_000).default(15_000),
    'lease of a node; its work is free for others this long after it died',
  ),
  pollMs: option('TROUPE_POLL_MS', int(50, 60_000).default(1_000), 'how often the database is read when no hint came'),
  rebalanceMs: option(
    'TROUPE_REBALANCE_MS',
    int(0, 3_600_000).default(5_000),
    'how often a node with more agents than its share gives idle ones to others; 0: never',
  ),
  graceMs: option('TROUPE_GRACE_MS', int(0, 600_000).default(1_000), 'from the abort of a task to its abandon or kill'),
  drainMs: option('TROUPE_DRAIN_MS', int(0, 600_000).default(20_000), 'longest drain at shutdown'),
  beatMs: option('TROUPE_BEAT_MS', int(10, 60_000).default(250), 'beat of a thread in shared memory'),
  stuckAfterMs: option(
    'TROUPE_STUCK_MS',
    int(50, 600_000).default(1_000),
    'no beat for this long: the thread is stuck',
  ),
  threadHeapMb: option('TROUPE_THREAD_HEAP_MB', int(32, 65_536).default(256), 'old-generation heap of a thread'),
  queueLimit: option(
    'TROUPE_QUEUE_LIMIT',
    int(1, 100_000_000).default(1_000_000),
    'open tasks of a tenant; beyond it submits are refused with 429',
  ),
  poisonAfter: option('TROUPE_POISON_AFTER', int(1, 100).default(3), 'crashes of a task that make it dead (poison)'),
  historyDays: option(
    'TROUPE_HISTORY_DAYS',
    int(1, 36_500).default(30),
    'how long finished work and its events are kept',
  ),
} as const satisfies Record<string, Option>;

type Options = typeof OPTIONS;
export type Config = { readonly [Key in keyof Options]: z.output<Options[Key]['schema']> };
export type ConfigInput = { readonly [Key in keyof Options]?: z.input<Options[Key]['schema']> | undefined };

/**
 * The configuration from options (first), environment (second) and defaults (last).
 * @throws RuntimeError `config_invalid`: its message is one line that names the variable, the value and what is allowed.
 */
export function resolveConfig(input: ConfigInput = {}, env: Readonly<Record<string, string | undefined>> = {}): Config {
  const resolved: Record<string, unknown> = {};
  for (const [key, { env: variable, schema, secret }] of Object.entries(OPTIONS) as [keyof Options, Option][]) {
    const fromEnv = env[variable] === '' ? undefined : env[variable];
    const given = input[key] ?? fromEnv;
    const parsed = schema.safeParse(given);
    if (!parsed.success) {
      const shown = secret ? '(secret)' : JSON.stringify(given);
      const why = parsed.error.issues[0]?.message ?? 'not allowed';
      throw new RuntimeError('config_invalid', `${variable}=${shown} is not valid: ${why} (${OPTIONS[key].about})`, {
        details: { key, variable },
      });
    }
    resolved[key] = parsed.data;
  }
  return resolved as Config;
}

/** Options that code in threads reads from its environment. */
const IN_THREADS = ['ollamaHost', 'ollamaModel', 'fileRoots'] as const satisfies readonly (keyof Options)[];

/**
 * What threads find in their environment: they see the configuration of their node, whether it came from there or from flags. What they
 * are to load first comes with the settings of OpenTelemetry that it reads.
 */
export function threadEnvironment(
  config: Config,
  env: Readonly<Record<string, string | undefined>> = {},
): Record<string, string> {
  const own = IN_THREADS.flatMap((key) => (config[key] === undefined ? [] : [[OPTIONS[key].env, String(config[key])]]));
  const { preload } = config;
  if (preload.length === 0) return Object.fromEntries(own);
  const telemetry = Object.entries(env).filter(([name]) => name.startsWith('OTEL_'));
  return Object.fromEntries([...own, [OPTIONS.preload.env, preload.join(',')], ...telemetry]);
}

/** Every option with its variable and meaning, for people: secrets are replaced, unset ones are null. */
export function describedConfig(config: Config) {
  const defaults = resolveConfig();
  const printable = printableConfig(config);
  return (Object.entries(OPTIONS) as [keyof Options, Option][]).map(([key, { env, about, secret }]) => ({
    key,
    env,
    about,
    value: printable[key] ?? null,
    secret: secret === true,
    isDefault: JSON.stringify(config[key]) === JSON.stringify(defaults[key]),
  }));
}

/** The configuration for people and logs: secrets and credentials in URLs are replaced. */
export function printableConfig(config: Config): Record<string, unknown> {
  return Object.fromEntries(
    (Object.keys(OPTIONS) as (keyof Options)[]).map((key) => [
      key,
      OPTIONS[key].secret && config[key] !== undefined ? '(secret)' : config[key],
    ]),
  );
}
