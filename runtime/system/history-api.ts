// What was, for people: see contracts/history.ts.

import { RuntimeError } from '../contracts/errors.ts';
import type { HistoryApi, HistoryWindow } from '../contracts/history.ts';
import { isId, type WorkflowId } from '../contracts/ids.ts';
import type { CallContext } from '../contracts/runtime.ts';
import type { WorkflowRow } from '../contracts/store.ts';
import { momentOf } from '../workflows/run-history.ts';
import type { NodeParts } from './parts.ts';

const DEFAULT_CALL: CallContext = { tenant: 'default' };
const HOUR_MS = 3_600_000;
const LONGEST_MS = 31 * 24 * HOUR_MS;
const PAGE = 100;
const BUCKETS = 60;
const MOST_BUCKETS = 500;
/** A longer journal is not replayed for a look. */
const MOST_REPLAYED = 200_000;

export function createHistoryApi({
  store,
  options,
  ambient,
}: Pick<NodeParts, 'store' | 'options' | 'ambient'>): HistoryApi {
  const windowOf = ({ from, to }: HistoryWindow): { fromMs: number; toMs: number } => {
    const toMs = to === undefined ? ambient.clock.nowMs() + 1 : Date.parse(to);
    const fromMs = from === undefined ? toMs - HOUR_MS : Date.parse(from);
    if (!(toMs > fromMs) || toMs - fromMs > LONGEST_MS)
      throw new RuntimeError('invalid_input', 'from must be before to, by 31 days at most', {
        details: { issues: [{ path: 'from', message: 'must be before to, by 31 days at most' }] },
      });
    return { fromMs, toMs };
  };
  const runOf = async (id: string, { tenant }: CallContext): Promise<WorkflowRow> => {
    const row = isId('workflow', id) ? await store.workflows.get(id, tenant) : null;
    if (!row) throw new RuntimeError('workflow_not_found', `no workflow with the id "${id}"`);
    return row;
  };
  const briefOf = async (id: string, { tenant }: CallContext): Promise<WorkflowId> => {
    const row = isId('workflow', id) ? await store.workflows.brief(id, tenant) : null;
    if (!row) throw new RuntimeError('workflow_not_found', `no workflow with the id "${id}"`);
    return row.id;
  };
  return {
    async events({ from, to, limit = PAGE, ...rest } = {}, { tenant } = DEFAULT_CALL) {
      const { fromMs, toMs } = windowOf({ ...(from ? { from } : {}), ...(to ? { to } : {}) });
      const { items, nextCursor } = await store.history.events({
        tenant,
        from: iso(fromMs),
        to: iso(toMs),
        limit,
        ...rest,
      });
      return { items: [...items], nextCursor };
    },

    async timeline({ buckets = BUCKETS, ...window } = {}, { tenant } = DEFAULT_CALL) {
      const { fromMs, toMs } = windowOf(window);
      const bucketMs = Math.max(1, Math.ceil((toMs - fromMs) / Math.min(MOST_BUCKETS, Math.max(1, buckets))));
      const rows = await store.history.counts({ tenant, from: iso(fromMs), to: iso(toMs), bucketMs });
      const byBucket = new Map<number, Record<string, number>>();
      for (const { bucket, type, count } of rows) byBucket.set(bucket, { ...byBucket.get(bucket), [type]: count });
      const filled = [...byBucket].map(([bucket, counts]) => ({ at: iso(fromMs + bucket * bucketMs), counts }));
      return { from: iso(fromMs), to: iso(toMs), bucketMs, buckets: filled };
    },

    async moment(at, { tenant } = DEFAULT_CALL) {
      const time = iso(Date.parse(at));
      return { at: time, ...(await store.history.openAt(tenant, time)) };
    },

    async journal(id, { after = 0, limit = PAGE } = {}, call = DEFAULT_CALL) {
      return store.history.journal(await briefOf(id, call), after, Math.min(1_000, Math.max(1, limit)));
    },

    async workflowAt(id, seq, page = {}, call = DEFAULT_CALL) {
      const row = await runOf(id, call);
      const { items, total } = await store.history.journal(row.id, 0, Math.min(MOST_REPLAYED, Math.max(1, seq)));
      if (items.at(-1)?.seq !== seq)
        throw new RuntimeError('invalid_input', `the journal of the run has no event ${seq}`, {
          details: { issues: [{ path: 'seq', message: `must be between 1 and ${total}` }] },
        });
      const tasksOf = (steps: readonly string[]) => store.tasks.bySteps(row.id, steps);
      return momentOf({ strategies: options.strategies, row, journal: items, total, page, tasksOf });
    },

    async attempts(id, { limit = PAGE, cursor } = {}, call = DEFAULT_CALL) {
      const run = await briefOf(id, call);
      const { items, nextCursor } = await store.history.attempts(run, { limit, ...(cursor ? { cursor } : {}) });
      return { items: [...items], nextCursor };
    },
  };
}

const iso = (ms: number): string => new Date(ms).toISOString();
