import { describe, expect, it } from 'vitest';
import { evaluateObjective, type Objective } from '../../actors/analysis/functions.ts';
import { pathCost, pathCostSchema } from '../../actors/analysis/path-cost.ts';
import type { SwarmOutput } from '../../patterns/swarm/end.ts';
import { swarm } from '../../patterns/swarm.ts';
import { type CreateWorkflow, createWorkflowSchema } from '../../runtime/contracts/workflow.ts';
import {
  type Outcome,
  type SimulationOptions,
  type SimulationResult,
  seededRandom,
  simulate,
} from '../kit/coordination-simulator.ts';
import { timedRun } from '../kit/timed-run.ts';

type Evaluate = NonNullable<SimulationOptions['outcome']>;

const QUIET = { duplicates: 0, crashes: 0.01, noise: 0, views: 0.01 } as const;

const objective = (name: Objective) => ({ capability: 'function.evaluate', input: { function: name } });
const cube = (dimensions: number, reach: number) => Array.from({ length: dimensions }, () => [-reach, reach]);
const body = (options: object, more: Partial<CreateWorkflow> = {}): CreateWorkflow => ({
  objective: objective('sphere'),
  options: { bounds: cube(5, 10), maxIterations: 100, ...options },
  ...more,
});

/** What the analysis agent would answer. */
const evaluate: Evaluate = (_step, _round, _random, command) => {
  const { input } = (command.type === 'schedule' ? command.task : { input: null }) as {
    input: { function: Objective; x: number[] };
  };
  return { output: { score: evaluateObjective(input.function, input.x) } };
};
const walk: Evaluate = (_step, _round, _random, command) => {
  const cost = pathCost(pathCostSchema.parse(command.type === 'schedule' ? command.task.input : null));
  return cost.ok ? { output: { score: cost.score } } : { fails: cost.reason };
};

const run = (workflow: CreateWorkflow, how: Partial<SimulationOptions> = {}): SimulationResult =>
  simulate(swarm, workflow, { seed: 1, outcome: evaluate, ...QUIET, ...how });
const outputOf = (result: { readonly end: { readonly output: unknown } }) => result.end.output as SwarmOutput;

describe('particles', () => {
  it.each(['order', 'random'] as const)(
    'find the minimum of the sphere in 5 dimensions within 100 iterations (answers in %s)',
    (schedule) => {
      const result = run(body({ agents: 20 }), { schedule });
      expect(result.end).toMatchObject({ status: 'completed', stopReason: 'rounds_used_up' });
      const { best, bestScore, evaluations, history } = outputOf(result);
      expect(bestScore).toBeLessThan(1e-3);
      expect(evaluateObjective('sphere', best as number[])).toBe(bestScore);
      expect(evaluations).toBe(2_000);
      expect(history).toHaveLength(100);
      expect(result.maxInFlight).toBe(20);
    },
  );

  it.each(Array.from({ length: 20 }, (_, at) => at + 1))(
    'come nearer to the minimum of Rastrigin than chance with the same budget (seed %i)',
    (seed) => {
      const random = seededRandom(seed);
      const workflow = body({ bounds: cube(5, 5.12) }, { objective: objective('rastrigin'), seed });
      const result = timedRun(swarm, workflow, {
        durationMs: () => 1 + Math.floor(random() * 20),
        outcome: (command) => evaluate('', 0, random, command) as { output: unknown },
      });
      const chance = Array.from({ length: outputOf(result).evaluations }, () =>
        evaluateObjective(
          'rastrigin',
          Array.from({ length: 5 }, () => 10.24 * random() - 5.12),
        ),
      );
      expect(outputOf(result).bestScore).toBeLessThan(Math.min(...chance));
    },
  );

  it('have the same history for the same seed, and another for another', () => {
    const history = (seed: number) => {
      const { journal, end } = run(body({ agents: 5, maxIterations: 20 }), { schedule: 'order', seed });
      return { journal, end };
    };
    expect(history(3)).toEqual(history(3));
    expect(outputOf(history(3)).bestScore).not.toBe(outputOf(history(4)).bestScore);
    const own = (seed: number) =>
      outputOf(run(body({ agents: 5, maxIterations: 20, seed: 9 }), { schedule: 'order', seed }));
    expect(own(3)).toEqual(own(4));
  });

  it.each(['reflect', 'clamp'] as const)('stay within the bounds (%s)', (atBounds) => {
    const bounds = [
      [-1, 3],
      [0, 0.001],
      [5, 1e6],
    ] as [number, number][];
    const outcome: Evaluate = (...given) => {
      const { x } = (given[3] as { task: { input: { x: number[] } } }).task.input;
      bounds.forEach(([low, high], axis) => {
        expect(x[axis]).toBeGreaterThanOrEqual(low);
        expect(x[axis]).toBeLessThanOrEqual(high);
      });
      // the lowest score is in a corner, so that particles run against the bounds
      return { output: { score: -x.reduce((sum, value) => sum + value, 0) } };
    };
    const result = run(body({ bounds, atBounds, velocityClamp: 1, maxIterations: 60 }), { outcome });
    expect(outputOf(result).bestScore).toBeLessThan(-1e6 * 0.99);
  });

  it('do not wait for each other: a slow one holds nobody up', () => {
    const { started } = timedRun(swarm, body({ agents: 3, maxIterations: 10 }), {
      durationMs: (step) => (step === 'p1' ? 100 : 10),
      outcome: () => ({ output: { score: 1 } }),
    });
    expect(started.filter(({ step }) => step === 'p2').map(({ atMs }) => atMs)).toEqual(
      Array.from({ length: 10 }, (_, at) => at * 10),
    );
  });

  it('give the objective its own input and x', () => {
    const workflow = body({ agents: 1, maxEvaluations: 1 }, { input: { f: 'ackley' } });
    const given = { ...workflow, objective: { capability: 'function.evaluate', input: { function: { $input: 'f' } } } };
    const [first] = run(given).scheduled;
    expect(first).toMatchObject({
      key: 'p1/0',
      capability: 'function.evaluate',
      input: { function: 'ackley', x: expect.any(Array) },
    });
  });
});

describe('a swarm stops', () => {
  it.each<[string, object, string, number]>([
    ['when every particle has had its iterations', { agents: 4, maxIterations: 5 }, 'rounds_used_up', 20],
    ['when the evaluations are used up', { agents: 4, maxEvaluations: 10 }, 'evaluations_used_up', 10],
    ['with fewer evaluations than particles', { agents: 9, maxEvaluations: 5 }, 'evaluations_used_up', 5],
    ['at whatever comes first', { agents: 4, maxIterations: 2, maxEvaluations: 100 }, 'rounds_used_up', 8],
  ])('%s', (_, options, stopReason, evaluations) => {
    const result = run(body({ maxIterations: undefined, ...options }));
    expect(result.end).toMatchObject({ status: 'completed', stopReason });
    expect(result.scheduled).toHaveLength(evaluations);
    expect(outputOf(result).evaluations).toBe(evaluations);
  });

  it('as soon as a score is low enough, whoever is still under way', () => {
    const result = run(body({ target: 0.5 }));
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'target_reached' });
    expect(outputOf(result).bestScore).toBeLessThanOrEqual(0.5);
    expect(outputOf(result).evaluations).toBeLessThan(2_000);
    expect(result.cancelled).toHaveLength(19);
  });

  it('when nothing is gained in so many evaluations per particle', () => {
    let count = 0;
    const outcome = (): Outcome => ({ output: { score: count++ < 10 ? 100 - count : 90 - count * 1e-6 } });
    const result = run(body({ agents: 5, stagnation: { iterations: 4, epsilon: 0.01 } }), {
      outcome,
      schedule: 'order',
    });
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'stagnation' });
    // ten gains, and then four iterations of five particles
    expect(outputOf(result).evaluations).toBe(10 + 4 * 5);
  });

  it('at its deadline with what it found', () => {
    const result = run(body({ maxIterations: undefined }, { deadlineMs: 1_000 }), {
      interrupt: { after: 300, event: 'deadline' },
    });
    expect(result.end).toMatchObject({ status: 'failed', stopReason: 'deadline' });
    expect(outputOf(result).bestScore).toBeLessThan(100);
  });
});

describe('particles that are lost', () => {
  const lossy =
    (lost: (step: string, round: number) => boolean): Evaluate =>
    (step, round, random, command) =>
      lost(step, round) ? { fails: 'agent gone' } : evaluate(step, round, random, command);

  it('keep their best and begin anew elsewhere, and the swarm still finds the minimum', () => {
    const result = run(body({}), {
      outcome: lossy((step, round) => Number(step.slice(1)) <= 6 && round >= 10 && round < 12),
    });
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'rounds_used_up' });
    expect(outputOf(result)).toMatchObject({ evaluations: 2_000, failed: 12 });
    expect(outputOf(result).bestScore).toBeLessThan(1e-3);
    expect(result.decisions.filter(({ rule }) => rule === 'respawn')).toHaveLength(12);
  });

  it('for good, three in ten, do not end the swarm', () => {
    const result = run(body({}), { outcome: lossy((step, round) => Number(step.slice(1)) <= 6 && round >= 10) });
    expect(result.end).toMatchObject({ status: 'completed', stopReason: 'rounds_used_up' });
    expect(outputOf(result).bestScore).toBeLessThan(1e-3);
  });

  it.each([
    ['half of them may', 10, 'rounds_used_up', 'completed'],
    ['more than half end it', 11, 'population_collapse', 'failed'],
  ])('too often in a row count as dead: %s', (_, lost, stopReason, status) => {
    const outcome = lossy((step, round) => Number(step.slice(1)) <= lost && round >= 5);
    const result = run(body({ maxIterations: 20 }), { outcome });
    expect(result.end).toMatchObject({ status, stopReason });
    expect(outputOf(result).bestScore).not.toBeNull();
  });

  it('now and then are alive', () => {
    const outcome = lossy((_, round) => round % 3 !== 0);
    expect(run(body({ maxIterations: 30 }), { outcome }).end).toMatchObject({ stopReason: 'rounds_used_up' });
  });

  it.each<[string, unknown]>([
    ['no score', { value: 1 }],
    ['a score that is no number', { score: '1' }],
    ['nothing', null],
  ])('are those whose objective answers %s', (_, output) => {
    const result = run(body({ agents: 4 }), { outcome: () => ({ output }) });
    expect(result.end).toMatchObject({
      status: 'failed',
      stopReason: 'population_collapse',
      output: { best: null, bestScore: null },
    });
    expect(outputOf(result).evaluations).toBeLessThanOrEqual(4 * 3);
  });

  it('all of them, without a least number alive, fail the run when the work is used up', () => {
    const result = run(body({ agents: 4, maxIterations: 5, minAlive: 0 }), { outcome: () => ({ fails: 'always' }) });
    expect(result.end).toMatchObject({
      status: 'failed',
      stopReason: 'rounds_used_up',
      error: { code: 'attempts_exhausted' },
    });
  });
});

describe('the history of a swarm', () => {
  it('never rises, ends with the best, and is thinned evenly beyond 1,000 points', () => {
    const result = timedRun(swarm, body({ agents: 2, maxIterations: 5_000, bounds: [[-1, 1]] }), {
      durationMs: () => 1,
      outcome: (command) => evaluate('', 0, Math.random, command) as { output: unknown },
    });
    const { history, bestScore, improvements } = outputOf(result);
    expect(history.length).toBeGreaterThan(400);
    expect(history.length).toBeLessThanOrEqual(1_001);
    history.forEach(({ best }, at) => {
      if (at > 0) expect(best).toBeLessThanOrEqual(history[at - 1]?.best ?? 0);
    });
    expect(
      new Set(history.slice(1, -1).map(({ iteration }, at) => iteration - (history[at]?.iteration ?? 0))).size,
    ).toBe(1);
    expect(history.at(-1)).toEqual({ iteration: 5_000, evaluations: 10_000, best: bestScore });
    expect(improvements.at(-1)?.score).toBe(bestScore);
    expect(JSON.stringify(result.state).length).toBeLessThan(200_000);
  });

  it('is in the decisions as every new best with the one it beats', () => {
    const { decisions, end } = run(body({ agents: 3, maxIterations: 10 }));
    const improved = decisions.filter(({ kind }) => kind === 'improve');
    expect(improved).toHaveLength(outputOf({ end }).improvements.length);
    expect(improved.at(-1)?.candidates?.[0]?.score).toBe(outputOf({ end }).bestScore);
    expect(improved.at(-1)?.candidates?.[1]).toMatchObject({
      id: 'before',
      score: improved.at(-2)?.candidates?.[0]?.score,
    });
  });
});

/** Towns on a circle: the shortest tour goes round it. */
function circle(count: number, seed: number) {
  const random = seededRandom(seed);
  const names = Array.from({ length: count }, (_, at) => `n${at}`);
  const turn = (at: number) => (2 * Math.PI * at) / count;
  const cost = (a: number, b: number) =>
    Math.hypot(Math.cos(turn(a)) - Math.cos(turn(b)), Math.sin(turn(a)) - Math.sin(turn(b)));
  const edges = names.flatMap((from, a) =>
    names.slice(a + 1).map((to, b): [string, string, number] => [from, to, cost(a, a + 1 + b)]),
  );
  const nodes = names
    .map((name) => ({ name, at: random() }))
    .sort((a, b) => a.at - b.at)
    .map(({ name }) => name);
  return { graph: { nodes, edges }, shortest: count * cost(0, 1) };
}

describe('ants', () => {
  const way = (graph: object, options: object = {}): CreateWorkflow => ({
    objective: { capability: 'path.cost' },
    options: { mode: 'aco', graph, maxIterations: 40, ...options },
  });

  it.each([1, 2, 3])('find the shortest tour round a circle of 14 towns (seed %i)', (seed) => {
    const { graph, shortest } = circle(14, seed);
    const result = run(way(graph), { outcome: walk, seed });
    expect(outputOf(result).bestScore).toBeCloseTo(shortest, 9);
    expect(new Set(outputOf(result).best as string[])).toEqual(new Set(graph.nodes));
    expect(outputOf(result).best).toHaveLength(14);
  });

  it('find the shortest path through a grid, round a wall, without going in circles', () => {
    const nodes = Array.from({ length: 25 }, (_, at) => `${at % 5}-${Math.floor(at / 5)}`);
    const edges = nodes.flatMap((from, at): [string, string, number][] => [
      ...(at % 5 < 4 ? [[from, nodes[at + 1] ?? '', 1] as [string, string, number]] : []),
      ...(at < 20 ? [[from, nodes[at + 5] ?? '', at % 5 === 4 ? 1 : 10] as [string, string, number]] : []),
    ]);
    const result = run(way({ nodes, edges, from: '0-0', to: '0-4' }), { outcome: walk });
    // along to the last column, down, and back
    expect(outputOf(result).bestScore).toBe(4 + 4 + 4);
    const path = outputOf(result).best as string[];
    expect([path[0], path.at(-1)]).toEqual(['0-0', '0-4']);
    expect(new Set(path).size).toBe(path.length);
  });

  it('walk edges one way only in a directed graph, and leave dead ends', () => {
    const edges = [
      ['a', 'b', 1],
      ['b', 'x', 1],
      ['b', 'c', 5],
      ['c', 'd', 1],
      ['d', 'a', 1],
    ];
    const result = run(
      way({ nodes: ['a', 'b', 'c', 'd', 'x'], edges, directed: true, from: 'a', to: 'd' }, { maxIterations: 3 }),
      { outcome: walk },
    );
    expect(outputOf(result)).toMatchObject({ best: ['a', 'b', 'c', 'd'], bestScore: 7, failed: 0 });
  });

  it('learn: the pheromone lies on the best way, within its limits', () => {
    const { graph } = circle(10, 1);
    const workflow = way(graph);
    const result = run(workflow, { outcome: walk });
    const picture = swarm.picture?.(
      createWorkflowSchema.parse(workflow),
      swarm.options.parse(workflow.options),
      result.state as never,
    ) as {
      pheromone: { from: string; to: string; pheromone: number }[];
    };
    const best = outputOf(result).best as string[];
    const along = new Set(best.map((node, at) => [node, best[(at + 1) % best.length]].sort().join()));
    expect(new Set(picture.pheromone.slice(0, 10).map(({ from, to }) => [from, to].sort().join()))).toEqual(along);
    for (const { pheromone } of picture.pheromone) {
      expect(pheromone).toBeGreaterThanOrEqual(1 / 20);
      expect(pheromone).toBeLessThanOrEqual(1);
    }
  });

  it('may walk edges that cost nothing', () => {
    const edges = [
      ['a', 'b', 0],
      ['b', 'c', 0],
      ['c', 'a', 0],
    ];
    expect(
      outputOf(run(way({ nodes: ['a', 'b', 'c'], edges }, { maxIterations: 2 }), { outcome: walk })).bestScore,
    ).toBe(0);
  });
});

describe('a swarm as a person sees it', () => {
  const workflow = createWorkflowSchema.parse({ pattern: 'swarm', ...body({ agents: 3, maxIterations: 4 }) });
  const options = swarm.options.parse(workflow.options);

  it('has a step per member, a picture, and a progress of evaluations', () => {
    const { state } = swarm.start(workflow, options, { type: 'started', atMs: 0, seed: 1 });
    const event = {
      type: 'step.completed',
      atMs: 1,
      step: 'p2',
      round: 0,
      output: { score: 4 },
      taskId: '',
      agentId: null,
      attempts: 1,
      startedAtMs: 0,
    } as const;
    const after = swarm.decide(workflow, options, state, event).state;
    expect(swarm.steps(workflow, options, after)).toMatchObject([
      { id: 'p1', state: 'queued', round: 0, capability: 'function.evaluate', detail: { score: null } },
      { id: 'p2', state: 'queued', round: 1, detail: { score: 4, failures: 0 } },
      { id: 'p3', state: 'queued', round: 0 },
    ]);
    expect(swarm.progress?.(workflow, after)).toEqual({ done: 1, total: 12 });
    expect(swarm.picture?.(workflow, options, after)).toMatchObject({
      mode: 'pso',
      bestScore: 4,
      alive: 3,
      evaluations: { ended: 1, inFlight: 3 },
    });
    expect(swarm.capabilities?.(workflow, options)).toEqual([
      { capability: 'function.evaluate', path: 'objective.capability' },
    ]);
  });
});

describe('an outcome', () => {
  const workflow = createWorkflowSchema.parse({ pattern: 'swarm', ...body({ agents: 2 }) });
  const options = swarm.options.parse(workflow.options);
  const scored = (round: number, score: number) =>
    ({
      type: 'step.completed',
      atMs: 1,
      step: 'p1',
      round,
      output: { score },
      taskId: '',
      agentId: null,
      attempts: 1,
      startedAtMs: 0,
    }) as const;
  const begun = swarm.start(workflow, options, { type: 'started', atMs: 0, seed: 1 }).state;
  const first = swarm.decide(workflow, options, begun, scored(0, 4));

  it('that comes twice, late or for a round that never began changes nothing', () => {
    for (const event of [scored(0, 1), scored(2, 1), { ...scored(0, 1), step: 'p3' }, { ...scored(0, 1), step: 'p0' }])
      expect(swarm.decide(workflow, options, first.state, event).state).toBe(first.state);
    const ended = swarm.decide(workflow, options, first.state, { type: 'cancel', atMs: 1, reason: 'user' }).state;
    expect(swarm.decide(workflow, options, ended, scored(1, 1)).state).toBe(ended);
  });

  it('that is worse leaves a member its own best, and one that is as good is no improvement', () => {
    const worse = swarm.decide(workflow, options, first.state, scored(1, 9)).state;
    expect(worse.members[0]?.best).toEqual(first.state.members[0]?.best);
    const same = swarm.decide(workflow, options, first.state, scored(1, 4));
    expect(same.state.best).toEqual(first.state.best);
    expect(same.decisions).toEqual([]);
  });
});

describe('a swarm that cannot run', () => {
  const check = (workflow: CreateWorkflow) => {
    const parsed = createWorkflowSchema.parse({ pattern: 'swarm', ...workflow });
    return swarm.check(parsed, swarm.options.parse(parsed.options));
  };
  const graph = {
    nodes: ['a', 'b', 'c'],
    edges: [
      ['a', 'b', 1],
      ['b', 'c', 1],
      ['c', 'a', 1],
    ],
  };
  const ants = (change: object, more: object = {}): CreateWorkflow => ({
    objective: { capability: 'path.cost' },
    options: { mode: 'aco', maxIterations: 1, graph: { ...graph, ...change }, ...more },
  });

  it.each<[string, CreateWorkflow, string, string]>([
    ['without an objective', { options: { bounds: [[0, 1]], maxIterations: 1 } }, 'objective', 'score'],
    [
      'without a bound on its work',
      body({ maxIterations: undefined }),
      'options.maxEvaluations',
      'swarm without budget',
    ],
    [
      'with a budget that limits no work',
      body({ maxIterations: undefined }, { budget: { depth: 1 } }),
      'options.maxEvaluations',
      'swarm without budget',
    ],
    [
      'with a target alone',
      body({ maxIterations: undefined, target: 0, stagnation: { iterations: 5 } }),
      'options.maxEvaluations',
      'budget',
    ],
    [
      'without bounds',
      { objective: objective('sphere'), options: { maxIterations: 1 } },
      'options.bounds',
      'needs bounds',
    ],
    [
      'with bounds the wrong way round',
      body({
        bounds: [
          [0, 1],
          [1, 1],
        ],
      }),
      'options.bounds[1]',
      'below',
    ],
    ['of particles with a graph', body({ graph }), 'options.graph', 'no use'],
    ['with too many numbers to keep', body({ bounds: cube(1_000, 1), agents: 101 }), 'options.agents', '100000'],
    ['with tasks', { ...body({}), tasks: [{ id: 'a', capability: 'x.y' }] }, 'tasks', 'no use'],
    ['with undo', body({}, { onFailure: 'compensate' }), 'onFailure', 'minAlive'],
    [
      'with an objective input that is no object',
      body({}, { objective: { capability: 'x.y', input: [1] } }),
      'objective.input',
      'object',
    ],
    [
      'with a reference to a step',
      body({}, { objective: { capability: 'x.y', input: { a: { $from: 'b' } } } }),
      'objective.input.a.$from',
      'no meaning',
    ],
    [
      'of ants without a graph',
      { objective: objective('sphere'), options: { mode: 'aco', maxIterations: 1 } },
      'options.graph',
      'needs a graph',
    ],
    ['of ants with bounds', ants({}, { bounds: [[0, 1]] }), 'options.bounds', 'no use'],
    ['with a duplicate node', ants({ nodes: ['a', 'b', 'c', 'a'] }), 'options.graph.nodes[3]', 'duplicate'],
    ['with a dangling edge', ants({ edges: [['a', 'x', 1]] }), 'options.graph.edges[0][1]', '"x"'],
    ['with a loop', ants({ edges: [['a', 'a', 1]] }), 'options.graph.edges[0]', 'itself'],
    ['with an edge given twice', ants({ edges: [...graph.edges, ['b', 'a', 2]] }), 'options.graph.edges[3]', 'second'],
    ['with a tour that lacks an edge', ants({ edges: graph.edges.slice(1) }), 'options.graph.edges', 'from "a" to "b"'],
    ['with one end of a path', ants({ from: 'a' }), 'options.graph.to', 'both'],
    ['with an end that does not exist', ants({ from: 'a', to: 'x' }), 'options.graph.to', '"x"'],
    [
      'with an end that cannot be reached',
      ants({
        edges: [
          ['a', 'b', 1],
          ['c', 'b', 1],
        ],
        directed: true,
        from: 'a',
        to: 'c',
      }),
      'options.graph.to',
      'no way',
    ],
    ['from a node to itself', ants({ from: 'a', to: 'a' }), 'options.graph.to', 'itself'],
  ])('is refused: %s', (_, workflow, path, words) => {
    const problem = check(workflow);
    expect(problem).toMatchObject({ code: 'workflow_invalid', path });
    expect(problem?.message).toContain(words);
  });

  it.each<[string, CreateWorkflow]>([
    ['a deadline', body({ maxIterations: undefined }, { deadlineMs: 1 })],
    ['calls', body({ maxIterations: undefined }, { budget: { calls: 10 } })],
    ['evaluations', body({ maxIterations: undefined, maxEvaluations: 1 })],
  ])('passes when its work is bounded by %s', (_, workflow) => {
    expect(check(workflow)).toBeNull();
  });
});
