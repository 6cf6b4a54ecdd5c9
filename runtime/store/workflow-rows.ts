// Workflow rows as the runtime works with them.

import type { CoordinationEvent, InboxEvent } from '../contracts/coordination.ts';
import { fromUuid } from '../contracts/ids.ts';
import type { Placement } from '../contracts/placement.ts';
import type { WorkflowRow } from '../contracts/store.ts';
import type { WorkflowSpec, WorkflowState } from '../contracts/workflow.ts';
import { idOrNull, withTypeIds } from './sql.ts';

export const WORKFLOW_COLUMNS = `id, tenant, name, pattern, spec, def_hash, status, stop_reason, output, error, metrics, owner_node, version,
  created_at, started_at, ended_at, done, total, parent_id, parent_step, parent_round, root_id, depth, fork_of, fork_step`;

/** Without definition and output: both may be megabytes. */
export const BRIEF_COLUMNS = WORKFLOW_COLUMNS.replace(' spec,', ' NULL AS spec,')
  .replace(' output,', ' NULL AS output,')
  .replace(' metrics,', ' NULL AS metrics,');

export interface DbWorkflow {
  readonly id: string;
  readonly tenant: string;
  readonly name: string;
  readonly pattern: string;
  readonly spec: WorkflowSpec;
  readonly def_hash: string;
  readonly status: WorkflowState;
  readonly stop_reason: string | null;
  readonly output: unknown;
  readonly error: unknown;
  readonly metrics: unknown;
  readonly owner_node: string | null;
  readonly version: number;
  readonly created_at: string;
  readonly started_at: string | null;
  readonly ended_at: string | null;
  readonly done: number;
  readonly total: number;
  readonly parent_id: string | null;
  readonly parent_step: string | null;
  readonly parent_round: number | null;
  readonly root_id: string | null;
  readonly depth: number;
  readonly fork_of: string | null;
  readonly fork_step: string | null;
}

export function workflowOf(row: DbWorkflow): WorkflowRow {
  return {
    id: fromUuid('workflow', row.id),
    tenant: row.tenant,
    name: row.name,
    pattern: row.pattern,
    spec: row.spec,
    defHash: row.def_hash,
    status: row.status,
    stopReason: row.stop_reason,
    output: row.output,
    error: row.error,
    owner: idOrNull('node', row.owner_node),
    version: row.version,
    createdAt: row.created_at,
    startedAt: row.started_at,
    endedAt: row.ended_at,
    progress: { done: row.done, total: row.total },
    parent: row.parent_id
      ? { workflowId: fromUuid('workflow', row.parent_id), step: row.parent_step ?? '', round: row.parent_round ?? 0 }
      : null,
    rootId: idOrNull('workflow', row.root_id),
    depth: row.depth,
    forkOf: row.fork_of ? { workflowId: fromUuid('workflow', row.fork_of), fromStep: row.fork_step } : null,
  };
}

/** An event in the inbox; the end of a step has its placement beside what the run is told. */
export type StoredMail = CoordinationEvent & { readonly placed?: Placement };

export function mailOf(workflow: string, eventId: string, { placed, ...event }: StoredMail): InboxEvent {
  return {
    workflowId: fromUuid('workflow', workflow),
    eventId,
    event: coordinationEvent(event as CoordinationEvent),
    ...(placed ? { placed } : {}),
  };
}

/** Events that SQL wrote name tasks and agents by uuid. */
export function coordinationEvent(event: CoordinationEvent): CoordinationEvent {
  const read = withTypeIds(event);
  if (read.type !== 'step.failed' || !read.error.details) return read;
  return { ...read, error: { ...read.error, details: withTypeIds(read.error.details) } };
}
