// Rankings to a winner: Borda count and instant run-off. Neither looks at the names of the options, so that none has an advantage. Pure.

/** Options by key with what they reached, best first; `first` are those nobody is ahead of: one winner, or a tie. */
export interface Ranking {
  readonly scores: ReadonlyMap<string, number>;
  readonly first: readonly string[];
}

/** A ranking names options best first, each once; it need not name all. `options` is their whole number. */
export type Rankings = readonly (readonly string[])[];

export function optionsOf(rankings: Rankings, choices: readonly string[] = []): string[] {
  return [...new Set([...choices, ...rankings.flat()])];
}

/** Half points are kept as they are: an option left out gets the mean of the places left. */
export function borda(rankings: Rankings, options: readonly string[]): Ranking {
  const scores = new Map(options.map((option) => [option, 0]));
  for (const ranking of rankings) {
    const left = options.length - ranking.length;
    const named = new Set(ranking);
    ranking.forEach((option, place) => {
      add(scores, option, options.length - 1 - place);
    });
    if (left > 0) for (const option of options) if (!named.has(option)) add(scores, option, (left - 1) / 2);
  }
  return { scores, first: best(scores, options) };
}

/**
 * Goes on until one option is first on more than half of the ballots that still name any. Of several with the fewest first places those go
 * that had fewer in the counts before, the latest first, then fewer Borda points; those equal in all of it go together.
 * When all that are left are equal it is a tie. `scores`: first places in the count in which an option was last there.
 */
export function instantRunOff(rankings: Rankings, options: readonly string[]): Ranking {
  const points = borda(rankings, options).scores;
  const scores = new Map<string, number>();
  const counts: ReadonlyMap<string, number>[] = [];
  let left = [...options];
  while (left.length > 0) {
    const count = firstPlaces(rankings, left);
    for (const [option, votes] of count) scores.set(option, votes);
    const total = sum(count);
    const top = best(count, left);
    const [leader] = top;
    if (leader !== undefined && (count.get(leader) ?? 0) * 2 > total) return { scores, first: [leader] };
    if (top.length === left.length) return { scores, first: top };
    let out = worst(count, left);
    for (let at = counts.length - 1; at >= 0 && out.length > 1; at--) out = worst(counts[at] ?? count, out);
    if (out.length > 1) out = worst(points, out);
    counts.push(count);
    left = left.filter((option) => !out.includes(option));
  }
  return { scores, first: [] };
}

export function firstPlaces(rankings: Rankings, among: readonly string[]): Map<string, number> {
  const there = new Set(among);
  const count = new Map(among.map((option) => [option, 0]));
  for (const ranking of rankings) {
    const first = ranking.find((option) => there.has(option));
    if (first !== undefined) add(count, first, 1);
  }
  return count;
}

function add(scores: Map<string, number>, option: string, points: number): void {
  scores.set(option, (scores.get(option) ?? 0) + points);
}

const sum = (count: ReadonlyMap<string, number>): number => [...count.values()].reduce((total, one) => total + one, 0);

function best(scores: ReadonlyMap<string, number>, among: readonly string[]): string[] {
  const most = Math.max(...among.map((option) => scores.get(option) ?? 0));
  return among.filter((option) => (scores.get(option) ?? 0) === most);
}

function worst(scores: ReadonlyMap<string, number>, among: readonly string[]): string[] {
  const fewest = Math.min(...among.map((option) => scores.get(option) ?? 0));
  return among.filter((option) => (scores.get(option) ?? 0) === fewest);
}
