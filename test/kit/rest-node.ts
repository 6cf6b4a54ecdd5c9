// A node in a process of its own as a client of its API sees it: agents that leave after the test, workflows run to their end.

import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { WorkflowView } from '../../runtime/index.ts';
import { eventually } from './eventually.ts';
import { type Answer, call, type NodeProcess, startNode, tokenFor } from './node-process.ts';
import { freshDatabase } from './services.ts';

const coordinationAgents = fileURLToPath(new URL('./agents/coordination.mjs', import.meta.url));

/** Stores that the same cases run on. */
export const STORES: [name: string, databaseUrl: () => Promise<string | undefined>][] = [
  ['PGlite', async () => undefined],
  ['PostgreSQL', () => freshDatabase()],
];

export interface RestNode {
  readonly node: NodeProcess;
  readonly token: string;
  /** Paths are below `/api/agents`. */
  api(method: string, path: string, body?: unknown, headers?: Record<string, string>): Promise<Answer>;
  /** A new agent, until `dismiss`. */
  agent(type: string, config?: Record<string, unknown>): Promise<{ id: string; name: string }>;
  dismiss(): Promise<void>;
  create(body: unknown): Promise<WorkflowView>;
  /** Created, started and ended. */
  ran(body: unknown): Promise<WorkflowView>;
  view(id: string): Promise<WorkflowView>;
  ended(id: string): Promise<WorkflowView>;
  stop(): Promise<void>;
}

export async function restNode(databaseUrl?: string): Promise<RestNode> {
  const folder = mkdtempSync(join(tmpdir(), 'troupe-rest-node-'));
  const node = await startNode({
    dataDir: join(folder, 'data'),
    env: { TROUPE_AGENTS: coordinationAgents },
    ...(databaseUrl === undefined ? {} : { databaseUrl }),
  });
  const token = await tokenFor('operator');
  const admin = await tokenFor('admin');
  const staff: string[] = [];
  let hired = 0;

  const api: RestNode['api'] = (method, path, body, headers) =>
    call(node, token, method, `/api/agents${path}`, body, headers);
  const got = async (answer: Promise<Answer>, ...expected: number[]): Promise<Record<string, unknown>> => {
    const { status, body } = await answer;
    if (!expected.includes(status)) throw new Error(`${status}: ${JSON.stringify(body)}`);
    return body;
  };
  const asView = (body: Record<string, unknown>): WorkflowView => body as unknown as WorkflowView;
  const view = async (id: string) => asView(await got(api('GET', `/workflows/${id}`), 200));
  const ended = (id: string): Promise<WorkflowView> =>
    eventually(
      async () => {
        const seen = await view(id);
        return seen.endedAt !== null && seen;
      },
      `${id} to end`,
      100_000,
    );
  const create = async (body: unknown) => asView(await got(api('POST', '/workflows/create', body), 201));

  return {
    node,
    token,
    api,
    create,
    view,
    ended,
    async agent(type, config) {
      hired += 1;
      const body = { type, name: `${type}-${hired}`, ...(config ? { config } : {}) };
      const made = await got(api('POST', '/create', body), 201);
      staff.push(String(made.id));
      return { id: String(made.id), name: String(made.name) };
    },
    async dismiss() {
      const gone = staff.splice(0).map((id) => call(node, admin, 'DELETE', `/api/agents/${id}?mode=force`));
      await Promise.all(gone);
    },
    async ran(body) {
      const { id } = await create(body);
      await got(api('POST', `/workflows/${id}/start`, undefined, { prefer: 'wait=20' }), 200, 202);
      return ended(id);
    },
    async stop() {
      await node.stop();
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
