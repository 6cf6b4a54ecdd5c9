// Times to the millisecond, scores and costs: what pictures write beside their marks. Pure.

/** 14:03:07.250 in the zone of whoever looks. */
export function clockMs(at: string | number | null | undefined): string {
  if (at === null || at === undefined) return '–';
  const date = new Date(at);
  if (Number.isNaN(date.getTime())) return '–';
  const two = (value: number): string => String(value).padStart(2, '0');
  const rest = String(date.getMilliseconds()).padStart(3, '0');
  return `${two(date.getHours())}:${two(date.getMinutes())}:${two(date.getSeconds())}.${rest}`;
}

/** As many digits as tell two scores apart. */
export function figure(value: unknown): string {
  if (typeof value !== 'number' || !Number.isFinite(value)) return '–';
  const size = Math.abs(value);
  if (Number.isInteger(value) && size < 1e6) return String(value);
  return size !== 0 && (size < 1e-3 || size >= 1e6) ? value.toExponential(2) : String(Number(value.toPrecision(4)));
}

/** A value on one line, cut. */
export function brief(value: unknown, most = 120): string {
  const text = typeof value === 'string' ? value : (JSON.stringify(value) ?? '');
  return text.length > most ? `${text.slice(0, most - 1)}…` : text;
}
