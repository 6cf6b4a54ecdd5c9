// Murder under load, and the books afterwards: accepted tasks and workflows against what the API and the ledger say.

import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
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

export interface ChaosReport {
  readonly kills: number;
  readonly acceptedTasks: number;
  readonly acceptedWorkflows: number;
  readonly unknownSubmits: number;
  readonly missing: readonly string[];
  readonly notEnded: readonly string[];
  readonly twoOutcomes: readonly string[];
  readonly badWorkflows: readonly string[];
  /** Keys whose handler started again after its outcome had been committed. */
  readonly repeatedAfterCommit: readonly string[];
  readonly handlerStarts: number;
  readonly committed: number;
  readonly extraStarts: number;
  readonly byStatus: Readonly<Record<string, number>>;
}

interface LedgerEntry {
  readonly at: 'start' | 'end';
  readonly key: string;
  readonly task: string;
  readonly attempt: number;
  readonly pid: number;
}

const AGENTS_PER_NODE = 4;
const CALLERS_PER_NODE = 6;
const LEAST_ACCEPTED = 20;
const LOAD_LIMIT_MS = 30_000;
const END_LIMIT_MS = 120_000;
const TERMINAL = ['completed', 'failed', 'dead', 'cancelled', 'timed_out', 'partial'];

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
  const report = await settle(nodes, token, tasks, workflows, options);
  for (const node of nodes) await node.stop();
  return { ...report, kills: options.kills, unknownSubmits: unknown };
}

async function createAgents(nodes: readonly NodeProcess[], token: string): Promise<void> {
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
  const step = (id: string, dependsOn: string[] = []) => ({
    id,
    capability: 'ledger.write',
    input: { file, key: `${key}/${id}`, sleepMs: 5 },
    dependsOn,
    retry: { maxAttempts: 100, backoffMs: 10 },
  });
  const pattern = key < '8' ? 'sequential' : 'parallel';
  const created = await call(node, token, 'POST', '/api/agents/workflows/create', {
    name: key,
    pattern,
    tasks: [step('a'), step('b', ['a']), step('c', ['a']), step('d', ['b', 'c'])],
  });
  if (created.status !== 201) {
    if (created.status === 503 || created.status === 429) return;
    throw new Error(`create answered ${created.status}: ${JSON.stringify(created.body)}`);
  }
  const id = String(created.body.id);
  const started = await call(node, token, 'POST', `/api/agents/workflows/${id}/start`);
  if (started.status === 202) accepted.add(id);
}

async function settle(
  nodes: readonly NodeProcess[],
  token: string,
  tasks: ReadonlySet<string>,
  workflows: ReadonlySet<string>,
  options: ChaosOptions,
): Promise<Omit<ChaosReport, 'kills' | 'unknownSubmits'>> {
  const node = nodes[0];
  if (!node) throw new Error('no node is left');
  const deadline = performance.now() + END_LIMIT_MS;
  const missing: string[] = [];
  const notEnded: string[] = [];
  const twoOutcomes: string[] = [];
  const byStatus: Record<string, number> = {};
  const committedKeys = new Set<string>();
  for (const id of tasks) {
    const task = await ended(node, token, `/api/agents/tasks/${id}`, deadline);
    if (!task) missing.push(id);
    else {
      const status = String(task.status);
      byStatus[status] = (byStatus[status] ?? 0) + 1;
      if (!TERMINAL.includes(status)) notEnded.push(`${id} ${status}`);
      if (outcomesOf(task) !== 1) twoOutcomes.push(id);
      if (status === 'completed') committedKeys.add(String((task.result as { key?: string })?.key));
    }
  }
  const badWorkflows: string[] = [];
  for (const id of workflows) {
    const run = await ended(node, token, `/api/agents/workflows/${id}`, deadline);
    if (!run) missing.push(id);
    else if (!TERMINAL.includes(String(run.status))) notEnded.push(`${id} ${run.status}`);
    else {
      const steps = run.tasks as { id: string; state: string }[];
      if (run.status !== 'completed' || steps.length !== 4 || steps.some(({ state }) => state !== 'completed')) {
        badWorkflows.push(
          `${id} ${run.status} ${run.stopReason} ${steps.map(({ id: step, state }) => `${step}:${state}`).join(' ')}`,
        );
      }
      for (const step of steps) committedKeys.add(`${run.name}/${step.id}`);
    }
  }
  return {
    acceptedTasks: tasks.size,
    acceptedWorkflows: workflows.size,
    missing,
    notEnded,
    twoOutcomes,
    badWorkflows,
    byStatus,
    ...readLedger(options.ledgerFile, committedKeys),
  };
}

/** The terminal outcomes in a task's history: one, however often it was tried. */
function outcomesOf(task: Record<string, unknown>): number {
  const attempts = (task.attempts ?? []) as { outcome: string }[];
  const completed = attempts.filter(({ outcome }) => outcome === 'completed').length;
  return task.status === 'completed' ? completed : completed + 1;
}

function readLedger(
  file: string,
  committed: ReadonlySet<string>,
): Pick<ChaosReport, 'repeatedAfterCommit' | 'handlerStarts' | 'committed' | 'extraStarts'> {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  const entries = lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as LedgerEntry];
    } catch {
      return [];
    }
  });
  const starts = new Map<string, number>();
  const endedThenLived = new Map<string, LedgerEntry>();
  const repeatedAfterCommit: string[] = [];
  for (const entry of entries) {
    if (entry.at === 'end') endedThenLived.set(entry.key, entry);
    else {
      starts.set(entry.key, (starts.get(entry.key) ?? 0) + 1);
      // An end whose process went on long enough to see another start of the same key in the same process was settled before.
      const before = endedThenLived.get(entry.key);
      if (before && before.pid === entry.pid) repeatedAfterCommit.push(entry.key);
    }
  }
  const handlerStarts = [...starts.values()].reduce((sum, count) => sum + count, 0);
  return { repeatedAfterCommit, handlerStarts, committed: committed.size, extraStarts: handlerStarts - starts.size };
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
