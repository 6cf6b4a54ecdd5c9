// What a fork of a run begins with.

import { describe, expect, test } from 'vitest';
import type { CoordinationEvent } from '../../runtime/contracts/coordination.ts';
import { createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import { withAppended } from '../../runtime/workflows/fork.ts';

const spec = createWorkflowSchema.parse({
  pattern: 'pipeline',
  stages: [{ id: 's', capability: 'probe.run' }],
  items: ['a'],
  open: true,
});
const appended = (items: unknown[], end = false): CoordinationEvent => ({ type: 'items', atMs: 1, items, end });

describe('items that were appended', () => {
  test.each<[what: string, journal: CoordinationEvent[], items: unknown[], open: boolean]>([
    ['are there from the start', [appended(['b']), appended(['c'])], ['a', 'b', 'c'], true],
    ['close the source that was closed', [appended(['b'], true)], ['a', 'b'], false],
    ['after the close were refused', [appended([], true), appended(['b'])], ['a'], false],
  ])('%s', (_what, journal, items, open) => {
    expect(withAppended(spec, journal)).toMatchObject({ items, open });
  });

  test('that the run refused are refused again', () => {
    const limited = { ...spec, options: { maxItems: 2 } };
    expect(withAppended(limited, [appended(['b', 'c', 'd'])]).items).toEqual(['a', 'b']);
  });

  test('are none in a run whose source was never open', () => {
    const { open: _, ...closed } = spec;
    expect(withAppended(closed, [appended(['b'])])).toEqual(closed);
  });
});
