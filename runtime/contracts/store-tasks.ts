// Tasks in the store: accepted, claimed under a lease, settled once.

import type { Queue } from './agent.ts';
import type { InboxEvent } from './coordination.ts';
import type { TaskInput, TaskInputFilter } from './human-question.ts';
import type { AgentId, NodeId, TaskId, WorkflowId } from './ids.ts';
import type { Committed, Page } from './store-page.ts';
import type { AttemptView, CancelReport, ClaimedTask, ResolvedRetry, SettleTask, TaskState, TaskView } from './task.ts';

export interface NewTask {
  readonly id: TaskId;
  readonly tenant: string;
  readonly capability: string;
  readonly version: number;
  readonly queue: Queue;
  /** Pinned agent. */
  readonly agentId?: AgentId;
  readonly input: unknown;
  readonly priority: number;
  readonly timeoutMs: number;
  readonly queueTimeoutMs?: number;
  readonly deadlineMs?: number;
  readonly delayMs?: number;
  readonly runAt?: string;
  readonly retry: ResolvedRetry;
  readonly dedupeKey?: string;
  readonly idempotency?: { readonly key: string; readonly bodyHash: string };
  readonly workflow?: { readonly id: WorkflowId; readonly step: string; readonly round: number };
  readonly traceparent?: string;
}

export type SubmitOutcome =
  | ({
      readonly outcome: 'accepted';
      readonly task: TaskView;
      /** Set when the insert itself took the lease. */
      readonly claimed?: ClaimedTask;
    } & Committed)
  /** The same idempotency or dedupe key: the task of the first time. */
  | { readonly outcome: 'duplicate'; readonly task: TaskView }
  | { readonly outcome: 'mismatch' };

export interface TaskFilter {
  readonly tenant: string;
  readonly status?: TaskState;
  readonly capability?: string;
  readonly agentId?: string;
  readonly workflowId?: string;
  readonly limit: number;
  readonly cursor?: string;
}

export type CancelOutcome =
  | { readonly outcome: 'not_found' }
  /** Already terminal otherwise. */
  | { readonly outcome: 'terminal'; readonly state: TaskState }
  /** Cancelled before: the recorded answer. */
  | { readonly outcome: 'repeated'; readonly report: CancelReport }
  | ({ readonly outcome: 'cancelled'; readonly wasRunning: false } & Committed)
  /** Terminal from now on (the fence has grown); the code still has to be stopped on `node`. `fence` is the one that ran. */
  | ({
      readonly outcome: 'cancelled';
      readonly wasRunning: true;
      readonly node: NodeId;
      readonly fence: number;
    } & Committed);

/** What tasks of a capability took lately: the median of their last attempts, in ms. */
export interface TaskDuration {
  readonly capability: string;
  readonly medianMs: number;
  readonly samples: number;
}

export type SettleAnswer =
  | ({
      readonly outcome: 'committed';
      readonly state: TaskState;
      /** What the end of a step put into the inbox of its run: its coordinator, if it is here, need not read it. */
      readonly mail?: InboxEvent;
    } & Committed)
  | { readonly outcome: 'fenced' };

export interface TaskStore {
  /** Group commit: calls in flight at once share one transaction. `claim` asks to take the lease with the insert when no older runnable task waits in its queue. */
  submit(task: NewTask, options?: { readonly claim?: boolean }): Promise<SubmitOutcome>;
  /** At most `slots` tasks per queue, oldest rank first, leased to this node: fence and attempt grow. */
  claim(asks: readonly { readonly queue: Queue; readonly slots: number }[]): Promise<readonly ClaimedTask[]>;
  /** Group commit. `fenced`: somebody else owns it now; nothing was written. Writes the workflow's inbox row in the same transaction. */
  settle(settle: SettleTask): Promise<SettleAnswer>;
  cancel(id: TaskId, tenant: string): Promise<CancelOutcome>;
  recordCancel(report: CancelReport): Promise<void>;
  /** Which of these claims are no longer this node's (cancelled, swept, timed out elsewhere). */
  lostClaims(claims: readonly { readonly taskId: TaskId; readonly fence: number }[]): Promise<readonly TaskId[]>;
  /** Every claim this node's lease holds: finds the ones whose answer was lost (a claim that committed while its connection died). */
  ownClaims?(): Promise<readonly ClaimedTask[]>;
  /** Delayed and backing-off tasks whose time has come become `queued`. Answers how many and the wait until the next, in ms (null: none). */
  promote(): Promise<{
    readonly promoted: number;
    readonly nextInMs: number | null;
    readonly queues: readonly Queue[];
  }>;
  /** Queue timeouts and deadlines by the database clock. The claims that were running are to be aborted. */
  expire(): Promise<
    {
      readonly aborted: readonly { readonly taskId: TaskId; readonly fence: number; readonly node: NodeId }[];
    } & Committed
  >;
  /** Queues of single agents (`agent:...`) that hold runnable tasks, at most 1,000. */
  pinnedQueues(): Promise<readonly Queue[]>;
  /** The answer to question `question` (from 0) of a waiting task, which goes back to its queue; null: that one is not open. */
  answer(
    id: TaskId,
    tenant: string,
    answer: { readonly question: number; readonly value: unknown; readonly by: string | null },
  ): Promise<({ readonly queue: Queue } & Pick<Committed, 'events'>) | null>;
  /** Open questions, of the newest task first. */
  openInputs(tenant: string, filter: TaskInputFilter): Promise<readonly TaskInput[]>;
  /** Dead task back to the queue with its attempts reset (admin). */
  redrive(id: TaskId, tenant: string): Promise<boolean>;
  get(id: TaskId, tenant: string): Promise<TaskView | null>;
  attempts(id: TaskId): Promise<readonly AttemptView[]>;
  list(filter: TaskFilter): Promise<Page<TaskView>>;
  byWorkflow(id: WorkflowId): Promise<readonly TaskView[]>;
  /** The `traceparent` that a task of this run carries; null: none does. */
  traceOf?(id: WorkflowId): Promise<string | null>;
  /** Of these steps the newest round, without its input. */
  bySteps(id: WorkflowId, steps: readonly string[]): Promise<readonly TaskView[]>;
  /** By capability, over the completed ones among the newest `among` tasks. */
  durations(tenant: string, among: number): Promise<readonly TaskDuration[]>;
  /** Tasks by state, and depth and age of the oldest per queue (the 100 deepest). */
  counts(tenant?: string): Promise<{
    readonly byState: Readonly<Record<TaskState, number>>;
    readonly queues: readonly { readonly queue: Queue; readonly queued: number; readonly oldestMs: number }[];
  }>;
}
