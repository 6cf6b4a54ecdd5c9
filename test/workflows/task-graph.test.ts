import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { analyse } from '../../runtime/workflows/analytics.ts';
import {
  criticalPathOf,
  cycleOf,
  type GraphStep,
  levelsOf,
  orderOf,
  reduced,
} from '../../runtime/workflows/task-graph.ts';

const graph = (text: string): GraphStep[] =>
  text.split(' ').map((part) => {
    const [id = '', deps = ''] = part.split(':');
    return { id, dependsOn: deps ? deps.split(',') : [] };
  });

/** Any graph whose edges go from later to earlier numbers has no cycle. */
const acyclic = fc
  .array(fc.array(fc.nat(30), { maxLength: 4 }), { minLength: 1, maxLength: 30 })
  .map((rows): GraphStep[] =>
    rows.map((row, index) => ({
      id: `n${index}`,
      dependsOn: [...new Set(row.filter((other) => other < index).map((other) => `n${other}`))],
    })),
  );

function ancestors(steps: readonly GraphStep[]): Map<string, Set<string>> {
  const found = new Map<string, Set<string>>();
  for (const id of orderOf(steps)) {
    const own = new Set<string>();
    for (const before of steps.find((step) => step.id === id)?.dependsOn ?? []) {
      own.add(before);
      for (const further of found.get(before) ?? []) own.add(further);
    }
    found.set(id, own);
  }
  return found;
}

describe('a graph of steps', () => {
  it.each([
    ['a b c', 'a b c'],
    ['b:a a', 'a b'],
    ['z:m m a b:z', 'm z a b'],
    ['d:b,c b:a c:a a', 'a b c d'],
  ])('%s runs in the order %s', (text, order) => {
    expect(orderOf(graph(text)).join(' ')).toBe(order);
  });

  it.each([
    ['a b:a', null],
    ['a:c b:a c:b', 'a b c a'],
    ['a:a', 'a a'],
    ['x a:x,b b:a y:b', 'a b a'],
  ])('%s has the cycle %s', (text, cycle) => {
    expect(cycleOf(graph(text))?.join(' ') ?? null).toBe(cycle);
  });

  it.each([
    ['a b:a c:a,b', 'a b:a c:b'],
    ['a b:a c:b d:a,b,c', 'a b:a c:b d:c'],
    ['a b c:a,b', 'a b c:a,b'],
    ['a b:a c:a d:b,c,a', 'a b:a c:a d:b,c'],
  ])('%s is reduced to %s', (text, expected) => {
    expect(reduced(graph(text))).toEqual(graph(expected));
  });

  it('says the same after its reduction, with no edge to spare', () => {
    fc.assert(
      fc.property(acyclic, (steps) => {
        const less = reduced(steps);
        expect(ancestors(less)).toEqual(ancestors(steps));
        for (const [index, step] of less.entries())
          for (const edge of step.dependsOn) {
            const without = less.map((one, at) =>
              at === index ? { ...one, dependsOn: one.dependsOn.filter((dep) => dep !== edge) } : one,
            );
            expect(ancestors(without).get(step.id)?.has(edge)).toBe(false);
          }
      }),
      { numRuns: 200 },
    );
  });

  it('puts every step one level behind the last it needs', () => {
    fc.assert(
      fc.property(acyclic, (steps) => {
        const levels = levelsOf(steps);
        const levelOf = new Map(levels.flatMap((ids, level) => ids.map((id) => [id, level] as const)));
        for (const { id, dependsOn } of steps)
          expect(levelOf.get(id)).toBe(Math.max(-1, ...dependsOn.map((dep) => levelOf.get(dep) ?? 0)) + 1);
      }),
    );
  });

  it('is the chain of most steps when none takes time', () => {
    const graph = [
      { id: 'alone', dependsOn: [] },
      { id: 'a', dependsOn: [] },
      { id: 'b', dependsOn: ['a'] },
      { id: 'c', dependsOn: ['alone', 'b'] },
    ];
    expect(criticalPathOf(graph, () => 0)).toEqual({ lengthMs: 0, steps: ['a', 'b', 'c'] });
  });

  it('has no path longer than its critical one', () => {
    fc.assert(
      fc.property(acyclic, fc.array(fc.nat(100), { minLength: 30, maxLength: 30 }), (steps, lengths) => {
        const durationOf = (id: string) => lengths[Number(id.slice(1))] ?? 0;
        const { lengthMs, steps: path } = criticalPathOf(steps, durationOf);
        expect(path.reduce((sum, id) => sum + durationOf(id), 0)).toBe(lengthMs);
        const longest = new Map<string, number>();
        for (const id of orderOf(steps)) {
          const before = steps.find((step) => step.id === id)?.dependsOn.map((dep) => longest.get(dep) ?? 0) ?? [];
          longest.set(id, Math.max(0, ...before) + durationOf(id));
        }
        expect(Math.max(...longest.values())).toBe(lengthMs);
      }),
    );
  });
});

describe('the analytics of a run', () => {
  // a(10) -> b(40), c(20); b, c -> d(5); e(30) alone; d, e -> f(15) -> g(1); h(3) after c
  const steps = graph('a b:a c:a d:b,c e f:d,e g:f h:c');
  const times: Record<string, [number, number]> = {
    a: [2, 12],
    b: [13, 53],
    c: [13, 33],
    d: [54, 59],
    e: [2, 32],
    f: [61, 76],
    g: [77, 78],
    h: [34, 37],
  };
  const timings = Object.entries(times).map(([id, [startedAtMs, endedAtMs]]) => ({
    step: id,
    round: 0,
    scheduledAtMs: startedAtMs - 1,
    startedAtMs,
    endedAtMs,
  }));

  it('finds the critical path of eight steps, its bottleneck and the rest exactly', () => {
    expect(analyse(steps, { startedAtMs: 0, endedAtMs: 80, timings })).toEqual({
      wallMs: 80,
      workMs: 124,
      criticalPathMs: 71,
      criticalPath: ['a', 'b', 'd', 'f', 'g'],
      bottleneck: 'b',
      speedup: 1.55,
      overheadMs: 9,
      amdahl: {
        serialFraction: 0.573,
        maxSpeedup: 1.746,
        parallelism: 3,
        maxSpeedupAtParallelism: 1.746,
        leastSpeedupAtParallelism: 1.398,
      },
      waits: { queueMs: 8, coordinationMs: 0, humanMs: 0, pausedMs: 0, budgetMs: 0, retryMs: 0 },
    });
  });

  it('adds up the rounds of a step, and takes their span for the path', () => {
    const rounds = [
      { step: 'a', round: 0, scheduledAtMs: 0, startedAtMs: 0, endedAtMs: 10 },
      { step: 'a', round: 1, scheduledAtMs: 0, startedAtMs: 5, endedAtMs: 20 },
    ];
    expect(analyse(graph('a'), { startedAtMs: 0, endedAtMs: 20, timings: rounds })).toMatchObject({
      workMs: 25,
      criticalPathMs: 20,
      speedup: 1.25,
    });
  });

  it('is never negative, whatever the clocks did', () => {
    const skewed = [{ step: 'a', round: 0, scheduledAtMs: 90, startedAtMs: 100, endedAtMs: 50 }];
    const metrics = analyse(graph('a'), { startedAtMs: 100, endedAtMs: 50, timings: skewed });
    expect(metrics).toMatchObject({ wallMs: 0, workMs: 0, criticalPathMs: 0, overheadMs: 0, speedup: 1 });
  });

  it('of a run without steps is zero', () => {
    expect(analyse([], { startedAtMs: 0, endedAtMs: 5, timings: [] })).toMatchObject({
      criticalPath: [],
      bottleneck: null,
      overheadMs: 5,
    });
  });
});
