// The newest lines of a node, in memory: whose they are, how many are kept, and what is never kept.

import { describe, expect, test } from 'vitest';
import { createLogRing } from '../../runtime/observe/log-ring.ts';
import { testAmbient } from '../kit/ambient.ts';

function world(maxLines = 100, level: 'debug' | 'info' | 'warn' | 'silent' = 'info') {
  const ambient = testAmbient();
  const ring = createLogRing({ clock: ambient.clock, maxLines });
  const log = ring.around(ambient.log, level);
  const seen = (filter = {}, tenant = 'default') => ring.read(tenant, filter).items.map(({ message }) => message);
  return { ambient, ring, log, seen };
}

const mine = { tenant: 'default', agentId: 'agt_1' };

describe('a line', () => {
  test('is found by what it is about, and is written too', () => {
    const { ambient, log, ring, seen } = world();
    log.info('one', { ...mine, taskId: 'tsk_1', traceId: 'a'.repeat(32), thread: 2, n: 1 });
    log.child({ agentId: 'agt_2' }).warn('two', { tenant: 'default', workflowId: 'wfl_1' });
    expect(seen({ agentId: 'agt_1' })).toEqual(['one']);
    expect(seen({ taskId: 'tsk_1' })).toEqual(['one']);
    expect(seen({ traceId: 'a'.repeat(32) })).toEqual(['one']);
    expect(seen({ workflowId: 'wfl_1', agentId: 'agt_2' })).toEqual(['two']);
    expect(seen({ workflowId: 'wfl_1', agentId: 'agt_1' })).toEqual([]);
    expect(seen({ level: 'warn' })).toEqual(['two']);
    expect(ring.read('default', {}).items[0]).toMatchObject({ seq: 1, level: 'info', thread: 2, fields: { n: 1 } });
    expect(ambient.logged.map(({ message }) => message)).toEqual(['one', 'two']);
  });

  test('of another tenant is not shown, and one of the node only to who may see it', () => {
    const { log, seen } = world();
    log.info('theirs', { tenant: 'other' });
    log.info('of the node');
    expect(seen()).toEqual([]);
    expect(seen({ ofNode: true })).toEqual(['of the node']);
    expect(seen({}, 'other')).toEqual(['theirs']);
  });

  test('below the level is not kept', () => {
    const { log, seen } = world();
    log.debug('quiet', mine);
    expect(seen()).toEqual([]);
    const silent = world(100, 'silent');
    silent.log.info('kept though nothing is written', mine);
    expect(silent.seen()).toHaveLength(1);
  });

  test('holds no secret and is bounded', () => {
    const { log, ring } = world();
    log.error(`with Bearer canary-3f9a-canary ${'x'.repeat(5_000)}`, {
      ...mine,
      password: 'canary-3f9a',
      error: new Error('postgres://ann:canary-3f9a@db/x'),
      much: 'y'.repeat(100_000),
    });
    const text = JSON.stringify(ring.read('default', {}).items);
    expect(text).not.toContain('canary');
    expect(text.length).toBeLessThan(2_000);
  });
});

test('the oldest go, and a reader who goes on where it was is told how many', () => {
  const { log, ring } = world(10);
  for (let n = 1; n <= 25; n++) log.info(String(n), mine);
  const newest = ring.read('default', { limit: 3 });
  expect(newest.items.map(({ seq }) => seq)).toEqual([23, 24, 25]);
  expect(newest.forgotten).toBe(15);
  expect(ring.read('default', { after: 18, limit: 2 }).items.map(({ seq }) => seq)).toEqual([19, 20]);
  expect(ring.read('default', { after: 25 }).items).toEqual([]);
});
