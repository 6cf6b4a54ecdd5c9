// Brings a run back from its snapshot and the journal after it, and refuses to go on where the strategy decides otherwise than it did.

import type { CoordinationEvent } from '../contracts/coordination.ts';
import { RuntimeError } from '../contracts/errors.ts';
import type { WorkflowRow } from '../contracts/store.ts';
import { type Definition, definitionOf, type Strategies } from './definition.ts';
import { remember } from './remember.ts';
import type { RunMemory } from './run-memory.ts';

export interface StoredRun {
  readonly row: WorkflowRow;
  readonly snapshot: unknown;
  readonly journal: readonly CoordinationEvent[];
}

export interface RecoveredRun {
  readonly definition: Definition;
  /** Null: it was started, but its first event has not been read. */
  readonly memory: RunMemory | null;
  /** Events in the last snapshot. */
  readonly snapshotEvents: number;
}

/**
 * Replays what was journaled. `taskIds`, when given, are the tasks the run has: every round in flight must be among them, else the
 * strategy decided otherwise this time. Throws `definition_changed`.
 */
export function recover(strategies: Strategies, stored: StoredRun, taskIds?: ReadonlySet<string>): RecoveredRun {
  const definition = definitionOf(strategies, stored.row);
  const snapshot = readSnapshot(stored.snapshot);
  let memory = snapshot;
  try {
    for (const event of stored.journal) memory = remember(definition, stored.row.id, memory, event).memory;
  } catch (cause) {
    throw new RuntimeError('definition_changed', 'the journal of the run can no longer be replayed', { cause });
  }
  const unknown = taskIds && memory?.inFlight.find((one) => one.kind === 'task' && !taskIds.has(one.taskId));
  if (unknown) {
    const { step, round } = unknown;
    throw new RuntimeError(
      'definition_changed',
      `a replay starts step "${step}" (round ${round}), which the run never did`,
      {
        details: { step, round },
      },
    );
  }
  return { definition, memory, snapshotEvents: snapshot?.events ?? 0 };
}

function readSnapshot(snapshot: unknown): RunMemory | null {
  if (snapshot === null || snapshot === undefined) return null;
  const memory = snapshot as RunMemory;
  if (memory.format !== 2)
    throw new RuntimeError('definition_changed', 'the snapshot of the run has a format of another version');
  return memory;
}
