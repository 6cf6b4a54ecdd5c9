// One cell as an inspector sees it: what its behaviour tells of itself, and what waits in its mailbox. Bounded copies.

import { RuntimeError } from '../contracts/errors.ts';
import type { AgentId } from '../contracts/ids.ts';
import type { InspectedCell, RawChart } from '../contracts/inspection-wire.ts';
import { clip } from '../transport/clip.ts';
import type { CellTable } from './cell-table.ts';

const FIRST = 20;

export async function inspectCell(
  { thread, cells }: { readonly thread: number; readonly cells: CellTable },
  id: AgentId,
): Promise<InspectedCell> {
  const cell = cells.get(id);
  if (!cell) throw new RuntimeError('actor_not_found', `${id} does not live in thread ${thread}`);
  const { machine = null, context = null } = cell.behavior?.inspect?.() ?? {};
  const { mailbox } = cell;
  return {
    incarnation: cell.spec.incarnation,
    machine: machine && clipped(machine),
    context: clip(context) ?? null,
    mailbox: {
      waiting: cell.depth,
      capacity: mailbox.capacity,
      overflow: mailbox.overflow,
      first: mailbox.peek(FIRST).map(({ type, from = null, protocol, messageId, correlationId = null }) => ({
        type,
        from,
        protocol,
        messageId,
        correlation: correlationId,
      })),
    },
  };
}

/** The definition is JSON already, and whole or useless. */
function clipped({ context, value, ...rest }: RawChart): RawChart {
  return { ...rest, value: clip(value) ?? null, context: clip(context) ?? null };
}
