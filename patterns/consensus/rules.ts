// What the ballots of a round say under a rule, and whether those still out could make them say anything else. Pure counting.

import type { Vote } from './ballot.ts';
import { keyOf } from './ballot.ts';
import { medianIsFixed, trimmedMedian } from './median.ts';
import type { ConsensusOptions } from './options.ts';
import { borda, firstPlaces, instantRunOff, optionsOf, type Rankings } from './ranked.ts';

/** A valid ballot. `weight` is 1 unless the rule weighs. In the order of seats, so that no result depends on who was first. */
export interface Cast {
  readonly seat: number;
  readonly vote: Vote;
  readonly weight: number;
}

/** Options by key with what they have, most first. */
export interface Standing {
  readonly key: string;
  readonly value: unknown;
  readonly score: number;
}

export type Tally = { readonly standings: readonly Standing[] } & (
  | {
      readonly type: 'decided';
      readonly value: unknown;
      /** Share of the ballots that agree, by weight where there are weights. */
      readonly agreement: number;
      readonly dissent: readonly number[];
    }
  /** Several are equally first. */
  | { readonly type: 'tie'; readonly first: readonly Standing[] }
  /** None has what the rule asks for. */
  | { readonly type: 'short' }
  /** All there is to count is counted; an agent decides. */
  | { readonly type: 'judge' }
);

/** `last`: no debate round is left, so that what is best must do. At least one ballot. */
export function count(options: ConsensusOptions, cast: readonly Cast[], last: boolean): Tally {
  const { rule } = options;
  const standings = standingsOf(cast);
  const unanimous = standings.length === 1;
  if (rule === 'majority' || (typeof rule === 'object' && 'weighted' in rule)) return byMost(standings, cast, last);
  if (rule === 'unanimity') return byShare(standings, cast, 1);
  if ('supermajority' in rule) return byShare(standings, cast, rule.supermajority);
  if (!last && !unanimous) return { type: 'short', standings };
  if ('ranked' in rule) return byRanking(options, cast, rule.ranked);
  if ('median' in rule) return byMedian(standings, cast, rule.median.trim);
  return { type: 'judge', standings };
}

/**
 * Whether the outcome is the same whatever `open` (their greatest possible weights) still vote, or whether they vote at all. The quorum is
 * met. Exact for majority, weights (as far as the voters are known), supermajority, unanimity, Borda over declared choices and the
 * untrimmed median; an absolute majority of first places for instant run-off; never early for the rest.
 */
export function isFixed(
  options: ConsensusOptions,
  cast: readonly Cast[],
  open: readonly number[],
  last: boolean,
): boolean {
  const { rule, tie } = options;
  const standings = standingsOf(cast);
  const [first, second] = standings;
  if (!first) return false;
  const total = cast.reduce((sum, { weight }) => sum + weight, 0);
  const more = open.reduce((sum, weight) => sum + weight, 0);
  if (rule === 'majority' || (typeof rule === 'object' && 'weighted' in rule)) {
    if (exceeds(first.score * 2, total + more)) return true;
    return last && exceeds(first.score, (second?.score ?? 0) + more);
  }
  const share = rule === 'unanimity' ? 1 : 'supermajority' in rule ? rule.supermajority : null;
  if (share !== null) {
    if (first.score / (total + more) >= share) return true;
    return last && tie === 'fail' && (first.score + more) / (total + more) < share && more / (total + more) < share;
  }
  if (!last || typeof rule !== 'object') return false;
  if ('ranked' in rule) return rankingIsFixed(options, cast, open.length, rule.ranked);
  if ('median' in rule && Math.floor(rule.median.trim * (cast.length + open.length)) === 0)
    return medianIsFixed(numbersOf(cast), open.length);
  return false;
}

/** Share of the ballots, by weight, that say the same as a decision somebody else took; and who says otherwise. */
export function agreementWith(decision: unknown, cast: readonly Cast[]): { agreement: number; dissent: number[] } {
  const key = keyOf(decision);
  return split(cast, ({ vote }) => (vote.keys?.[0] ?? vote.key) === key || vote.key === key);
}

function byMost(standings: readonly Standing[], cast: readonly Cast[], last: boolean): Tally {
  const [leader] = standings;
  const total = cast.reduce((sum, { weight }) => sum + weight, 0);
  if (!leader) return { type: 'short', standings };
  const first = standings.filter(({ score }) => !exceeds(leader.score, score));
  const clear = exceeds(leader.score * 2, total);
  if (clear || (last && first.length === 1)) return decided(leader, standings, cast);
  return last ? { type: 'tie', standings, first } : { type: 'short', standings };
}

function byShare(standings: readonly Standing[], cast: readonly Cast[], share: number): Tally {
  const [leader] = standings;
  if (!leader || leader.score / cast.length < share) return { type: 'short', standings };
  return decided(leader, standings, cast);
}

function byRanking(options: ConsensusOptions, cast: readonly Cast[], method: 'borda' | 'irv'): Tally {
  const rankings = rankingsOf(cast);
  const names = optionsOf(rankings, options.choices?.map(keyOf));
  const { scores, first } = (method === 'borda' ? borda : instantRunOff)(rankings, names);
  const values = valuesOf(options, cast);
  const standings = names
    .map((key): Standing => ({ key, value: values.get(key) ?? null, score: scores.get(key) ?? 0 }))
    .sort((a, b) => Number(first.includes(b.key)) - Number(first.includes(a.key)) || b.score - a.score);
  const [leader] = standings;
  if (first.length !== 1 || !leader) {
    return { type: 'tie', standings, first: standings.filter(({ key }) => first.includes(key)) };
  }
  return decided(leader, standings, cast);
}

function byMedian(standings: readonly Standing[], cast: readonly Cast[], trim: number): Tally {
  const { value, outliers } = trimmedMedian(numbersOf(cast), trim);
  const dissent = outliers.flatMap((at) => cast[at]?.seat ?? []);
  const agreement = (cast.length - outliers.length) / cast.length;
  return { type: 'decided', standings, value, agreement, dissent };
}

function decided(leader: Standing, standings: readonly Standing[], cast: readonly Cast[]): Tally {
  const { agreement, dissent } = split(cast, ({ vote }) => (vote.keys?.[0] ?? vote.key) === leader.key);
  return { type: 'decided', standings, value: leader.value, agreement, dissent };
}

function split(cast: readonly Cast[], agrees: (one: Cast) => boolean): { agreement: number; dissent: number[] } {
  const total = cast.reduce((sum, { weight }) => sum + weight, 0);
  const agreed = cast.filter(agrees).reduce((sum, { weight }) => sum + weight, 0);
  return {
    agreement: total > 0 ? agreed / total : 0,
    dissent: cast.filter((one) => !agrees(one)).map(({ seat }) => seat),
  };
}

/** The value of an option is as the first seat that named it wrote it. */
function standingsOf(cast: readonly Cast[]): Standing[] {
  const byKey = new Map<string, Standing>();
  for (const { vote, weight } of cast) {
    const before = byKey.get(vote.key);
    byKey.set(vote.key, { key: vote.key, value: before?.value ?? vote.value, score: (before?.score ?? 0) + weight });
  }
  return [...byKey.values()].sort((a, b) => b.score - a.score);
}

function rankingIsFixed(
  options: ConsensusOptions,
  cast: readonly Cast[],
  open: number,
  method: 'borda' | 'irv',
): boolean {
  const rankings = rankingsOf(cast);
  const names = optionsOf(rankings, options.choices?.map(keyOf));
  if (method === 'irv') {
    const most = Math.max(...firstPlaces(rankings, names).values());
    return most * 2 > rankings.length + open;
  }
  // without declared choices a ballot may bring new ones, and with them points for all others
  if (!options.choices) return false;
  const [first = 0, second = 0] = [...borda(rankings, names).scores.values()].sort((a, b) => b - a);
  return first - second > open * (names.length - 1);
}

function valuesOf(options: ConsensusOptions, cast: readonly Cast[]): Map<string, unknown> {
  const values = new Map<string, unknown>();
  const note = (key: string, value: unknown) => values.has(key) || values.set(key, value);
  for (const choice of options.choices ?? []) note(keyOf(choice), choice);
  for (const { vote } of cast) if (Array.isArray(vote.value)) for (const one of vote.value) note(keyOf(one), one);
  return values;
}

const rankingsOf = (cast: readonly Cast[]): Rankings => cast.map(({ vote }) => vote.keys ?? []);
const numbersOf = (cast: readonly Cast[]): number[] => cast.map(({ vote }) => Number(vote.value));

/** Sums of weights are compared with room for rounding: 0.1 + 0.2 does not exceed 0.3. */
const exceeds = (left: number, right: number): boolean => left - right > 1e-9 * Math.max(1, Math.abs(left));
