import { describe, expect, test } from 'vitest';
import { elkInput, type GraphStep, graphOf, levelsOf } from '../../../../../http/inspector/views/workflows/graph.ts';

const step = (id: string, dependsOn: string[] = [], state: GraphStep['state'] = 'completed', capability = 'x.y') =>
  ({ id, dependsOn, state, capability }) satisfies GraphStep;

describe('levels', () => {
  test('are the longest way from a beginning', () => {
    const levels = levelsOf([step('d', ['a', 'c']), step('a'), step('c', ['b']), step('b', ['a'])]);
    expect(Object.fromEntries(levels)).toEqual({ a: 0, b: 1, c: 2, d: 3 });
  });

  test('a dependency that is not there, a double one and a cycle do no harm', () => {
    const levels = levelsOf([step('a', ['gone']), step('b', ['a', 'a']), step('c', ['d']), step('d', ['c'])]);
    expect(Object.fromEntries(levels)).toEqual({ a: 0, b: 1, c: 0, d: 0 });
  });
});

describe('the graph', () => {
  test('of a small run has a node per step and an edge per dependency', () => {
    const graph = graphOf([step('a'), step('b', ['a', 'a'], 'running'), step('c', ['a', 'b'], 'failed')]);
    expect(graph.grouped).toBe(false);
    expect(graph.nodes.map(({ id, state, note }) => [id, state, note])).toEqual([
      ['a', 'completed', 'x.y'],
      ['b', 'running', 'x.y'],
      ['c', 'failed', 'x.y'],
    ]);
    expect(graph.edges.map(({ from, to, count }) => `${from}${to}${count}`)).toEqual(['ab1', 'ac1', 'bc1']);
  });

  const wide = Array.from({ length: 3_000 }, (_, at) =>
    step(`s${at}`, at < 100 ? [] : [`s${at - 100}`], at === 250 ? 'failed' : at < 1_000 ? 'completed' : 'blocked'),
  );

  test('of many steps has a node per level and capability, of the most urgent state', () => {
    const graph = graphOf(wide);
    expect(graph).toMatchObject({ grouped: true, levels: 30 });
    expect(graph.nodes).toHaveLength(30);
    expect(graph.nodes[2]).toMatchObject({ state: 'failed', counts: { failed: 1, completed: 99 }, note: '100 × x.y' });
    expect(graph.nodes.flatMap(({ steps }) => steps)).toHaveLength(3_000);
    expect(graph.edges.every(({ count }) => count === 100)).toBe(true);
  });

  test('of a long chain has a node per band of levels, and never more than asked for', () => {
    const chain = Array.from({ length: 10_000 }, (_, at) => step(`s${at}`, at === 0 ? [] : [`s${at - 1}`]));
    const graph = graphOf(chain, 60);
    expect(graph.nodes.length).toBeLessThanOrEqual(60);
    expect(graph.edges.length).toBe(graph.nodes.length - 1);
    expect(graph.nodes[0]?.title).toBe('levels 1 to 167');
  });

  test('asks the layout for every node and edge, under ids of their own', () => {
    const input = elkInput(graphOf([step('a'), step('b', ['a'])]), 'DOWN');
    expect(input.layoutOptions['elk.direction']).toBe('DOWN');
    expect(input.children.map(({ id }) => id)).toEqual(['a', 'b']);
    expect(input.edges).toEqual([{ id: 'e0', sources: ['a'], targets: ['b'] }]);
  });
});
