// Real thread pools for tests and benchmarks: short beats, collected notices, puppets by name.

import { randomBytes } from 'node:crypto';
import type { ResolvedMailbox } from '../../runtime/contracts/envelope.ts';
import { type AgentId, createIdFactory, type TaskId } from '../../runtime/contracts/ids.ts';
import type { Ambient, Logger, ThreadPool, ThreadPoolOptions } from '../../runtime/contracts/ports.ts';
import type { TaskAssignment } from '../../runtime/contracts/task.ts';
import type { CellSpec, PoolNotice } from '../../runtime/contracts/wire.ts';
import { createThreadPool } from '../../runtime/pool/thread-pool.ts';
import { eventually } from './eventually.ts';

const silent: Logger = { debug() {}, info() {}, warn() {}, error() {}, child: () => silent };

/** Time, randomness and ids of the machine. */
export const realAmbient: Ambient = {
  clock: {
    nowMs: Date.now,
    monotonicMs: () => performance.now(),
    setTimeout: (fn, ms) => {
      const timer = setTimeout(fn, ms);
      return () => clearTimeout(timer);
    },
    setInterval: (fn, ms) => {
      const timer = setInterval(fn, ms);
      return () => clearInterval(timer);
    },
  },
  random: Math.random,
  newId: createIdFactory({ nowMs: Date.now, randomBytes }),
  log: silent,
};

const ids = new Map<string, AgentId>();
/** The same id for the same name. */
export function actorId(name: string): AgentId {
  const id = ids.get(name) ?? realAmbient.newId('agent');
  ids.set(name, id);
  return id;
}

const extension = import.meta.url.endsWith('.ts') ? 'ts' : 'js';
export const puppetModule = new URL(`./actors/puppet.${extension}`, import.meta.url).href;

export function puppetSpec(
  name: string,
  options: {
    readonly incarnation?: number;
    readonly mailbox?: ResolvedMailbox;
    readonly config?: Record<string, unknown>;
    readonly exportName?: string;
    readonly specifier?: string;
  } = {},
): CellSpec {
  return {
    id: actorId(name),
    incarnation: options.incarnation ?? 1,
    type: 'puppet',
    name,
    tenant: 'test',
    module: { specifier: options.specifier ?? puppetModule, exportName: options.exportName ?? 'puppet' },
    mailbox: options.mailbox ?? { capacity: 100_000, overflow: 'reject' },
    config: options.config ?? {},
    paused: false,
  };
}

let tasks = 0;
export function assignment(capability: string, input: unknown = {}, timeoutMs = 10_000): TaskAssignment {
  tasks++;
  return {
    taskId: realAmbient.newId('task') as TaskId,
    fence: tasks,
    attempt: 1,
    capability,
    version: 1,
    input,
    timeoutMs,
    idempotencyKey: `key-${tasks}`,
    tenant: 'test',
  };
}

export interface TestPool extends AsyncDisposable {
  readonly pool: ThreadPool;
  readonly notices: PoolNotice[];
  /** Notices of one kind so far. */
  of<Type extends PoolNotice['type']>(type: Type): Extract<PoolNotice, { type: Type }>[];
  /** Resolves once the condition holds, looked at every 20 ms; rejects after 20 s. */
  until(condition: () => boolean, what: string): Promise<void>;
  /** Spawns a puppet; `thread` counts from 1. */
  puppet(name: string, thread?: number, options?: Parameters<typeof puppetSpec>[1]): Promise<AgentId>;
  report(id: AgentId): Promise<Report>;
}

export interface Report {
  readonly count: number;
  readonly sum: number;
  readonly disorder: number;
  readonly undelivered: readonly { readonly reason: string; readonly body: unknown }[];
  readonly seen: readonly unknown[];
}

export async function startPool(options: Partial<ThreadPoolOptions> = {}): Promise<TestPool> {
  const pool = createThreadPool(
    {
      threads: 2,
      node: 'test',
      maxOldGenerationSizeMb: 128,
      beatMs: 20,
      stuckAfterMs: 1_000,
      stuckKillMs: 2_500,
      graceMs: 100,
      spawnTimeoutMs: 10_000,
      onRequest: async (_cell, request) => ({ asked: request.type }),
      ...options,
    },
    realAmbient,
  );
  const notices: PoolNotice[] = [];
  pool.onNotice((notice) => notices.push(notice));
  await pool.start();
  const until = (condition: () => boolean, what: string) => eventually(condition, what, 20_000).then(() => undefined);
  return {
    pool,
    notices,
    of: (type) => notices.filter((notice): notice is never => notice.type === type),
    until,
    puppet: async (name, thread, more) => {
      const spec = puppetSpec(name, more);
      await pool.spawn(spec, { dedicated: false, ...(thread === undefined ? {} : { thread }) });
      return spec.id;
    },
    report: async (id) => (await pool.ask(id, 'report', null, { timeoutMs: 10_000 })) as Report,
    [Symbol.asyncDispose]: () => pool.stop(),
  };
}
