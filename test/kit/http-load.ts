// Load on one living node over HTTP while something under it fails: every answer is timed and judged, every acceptance remembered.
// The node itself is not killed here, so a request that is not answered is a fault of the node.

import { randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { workflowOf } from './chaos.ts';
import type { NodeProcess } from './node-process.ts';

export interface LoadOptions {
  readonly node: NodeProcess;
  readonly token: string;
  readonly ledgerFile: string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  /** Within this every request must be answered, whatever has failed. */
  readonly limitMs: number;
  readonly callers?: number;
}

export interface Load {
  readonly tasks: ReadonlySet<string>;
  readonly workflows: ReadonlySet<string>;
  /** Answers that a node may never give; each once, with how often. */
  readonly faults: ReadonlyMap<string, number>;
  /** Answers by status. */
  readonly byStatus: ReadonlyMap<number, number>;
  /** The longest wait for an answer. */
  readonly slowestMs: number;
  /** No new requests; resolves when each has its answer. */
  stop(): Promise<void>;
}

const CALLERS = 8;
const WHILE_AWAY_MS = 50;
const PROBE_EVERY_MS = 50;
/** A probe is answered from memory. Generous: a machine with five times more to do than it has cores answers a request in 1.2 s. */
const PROBE_LIMIT_MS = 6_000;

interface Said {
  readonly status: number;
  readonly body: Record<string, unknown>;
}

export function startLoad({ node, token, ledgerFile, random, limitMs, callers = CALLERS }: LoadOptions): Load {
  const tasks = new Set<string>();
  const workflows = new Set<string>();
  const faults = new Map<string, number>();
  const byStatus = new Map<number, number>();
  let slowestMs = 0;
  let over = false;

  const fault = (what: string): void => void faults.set(what, (faults.get(what) ?? 0) + 1);

  /** Undefined when there was no answer. */
  async function send(
    method: string,
    path: string,
    allowed: readonly number[],
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<Said | undefined> {
    const name = `${method} ${path.replace(/[a-z]+_[0-9a-z]{26}/, '{id}')}`;
    const startedAt = performance.now();
    let response: Response;
    let text: string;
    try {
      response = await fetch(`${node.url}${path}`, {
        method,
        headers: {
          authorization: `Bearer ${token}`,
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
          ...headers,
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(limitMs),
      });
      text = await response.text();
    } catch (error) {
      fault(`${name}: ${reasonOf(error)} after ${Math.round((performance.now() - startedAt) / 1_000)} s`);
      return undefined;
    }
    slowestMs = Math.max(slowestMs, performance.now() - startedAt);
    const { status } = response;
    byStatus.set(status, (byStatus.get(status) ?? 0) + 1);
    if (status === 503) {
      if (!response.headers.has('retry-after')) fault(`${name}: 503 without Retry-After`);
      if (response.headers.get('content-type') !== 'application/problem+json') fault(`${name}: 503 is no problem`);
    } else if (!allowed.includes(status)) fault(`${name}: ${status} ${text.slice(0, 200)}`);
    return { status, body: text === '' ? {} : (JSON.parse(text) as Record<string, unknown>) };
  }

  /** Again and again until it is not 503: an answer 503 leaves the outcome open, and the same request must settle it. */
  async function insist(...request: Parameters<typeof send>): Promise<Said | undefined> {
    while (!over) {
      const said = await send(...request);
      if (said && said.status !== 503) return said;
      await sleep(WHILE_AWAY_MS);
    }
    return undefined;
  }

  async function submit(): Promise<void> {
    const key = randomUUID();
    const task = {
      capability: 'ledger.write',
      input: { file: ledgerFile, key, sleepMs: Math.floor(random() * 30) },
      retry: { maxAttempts: 100, backoffMs: 10 },
    };
    const said = await insist('POST', '/api/agents/tasks/submit', [202], task, { 'idempotency-key': key });
    if (said?.status === 202) tasks.add(String(said.body.id));
  }

  async function runWorkflow(): Promise<void> {
    const created = await insist('POST', '/api/agents/workflows/create', [201], workflowOf(ledgerFile, randomUUID()));
    if (created?.status !== 201) return;
    const id = String(created.body.id);
    // 409: a start that was answered 503 had been written.
    const started = await insist('POST', `/api/agents/workflows/${id}/start`, [202, 409]);
    if (started?.status === 202 || started?.status === 409) workflows.add(id);
  }

  const reads = [
    async () => {
      const known = [...tasks];
      const id = known[Math.floor(random() * known.length)];
      // What was accepted is never "not found".
      if (id !== undefined) await send('GET', `/api/agents/tasks/${id}`, [200]);
    },
    () => send('GET', '/api/agents/tasks/list?limit=5', [200]),
    () => send('GET', '/api/agents/list', [200]),
    () => send('GET', '/api/agents/status', [200]),
    () => send('GET', '/api/agents/metrics', [200]),
  ];

  async function caller(): Promise<void> {
    while (!over) {
      const chance = random();
      if (chance < 0.6) await submit();
      else if (chance < 0.7) await runWorkflow();
      else {
        await reads[Math.floor(random() * reads.length)]?.();
        await sleep(5);
      }
    }
  }

  async function prober(): Promise<void> {
    while (!over) {
      const { status, body } = await probe(node, '/livez');
      if (status !== 200) fault(`/livez: ${status} ${JSON.stringify(body)}`);
      await sleep(PROBE_EVERY_MS);
    }
  }

  // One workflow is certain; how many more there are is chance.
  const all = Promise.all([prober(), runWorkflow(), ...Array.from({ length: callers }, caller)]);
  return {
    tasks,
    workflows,
    faults,
    byStatus,
    get slowestMs() {
      return slowestMs;
    },
    async stop() {
      over = true;
      await all;
    },
  };
}

/** What `fetch` throws tells its reason only in its cause. */
function reasonOf(error: unknown): string {
  const { name, cause } = error as Error;
  return cause instanceof Error ? `${name} (${cause.message})` : name;
}

/** Asks `/livez` or `/readyz`; status 0 when it was not answered in time. */
export async function probe(node: { readonly url: string }, path: '/livez' | '/readyz'): Promise<Said> {
  try {
    const response = await fetch(`${node.url}${path}`, { signal: AbortSignal.timeout(PROBE_LIMIT_MS) });
    return { status: response.status, body: (await response.json()) as Record<string, unknown> };
  } catch (error) {
    return { status: 0, body: { error: reasonOf(error) } };
  }
}
