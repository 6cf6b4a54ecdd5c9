// One small run of every pattern, with what its contract demands of the end and of the effects, and what a client does while it runs.

import type { CreateWorkflow } from '../../runtime/contracts/workflow.ts';

type View = Readonly<Record<string, unknown>>;
/** One call to the API; rejects when the node is gone. */
export type Api = (
  method: 'GET' | 'POST',
  path: string,
  body?: unknown,
) => Promise<{ readonly status: number; readonly body: View }>;

export interface Members {
  /** Ids of three clerks that vote. */
  readonly voters: readonly string[];
  /** The clerks' file. */
  readonly file: string;
}

export interface Kind {
  readonly name: string;
  /** `key` is of this run alone. */
  body(key: string, members: Members): CreateWorkflow;
  /** Called again and again while the run is open, after a kill from the start: does what is left to be done. */
  drive?(view: View, api: Api, memory: Map<string, unknown>): Promise<void>;
  /** What the end and the effects (names without the key) should have been; null: they are. */
  check(view: View, effects: ReadonlySet<string>): string | null;
}

const retry = { maxAttempts: 100, backoffMs: 10 };
const SLEEP_MS = 15;
type Task = NonNullable<CreateWorkflow['tasks']>[number];

const worker = (file: string, key: string) => {
  return (id: string, dependsOn: readonly string[] = [], input: object = {}, more: Partial<Task> = {}): Task => ({
    id,
    capability: 'clerk.work',
    input: { file, key: `${key}/${id}`, sleepMs: SLEEP_MS, ...input },
    dependsOn: [...dependsOn],
    retry,
    ...more,
  });
};

const ends = ({ status, stopReason }: View, wanted: string): string | null =>
  `${status} ${stopReason}` === wanted ? null : `ended ${status} ${stopReason} instead of ${wanted}`;

function exactly(effects: ReadonlySet<string>, names: readonly string[]): string | null {
  const missing = names.filter((name) => !effects.has(name));
  const more = [...effects].filter((name) => !names.includes(name));
  return missing.length + more.length === 0
    ? null
    : `effects missing: ${missing.join(' ')}; not wanted: ${more.join(' ')}`;
}

const sequential: Kind = {
  name: 'sequential',
  body(key, { file }) {
    const work = worker(file, key);
    return {
      pattern: 'sequential',
      tasks: [
        work('a'),
        work('each', ['a'], { part: { $item: '' } }, { forEach: 'a.parts' }),
        work('b', ['each'], { seen: { $from: 'each' } }),
        work('never', ['b'], {}, { when: { path: 'b.part', equals: 'no' } }),
        work('c', ['b']),
      ],
    };
  },
  check: (view, effects) =>
    ends(view, 'completed all_done') ?? exactly(effects, ['a', 'each/x', 'each/y', 'each/z', 'b', 'c']),
};

const saga: Kind = {
  name: 'saga',
  body(key, { file }) {
    const work = worker(file, key);
    const undo = (id: string) => ({
      compensate: { capability: 'clerk.work', input: { file, key: `${key}/undo-${id}`, sleepMs: SLEEP_MS } },
    });
    return {
      pattern: 'sequential',
      onFailure: 'compensate',
      tasks: [work('a', [], {}, undo('a')), work('b', ['a'], {}, undo('b')), work('c', ['b'], { fail: true })],
    };
  },
  check: (view, effects) => ends(view, 'failed compensated') ?? exactly(effects, ['a', 'b', 'c', 'undo-b', 'undo-a']),
};

const parallel: Kind = {
  name: 'parallel',
  body(key, { file }) {
    const work = worker(file, key);
    const middle = ['b', 'c', 'd', 'e'].map((id) => work(id, ['a']));
    return { pattern: 'parallel', tasks: [work('a'), ...middle, work('f', ['b', 'c']), work('g', ['d', 'e', 'f'])] };
  },
  check: (view, effects) => ends(view, 'completed all_done') ?? exactly(effects, [...'abcdefg']),
};

const BATCHES = [
  [0, 1],
  [2, 3],
  [4, 5],
];
const POISON = 3;
const pipeline: Kind = {
  name: 'pipeline',
  body(key, { file }) {
    const stage = (id: string, more: object = {}) => ({
      id,
      capability: 'clerk.work',
      input: { file, key: `${key}/${id}`, sleepMs: SLEEP_MS, part: { $item: 'part' }, ...more },
      retry,
    });
    return {
      pattern: 'pipeline',
      open: true,
      stages: [
        stage('one'),
        { ...stage('two', { fail: { $from: 'item.poison' } }), concurrency: 2, buffer: 2 },
        stage('three'),
      ],
    };
  },
  async drive({ id }, api, memory) {
    const sent = Number(memory.get('sent') ?? 0);
    const batch = BATCHES[sent];
    if (!batch) return;
    const items = batch.map((part) => ({ part, poison: part === POISON }));
    const body = { items, end: sent === BATCHES.length - 1, id: `batch-${sent}` };
    const { status } = await api('POST', `/api/agents/workflows/${id}/items`, body);
    // 409: the last batch had arrived although its answer was lost, and the run has ended.
    if (status === 202 || status === 409) memory.set('sent', sent + 1);
  },
  check(view, effects) {
    const { items = [] } = (view.output ?? {}) as {
      items?: { index: number; status: string; result: { part: number } | null }[];
    };
    const through = items.map(({ status, result }) => (status === 'completed' ? result?.part : status));
    const parts = BATCHES.flat();
    if (JSON.stringify(through) !== JSON.stringify(parts.map((part) => (part === POISON ? 'dead_letter' : part))))
      return `items came out as ${JSON.stringify(through)}`;
    const names = parts.flatMap((part) => [
      `one/${part}`,
      `two/${part}`,
      ...(part === POISON ? [] : [`three/${part}`]),
    ]);
    return ends(view, 'partial all_done') ?? exactly(effects, names);
  },
};

const hierarchical: Kind = {
  name: 'hierarchical',
  body: (key, { file }) => ({
    pattern: 'hierarchical',
    goal: 'all of it',
    coordinator: { capability: 'clerk.plan', input: { file, key, sleepMs: SLEEP_MS }, retry },
  }),
  check(view, effects) {
    const { result } = (view.output ?? {}) as { result?: unknown };
    const wanted = ['first completed', 'broken failed', 'below completed', 'mended completed'];
    if (JSON.stringify(result) !== JSON.stringify(wanted)) return `its result is ${JSON.stringify(result)}`;
    const top = ['plan-0', 'first', 'broken', 'plan-1', 'mended', 'plan-2'].map((name) => `0/${name}`);
    return ends(view, 'completed plan_done') ?? exactly(effects, [...top, '1/plan-0', '1/deep', '1/plan-1']);
  },
};

const consensus: Kind = {
  name: 'consensus',
  body: (key, { file, voters }) => ({
    pattern: 'consensus',
    task: { capability: 'clerk.vote', input: { file, key: `${key}/vote`, sleepMs: SLEEP_MS }, retry },
    voters: { agents: [...voters] },
    options: { ballot: 'verdict', rounds: 2 },
  }),
  check(view, effects) {
    const { decision, votes = [] } = (view.output ?? {}) as {
      decision?: unknown;
      votes?: { voter: string; round: number }[];
    };
    if (decision !== 'agreed') return `decided ${JSON.stringify(decision)}`;
    const cast = votes.map(({ voter, round }) => `${voter}/${round}`);
    if (new Set(cast).size !== cast.length) return `a voter voted twice: ${cast.join(' ')}`;
    const round = (number: number) => [...effects].filter((name) => name.endsWith(`/${number}`)).length;
    // The outcome is fixed with two of three: the last voter may have been cancelled.
    if (round(0) !== 3 || round(1) < 2 || effects.size !== round(0) + round(1))
      return `votes: ${[...effects].join(' ')}`;
    return ends(view, 'completed decided');
  },
};

interface Award {
  readonly winner: string | null;
  readonly price: number | null;
  readonly rounds: number;
  readonly result: { readonly by: string } | null;
  readonly bids: readonly {
    readonly agentId: string;
    readonly round: number;
    readonly outcome: string;
    readonly bid: { cost: number } | null;
  }[];
}
const auction: Kind = {
  name: 'auction',
  body(key, { file }) {
    const work = worker(file, key);
    return {
      pattern: 'auction',
      tasks: [work('a'), work('b')],
      options: { replyByMs: 1_000, noBids: 'widen', maxRounds: 20 },
    };
  },
  check(view, effects) {
    const { awards = [] } = (view.output ?? {}) as { awards?: Award[] };
    for (const { winner, price, rounds, result, bids } of awards) {
      const won = bids.filter(({ outcome }) => outcome === 'won');
      const valid = bids.filter(
        ({ outcome, round }) => round === rounds - 1 && (outcome === 'won' || outcome === 'lost'),
      );
      if (won.length !== 1 || won[0]?.agentId !== winner)
        return `${won.length} bids won, the winner is ${winner}: ${JSON.stringify([view.error, bids.map((bid) => `${bid.round} ${bid.outcome} ${(bid as { reason?: string }).reason}`)])}`;
      if (result?.by !== winner) return `done by ${result?.by}, awarded to ${winner}`;
      if (price !== Math.min(...valid.map(({ bid }) => bid?.cost ?? Number.POSITIVE_INFINITY)))
        return `awarded at ${price}`;
    }
    return ends(view, 'completed all_done') ?? exactly(effects, ['a', 'b']);
  },
};

const [PARTICLES, ITERATIONS] = [10, 10];
const swarm: Kind = {
  name: 'swarm',
  body: () => ({
    pattern: 'swarm',
    objective: { capability: 'function.evaluate', input: { function: 'sphere' }, retry },
    options: {
      bounds: [
        [-10, 10],
        [-10, 10],
      ],
      agents: PARTICLES,
      maxIterations: ITERATIONS,
    },
  }),
  check(view) {
    const { evaluations, failed } = (view.output ?? {}) as { evaluations?: number; failed?: number };
    if (evaluations !== PARTICLES * ITERATIONS || failed !== 0) return `${evaluations} evaluations, ${failed} failed`;
    return ends(view, 'completed rounds_used_up');
  },
};

/** A person says yes, a run inside a run, a budget that is enough, a pause on the way. */
const approved: Kind = {
  name: 'approved',
  body(key, { file }) {
    const work = worker(file, key);
    return {
      pattern: 'sequential',
      budget: { calls: 4 },
      tasks: [
        work('a'),
        { id: 'yes', approval: { prompt: 'go on?' }, dependsOn: ['a'] },
        {
          id: 'inside',
          workflow: { pattern: 'parallel', tasks: [work('x'), work('y')] },
          dependsOn: ['yes'],
          reserve: { calls: 2 },
        },
        work('z', ['inside']),
      ],
    };
  },
  async drive({ id, status, tasks }, api, memory) {
    const post = async (path: string, body?: unknown) =>
      (await api('POST', `/api/agents/workflows/${id}/${path}`, body)).status;
    if (status === 'paused') {
      await post('resume');
      return;
    }
    const waits = (tasks as { id: string; state: string }[]).some(
      (step) => step.id === 'yes' && step.state === 'waiting',
    );
    if (waits && !memory.has('paused')) {
      memory.set('paused', await post('pause'));
      return;
    }
    // 404, 409: not asked yet, or answered before its answer was lost.
    if (waits) await post('inputs/yes', { approved: true });
  },
  check: (view, effects) => ends(view, 'completed all_done') ?? exactly(effects, ['a', 'x', 'y', 'z']),
};

/** More steps than it may call: what was started ends, nothing more starts. */
const budgeted: Kind = {
  name: 'budgeted',
  body(key, { file }) {
    const work = worker(file, key);
    const tasks = [...'abcdef'].map((id) => work(id));
    return { pattern: 'parallel', budget: { calls: 4, onBreach: 'degrade' }, options: { maxConcurrency: 2 }, tasks };
  },
  check: (view, effects) => ends(view, 'partial budget') ?? exactly(effects, [...'abcd']),
};

/** The seven patterns first. */
export const KINDS: readonly Kind[] = [
  sequential,
  parallel,
  pipeline,
  hierarchical,
  consensus,
  auction,
  swarm,
  saga,
  approved,
  budgeted,
];
