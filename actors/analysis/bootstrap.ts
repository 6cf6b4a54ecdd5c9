// A confidence interval for the robust slope by moving-block bootstrap (Kuensch 1989): neighbouring values resemble each other,
// so whole blocks of residuals are drawn. The heavy part of an analysis; it breathes, reports how far it is, and can be stopped.

import { breathe, type Work } from '../work.ts';
import { sortedQuantile } from './quantile.ts';
import { theilSen } from './trend.ts';

export interface Interval {
  readonly low: number;
  readonly high: number;
  /** Coverage, e.g. 0.95. */
  readonly level: number;
  readonly rounds: number;
}

export interface BootstrapOptions {
  readonly rounds: number;
  /** Uniform in [0, 1). */
  readonly random: () => number;
  readonly level?: number;
  /** Values in one block; default one cycle or a twentieth of the series. */
  readonly block?: number;
}

/** A longer series is averaged down to this many points: the pairs grow with its square. */
const MAX_POINTS = 360;
const ROUNDS_PER_BREATH = 2;

/** Interval of the change per step. Needs at least 8 values. */
export async function slopeInterval(
  values: readonly number[],
  options: BootstrapOptions,
  work: Work,
): Promise<Interval> {
  const stride = Math.max(1, Math.ceil(values.length / MAX_POINTS));
  const points = average(values, stride);
  const slope = theilSen(points);
  const residuals = points.map((value, at) => value - slope * at);
  const block = Math.max(2, Math.ceil((options.block ?? values.length / 20) / stride));
  const slopes = new Float64Array(options.rounds);
  for (let round = 0; round < options.rounds; round++) {
    if (round % ROUNDS_PER_BREATH === 0) {
      work.progress(round / options.rounds, `bootstrap ${round}/${options.rounds}`);
      await breathe(work);
    }
    const drawn = drawBlocks(residuals, Math.min(block, residuals.length), options.random);
    slopes[round] = theilSen(drawn.map((value, at) => value + slope * at)) / stride;
  }
  const level = options.level ?? 0.95;
  slopes.sort();
  return {
    low: sortedQuantile(slopes, (1 - level) / 2),
    high: sortedQuantile(slopes, (1 + level) / 2),
    level,
    rounds: options.rounds,
  };
}

function average(values: readonly number[], stride: number): number[] {
  if (stride === 1) return [...values];
  const whole = Math.floor(values.length / stride);
  return Array.from({ length: whole }, (_, at) => {
    const part = values.slice(at * stride, (at + 1) * stride);
    return part.reduce((sum, value) => sum + value, 0) / part.length;
  });
}

function drawBlocks(values: readonly number[], block: number, random: () => number): number[] {
  const drawn: number[] = [];
  while (drawn.length < values.length) {
    const start = Math.floor(random() * (values.length - block + 1));
    drawn.push(...values.slice(start, start + block));
  }
  return drawn.slice(0, values.length);
}

/** mulberry32: small, seeded, good enough for resampling; the same seed gives the same interval. */
export function seededRandom(seed: number): () => number {
  let state = seed >>> 0;
  return () => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
