// Runs of all patterns in flight at once, and nodes killed under them; afterwards every run's contract, books, journal and effects.

import { randomUUID } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { auction } from '../../patterns/auction.ts';
import { consensus } from '../../patterns/consensus.ts';
import { hierarchical } from '../../patterns/hierarchical.ts';
import { parallel } from '../../patterns/parallel.ts';
import { pipeline } from '../../patterns/pipeline.ts';
import { sequential } from '../../patterns/sequential.ts';
import { swarm } from '../../patterns/swarm.ts';
import type { CoordinationStrategy } from '../../runtime/contracts/coordination.ts';
import { definitionOf, strategiesByName } from '../../runtime/workflows/definition.ts';
import { call, type NodeProcess, tokenFor } from './node-process.ts';
import { type Api, KINDS, type Kind, type Members } from './pattern-runs.ts';
import { auditRun, type Effect } from './run-books.ts';
import { type RunRecord, readRuns } from './run-records.ts';

export interface PatternChaosOptions {
  readonly start: (place: number) => Promise<NodeProcess>;
  readonly places: number;
  /** Times that each kind must have been in flight when a node was killed. */
  readonly kills: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly file: string;
  /** Longer than a lease: some nodes stand still for so long before they die, and wake up to find that others have their runs. */
  readonly freezeMs?: number;
  readonly database: { readonly databaseUrl?: string; readonly dataDir: string };
  readonly log?: (line: string) => void;
}

export interface PatternChaosReport {
  readonly kills: number;
  /** By kind: runs that were made, kills that hit a run between its start and its end. */
  readonly runs: Readonly<Record<string, number>>;
  readonly hits: Readonly<Record<string, number>>;
  readonly allRuns: number;
  readonly tasks: number;
  readonly handlerStarts: number;
  /** Starts of handlers beyond the first of their task: what a kill repeated. */
  readonly extraStarts: number;
  readonly problems: readonly string[];
}

interface Made {
  readonly kind: Kind;
  readonly key: string;
  id: string | undefined;
  view: Readonly<Record<string, unknown>> | undefined;
  /** When the view was asked for. */
  seenAt: number;
}

const STRATEGIES = strategiesByName([
  sequential,
  parallel,
  pipeline,
  hierarchical,
  consensus,
  auction,
  swarm,
] as unknown as readonly CoordinationStrategy[]);
const CLERKS = 6;
const ANALYSTS = 2;
const POLL_MS = 200;
const END_LIMIT_MS = 120_000;
const LOAD_LIMIT_MS = 30_000;
/** What a node does before it is killed, in bytes of the clerks' file. */
const LEAST_WORK = 4_000;
const LONGEST_LIFE_MS = 700;
/** Some die while they recover. */
const EARLY_DEATHS = 0.2;
const FROZEN = 0.4;
const LONGEST_WAKE_MS = 500;

export async function runPatternChaos(options: PatternChaosOptions): Promise<PatternChaosReport> {
  const { random, places, kills, file, log } = options;
  const token = await tokenFor('admin');
  const nodes: NodeProcess[] = [];
  for (let place = 0; place < places; place++) nodes.push(await options.start(place));
  const members = await createMembers(nodes, token, file);
  const made: Made[] = [];
  const killedAt: number[] = [];
  let over = false;
  let deadline = Number.POSITIVE_INFINITY;
  const hits = (kind: Kind): number =>
    made.filter((run) => run.kind === kind).reduce((sum, run) => sum + hitsOf(run, killedAt), 0);
  const enough = (): boolean => KINDS.every((kind) => hits(kind) >= kills);

  const lane = async (kind: Kind, number: number): Promise<void> => {
    while (!over) {
      const run: Made = { kind, key: randomUUID().slice(0, 13), id: undefined, view: undefined, seenAt: 0 };
      made.push(run);
      const memory = new Map<string, unknown>();
      for (let turn = number; performance.now() < deadline; turn++) {
        const node = nodes[turn % places];
        if (!node) return;
        const api: Api = (method, path, body) => call(node, token, method, path, body);
        // A node that is gone answers nothing: the same is asked again of whoever is there next.
        if (await step(run, members, api, memory).catch(() => false)) break;
        await sleep(POLL_MS);
      }
    }
  };
  const lanes = KINDS.map((kind, number) => lane(kind, number));

  for (let kill = 0; kill < 3 * kills + 10 && !enough(); kill++) {
    const place = Math.floor(random() * places);
    if (random() >= EARLY_DEATHS) {
      const before = sizeOf(file);
      const patience = performance.now() + LOAD_LIMIT_MS;
      while (sizeOf(file) < before + LEAST_WORK && performance.now() < patience) await sleep(10);
    }
    const lifeMs = Math.floor(random() * LONGEST_LIFE_MS);
    await sleep(lifeMs);
    const frozen = options.freezeMs !== undefined && random() < FROZEN;
    if (frozen) await freeze(nodes[place]?.pid, options.freezeMs ?? 0, Math.floor(random() * LONGEST_WAKE_MS));
    killedAt.push(Date.now());
    await nodes[place]?.kill9();
    nodes[place] = await options.start(place);
    const counts = KINDS.map((kind) => `${kind.name} ${hits(kind)}`).join(', ');
    log?.(`kill ${kill + 1}, node ${place} after ${lifeMs} ms${frozen ? ', frozen before' : ''}: ${counts}`);
  }
  over = true;
  deadline = performance.now() + END_LIMIT_MS;
  await Promise.all(lanes);
  for (const node of nodes) await node.stop();
  const byKind = (count: (kind: Kind) => number) => Object.fromEntries(KINDS.map((kind) => [kind.name, count(kind)]));
  return {
    kills: killedAt.length,
    runs: byKind((kind) => made.filter((run) => run.kind === kind).length),
    hits: byKind(hits),
    ...auditAll(made, await readRuns(options.database), readEffects(file)),
  };
}

/** Stops a process in the middle of what it does, and lets it go on for a while. It may end by itself when it finds its lease gone. */
async function freeze(pid: number | undefined, frozenMs: number, awakeMs: number): Promise<void> {
  if (pid === undefined) return;
  process.kill(pid, 'SIGSTOP');
  await sleep(frozenMs);
  process.kill(pid, 'SIGCONT');
  await sleep(awakeMs);
}

/** One round of a client: makes the run if it is not made, looks at it, does what is to be done. True: it has ended. */
async function step(run: Made, members: Members, api: Api, memory: Map<string, unknown>): Promise<boolean> {
  if (run.id === undefined) {
    const body = { ...run.kind.body(run.key, members), name: `${run.kind.name} ${run.key}`, idempotencyKey: run.key };
    const created = await api('POST', '/api/agents/workflows/create?start=true', body);
    if (created.status === 422 || created.status === 400) throw fatal(run, created);
    if (created.status !== 201 && created.status !== 200) return false;
    run.id = String(created.body.id);
  }
  const seenAt = Date.now();
  const { status, body } = await api('GET', `/api/agents/workflows/${run.id}`);
  if (status !== 200) return false;
  Object.assign(run, { view: body, seenAt });
  if (body.endedAt) return true;
  await run.kind.drive?.(body, api, memory);
  return false;
}

function fatal(run: Made, answer: unknown): Error {
  const error = new Error(`${run.kind.name} was refused: ${JSON.stringify(answer)}`);
  console.error(error.message);
  return error;
}

/** Kills between the start of a run and its end, or the last time that it was seen without one. */
function hitsOf({ view, seenAt }: Made, killedAt: readonly number[]): number {
  if (!view?.startedAt) return 0;
  const from = Date.parse(String(view.startedAt));
  const to = view.endedAt ? Date.parse(String(view.endedAt)) : seenAt;
  return killedAt.filter((at) => at > from && at < to).length;
}

async function createMembers(nodes: readonly NodeProcess[], token: string, file: string): Promise<Members> {
  const create = async (at: number, type: string, more: object = {}): Promise<string> => {
    const node = nodes[at % nodes.length];
    if (!node) throw new Error('there is no node');
    const { status, body } = await call(node, token, 'POST', '/api/agents/create', { type, ...more });
    if (status !== 201) throw new Error(`creating a ${type} answered ${status}: ${JSON.stringify(body)}`);
    return String(body.id);
  };
  const clerks: string[] = [];
  for (let at = 0; at < CLERKS; at++)
    clerks.push(await create(at, 'clerk', { name: `clerk-${at}`, config: { cost: at + 1 } }));
  for (let at = 0; at < ANALYSTS; at++) await create(at, 'analysis', { name: `analyst-${at}` });
  return { voters: clerks.slice(0, 3), file };
}

/** A line that a kill cut off is left out: its handler did not come that far. */
function readEffects(file: string): readonly Effect[] {
  const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n').filter(Boolean) : [];
  return lines.flatMap((line) => {
    try {
      return [JSON.parse(line) as Effect];
    } catch {
      return [];
    }
  });
}

const sizeOf = (file: string): number => (existsSync(file) ? statSync(file).size : 0);

function auditAll(
  made: readonly Made[],
  records: readonly RunRecord[],
  effects: readonly Effect[],
): Pick<PatternChaosReport, 'allRuns' | 'tasks' | 'handlerStarts' | 'extraStarts' | 'problems'> {
  const problems: string[] = [];
  const byTask = new Map<string, Effect[]>();
  const taskOf = new Map<string, string>();
  for (const effect of effects) {
    const { name, task } = effect;
    const own = byTask.get(task);
    if (own) own.push(effect);
    else byTask.set(task, [effect]);
    if ((taskOf.get(name) ?? task) !== task) problems.push(`two tasks did ${name}`);
    taskOf.set(name, task);
  }
  for (const { row, booked } of records) {
    const wrong = auditRun(booked, definitionOf(STRATEGIES, row), byTask);
    problems.push(...wrong.map((what) => `${row.name} (${row.pattern} ${row.id}): ${what}`));
  }
  const inside = new Set<string>();
  for (const { row } of records) {
    if (!row.parent) continue;
    const { workflowId, step: of, round } = row.parent;
    const place = `${workflowId} ${of}/${round}`;
    if (inside.has(place)) problems.push(`two runs inside one step: ${place}`);
    inside.add(place);
  }
  const rows = new Set<string>(records.map(({ row }) => row.id));
  const ended = effects.filter(({ at }) => at === 'end');
  for (const { kind, key, id, view } of made) {
    if (id === undefined) continue;
    if (!rows.has(id)) problems.push(`${kind.name} ${key}: accepted and gone`);
    const own = ended.filter(({ name }) => name.startsWith(`${key}/`)).map(({ name }) => name.slice(key.length + 1));
    const wrong = view?.endedAt ? kind.check(view, new Set(own)) : `has not ended: ${JSON.stringify(view?.status)}`;
    if (wrong) problems.push(`${kind.name} ${key} (${id}): ${wrong}`);
  }
  const starts = effects.filter(({ at }) => at === 'start');
  return {
    problems,
    allRuns: records.length,
    tasks: records.reduce((sum, { booked }) => sum + booked.tasks.length, 0),
    handlerStarts: starts.length,
    extraStarts: starts.length - new Set(starts.map(({ task }) => task)).size,
  };
}
