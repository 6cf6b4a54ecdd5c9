// Figures and times as people read them. Numbers keep their width: tables use tabular digits.

const COUNT = new Intl.NumberFormat('en-GB');
const SHORT = new Intl.NumberFormat('en-GB', { notation: 'compact', maximumFractionDigits: 1 });
const CLOCK = new Intl.DateTimeFormat('en-GB', { hour: '2-digit', minute: '2-digit', second: '2-digit' });
const DAY = new Intl.DateTimeFormat('en-GB', { dateStyle: 'medium', timeStyle: 'medium' });

/** 12,345; a dash for what is not known. */
export function count(value: number | null | undefined): string {
  return value === null || value === undefined ? '–' : COUNT.format(value);
}

/** 12.3k */
export function short(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  return Math.abs(value) < 10 ? String(Math.round(value * 100) / 100) : SHORT.format(value);
}

/** 0.4 ms, 12 ms, 3.4 s, 2 min 5 s, 3 h 4 min, 2 d */
export function duration(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return '–';
  if (ms < 1 && ms > 0) return `${ms.toFixed(1)} ms`;
  if (ms < 1_000) return `${Math.round(ms)} ms`;
  if (ms < 60_000) return `${(ms / 1_000).toFixed(ms < 10_000 ? 1 : 0)} s`;
  const s = Math.round(ms / 1_000);
  if (s < 3_600) return `${Math.floor(s / 60)} min ${s % 60} s`;
  if (s < 86_400) return `${Math.floor(s / 3_600)} h ${Math.floor((s % 3_600) / 60)} min`;
  return `${Math.floor(s / 86_400)} d ${Math.floor((s % 86_400) / 3_600)} h`;
}

/** 64 kB, 12.3 MB; powers of 1,000. */
export function bytes(value: number | null | undefined): string {
  if (value === null || value === undefined) return '–';
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  let rest = value;
  let unit = 0;
  while (rest >= 1_000 && unit < units.length - 1) {
    rest /= 1_000;
    unit += 1;
  }
  return `${unit === 0 || rest >= 100 ? Math.round(rest) : rest.toFixed(1)} ${units[unit]}`;
}

/** 0.734 as 73 % */
export function percent(part: number | null | undefined): string {
  return part === null || part === undefined ? '–' : `${Math.round(part * 100)} %`;
}

/** The time of day, in the zone of whoever looks. */
export function clock(at: string | number | null | undefined): string {
  return at === null || at === undefined ? '–' : CLOCK.format(new Date(at));
}

/** The time of day for today, with the date otherwise. */
export function when(at: string | number | null | undefined): string {
  if (at === null || at === undefined) return '–';
  return new Date(at).toDateString() === new Date().toDateString() ? clock(at) : dateTime(at);
}

export function dateTime(at: string | number | null | undefined): string {
  return at === null || at === undefined ? '–' : DAY.format(new Date(at));
}

/** `agt_01k3…9x2f`: enough of an id to tell it from its neighbours. */
export function shortId(id: string): string {
  return id.length <= 16 ? id : `${id.slice(0, 4)}…${id.slice(-6)}`;
}

/** 1 agent, 2 agents */
export function plural(value: number, one: string, many = `${one}s`): string {
  return `${count(value)} ${value === 1 ? one : many}`;
}
