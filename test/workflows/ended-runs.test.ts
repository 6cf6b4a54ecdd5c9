// Which runs that ended are kept, for how long, and for whom.

import { beforeEach, expect, it } from 'vitest';
import type { WorkflowId } from '../../runtime/contracts/ids.ts';
import { type EndedRun, EndedRuns } from '../../runtime/workflows/ended-runs.ts';

const idOf = (n: number) => `wfl_${String(n).padStart(26, '0')}` as WorkflowId;
const run = (n: number, steps: number, status = 'completed', version = 7): EndedRun =>
  ({
    row: { id: idOf(n), status, version, tenant: 'a', spec: { tasks: Array.from({ length: steps }, () => ({})) } },
    definition: null,
    memory: null,
  }) as unknown as EndedRun;

const stored = new Map<string, { version: number; tenant: string }>();
let runs: EndedRuns;
beforeEach(() => {
  stored.clear();
  for (let n = 0; n < 20; n++) stored.set(idOf(n), { version: 7, tenant: 'a' });
  runs = new EndedRuns({
    brief: async (id, tenant) => (stored.get(id)?.tenant === tenant ? (stored.get(id) as never) : null),
  });
});
const known = async (n: number, tenant = 'a') => (await runs.get(idOf(n), { tenant })) !== undefined;

it('keeps a large run that ended, for its tenant alone', async () => {
  runs.keep(run(1, 1_000));
  expect([await known(1), await known(1, 'b'), await known(2)]).toEqual([true, false, false]);
});

it.each([
  ['that goes on', run(1, 1_000, 'running')],
  ['that is small', run(1, 10)],
  ['that is larger than all that may be kept', run(1, 50_001)],
])('keeps no run %s', async (_, one) => {
  runs.keep(one);
  expect(await known(1)).toBe(false);
});

it('forgets what the store no longer has, or has otherwise', async () => {
  runs.keep(run(1, 1_000));
  stored.set(idOf(1), { version: 8, tenant: 'a' });
  expect(await known(1)).toBe(false);
  stored.delete(idOf(1));
  expect(await known(1)).toBe(false);
});

it('makes room by forgetting the ones looked at longest ago', async () => {
  for (let n = 0; n < 5; n++) runs.keep(run(n, 10_000));
  expect(await known(0)).toBe(true);
  runs.keep(run(5, 10_000));
  runs.keep(run(5, 10_000));
  expect(await Promise.all([0, 1, 2, 5].map((n) => known(n)))).toEqual([true, false, true, true]);
});
