// A task store in memory with honest semantics: fences, states, attempts, claims by queue. Several nodes may share its table.
// For unit tests of tasks/; the real stores have their own conformance suite.

import { RuntimeError } from '../../runtime/contracts/errors.ts';
import type { RuntimeEvent } from '../../runtime/contracts/event.ts';
import type { NodeId, TaskId } from '../../runtime/contracts/ids.ts';
import type { Clock } from '../../runtime/contracts/ports.ts';
import type { CancelOutcome, NewTask, SubmitOutcome, TaskStore } from '../../runtime/contracts/store.ts';
import {
  type AttemptView,
  type CancelReport,
  type ClaimedTask,
  isTerminalTask,
  type SettleTask,
  TASK_STATES,
  type TaskState,
  type TaskView,
} from '../../runtime/contracts/task.ts';

export interface FakeRow {
  task: NewTask;
  state: TaskState;
  fence: number;
  attempt: number;
  crashCount: number;
  node: NodeId | null;
  dueMs: number;
  rank: number;
  seq: number;
  result: unknown;
  error: TaskView['error'];
  attempts: AttemptView[];
  cancel: CancelReport | undefined;
}

/** The rows that fakes of several nodes share. */
export class FakeTable {
  readonly rows = new Map<TaskId, FakeRow>();
  readonly keys = new Map<string, { id: TaskId; bodyHash: string }>();
}

/** A failure to throw: before the write, or after it (the answer is lost). */
export type Fault = 'before' | 'after' | undefined;
type Method = 'submit' | 'claim' | 'settle' | 'cancel' | 'get' | 'lostClaims';

const RANK_STEP_MS = 30_000;

export class FakeTaskStore implements TaskStore {
  readonly calls: Record<Method, number> = { submit: 0, claim: 0, settle: 0, cancel: 0, get: 0, lostClaims: 0 };
  readonly asks: (readonly { readonly queue: string; readonly slots: number }[])[] = [];
  /** Asked before each call. */
  fault: (method: Method) => Fault = () => undefined;
  readonly table: FakeTable;
  readonly #clock: Clock;
  readonly #node: NodeId;

  constructor(clock: Clock, node: NodeId, table = new FakeTable()) {
    this.#clock = clock;
    this.#node = node;
    this.table = table;
  }

  row(id: TaskId): FakeRow {
    const row = this.table.rows.get(id);
    if (!row) throw new Error(`no row ${id}`);
    return row;
  }

  submit(task: NewTask, options?: { readonly claim?: boolean }): Promise<SubmitOutcome> {
    return this.#call('submit', (): SubmitOutcome => {
      const known = task.idempotency && this.table.keys.get(`${task.tenant}/${task.idempotency.key}`);
      if (known && known.bodyHash !== task.idempotency?.bodyHash) return { outcome: 'mismatch' };
      if (known) return { outcome: 'duplicate', task: this.#view(this.row(known.id)) };
      const now = this.#clock.monotonicMs();
      const row: FakeRow = {
        task,
        state: task.delayMs ? 'scheduled' : 'queued',
        fence: 0,
        attempt: 0,
        crashCount: 0,
        node: null,
        dueMs: now + (task.delayMs ?? 0),
        rank: now - task.priority * RANK_STEP_MS,
        seq: 1,
        result: undefined,
        error: undefined,
        attempts: [],
        cancel: undefined,
      };
      const older = this.#queued(task.queue).length > 0;
      this.table.rows.set(task.id, row);
      if (task.idempotency) {
        this.table.keys.set(`${task.tenant}/${task.idempotency.key}`, {
          id: task.id,
          bodyHash: task.idempotency.bodyHash,
        });
      }
      const events = [this.#event(row, 'task.accepted')];
      if (!options?.claim || older || row.state !== 'queued') {
        return { outcome: 'accepted', task: this.#view(row), events };
      }
      const claimed = this.#claimRow(row);
      return { outcome: 'accepted', task: this.#view(row), claimed, events };
    });
  }

  claim(asks: readonly { readonly queue: string; readonly slots: number }[]): Promise<readonly ClaimedTask[]> {
    this.asks.push(asks);
    return this.#call('claim', () =>
      asks.flatMap(({ queue, slots }) =>
        this.#queued(queue)
          .slice(0, slots)
          .map((row) => this.#claimRow(row)),
      ),
    );
  }

  settle(settle: SettleTask) {
    return this.#call('settle', () => {
      const row = this.table.rows.get(settle.taskId);
      if (row?.state !== 'running' || row.fence !== settle.fence) return { outcome: 'fenced' as const };
      const { settlement } = settle;
      row.node = null;
      if (settle.crashed) row.crashCount += 1;
      const last = row.attempts.at(-1);
      if (last) row.attempts[row.attempts.length - 1] = { ...last, outcome: settle.outcome, endedAt: this.#at() };
      if (settlement.type === 'retry') {
        if (!settlement.charge) row.attempt -= 1;
        row.dueMs = this.#clock.monotonicMs() + settlement.delayMs;
        row.state = settlement.delayMs > 0 ? 'scheduled' : 'queued';
        return { outcome: 'committed' as const, state: row.state, events: [this.#event(row, 'task.retrying')] };
      }
      if (settlement.type === 'handed_off') {
        const { target, input } = settlement;
        const { agentId: _before, ...rest } = row.task;
        const to = { capability: target.capability, version: target.version, queue: target.queue };
        row.task = {
          ...rest,
          ...to,
          ...(target.agentId ? { agentId: target.agentId } : {}),
          ...(input ? { input: input.value } : {}),
        };
        row.attempt -= 1;
        row.state = 'queued';
        return { outcome: 'committed' as const, state: row.state, events: [this.#event(row, 'task.handed_off')] };
      }
      if (settlement.type === 'waiting') {
        row.attempt -= 1;
        row.state = 'waiting';
        return { outcome: 'committed' as const, state: row.state, events: [this.#event(row, 'task.waiting')] };
      }
      row.state = settlement.type;
      if (settlement.type === 'completed') row.result = settlement.result;
      else row.error = settlement.error;
      return { outcome: 'committed' as const, state: row.state, events: [this.#event(row, `task.${row.state}`)] };
    });
  }

  cancel(id: TaskId, tenant: string): Promise<CancelOutcome> {
    return this.#call('cancel', (): CancelOutcome => {
      const row = this.table.rows.get(id);
      if (!row || row.task.tenant !== tenant) return { outcome: 'not_found' };
      if (row.state === 'cancelled') {
        const pending: CancelReport = { id, outcome: 'pending', afterMs: 0, collateral: [] };
        return { outcome: 'repeated', report: row.cancel ?? pending };
      }
      if (isTerminalTask(row.state)) return { outcome: 'terminal', state: row.state };
      const { node, fence, state } = row;
      row.state = 'cancelled';
      row.fence += 1;
      row.node = null;
      const events = [this.#event(row, 'task.cancelled')];
      return state === 'running' && node
        ? { outcome: 'cancelled', wasRunning: true, node, fence, events }
        : { outcome: 'cancelled', wasRunning: false, events };
    });
  }

  async recordCancel(report: CancelReport): Promise<void> {
    this.row(report.id as TaskId).cancel = report;
  }

  lostClaims(claims: readonly { readonly taskId: TaskId; readonly fence: number }[]): Promise<readonly TaskId[]> {
    return this.#call('lostClaims', () =>
      claims.flatMap(({ taskId, fence }) => {
        const row = this.table.rows.get(taskId);
        const mine = row?.state === 'running' && row.fence === fence && row.node === this.#node;
        return mine ? [] : [taskId];
      }),
    );
  }

  async ownClaims(): Promise<readonly ClaimedTask[]> {
    return [...this.table.rows.values()]
      .filter((row) => row.state === 'running' && row.node === this.#node)
      .map((row) => this.#claimed(row));
  }

  async promote() {
    const now = this.#clock.monotonicMs();
    const scheduled = [...this.table.rows.values()].filter((row) => row.state === 'scheduled');
    const due = scheduled.filter((row) => row.dueMs <= now);
    for (const row of due) row.state = 'queued';
    const waits = scheduled.filter((row) => row.dueMs > now).map((row) => row.dueMs - now);
    return {
      promoted: due.length,
      nextInMs: waits.length > 0 ? Math.min(...waits) : null,
      queues: [...new Set(due.map((row) => row.task.queue))],
    };
  }

  async expire() {
    return { aborted: [], events: [] };
  }

  async pinnedQueues(): Promise<readonly string[]> {
    const queued = [...this.table.rows.values()].filter(({ state }) => state === 'queued');
    return [...new Set(queued.map(({ task }) => task.queue).filter((queue) => queue.startsWith('agent:')))];
  }

  async answer() {
    return null;
  }

  async openInputs() {
    return [];
  }

  async redrive(id: TaskId, tenant: string): Promise<boolean> {
    const row = this.table.rows.get(id);
    if (row?.task.tenant !== tenant || row.state !== 'dead') return false;
    Object.assign(row, { state: 'queued', attempt: 0, crashCount: 0, error: undefined });
    return true;
  }

  get(id: TaskId, tenant: string): Promise<TaskView | null> {
    return this.#call('get', () => {
      const row = this.table.rows.get(id);
      return row?.task.tenant === tenant ? this.#view(row) : null;
    });
  }

  async attempts(id: TaskId): Promise<readonly AttemptView[]> {
    return [...(this.table.rows.get(id)?.attempts ?? [])];
  }

  async list() {
    return { items: [...this.table.rows.values()].map((row) => this.#view(row)), nextCursor: null };
  }

  async byWorkflow() {
    return [];
  }

  async bySteps() {
    return [];
  }

  async durations() {
    return [];
  }

  async counts(tenant?: string) {
    const byState = Object.fromEntries(TASK_STATES.map((state) => [state, 0])) as Record<TaskState, number>;
    for (const row of this.table.rows.values()) if (!tenant || row.task.tenant === tenant) byState[row.state] += 1;
    return { byState, queues: [] };
  }

  /** What a sweep does when this node's lease has expired: its running tasks are free again. */
  sweepNode(node: NodeId): void {
    for (const row of this.table.rows.values()) {
      if (row.node !== node || row.state !== 'running') continue;
      row.state = 'queued';
      row.fence += 1;
      row.node = null;
    }
  }

  /** Every call settles in a later turn, as a database's would. */
  async #call<T>(method: Method, write: () => T): Promise<T> {
    this.calls[method] += 1;
    const fault = this.fault(method);
    await new Promise((resolve) => setImmediate(resolve));
    if (fault === 'before') throw away();
    const answer = write();
    if (fault === 'after') throw away();
    return answer;
  }

  #queued(queue: string): FakeRow[] {
    return [...this.table.rows.values()]
      .filter((row) => row.state === 'queued' && row.task.queue === queue)
      .sort((a, b) => a.rank - b.rank);
  }

  #claimRow(row: FakeRow): ClaimedTask {
    row.state = 'running';
    row.fence += 1;
    row.attempt += 1;
    row.node = this.#node;
    row.attempts.push({
      attempt: row.attempt,
      node: this.#node,
      agentId: null,
      thread: null,
      startedAt: this.#at(),
      endedAt: null,
      outcome: 'running',
      error: null,
    });
    return this.#claimed(row);
  }

  #claimed({ task, fence, attempt, crashCount }: FakeRow): ClaimedTask {
    return {
      taskId: task.id,
      fence,
      attempt,
      capability: task.capability,
      version: task.version,
      input: task.input,
      timeoutMs: task.timeoutMs,
      idempotencyKey: task.id,
      tenant: task.tenant,
      queue: task.queue,
      agentId: task.agentId ?? null,
      maxAttempts: task.retry.maxAttempts,
      retry: task.retry,
      crashCount,
      priority: task.priority,
      queuedForMs: 0,
      createdAtMs: 0,
      claimedAtMs: 0,
    };
  }

  #view(row: FakeRow): TaskView {
    const { task } = row;
    return {
      id: task.id,
      status: row.state,
      capability: task.capability,
      priority: task.priority,
      input: task.input,
      ...(row.result === undefined ? {} : { result: row.result }),
      ...(row.error === undefined ? {} : { error: row.error }),
      attempt: row.attempt,
      maxAttempts: task.retry.maxAttempts,
      agentId: task.agentId ?? null,
      workflowId: null,
      stepKey: null,
      timings: {
        submittedAt: this.#at(),
        runAt: this.#at(),
        startedAt: null,
        endedAt: null,
        queueWaitMs: null,
        runMs: null,
      },
    };
  }

  #event(row: FakeRow, type: string): RuntimeEvent {
    return {
      stream: row.task.id,
      seq: row.seq++,
      type: type as RuntimeEvent['type'],
      tenant: row.task.tenant,
      at: this.#at(),
      data: type === 'task.accepted' ? { queue: row.task.queue } : {},
    };
  }

  #at(): string {
    return new Date(this.#clock.nowMs()).toISOString();
  }
}

const away = () => new RuntimeError('store_unavailable', 'the database is away');
