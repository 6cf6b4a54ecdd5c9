// What each pattern's picture holds, read with care: it comes as JSON from a pattern that may be of another version. Pure.

type Json = Readonly<Record<string, unknown>>;

const record = (value: unknown): Json => (typeof value === 'object' && value !== null ? (value as Json) : {});
const list = (value: unknown): readonly unknown[] => (Array.isArray(value) ? value : []);
const text = (value: unknown): string => (typeof value === 'string' ? value : '');
const number = (value: unknown): number | null => (typeof value === 'number' && Number.isFinite(value) ? value : null);
const amount = (value: unknown): number => number(value) ?? 0;

// ---- sequential, parallel -------------------------------------------------------------------------------------------------------

export interface OrderPicture {
  readonly total: number;
  readonly at: number | null;
  readonly from: number;
  readonly order: readonly { readonly id: string; readonly state: string }[];
}

export function readOrder(picture: unknown): OrderPicture {
  const { total, at, from, order } = record(picture);
  return {
    total: amount(total),
    at: number(at),
    from: amount(from),
    order: list(order).map((one) => ({ id: text(record(one).id), state: text(record(one).state) })),
  };
}

export interface JoinPicture {
  readonly join: string;
  /** Completions that satisfy it; null: it waits for ends, not for successes. */
  readonly needed: number | null;
  readonly candidates: number;
  readonly completed: number;
  readonly failed: number;
  readonly excused: number;
  readonly first: string | null;
  readonly inFlight: number;
  readonly maxConcurrency: number;
}

export function readJoin(picture: unknown): JoinPicture {
  const from = record(picture);
  return {
    join: text(from.join),
    needed: number(from.needed),
    candidates: amount(from.candidates),
    completed: amount(from.completed),
    failed: amount(from.failed),
    excused: amount(from.excused),
    first: text(from.first) || null,
    inFlight: amount(from.inFlight),
    maxConcurrency: amount(from.maxConcurrency),
  };
}

// ---- auction: the bid book ------------------------------------------------------------------------------------------------------

export interface BidLine {
  readonly round: number;
  readonly agentId: string;
  readonly name: string | null;
  readonly cost: number | null;
  readonly etaMs: number | null;
  readonly confidence: number | null;
  readonly score: number | null;
  /** silent, won, lost, refused, late, invalid, failed */
  readonly outcome: string;
  readonly reason: string | null;
}

export interface LotPicture {
  readonly task: string;
  readonly phase: string;
  readonly round: number;
  readonly winner: string | null;
  readonly price: number | null;
  readonly secondPrice: number | null;
  /** Best score first; without a score last, by round. */
  readonly bids: readonly BidLine[];
  readonly more: number;
}

export function readBidBook(picture: unknown): { readonly lots: readonly LotPicture[]; readonly more: number } {
  const { lots, more } = record(picture);
  return { lots: list(lots).map(readLot), more: amount(more) };
}

function readLot(value: unknown): LotPicture {
  const lot = record(value);
  const bids = list(lot.bids).map((one): BidLine => {
    const bid = record(one);
    const offer = record(bid.bid);
    return {
      round: amount(bid.round),
      agentId: text(bid.agentId),
      name: text(bid.name) || null,
      cost: number(offer.cost),
      etaMs: number(offer.etaMs),
      confidence: number(offer.confidence),
      score: number(bid.score),
      outcome: text(bid.outcome),
      reason: text(bid.reason) || null,
    };
  });
  const rank = ({ score }: BidLine): number => score ?? Number.POSITIVE_INFINITY;
  return {
    task: text(lot.task),
    phase: text(lot.phase),
    round: amount(lot.round),
    winner: text(lot.winner) || null,
    price: number(lot.price),
    secondPrice: number(lot.secondPrice),
    bids: bids.sort((a, b) => (rank(a) === rank(b) ? a.round - b.round : rank(a) - rank(b))),
    more: amount(lot.more),
  };
}

// ---- consensus: ballots per round -----------------------------------------------------------------------------------------------

export interface BallotLine {
  readonly voter: string;
  readonly agentId: string | null;
  /** open, cast, abstained */
  readonly state: string;
  readonly ballot: unknown;
  readonly weight: number | null;
  readonly reason: string | null;
  readonly dissents: boolean;
}

export interface ConsensusPicture {
  readonly rule: string;
  readonly quorum: number;
  readonly decision: unknown;
  readonly agreement: number | null;
  readonly referee: string | null;
  readonly standings: readonly { readonly option: string; readonly score: number }[];
  /** Oldest first; the last one is the present round. */
  readonly rounds: readonly { readonly round: number; readonly ballots: readonly BallotLine[] }[];
  /** Rounds that there may be. */
  readonly limit: number;
}

export function readVotes(picture: unknown): ConsensusPicture {
  const from = record(picture);
  const dissent = new Set(list(from.dissent).map(text));
  const present = amount(from.round);
  const byRound = new Map<number, BallotLine[]>();
  for (const one of list(from.past)) {
    const { voter, round, agentId, ballot, reason } = record(one);
    const spoilt = text(reason) || null;
    const line: BallotLine = {
      voter: text(voter),
      agentId: text(agentId) || null,
      state: spoilt ? 'abstained' : 'cast',
      ballot,
      weight: null,
      reason: spoilt,
      dissents: false,
    };
    const at = amount(round);
    // The last round is among the past ones too once it has ended.
    if (at !== present) byRound.set(at, [...(byRound.get(at) ?? []), line]);
  }
  const now = list(from.ballots).map((one): BallotLine => {
    const { voter, agentId, state, ballot, weight, reason } = record(one);
    return {
      voter: text(voter),
      agentId: text(agentId) || null,
      state: text(state),
      ballot,
      weight: number(weight),
      reason: text(reason) || null,
      dissents: dissent.has(text(voter)),
    };
  });
  const rounds = [...byRound].sort(([a], [b]) => a - b).map(([round, ballots]) => ({ round, ballots }));
  return {
    rule: text(from.rule),
    quorum: amount(from.quorum),
    decision: from.decision ?? null,
    agreement: number(from.agreement),
    referee: text(from.referee) || null,
    standings: list(from.standings).map((one) => {
      const { id, score, option } = record(one);
      return { option: text(id) || JSON.stringify(option ?? null), score: amount(score) };
    }),
    rounds: [...rounds, { round: present, ballots: now }],
    limit: Math.max(1, amount(from.rounds)),
  };
}

// ---- pipeline: stages with their queues -----------------------------------------------------------------------------------------

export interface StagePicture {
  readonly id: string;
  readonly capability: string;
  readonly concurrency: number;
  readonly buffer: number;
  readonly queued: number;
  readonly running: number;
  readonly held: number;
  readonly done: number;
  readonly failed: number;
}

export interface PipelinePicture {
  readonly stages: readonly StagePicture[];
  readonly items: {
    readonly total: number;
    readonly waiting: number;
    readonly inside: number;
    readonly completed: number;
    readonly deadLetters: number;
  };
  readonly open: boolean;
  readonly deadLetters: readonly { readonly item: number; readonly stage: string; readonly error: string }[];
}

export function readPipeline(picture: unknown): PipelinePicture {
  const { stages, items, deadLetters } = record(picture);
  const counts = record(items);
  return {
    stages: list(stages).map((one) => {
      const stage = record(one);
      return {
        id: text(stage.id),
        capability: text(stage.capability),
        concurrency: amount(stage.concurrency),
        buffer: amount(stage.buffer),
        queued: amount(stage.queued),
        running: amount(stage.running),
        held: amount(stage.held),
        done: amount(stage.done),
        failed: amount(stage.failed),
      };
    }),
    items: {
      total: amount(counts.total),
      waiting: amount(counts.waiting),
      inside: amount(counts.inside),
      completed: amount(counts.completed),
      deadLetters: amount(counts.deadLetters),
    },
    open: counts.open === true,
    deadLetters: list(deadLetters).map((one) => {
      const { index, stage, code } = record(one);
      return { item: amount(index), stage: text(stage), error: text(code) };
    }),
  };
}

// ---- swarm ----------------------------------------------------------------------------------------------------------------------

export interface SwarmPicture {
  readonly mode: string;
  readonly bestScore: number | null;
  readonly best: unknown;
  readonly alive: number;
  readonly evaluations: { readonly ended: number; readonly failed: number; readonly inFlight: number };
  readonly members: readonly {
    readonly id: string;
    readonly iteration: number;
    readonly score: number | null;
    readonly x: readonly number[];
  }[];
  readonly improvements: readonly { readonly evaluation: number; readonly score: number }[];
  readonly pheromone: readonly { readonly from: string; readonly to: string; readonly pheromone: number }[];
}

export function readSwarm(picture: unknown): SwarmPicture {
  const from = record(picture);
  const counts = record(from.evaluations);
  return {
    mode: text(from.mode),
    bestScore: number(from.bestScore),
    best: from.best ?? null,
    alive: amount(from.alive),
    evaluations: { ended: amount(counts.ended), failed: amount(counts.failed), inFlight: amount(counts.inFlight) },
    members: list(from.members).map((one) => {
      const { id, iteration, score, x } = record(one);
      return {
        id: text(id),
        iteration: amount(iteration),
        score: number(score),
        x: list(x).map((value) => amount(value)),
      };
    }),
    improvements: list(from.improvements).map((one) => {
      const { evaluation, evaluations, score } = record(one);
      return { evaluation: amount(evaluation ?? evaluations), score: amount(score) };
    }),
    pheromone: list(from.pheromone).map((one) => {
      const edge = record(one);
      return { from: String(edge.from ?? ''), to: String(edge.to ?? ''), pheromone: amount(edge.pheromone) };
    }),
  };
}

/** Two axes of the members' positions within the extent of all, as fractions; members without both are left out. */
export function scatter(
  members: SwarmPicture['members'],
  [first, second]: readonly [number, number],
): readonly { readonly id: string; readonly score: number | null; readonly x: number; readonly y: number }[] {
  const there = members.filter(({ x }) => x.length > Math.max(first, second));
  const along = (axis: number): ((value: number) => number) => {
    const values = there.map(({ x }) => x[axis] ?? 0);
    const [low, high] = [Math.min(...values), Math.max(...values)];
    return (value) => (high > low ? (value - low) / (high - low) : 0.5);
  };
  const [right, up] = [along(first), along(second)];
  return there.map(({ id, score, x }) => ({ id, score, x: right(x[first] ?? 0), y: 1 - up(x[second] ?? 0) }));
}

// ---- hierarchical: the tree of the plan -----------------------------------------------------------------------------------------

export interface PlanNode {
  readonly id: string;
  readonly kind: 'goal' | 'round' | 'task';
  readonly title: string;
  readonly note: string;
  readonly state: string | null;
  readonly error: string | null;
  readonly children: readonly PlanNode[];
}

export interface PlanPicture {
  readonly turns: number;
  readonly limit: string | null;
  readonly cut: boolean;
  readonly root: PlanNode;
}

export function readPlan(picture: unknown): PlanPicture {
  const from = record(picture);
  return {
    turns: amount(from.turns),
    limit: text(record(from.limit).name) || text(from.limit) || null,
    cut: from.cut === true,
    root: goalNode('goal', from),
  };
}

function goalNode(id: string, { goal, rounds }: Json): PlanNode {
  return {
    id,
    kind: 'goal',
    title: text(goal),
    note: '',
    state: null,
    error: null,
    children: list(rounds).map((one, at) => {
      const { round, tasks } = record(one);
      const path = `${id}/${at}`;
      return {
        id: path,
        kind: 'round' as const,
        title: `round ${amount(round) + 1}`,
        note: '',
        state: null,
        error: null,
        children: list(tasks).map((task) => taskNode(path, record(task))),
      };
    }),
  };
}

function taskNode(path: string, task: Json): PlanNode {
  const id = `${path}/${text(task.id)}`;
  const inside = task.plan === undefined ? [] : goalNode(id, { goal: task.goal, ...record(task.plan) }).children;
  const error = record(task.error);
  return {
    id,
    kind: 'task',
    title: text(task.id),
    note: text(task.capability) || text(task.goal),
    state: text(task.status) || null,
    error: text(error.message) || text(task.reason) || null,
    children: inside,
  };
}

/** Tasks in the tree, those of runs inside included. */
export const countTasks = (node: PlanNode): number =>
  (node.kind === 'task' ? 1 : 0) + node.children.reduce((sum, child) => sum + countTasks(child), 0);
