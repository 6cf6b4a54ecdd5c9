// Murder under load, and the books afterwards: accepted tasks and workflows against what the API and the ledger say.

import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { audit, type LedgerEntry, type Seen, TERMINAL, type Verdict } from './books.ts';
import { call, type NodeProcess, tokenFor } from './node-process.ts';

export interface ChaosOptions {
  /** Starts the node at this place again. */
  readonly start: (place: number) => Promise<NodeProcess>;
  readonly places: number;
  readonly kills: number;
  readonly ledgerFile: string;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly log?: (line: string) => void;
}

export interface ChaosReport extends Verdict {
  readonly kills: number;
  readonly acceptedTasks: number;
  readonly acceptedWorkflows: number;
  readonly unknownSubmits: number;
}

const AGENTS_PER_NODE = 4;
const CALLERS_PER_NODE = 6;
const LEAST_ACCEPTED = 20;
const LOAD_LIMIT_MS = 30_000;
const END_LIMIT_MS = 120_000;
const READERS = 8;

/** Runs the load, kills a random node `kills` times, waits for the end, and checks every accepted id. */
export async function runChaos(options: ChaosOptions): Promise<ChaosReport> {
  const token = await tokenFor('admin');
  const nodes: NodeProcess[] = [];
  for (let place = 0; place < options.places; place++) nodes.push(await options.start(place));
  const tasks = new Set<string>();
  const workflows = new Set<string>();
  let unknown = 0;
  let over = false;

  await createAgents(nodes, token);
  const submit = async (place: number): Promise<void> => {
    while (!over) {
      const node = nodes[place];
      if (!node) return;
      const key = randomUUID();
      try {
        if (options.random() < 0.15) await startWorkflow(node, token, options.ledgerFile, key, workflows);
        else await submitTask(node, token, options, key, tasks);
      } catch {
        unknown += 1;
        await sleep(50);
      }
    }
  };
  const submitters = nodes.flatMap((_node, place) => Array.from({ length: CALLERS_PER_NODE }, () => submit(place)));

  for (let kill = 0; kill < options.kills; kill++) {
    // Under load means under load: some work was accepted since the last murder, then a moment of chance.
    const before = tasks.size + workflows.size;
    const patience = performance.now() + LOAD_LIMIT_MS;
    while (tasks.size + workflows.size < before + LEAST_ACCEPTED && performance.now() < patience) await sleep(10);
    await sleep(options.random() * 300);
    const place = Math.floor(options.random() * options.places);
    await nodes[place]?.kill9();
    nodes[place] = await options.start(place);
    options.log?.(`kill ${kill + 1} of ${options.kills}: ${tasks.size} tasks, ${workflows.size} workflows accepted`);
  }
  over = true;
  await Promise.all(submitters);
  const verdict = await settle(nodes, token, tasks, workflows, options.ledgerFile);
  for (const node of nodes) await node.stop();
  return {
    ...verdict,
    kills: options.kills,
    unknownSubmits: unknown,
    acceptedTasks: tasks.size,
    acceptedWorkflows: workflows.size,
  };
}

export async function createAgents(nodes: readonly NodeProcess[], token: string): Promise<void> {
  for (const node of nodes) {
    for (let at = 0; at < AGENTS_PER_NODE; at++) {
      const { status } = await call(node, token, 'POST', '/api/agents/create', { type: 'ledger' });
      if (status !== 201) throw new Error(`creating an agent answered ${status}`);
    }
  }
}

async function submitTask(
  node: NodeProcess,
  token: string,
  options: ChaosOptions,
  key: string,
  accepted: Set<string>,
): Promise<void> {
  const { status, body } = await call(
    node,
    token,
    'POST',
    '/api/agents/tasks/submit',
    {
      capability: 'ledger.write',
      input: { file: options.ledgerFile, key, sleepMs: Math.floor(options.random() * 30) },
      retry: { maxAttempts: 100, backoffMs: 10 },
    },
    { 'idempotency-key': key },
  );
  if (status === 202) accepted.add(String(body.id));
  else if (status !== 503 && status !== 429) throw new Error(`submit answered ${status}: ${JSON.stringify(body)}`);
}

async function startWorkflow(
  node: NodeProcess,
  token: string,
  file: string,
  key: string,
  accepted: Set<string>,
): Promise<void> {
  const created = await call(node, token, 'POST', '/api/agents/workflows/create', workflowOf(file, key));
  if (created.status !== 201) {
    if (created.status === 503 || created.status === 429) return;
    throw new Error(`create answered ${created.status}: ${JSON.stringify(created.body)}`);
  }
  const id = String(created.body.id);
  const started = await call(node, token, 'POST', `/api/agents/workflows/${id}/start`);
  if (started.status === 202) accepted.add(id);
}

const STEPS: readonly (readonly [id: string, dependsOn: readonly string[]])[] = [
  ['a', []],
  ['b', ['a']],
  ['c', ['a']],
  ['d', ['b', 'c']],
];

/** A diamond of four steps, sequential or parallel as the key has it. */
export function workflowOf(file: string, key: string) {
  return {
    name: key,
    pattern: key < '8' ? 'sequential' : 'parallel',
    tasks: STEPS.map(([id, dependsOn]) => ({
      id,
      capability: 'ledger.write',
      input: { file, key: `${key}/${id}`, sleepMs: 5 },
      dependsOn,
      retry: { maxAttempts: 100, backoffMs: 10 },
    })),
  };
}

async function settle(
  nodes: readonly NodeProcess[],
  token: string,
  tasks: ReadonlySet<string>,
  workflows: ReadonlySet<string>,
  file: string,
): Promise<Verdict> {
  const node = nodes[0];
  if (!node) throw new Error('no node is left');
  const deadline = performance.now() + END_LIMIT_MS;
  return auditNode({ node, token, tasks, workflows, file, deadline });
}

/** Waits for the end of everything that was accepted, and balances the books. */
export async function auditNode(accepted: {
  readonly node: NodeProcess;
  readonly token: string;
  readonly tasks: Iterable<string>;
  readonly workflows: Iterable<string>;
  /** The ledger. */
  readonly file: string;
  /** By `performance.now()`; what has not ended by then is seen as it is. */
  readonly deadline: number;
}): Promise<Verdict> {
  const { node, token, file, deadline } = accepted;
  const see = async (ids: Iterable<string>, path: string) => {
    const seen = new Map<string, Seen>();
    const rest = ids[Symbol.iterator]();
    const reader = async (): Promise<void> => {
      for (let next = rest.next(); !next.done; next = rest.next()) {
        seen.set(next.value, await ended(node, token, `${path}/${next.value}`, deadline));
      }
    };
    await Promise.all(Array.from({ length: READERS }, reader));
    return seen;
  };
  return audit({
    tasks: await see(accepted.tasks, '/api/agents/tasks'),
    workflows: await see(accepted.workflows, '/api/agents/workflows'),
    ledger: readLedger(file),
    stepsPerWorkflow: STEPS.length,
  });
}

/** A line that a crash cut off is left out: its handler did not come that far. */
function readLedger(file: string): readonly LedgerEntry[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as LedgerEntry];
    } catch {
      return [];
    }
  });
}

async function ended(
  node: NodeProcess,
  token: string,
  path: string,
  deadline: number,
): Promise<Record<string, unknown> | null> {
  for (;;) {
    const { status, body } = await call(node, token, 'GET', path);
    if (status === 404) return null;
    if (status === 200 && TERMINAL.includes(String(body.status))) return body;
    if (performance.now() > deadline) return body;
    await sleep(100);
  }
}
