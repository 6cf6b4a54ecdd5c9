// Numbers for people: as many digits as mean something, no more.

/** Four significant digits, thousands separated, no trailing zeros. */
export function number(value: number): string {
  if (!Number.isFinite(value)) return 'n/a';
  if (Number.isInteger(value)) return value.toLocaleString('en-US');
  const digits = Math.abs(value) >= 1_000 ? Math.round(value) : Number(value.toPrecision(4));
  return digits.toLocaleString('en-US', { maximumSignificantDigits: 6 });
}

export function signed(value: number): string {
  return value > 0 ? `+${number(value)}` : number(value);
}

export const percent = (share: number): string => `${Math.round(share * 100)} %`;

/** `1 file`, `2 files`. */
export const counted = (count: number, one: string, many = `${one}s`): string =>
  `${number(count)} ${count === 1 ? one : many}`;
