// The running system as its doors see it: the library, the REST API, the CLI. Implemented by runtime/system.ts.
// Every method that names an agent takes its id or its name. Errors are RuntimeErrors with the codes named here.

import type { ManifestEntry } from './actor.ts';
import type { AgentView, CreateAgent, UpdateAgent } from './agent.ts';
import type { CallContext } from './call.ts';
import type { Decision } from './coordination.ts';
import type { DurableTell, StoredTell, TellResult } from './envelope.ts';
import type { WireError } from './errors.ts';
import type { RuntimeEvent } from './event.ts';
import type { HistoryApi } from './history.ts';
import type { TaskAnswer, TaskInput } from './human-question.ts';
import type { AgentId, NodeId, TaskId, WorkflowId } from './ids.ts';
import type { InspectionApi } from './inspection.ts';
import type { LogFilter, LogPage } from './log.ts';
import type { MessagesApi } from './messages-api.ts';
import type { ClusterStats, Member } from './messaging.ts';
import type { Dispose } from './ports.ts';
import type { DeadLetterRow, NodeRow, Page, PatternFigures } from './store.ts';
import type { MetricHistory } from './store-figures.ts';
import type { Terminated } from './supervision.ts';
import type { CancelReport, SubmitTask, TaskState, TaskView } from './task.ts';
import type { ThreadStats } from './wire.ts';
import type { CreateWorkflow, WorkflowState, WorkflowSummary, WorkflowView } from './workflow.ts';
import type { AppendItems, ForkWorkflow, InputAnswer, InputView, WorkflowSignal } from './workflow-control.ts';
import type { WorkflowPlan } from './workflow-plan.ts';

export interface AgentListFilter {
  readonly type?: string;
  readonly state?: string;
  readonly capability?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface AgentsApi {
  /** Durable when it resolves. Throws `unknown_agent_type` (details.known), `agent_name_taken`, `idempotency_mismatch`, `draining`. */
  create(agent: CreateAgent, call?: CallContext): Promise<AgentView>;
  /** Throws `actor_not_found`. */
  get(idOrName: string, call?: CallContext): Promise<AgentView>;
  list(filter: AgentListFilter, call?: CallContext): Promise<Page<AgentView>>;
  /** Throws `version_conflict` (details.version) when `ifVersion` is stale, `illegal_transition` (details.from, event). */
  update(
    idOrName: string,
    change: UpdateAgent,
    options?: { ifVersion?: number },
    call?: CallContext,
  ): Promise<AgentView>;
  pause(idOrName: string, call?: CallContext): Promise<AgentView>;
  resume(idOrName: string, call?: CallContext): Promise<AgentView>;
  /** `drain` lets the running task and the mailbox finish (bounded by `timeoutMs`); `force` gives the task back at once. */
  remove(
    idOrName: string,
    options?: { mode?: 'drain' | 'force'; timeoutMs?: number },
    call?: CallContext,
  ): Promise<RemovalReport>;
  tell(idOrName: string, type: string, body: unknown, call?: CallContext): Promise<TellResult>;
  /**
   * Durable: stored when it resolves, then at least once, in order per sender and receiver, until its handler is done; what that changes
   * of the agent's state is saved in the same commit. Goes to agents of every node. An idempotency key makes saying it again harmless.
   * Throws `actor_not_found`, `invalid_input` for a body that is no JSON, `idempotency_mismatch`, `store_unavailable` (outcome unknown).
   */
  tell(idOrName: string, type: string, body: unknown, call: Partial<CallContext> & DurableTell): Promise<StoredTell>;
  /** Throws `ask_timeout`, `mailbox_full`, `target_lost`, `no_handler` and what the handler threw. */
  ask(idOrName: string, type: string, body: unknown, options: AskOptions, call?: CallContext): Promise<unknown>;
  /** Exactly one `terminated`, whatever the way to die; at once when it is not there. */
  watch(idOrName: string, listener: (end: Terminated) => void, call?: CallContext): Promise<Dispose>;
  types(): readonly ManifestEntry[];
  /** Activates a type of the manifest. Throws `unknown_agent_type`. */
  registerType(type: string): ManifestEntry;
}

export interface AskOptions {
  /** Positive: a question without a deadline is refused. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /**
   * The question is stored and handled at least once, like a durable message; the reply is committed with what its handler did. Its handler
   * must have answered when it is done.
   */
  readonly durable?: boolean;
  /** Of a durable question: asked again with it, within ten minutes after the reply, it is answered the same and nobody is asked twice. */
  readonly correlationId?: string;
}

export interface RemovalReport {
  readonly id: AgentId;
  readonly mode: 'drain' | 'force';
  readonly tasksReassigned: readonly TaskId[];
  readonly messagesDeadLettered: number;
  readonly afterMs: number;
}

export interface TaskListFilter {
  readonly status?: TaskState;
  readonly capability?: string;
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly limit?: number;
  readonly cursor?: string;
}

export interface TasksApi {
  /** Durable when it resolves. Throws `unknown_capability` only for a name no known type has, `queue_full` (details.retryAfterMs), `draining`, `actor_not_found`, `idempotency_mismatch`. */
  submit(task: SubmitTask, call?: CallContext): Promise<TaskView>;
  /** One commit; an answer per item, in order. */
  submitMany(
    tasks: readonly SubmitTask[],
    call?: CallContext,
  ): Promise<readonly ({ ok: true; task: TaskView } | { ok: false; error: WireError })[]>;
  /** With `attempts`. Throws `task_not_found`. */
  get(id: string, call?: CallContext): Promise<TaskView>;
  list(filter: TaskListFilter, call?: CallContext): Promise<Page<TaskView>>;
  /** Throws `task_terminal` (details.status). */
  cancel(id: string, options?: { graceMs?: number }, call?: CallContext): Promise<CancelReport>;
  /**
   * A dead task back to its queue, with its attempts counted from the beginning; its history stays.
   * Throws `task_not_found`, `illegal_transition` (details.from) when it is not dead or its workflow has ended, `queue_full`.
   */
  redrive(id: string, call?: CallContext): Promise<TaskView>;
  /**
   * Answers the question of a `waiting` task, once: durable when it resolves, and the task is in its queue again. Throws `task_not_found`,
   * `input_not_found` when it asks nothing, `input_closed` (another question is open by now, or this one has expired), and
   * `invalid_input` for a value that does not fit the question.
   */
  answer(id: string, answer: TaskAnswer, call?: CallContext): Promise<TaskView>;
  /** Open questions of tasks, of the newest task first. `ofSteps: false`: only of tasks that are no steps of runs. */
  inputs(filter?: { limit?: number; ofSteps?: boolean }, call?: CallContext): Promise<readonly TaskInput[]>;
  /** The terminal task, or the task as it is when `timeoutMs` is over. */
  wait(id: string, options: { timeoutMs: number; signal?: AbortSignal }, call?: CallContext): Promise<TaskView>;
}

/** `output` and `error` are null while it runs. */
export type WorkflowOutcome = Pick<WorkflowView, 'status' | 'stopReason' | 'output'> & {
  readonly error: WireError | null;
};

export interface WorkflowsApi {
  /**
   * Durable when it resolves. `start`: it runs from the same commit on.
   * Throws `unknown_pattern`, `workflow_cycle` (details.cycle), `workflow_invalid` (details.path), `idempotency_mismatch`, `draining`.
   */
  create(workflow: CreateWorkflow, call?: CallContext, options?: { start?: boolean }): Promise<WorkflowView>;
  /** Throws `workflow_not_found`, `workflow_state` (details.status). */
  start(id: string, call?: CallContext): Promise<WorkflowView>;
  /**
   * With its first 1,000 steps, or those that `page` names: `stepsCursor` is the `nextStep` of the page before, `stepsLimit` at most 1,000.
   * Throws `workflow_not_found`, `invalid_input` for a cursor that is none.
   */
  get(id: string, call?: CallContext, page?: { stepsLimit?: number; stepsCursor?: string }): Promise<WorkflowView>;
  /** What would run, in which order and for how long; nothing is stored. Throws like `create`. */
  plan(workflow: CreateWorkflow, call?: CallContext): Promise<WorkflowPlan>;
  /** Per pattern, over the runs that ended in the last `withinMs` (default 7 days). */
  statistics(
    filter?: { withinMs?: number },
    call?: CallContext,
  ): Promise<{ readonly withinMs: number; readonly patterns: readonly PatternFigures[] }>;
  /** Runs that nothing will move again: no commit for `idleMs` (default 1 min) and nothing in flight that could bring one. Longest first. */
  stuck(filter?: { idleMs?: number; limit?: number }, call?: CallContext): Promise<readonly WorkflowSummary[]>;
  list(
    filter: { status?: WorkflowState; pattern?: string; parent?: string; limit?: number; cursor?: string },
    call?: CallContext,
  ): Promise<Page<WorkflowSummary>>;
  /** Reaches every step in flight and every run below. Idempotent; a run that ended otherwise is `workflow_state`. */
  cancel(id: string, call?: CallContext): Promise<WorkflowView>;
  /** Nothing new starts, here and in the runs below; what is in flight goes on, times and deadlines too. Idempotent. Throws `workflow_state`. */
  pause(id: string, call?: CallContext): Promise<WorkflowView>;
  resume(id: string, call?: CallContext): Promise<WorkflowView>;
  /** An `input` event for the strategy; steps of a graph that wait for the `key` (`signal`) complete with its value. With the same `id` it is delivered once. Throws `workflow_not_found`, `workflow_state`. */
  signal(id: string, signal: WorkflowSignal, call?: CallContext): Promise<void>;
  /** More items for a pipeline with `open: true`; `end` closes its source. With the same `id` they are appended once. Throws `workflow_state`. */
  append(id: string, items: AppendItems, call?: CallContext): Promise<void>;
  /**
   * Questions to people, newest first: of the tenant's runs, or of one run and everything below it. Those that handlers of their tasks ask
   * (`taskId`) are among them while they are open.
   */
  inputs(
    filter: { workflowId?: string; state?: InputView['state']; limit?: number },
    call?: CallContext,
  ): Promise<readonly InputView[]>;
  /**
   * Answers one, once, be it asked by the step itself or by the handler of its task: durable when it resolves. Throws `input_not_found`,
   * `input_closed` (answered, expired or no longer wanted) and `invalid_input` for a value that does not fit.
   */
  answer(id: string, step: string, answer: InputAnswer, call?: CallContext): Promise<InputView>;
  /**
   * A new run of the same definition that takes over the outcomes of the old one and does the rest anew: everything from `fromStep` on,
   * or, without it, what had not completed. Throws `workflow_invalid` for a step that never ran, `definition_changed`.
   */
  fork(id: string, options?: ForkWorkflow, call?: CallContext): Promise<WorkflowView>;
  /** The view once the run has ended, or as it is after `timeoutMs`. */
  wait(id: string, options: { timeoutMs: number; signal?: AbortSignal }, call?: CallContext): Promise<WorkflowView>;
  /** Like `wait`, without the steps: what the run came to costs no look into the store where the run is at home. */
  outcome(
    id: string,
    options: { timeoutMs: number; signal?: AbortSignal },
    call?: CallContext,
  ): Promise<WorkflowOutcome>;
  decisions(
    id: string,
    page: { limit?: number; after?: number },
    call?: CallContext,
  ): Promise<readonly (Decision & { seq: number; at: string })[]>;
}

export interface EventsApi {
  /** Stored events of one stream after `afterSeq`, then live ones, in order, without gap or duplicate, until `signal` aborts or the stream's subject is terminal. */
  stream(
    stream: string,
    options: { afterSeq?: number; signal: AbortSignal },
    call?: CallContext,
  ): AsyncIterable<RuntimeEvent>;
  /** Every live event of this node for the tenant. A reader that falls more than 1,000 events behind is ended. */
  firehose(options: { signal: AbortSignal }, call?: CallContext): AsyncIterable<RuntimeEvent>;
}

export interface SystemStatus {
  readonly status: 'starting' | 'running' | 'draining' | 'stopped';
  readonly version: string;
  readonly node: NodeId;
  readonly uptimeMs: number;
  readonly nodes: readonly NodeRow[];
  readonly threads: readonly ThreadStats[];
  readonly agents: {
    readonly total: number;
    readonly byState: Readonly<Record<string, number>>;
    readonly byType: Readonly<Record<string, number>>;
  };
  readonly tasks: {
    readonly byState: Readonly<Record<TaskState, number>>;
    readonly queues: readonly { queue: string; queued: number; oldestMs: number }[];
  };
  readonly dependencies: Readonly<Record<string, { readonly status: 'up' | 'down' | 'off'; readonly detail?: string }>>;
  readonly tables: readonly { table: string; rows: number; bytes: number }[];
}

/** Counters and gauges; the JSON of `/api/agents/metrics`. Names follow Prometheus without the prefix. */
export interface MetricsReport {
  readonly agents: Readonly<Record<string, unknown>>;
  readonly orchestration: Readonly<Record<string, unknown>>;
  readonly workflows: Readonly<Record<string, unknown>>;
  readonly process: Readonly<Record<string, number>>;
}

export interface TreeNode {
  readonly id: string;
  readonly kind: string;
  readonly state: string;
  readonly children: readonly TreeNode[];
}

export interface SystemApi {
  readonly node: NodeId;
  status(call?: CallContext): Promise<SystemStatus>;
  /** The nodes of the cluster by the clock of the database, and what this node's links to them have carried. */
  nodes(): Promise<{ readonly items: readonly Member[]; readonly links: ClusterStats }>;
  metrics(call?: CallContext): Promise<MetricsReport>;
  /** Prometheus text exposition. */
  prometheus(): Promise<string>;
  /** The supervision tree as it stands, with the agents and runs of the caller's tenant. */
  tree(call?: CallContext): TreeNode;
  /** Ready = accepts work: running, database up, no stalled backlog. */
  ready(): { readonly ready: boolean; readonly reasons: readonly string[] };
  /** Undoes `drain`. Idempotent. */
  initialize(): Promise<void>;
  /** Takes no new work, finishes or gives back what runs within `timeoutMs`. Reads are still served. Idempotent. */
  drain(options?: { timeoutMs?: number }): Promise<void>;
  /** Drain, then stop everything. */
  stop(options?: { timeoutMs?: number }): Promise<void>;
  /** Ends a thread for real (chaos, demo). Throws when there is no such thread. */
  killThread(thread: number, how?: 'terminate' | 'exit' | 'throw' | 'spin' | 'oom'): void;
  /** Of one metric over time, per node and labels. Throws `invalid_input`. */
  metricHistory(wish: {
    readonly metric: string;
    readonly fromMs?: number;
    readonly toMs?: number;
    readonly stepMs?: number;
  }): Promise<MetricHistory>;
  /** The newest lines of this node's log that belong to the tenant. */
  logs(filter?: LogFilter, call?: CallContext): LogPage;
  deadLetters(
    filter: { to?: string; reason?: string; limit?: number; cursor?: string },
    call?: CallContext,
  ): Promise<Page<DeadLetterRow>>;
}

/** All of it. `await using` stops it. */
export interface TroupeRuntime extends AsyncDisposable {
  readonly agents: AgentsApi;
  readonly tasks: TasksApi;
  readonly workflows: WorkflowsApi;
  readonly messages: MessagesApi;
  readonly events: EventsApi;
  readonly history: HistoryApi;
  readonly system: SystemApi;
  /** What an inspector asks. */
  readonly inspection: InspectionApi;
}

export type { AgentId, CallContext, TaskId, WorkflowId };
