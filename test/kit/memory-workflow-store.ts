// The workflow and task stores in memory, with the promises that matter to coordinators: ownership, versions, an inbox that takes an
// event once, tasks unique by step and round, fences. For unit tests and simulations; the real ones are tested by their own suite.

import type { CoordinationEvent, Decision } from '../../runtime/contracts/coordination.ts';
import { wireError } from '../../runtime/contracts/errors.ts';
import type { NewEvent, RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { NodeId, TaskId, WorkflowId } from '../../runtime/contracts/ids.ts';
import type {
  Advance,
  AskRow,
  InboxEvent,
  NewChild,
  NewTask,
  Recorded,
  SettleAnswer,
  TaskDuration,
  TaskStore,
  WorkflowRow,
  WorkflowStore,
} from '../../runtime/contracts/store.ts';
import {
  type ClaimedTask,
  isTerminalTask,
  type SettleTask,
  type TaskState,
  type TaskView,
} from '../../runtime/contracts/task.ts';

interface Run {
  row: WorkflowRow;
  metrics: unknown;
  stateHash: string | null;
  eventSeq: number;
  snapshot: unknown;
  snapshotSeq: number;
  readonly journal: CoordinationEvent[];
  readonly decisions: Decision[];
  readonly inbox: Map<string, { event: CoordinationEvent; consumed: boolean }>;
  readonly recorded: Recorded | null;
  readonly timers: Map<string, number>;
}

type Outcome = { readonly result: unknown } | { readonly fails: string };

export interface MemoryTask {
  readonly task: NewTask;
  state: TaskState;
  fence: number;
  owner: NodeId | null;
  result: unknown;
  error: TaskView['error'];
  starts: number;
}

/** The database: what survives every node. */
export class MemoryWorld {
  readonly runs = new Map<WorkflowId, Run>();
  readonly tasks = new Map<TaskId, MemoryTask>();
  readonly #asks = new Map<string, AskRow>();
  readonly #steps = new Set<string>();
  readonly #keys = new Map<string, { id: WorkflowId; hash: string }>();
  nowMs = 1_000;
  commits = 0;
  durations: readonly TaskDuration[] = [];
  /** Bytes of all snapshots written so far. */
  snapshotBytes = 0;
  /** Makes the next advance fail without an answer: before or after it has committed. */
  failNext: 'before' | 'after' | undefined;

  at(): string {
    return new Date(this.nowMs).toISOString();
  }

  /** What a crash of a node does once its lease is swept: its runs belong to nobody, its tasks are queued again. */
  lose(node: NodeId): void {
    for (const run of this.runs.values()) if (run.row.owner === node) run.row = { ...run.row, owner: null };
    for (const task of this.tasks.values()) {
      if (task.owner !== node || task.state !== 'running') continue;
      task.state = 'queued';
      task.owner = null;
    }
  }

  claim(id: TaskId, node: NodeId): ClaimedTask | undefined {
    const entry = this.tasks.get(id);
    if (entry?.state !== 'queued') return undefined;
    entry.state = 'running';
    entry.fence += 1;
    entry.starts += 1;
    entry.owner = node;
    return claimedOf(entry);
  }

  /** The claim of a task that runs. */
  claimed(id: TaskId): ClaimedTask | undefined {
    const entry = this.tasks.get(id);
    return entry?.state === 'running' ? claimedOf(entry) : undefined;
  }

  /** The outcome under the fence and the row in the inbox. False: fenced. */
  settle(id: TaskId, fence: number, outcome: Outcome): boolean {
    const entry = this.tasks.get(id);
    if (entry?.state !== 'running' || entry.fence !== fence) return false;
    this.#end(entry, outcome, this.mailOf(entry, outcome));
    return true;
  }

  /** What the run of a step is told of its end now. */
  mailOf({ task: { id, workflow }, starts, state }: MemoryTask, outcome: Outcome): InboxEvent | undefined {
    if (!workflow) return undefined;
    const step = { step: workflow.step, round: workflow.round };
    const atMs = this.nowMs + 1;
    const base = { atMs, taskId: id, agentId: null, attempts: starts, startedAtMs: atMs - 1 };
    const event: CoordinationEvent =
      'result' in outcome
        ? { type: 'step.completed', output: outcome.result, ...step, ...base }
        : {
            type: 'step.failed',
            state: state === 'cancelled' ? 'cancelled' : 'failed',
            error: wireError('handler_failed', outcome.fails),
            ...step,
            ...base,
          };
    return { workflowId: workflow.id, eventId: `task:${id}`, event };
  }

  #end(entry: MemoryTask, outcome: Outcome, mail: InboxEvent | undefined): void {
    if (!isTerminalTask(entry.state)) entry.state = 'result' in outcome ? 'completed' : 'failed';
    entry.owner = null;
    this.nowMs += 1;
    if ('result' in outcome) entry.result = outcome.result;
    else entry.error = wireError('handler_failed', outcome.fails);
    if (mail) this.post(mail.workflowId, mail.eventId, mail.event);
  }

  post(id: WorkflowId, eventId: string, event: CoordinationEvent): boolean {
    const run = this.runs.get(id);
    const open = run !== undefined && run.row.startedAt !== null && run.row.endedAt === null;
    if (!run || !open || run.inbox.has(eventId)) return open;
    run.inbox.set(eventId, { event: structuredClone(event), consumed: false });
    return true;
  }

  store(node: NodeId): WorkflowStore {
    const world = this;
    const get = (id: WorkflowId) => world.runs.get(id);
    const stored = (run: Run, event: NewEvent): RuntimeEvent => ({ ...event, seq: run.eventSeq++, at: world.at() });
    return {
      nowMs: () => world.nowMs,
      async create({ id, tenant, spec, defHash, total, idempotency, fork, start = false }) {
        const known = idempotency && world.#keys.get(`${tenant}/${idempotency.key}`);
        if (known) {
          const row = get(known.id)?.row;
          if (row) return known.hash === idempotency.bodyHash ? { outcome: 'duplicate', row } : { outcome: 'mismatch' };
        }
        const row = world.#newRun({ id, spec, defHash, total }, { tenant, owner: start ? node : null, fork });
        if (start) world.post(id, 'started', { type: 'started', atMs: world.nowMs, seed: spec.seed });
        if (idempotency) world.#keys.set(`${tenant}/${idempotency.key}`, { id, hash: idempotency.bodyHash });
        world.commits += 1;
        return { outcome: 'created', row, events: [] };
      },
      async createDecided(workflow, first) {
        const created = await this.create({ ...workflow, start: true });
        const run = created.outcome === 'created' ? get(workflow.id) : undefined;
        if (!run) return { created, advanced: { outcome: 'conflict' } };
        run.inbox.clear();
        return { created, advanced: await this.advance(first) };
      },
      async start(id, tenant, seed) {
        const run = get(id);
        if (!run || run.row.tenant !== tenant) return { outcome: 'not_found' };
        if (run.row.status !== 'created') return { outcome: 'wrong_state', status: run.row.status };
        run.row = { ...run.row, status: 'running', owner: node, version: run.row.version + 1, startedAt: world.at() };
        world.post(id, 'started', { type: 'started', atMs: world.nowMs, seed });
        world.commits += 1;
        return { outcome: 'started', row: run.row, events: [] };
      },
      async advance(advance) {
        const fails = world.failNext;
        world.failNext = undefined;
        if (fails === 'before') throw Object.assign(new Error('gone'), { code: 'store_unavailable' });
        const answer = world.#advance(node, advance, stored);
        if (fails === 'after') throw Object.assign(new Error('gone'), { code: 'store_unavailable' });
        return answer;
      },
      async settleDecided(ends, advance) {
        const held = ends.map(({ settle }) => {
          const entry = world.tasks.get(settle.taskId);
          return entry?.state === 'running' && entry.fence === settle.fence ? entry : undefined;
        });
        const advanced = held.includes(undefined) ? ({ outcome: 'conflict' } as const) : await this.advance(advance);
        const settled = ends.map(({ settle, mail }, at): SettleAnswer => {
          const entry = held[at];
          if (!entry) return { outcome: 'fenced' };
          world.#end(entry, outcomeOf(settle.settlement), advanced.outcome === 'conflict' ? mail : undefined);
          return { outcome: 'committed', state: entry.state, events: [] };
        });
        return { settled, advanced };
      },
      post: async (id, tenant, eventId, event) => get(id)?.row.tenant === tenant && world.post(id, eventId, event),
      async inbox(ids, limit) {
        return ids.flatMap((id) =>
          [...(get(id)?.inbox ?? [])]
            .filter(([, entry]) => !entry.consumed)
            .slice(0, limit)
            .map(([eventId, { event }]): InboxEvent => ({ workflowId: id, eventId, event: structuredClone(event) })),
        );
      },
      async withMail(limit) {
        const own = [...world.runs.values()].filter(
          (run) =>
            run.row.owner === node && run.row.endedAt === null && [...run.inbox.values()].some((one) => !one.consumed),
        );
        return own.slice(0, limit).map((run) => run.row.id);
      },
      async adopt(limit) {
        const free = [...world.runs.values()].filter(
          ({ row }) => row.startedAt !== null && row.endedAt === null && row.owner === null,
        );
        return free.slice(0, limit).map((run) => {
          run.row = { ...run.row, owner: node, version: run.row.version + 1 };
          return run.row;
        });
      },
      owned: async () =>
        [...world.runs.values()].map((run) => run.row).filter((row) => row.owner === node && row.endedAt === null),
      async load(id) {
        const run = get(id);
        if (!run) return null;
        const { row, snapshot, recorded } = run;
        return structuredClone({ row, snapshot, recorded, journal: run.journal.slice(run.snapshotSeq) });
      },
      async get(id, tenant) {
        const run = get(id);
        return run && run.row.tenant === tenant ? { ...run.row, metrics: run.metrics } : null;
      },
      async brief(id, tenant) {
        const run = get(id);
        if (!run || run.row.tenant !== tenant) return null;
        const { spec: _spec, output: _output, ...brief } = run.row;
        return brief;
      },
      async list({ tenant, status, pattern, parent, limit }) {
        const rows = [...world.runs.values()]
          .map((run) => run.row)
          .filter(
            (row) =>
              row.tenant === tenant &&
              row.parent?.workflowId === parent &&
              (!status || row.status === status) &&
              (!pattern || row.pattern === pattern),
          );
        return { items: rows.slice(0, limit), nextCursor: null };
      },
      async decisions(id, limit, after) {
        const all = (get(id)?.decisions ?? []).map((decision, index) => ({
          ...decision,
          seq: index + 1,
          at: world.at(),
        }));
        return all.filter((one) => one.seq > after).slice(0, limit);
      },
      journal: async (id) => structuredClone(get(id)?.journal ?? []),
      fireTimers: async () => world.#fireTimers(),
      async openDescendants(id) {
        const open = world.#childrenOf(id).filter(({ row }) => row.endedAt === null);
        return (
          await Promise.all(open.map(async ({ row }) => [row.id, ...(await this.openDescendants(row.id))]))
        ).flat();
      },
      children: async (id) => world.#childrenOf(id).map(({ row }) => row),
      asks: async ({ workflowId, step, state, limit }) =>
        [...world.#asks.values()]
          .filter(
            (ask) =>
              (!workflowId || ask.workflowId === workflowId || (!step && ask.rootId === workflowId)) &&
              (!step || ask.step === step) &&
              (!state || ask.state === state),
          )
          .slice(0, limit),
      async answer({ workflowId, step, round }, { by, value, event }) {
        const ask = world.#asks.get(`${workflowId}/${step}/${round}`);
        if (!ask) return 'not_found';
        if (ask.state !== 'open') return 'closed';
        Object.assign(ask, { state: 'answered', value, answeredBy: by, endedAt: world.at() });
        world.post(workflowId, `input/${step}/${round}`, event);
        return 'answered';
      },
      stuck: async () => [],
      statistics: async () => [],
    };
  }

  #newRun(
    { id, spec, defHash, total }: Pick<NewChild, 'id' | 'spec' | 'defHash' | 'total'>,
    {
      tenant,
      owner,
      fork,
      parent = null,
    }: {
      readonly tenant: string;
      readonly owner: NodeId | null;
      readonly fork?: Parameters<WorkflowStore['create']>[0]['fork'];
      readonly parent?: WorkflowRow['parent'];
    },
  ): WorkflowRow {
    const above = parent ? this.runs.get(parent.workflowId)?.row : undefined;
    const row: WorkflowRow = {
      id,
      tenant,
      name: spec.name,
      pattern: spec.pattern,
      spec: structuredClone(spec),
      defHash,
      status: owner === null ? 'created' : 'running',
      stopReason: null,
      output: null,
      error: null,
      owner,
      version: 1,
      createdAt: this.at(),
      startedAt: owner === null ? null : this.at(),
      endedAt: null,
      progress: { done: 0, total },
      parent,
      rootId: above ? (above.rootId ?? above.id) : null,
      depth: above ? above.depth + 1 : 0,
      forkOf: fork ? { workflowId: fork.of, fromStep: fork.fromStep } : null,
    };
    this.runs.set(id, {
      row,
      metrics: null,
      stateHash: null,
      eventSeq: 1,
      snapshot: null,
      snapshotSeq: 0,
      recorded: fork?.recorded ?? null,
      journal: [],
      decisions: [],
      inbox: new Map(),
      timers: new Map(),
    });
    return row;
  }

  #childrenOf(id: WorkflowId): Run[] {
    return [...this.runs.values()].filter(({ row }) => row.parent?.workflowId === id);
  }

  #fireTimers(): WorkflowId[] {
    const fired: WorkflowId[] = [];
    for (const [id, run] of this.runs) {
      for (const [key, dueMs] of run.timers) {
        if (dueMs > this.nowMs) continue;
        run.timers.delete(key);
        if (this.post(id, `timer/${key}/${dueMs}`, { type: 'timer', atMs: this.nowMs, key })) fired.push(id);
      }
    }
    return fired;
  }

  /** What a decision does to other runs and to questions. Returns the runs that got mail. */
  #family(run: Run, node: NodeId, { children = [], asks = [], cancel, end }: Advance): WorkflowId[] {
    const { row } = run;
    const over = (step: string, round: number) =>
      end !== undefined || cancel.some((one) => one.step === step && one.round === round);
    const told: WorkflowId[] = [];
    for (const child of this.#childrenOf(row.id)) {
      const { parent } = child.row;
      if (!parent || child.row.endedAt !== null || !over(parent.step, parent.round)) continue;
      this.post(child.row.id, 'cancel/parent', { type: 'cancel', atMs: this.nowMs, reason: 'parent' });
      told.push(child.row.id);
    }
    for (const ask of this.#asks.values())
      if (ask.workflowId === row.id && ask.state === 'open' && over(ask.step, ask.round))
        Object.assign(ask, { state: 'closed', endedAt: this.at() });
    if (end && row.parent) {
      const { workflowId, step, round } = row.parent;
      const base = { step, round, atMs: this.nowMs, taskId: '', agentId: null, attempts: 1, startedAtMs: null };
      const usage = end.usage ? { usage: end.usage } : {};
      this.post(
        workflowId,
        `run/${row.id}`,
        end.status === 'completed' || end.status === 'partial'
          ? { type: 'step.completed', output: structuredClone(end.output), ...base, ...usage }
          : {
              type: 'step.failed',
              state: end.status === 'cancelled' ? 'cancelled' : 'failed',
              error: wireError('child_failed', `the run inside ended ${end.status}`, { workflowId: row.id }),
              ...base,
              ...usage,
            },
      );
      told.push(workflowId);
    }
    if (end) return told;
    for (const child of children) {
      const parent = { workflowId: row.id, step: child.step, round: child.round };
      this.#newRun(child, { tenant: row.tenant, owner: node, parent });
      this.post(child.id, 'started', { type: 'started', atMs: this.nowMs, seed: child.spec.seed });
    }
    for (const { step, round, request, expiresMs } of asks) {
      const rootId = row.rootId ?? row.id;
      const expiresAt = new Date(this.nowMs + expiresMs).toISOString();
      const ask = { workflowId: row.id, rootId, step, round, request, state: 'open' as const, value: null };
      this.#asks.set(`${row.id}/${step}/${round}`, {
        ...ask,
        answeredBy: null,
        askedAt: this.at(),
        expiresAt,
        endedAt: null,
      });
    }
    return told;
  }

  #advance(
    node: NodeId,
    advance: Advance,
    stored: (run: Run, event: NewEvent) => RuntimeEvent,
  ): Awaited<ReturnType<WorkflowStore['advance']>> {
    const run = this.runs.get(advance.workflowId);
    if (!run || run.row.version !== advance.version || run.row.owner !== node) return { outcome: 'conflict' };
    this.commits += 1;
    for (const id of advance.consumed) {
      const entry = run.inbox.get(id);
      if (!entry || entry.consumed) throw new Error(`${id} is read twice`);
      entry.consumed = true;
    }
    run.journal.push(...structuredClone(advance.journal));
    run.decisions.push(...structuredClone(advance.decisions));
    if (advance.snapshot !== undefined) {
      const text = JSON.stringify(advance.snapshot);
      this.snapshotBytes += text.length;
      run.snapshot = JSON.parse(text);
      run.snapshotSeq = run.journal.length;
    }
    const cancelledRunning = advance.cancel.flatMap(({ step, round }) => this.#cancel(run.row.id, step, round));
    const claimed = advance.schedule.flatMap((task, index) =>
      this.#insert(task, advance.claim?.[index] ? node : undefined),
    );
    run.row = { ...run.row, version: run.row.version + 1, progress: advance.progress };
    if (advance.end) {
      const { status, stopReason, output, error, metrics, stateHash } = structuredClone(advance.end);
      run.metrics = metrics ?? null;
      run.stateHash = stateHash ?? null;
      run.row = { ...run.row, status, stopReason, output, error: error ?? null, owner: null, endedAt: this.at() };
    }
    for (const { key, afterMs } of advance.timers) run.timers.set(key, this.nowMs + afterMs);
    if (advance.end) run.timers.clear();
    if (advance.status && !advance.end) run.row = { ...run.row, status: advance.status };
    const told = this.#family(run, node, advance);
    const began = (advance.end ? [] : (advance.children ?? [])).flatMap(({ id }) => this.runs.get(id)?.row ?? []);
    const events = advance.events.map((event) => stored(run, event));
    return { outcome: 'committed', version: run.row.version, cancelledRunning, claimed, began, told, events };
  }

  #insert(task: NewTask, node: NodeId | undefined): ClaimedTask[] {
    const key = `${task.workflow?.id}/${task.workflow?.step}/${task.workflow?.round}`;
    if (this.#steps.has(key)) return [];
    this.#steps.add(key);
    const entry: MemoryTask = {
      task,
      state: 'queued',
      fence: 0,
      owner: null,
      result: undefined,
      error: undefined,
      starts: 0,
    };
    this.tasks.set(task.id, entry);
    const claim = node && this.claim(task.id, node);
    return claim ? [claim] : [];
  }

  #cancel(id: WorkflowId, step: string, round: number) {
    const entry = [...this.tasks.values()].find(
      ({ task }) => task.workflow?.id === id && task.workflow.step === step && task.workflow.round === round,
    );
    if (!entry || isTerminalTask(entry.state)) return [];
    const { owner, fence, state } = entry;
    entry.state = 'cancelled';
    entry.fence += 1;
    entry.owner = null;
    return state === 'running' && owner ? [{ taskId: entry.task.id, fence, node: owner }] : [];
  }

  taskStore(): Pick<TaskStore, 'byWorkflow' | 'bySteps' | 'durations' | 'cancel' | 'openInputs' | 'settle'> {
    return {
      settle: async ({ taskId, fence, settlement }) => {
        const settled = this.settle(taskId, fence, outcomeOf(settlement));
        const state = this.tasks.get(taskId)?.state ?? 'completed';
        return settled ? { outcome: 'committed', state, events: [] } : { outcome: 'fenced' };
      },
      openInputs: async () => [],
      byWorkflow: async (id) => [...this.tasks.values()].filter(({ task }) => task.workflow?.id === id).map(taskViewOf),
      bySteps: async (id, steps) => {
        const wanted = new Set(steps);
        const own = [...this.tasks.values()].filter(
          ({ task: { workflow } }) => workflow?.id === id && wanted.has(workflow.step),
        );
        const newest = new Map(own.map((one) => [one.task.workflow?.step, one]));
        return [...newest.values()].map((one) => ({ ...taskViewOf(one), input: null }));
      },
      durations: async () => this.durations,
      cancel: async (id) => {
        const entry = this.tasks.get(id);
        if (!entry) return { outcome: 'not_found' };
        const { owner: node, fence, state } = entry;
        if (isTerminalTask(state)) return { outcome: 'terminal', state };
        entry.state = 'cancelled';
        const outcome = { fails: 'cancelled' };
        this.#end(entry, outcome, this.mailOf(entry, outcome));
        entry.fence += 1;
        return state === 'running' && node
          ? { outcome: 'cancelled', wasRunning: true, node, fence, events: [] }
          : { outcome: 'cancelled', wasRunning: false, events: [] };
      },
    };
  }
}

const outcomeOf = (settlement: SettleTask['settlement']): Outcome =>
  settlement.type === 'completed' ? { result: settlement.result } : { fails: settlement.type };

function claimedOf({ task, fence, starts }: MemoryTask): ClaimedTask {
  return {
    taskId: task.id,
    fence,
    attempt: starts,
    capability: task.capability,
    version: task.version,
    input: task.input,
    timeoutMs: task.timeoutMs,
    idempotencyKey: task.id,
    tenant: task.tenant,
    ...(task.workflow ? { workflowId: task.workflow.id, stepKey: task.workflow.step, round: task.workflow.round } : {}),
    queue: task.queue,
    agentId: task.agentId ?? null,
    maxAttempts: task.retry.maxAttempts,
    retry: task.retry,
    crashCount: 0,
    priority: task.priority,
    queuedForMs: 0,
    createdAtMs: 0,
    claimedAtMs: 0,
  };
}

function taskViewOf({ task, state, starts, result, error }: MemoryTask): TaskView {
  return {
    id: task.id,
    status: state,
    capability: task.capability,
    priority: task.priority,
    input: task.input,
    ...(result === undefined ? {} : { result }),
    ...(error === undefined ? {} : { error }),
    attempt: starts,
    maxAttempts: task.retry.maxAttempts,
    agentId: null,
    workflowId: task.workflow?.id ?? null,
    stepKey: task.workflow?.step ?? null,
    timings: { submittedAt: '', runAt: '', startedAt: null, endedAt: null, queueWaitMs: null, runMs: null },
  };
}
