// Nodes of one cluster in processes of their own, with agents that write to each other, driven over REST.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { eventually } from './eventually.ts';
import { type Answer, call, type NodeOptions, type NodeProcess, startNode, tokenFor } from './node-process.ts';
import { freshDatabase } from './services.ts';

const couriers = fileURLToPath(new URL('./agents/courier.mjs', import.meta.url));
export const LEASE_MS = 2_000;

export interface ClusterProcess extends NodeProcess {
  /** Id of the node in the cluster. */
  readonly node: string;
  api(method: string, path: string, body?: unknown): Promise<Answer>;
  /** A courier that lives here. */
  courier(name?: string): Promise<string>;
  /** The reply, or an error with its code. */
  ask(to: string, type: string, body?: unknown, timeoutMs?: number): Promise<unknown>;
  tell(to: string, type: string, body?: unknown): Promise<Answer>;
}

export interface Processes {
  readonly all: readonly ClusterProcess[];
  start(redisUrl?: string, more?: Pick<NodeOptions, 'env' | 'flags'>): Promise<ClusterProcess>;
  stop(): Promise<void>;
}

/** Refused over REST, with the code of the problem. */
export class Refused extends Error {
  readonly code: string;
  readonly status: number;
  constructor({ status, body }: Answer) {
    super(`${status}: ${JSON.stringify(body)}`);
    this.code = String(body.code);
    this.status = status;
  }
}

/** A cluster on a database of its own. Nodes start one after the other: the first one migrates. */
export async function clusterProcesses(): Promise<Processes> {
  const databaseUrl = await freshDatabase();
  const folder = mkdtempSync(join(tmpdir(), 'troupe-cluster-'));
  const token = await tokenFor('admin');
  const all: ClusterProcess[] = [];

  async function start(redisUrl?: string, more: Pick<NodeOptions, 'env' | 'flags'> = {}): Promise<ClusterProcess> {
    const process = await startNode({
      dataDir: join(folder, String(all.length)),
      databaseUrl,
      ...(redisUrl === undefined ? {} : { redisUrl }),
      env: { TROUPE_AGENTS: couriers, TROUPE_LEASE_MS: String(LEASE_MS), TROUPE_POLL_MS: '200', ...more.env },
      ...(more.flags ? { flags: more.flags } : {}),
    });
    const api: ClusterProcess['api'] = (method, path, body) => call(process, token, method, `/api/agents${path}`, body);
    const { body } = await api('GET', '/status');
    const node: ClusterProcess = {
      ...process,
      node: String(body.node),
      api,
      async courier(name) {
        const made = await api('POST', '/create', { type: 'courier', ...(name === undefined ? {} : { name }) });
        if (made.status !== 201) throw new Refused(made);
        return String(made.body.id);
      },
      async ask(to, type, message, timeoutMs) {
        const answer = await api('POST', `/${to}/messages`, { type, body: message, mode: 'ask', timeoutMs });
        if (answer.status !== 200) throw new Refused(answer);
        return answer.body.reply;
      },
      tell: (to, type, message) => api('POST', `/${to}/messages`, { type, body: message }),
    };
    all.push(node);
    return node;
  }

  return {
    all,
    start,
    async stop() {
      await Promise.all(all.map((node) => node.kill9()));
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

/** Until every node has every other among its peers. */
export async function seeEachOther(nodes: readonly ClusterProcess[]): Promise<void> {
  for (const node of nodes) {
    await eventually(async () => {
      const { body } = await node.api('GET', '/nodes');
      return (body.links as { peers: number }).peers === nodes.length - 1;
    });
  }
}
