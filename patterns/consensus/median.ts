// Numbers to one number: the median, with what lies farthest from it left out, and whether ballots still to come could change it. Pure.

export interface Median {
  readonly value: number;
  /** Positions of the numbers that were left out. */
  readonly outliers: readonly number[];
}

/** Of at least one number. Of several equally far from the median of all, the later ones are left out first. */
export function trimmedMedian(numbers: readonly number[], trim: number): Median {
  const centre = medianOf(numbers);
  const left = Math.min(Math.floor(trim * numbers.length), numbers.length - 1);
  const outliers = numbers
    .map((number, at) => ({ at, distance: Math.abs(number - centre) }))
    .sort((a, b) => b.distance - a.distance || b.at - a.at)
    .slice(0, left)
    .map(({ at }) => at)
    .sort((a, b) => a - b);
  return { value: medianOf(numbers.filter((_, at) => !outliers.includes(at))), outliers };
}

export function medianOf(numbers: readonly number[]): number {
  const sorted = [...numbers].sort((a, b) => a - b);
  return middle(sorted, 0, sorted.length);
}

/** Whether any further numbers, up to `open` of them, leave the median where it is. Exact without trimming. */
export function medianIsFixed(numbers: readonly number[], open: number): boolean {
  const sorted = [...numbers].sort((a, b) => a - b);
  const now = middle(sorted, 0, sorted.length);
  for (let more = 1; more <= open; more++) {
    // the farthest they can pull: all below everything, or all above
    const length = sorted.length + more;
    if (middle(sorted, -more, length) !== now || middle(sorted, 0, length) !== now) return false;
  }
  return Number.isFinite(now);
}

/** The median of `length` numbers of which `sorted` are known; `from` negative: that many unknown ones stand before them. */
function middle(sorted: readonly number[], from: number, length: number): number {
  const at = (position: number): number => sorted[position + from] ?? Number.NaN;
  const half = length >> 1;
  if (length % 2 === 1) return at(half);
  const [low, high] = [at(half - 1), at(half)];
  return low === high ? low : low / 2 + high / 2;
}
