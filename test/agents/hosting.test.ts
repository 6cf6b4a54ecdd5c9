import { describe, expect, test } from 'vitest';
import { fits, requirementsOf, waitsFor } from '../../runtime/agents/hosting.ts';

const row = { owner: null, desired: 'running', defHash: 'h', type: 'painter', requires: { gpu: 'true' } } as const;

describe('hosting', () => {
  test("what the agent requires wins over its type's word, and nothing required is nothing", () => {
    expect(requirementsOf({ gpu: 'true', zone: 'a' }, { zone: 'b' })).toEqual({ gpu: 'true', zone: 'b' });
    expect(requirementsOf(undefined, {})).toBeUndefined();
  });

  test.each([
    ['no requirement', {}, undefined, true],
    ['the very label', { gpu: 'true', zone: 'a' }, { gpu: 'true' }, true],
    ['another value', { gpu: 'false' }, { gpu: 'true' }, false],
    ['one of two', { gpu: 'true' }, { gpu: 'true', zone: 'a' }, false],
  ] as const)('%s', (_name, labels, requires, answer) => {
    expect(fits(labels, requires)).toBe(answer);
  });

  test.each([
    ['an owned agent waits for nothing', { ...row, owner: 'node_1' as never }, [], undefined],
    ['nobody knows the type', row, [{ labels: { gpu: 'true' }, defHashes: ['x'] }], /no node has the type "painter"/],
    ['nobody has the labels', row, [{ labels: {}, defHashes: ['h'] }], /requires: gpu=true/],
    ['somebody may take it', row, [{ labels: { gpu: 'true' }, defHashes: ['h'] }], /about to take it/],
    ['it sleeps', { ...row, passive: true }, [], /sleeps/],
  ] as const)('%s', (_name, agent, hosts, words) => {
    const why = waitsFor(agent, hosts);
    if (words === undefined) expect(why).toBeUndefined();
    else expect(why).toMatch(words);
  });
});
