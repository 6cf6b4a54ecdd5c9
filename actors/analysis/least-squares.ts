// Linear least squares by Householder QR on centred, scaled columns: normal equations would lose half of the digits.

import { meanAndSd } from './describe.ts';

export interface Fit {
  /** Intercept first. */
  readonly coefficients: readonly number[];
  readonly standardErrors: readonly number[];
  readonly residuals: Float64Array;
  readonly residualSd: number;
  readonly rSquared: number;
}

export type FitResult = { readonly ok: true; readonly fit: Fit } | { readonly ok: false; readonly reason: string };

/** Fits y = b0 + b1 x1 + ... . `columns` are the predictors, each as long as `y`. */
export function leastSquares(columns: readonly ArrayLike<number>[], y: ArrayLike<number>): FitResult {
  const n = y.length;
  const k = columns.length;
  if (n <= k + 1) return { ok: false, reason: `needs more than ${k + 1} rows, got ${n}` };
  const scaled = columns.map(standardise);
  const flat = scaled.findIndex((column) => column.scale === 0);
  if (flat >= 0) return { ok: false, reason: `predictor ${flat + 1} does not vary` };
  const target = standardise(y);
  const factored = householder(scaled.map((column) => Float64Array.from(column.values)));
  if (!factored) return { ok: false, reason: 'the predictors depend on each other' };
  const rhs = Float64Array.from(target.values);
  for (const [at, v] of factored.reflectors.entries()) reflect(v, rhs, at);
  const slopes = backSubstitute(factored.columns, rhs).map(
    (value, at) => (value * target.scale) / (scaled[at]?.scale ?? 1),
  );
  return { ok: true, fit: summarise({ columns, y, scaled, factored: factored.columns, slopes, yMean: target.mean }) };
}

interface Standardised {
  readonly mean: number;
  readonly scale: number;
  readonly values: Float64Array;
}

/** Centred and scaled to unit length. */
function standardise(values: ArrayLike<number>): Standardised {
  const { mean } = meanAndSd(values);
  const centred = new Float64Array(values.length);
  let squares = 0;
  for (let at = 0; at < values.length; at++) {
    const off = (values[at] ?? 0) - mean;
    centred[at] = off;
    squares += off * off;
  }
  const scale = Math.sqrt(squares);
  return { mean, scale, values: scale === 0 ? centred : centred.map((value) => value / scale) };
}

interface Factored {
  /** Columns of R above and on the diagonal. */
  readonly columns: Float64Array[];
  readonly reflectors: Float64Array[];
}

const SINGULAR = 1e-12;

function householder(columns: Float64Array[]): Factored | undefined {
  const reflectors: Float64Array[] = [];
  for (const [at, column] of columns.entries()) {
    let norm = 0;
    for (let row = at; row < column.length; row++) norm += (column[row] ?? 0) ** 2;
    norm = Math.sqrt(norm);
    if (norm < SINGULAR) return undefined;
    const v = new Float64Array(column.length);
    for (let row = at; row < column.length; row++) v[row] = column[row] ?? 0;
    v[at] = (v[at] ?? 0) + ((column[at] ?? 0) >= 0 ? norm : -norm);
    for (const later of columns.slice(at)) reflect(v, later, at);
    reflectors.push(v);
  }
  return { columns, reflectors };
}

/** Applies I - 2vv'/v'v to `target` from row `from` on. */
function reflect(v: Float64Array, target: Float64Array, from: number): void {
  let vv = 0;
  let vt = 0;
  for (let row = from; row < v.length; row++) {
    const value = v[row] ?? 0;
    vv += value * value;
    vt += value * (target[row] ?? 0);
  }
  const factor = vv === 0 ? 0 : (2 * vt) / vv;
  for (let row = from; row < v.length; row++) target[row] = (target[row] ?? 0) - factor * (v[row] ?? 0);
}

/** Solves R x = rhs; column j of R is `columns[j]`. */
function backSubstitute(columns: readonly Float64Array[], rhs: ArrayLike<number>): number[] {
  const x = new Array<number>(columns.length).fill(0);
  for (let row = columns.length - 1; row >= 0; row--) {
    let value = rhs[row] ?? 0;
    for (let column = row + 1; column < columns.length; column++) {
      value -= (columns[column]?.[row] ?? 0) * (x[column] ?? 0);
    }
    x[row] = value / (columns[row]?.[row] ?? Number.NaN);
  }
  return x;
}

function summarise(parts: {
  columns: readonly ArrayLike<number>[];
  y: ArrayLike<number>;
  scaled: readonly Standardised[];
  factored: readonly Float64Array[];
  slopes: readonly number[];
  yMean: number;
}): Fit {
  const { columns, y, scaled, factored, slopes, yMean } = parts;
  const n = y.length;
  const k = columns.length;
  const residuals = new Float64Array(n);
  let residualSquares = 0;
  let totalSquares = 0;
  for (let row = 0; row < n; row++) {
    const off = (y[row] ?? 0) - yMean;
    let fitted = 0;
    for (let column = 0; column < k; column++) {
      fitted += (slopes[column] ?? 0) * ((columns[column]?.[row] ?? 0) - (scaled[column]?.mean ?? 0));
    }
    residuals[row] = off - fitted;
    residualSquares += (off - fitted) ** 2;
    totalSquares += off * off;
  }
  const residualSd = Math.sqrt(residualSquares / (n - k - 1));
  const inverse = inverseRows(factored);
  const means = scaled.map((column) => column.mean / column.scale);
  return {
    coefficients: [yMean - slopes.reduce((sum, slope, at) => sum + slope * (scaled[at]?.mean ?? 0), 0), ...slopes],
    standardErrors: [
      residualSd * Math.sqrt(1 / n + squaredLength(multiplyTransposed(inverse, means))),
      ...inverse.map((row, at) => (residualSd * Math.sqrt(squaredLength(row))) / (scaled[at]?.scale ?? 1)),
    ],
    residuals,
    residualSd,
    rSquared: totalSquares === 0 ? 1 : 1 - residualSquares / totalSquares,
  };
}

/** Rows of R^-1: (X'X)^-1 = R^-1 R^-T, so the variance of b_j is the squared length of row j. */
function inverseRows(columns: readonly Float64Array[]): number[][] {
  const k = columns.length;
  const rows = Array.from({ length: k }, () => new Array<number>(k).fill(0));
  for (let unit = 0; unit < k; unit++) {
    const rhs = new Float64Array(k);
    rhs[unit] = 1;
    for (const [row, value] of backSubstitute(columns, rhs).entries()) (rows[row] ?? [])[unit] = value;
  }
  return rows;
}

function multiplyTransposed(rows: readonly (readonly number[])[], vector: readonly number[]): number[] {
  return rows.map((_, column) => rows.reduce((sum, row, at) => sum + (row[column] ?? 0) * (vector[at] ?? 0), 0));
}

const squaredLength = (values: readonly number[]): number => values.reduce((sum, value) => sum + value * value, 0);
