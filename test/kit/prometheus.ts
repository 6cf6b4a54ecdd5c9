// Reads the Prometheus text format (version 0.0.4) strictly: what a scraper would only wonder about is an error here.

export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly type: string;
  readonly help: string;
  readonly samples: Sample[];
}

const SAMPLE = /^([a-zA-Z_:][\w:]*)(?:\{(.*)\})? (\S+)$/;
const LABEL = /^([a-zA-Z_]\w*)="((?:[^"\\\n]|\\["\\n])*)"(?:,|$)/;
const UNITS_NOT_BASE = /_(milliseconds|ms|minutes|hours|kilobytes|megabytes|percent)(_|$)/;

/** @throws Error naming the line that is wrong. */
export function parsePrometheus(text: string): Map<string, Family> {
  if (!text.endsWith('\n')) throw new Error('the last line has no end');
  const families = new Map<string, { name: string; type: string; help: string; samples: Sample[] }>();
  const seen = new Set<string>();
  let help: [name: string, text: string] | undefined;
  let current: Family | undefined;
  for (const [at, line] of text.split('\n').entries()) {
    const wrong = (why: string): never => {
      throw new Error(`line ${at + 1}: ${why}: ${line}`);
    };
    if (line === '') continue;
    const [, kind, name = '', rest = ''] = /^# (HELP|TYPE) (\S+) (.+)$/.exec(line) ?? [];
    if (kind === 'HELP') {
      help = [name, rest];
      continue;
    }
    if (kind === 'TYPE') {
      if (help?.[0] !== name) wrong('a type without its help before it');
      if (families.has(name)) wrong('a family twice');
      if (!['counter', 'gauge', 'histogram'].includes(rest)) wrong('no such type');
      current = { name, type: rest, help: help?.[1] ?? '', samples: [] };
      families.set(name, current);
      continue;
    }
    const [, sample = '', labels = '', value = ''] = SAMPLE.exec(line) ?? wrong('no sample');
    const family = sample.replace(current?.type === 'histogram' ? /_(bucket|sum|count)$/ : /$^/, '');
    if (family !== current?.name) wrong('a sample outside of its family');
    if (!/^([+-]?\d+(\.\d+)?(e[+-]?\d+)?|\+Inf|NaN)$/i.test(value)) wrong('no number');
    const key = `${sample}{${labels}}`;
    if (seen.has(key)) wrong('a series twice');
    seen.add(key);
    current?.samples.push({
      name: sample,
      labels: labelsOf(labels, wrong),
      value: Number(value.replace('+Inf', 'Infinity')),
    });
  }
  for (const family of families.values()) check(family);
  return families;
}

/** The sum over the samples that have these labels. */
export function sampled(
  families: ReadonlyMap<string, Family>,
  name: string,
  labels: Record<string, string> = {},
): number {
  const family = families.get(name) ?? families.get(name.replace(/_(bucket|sum|count)$/, ''));
  if (!family) throw new Error(`there is no ${name}`);
  return family.samples
    .filter((sample) => sample.name === name)
    .filter((sample) => Object.entries(labels).every(([label, value]) => sample.labels[label] === value))
    .reduce((sum, { value }) => sum + value, 0);
}

function labelsOf(text: string, wrong: (why: string) => never): Record<string, string> {
  const labels: Record<string, string> = {};
  for (let rest = text; rest !== ''; ) {
    const [whole, name = '', value = ''] = LABEL.exec(rest) ?? wrong('no label');
    if (name in labels) wrong('a label twice');
    labels[name] = value.replace(/\\(["\\n])/g, (_, char) => (char === 'n' ? '\n' : char));
    rest = rest.slice(whole.length);
  }
  return labels;
}

/** The conventions that `promtool check metrics` keeps. */
function check({ name, type, help, samples }: Family): void {
  const wrong = (why: string): never => {
    throw new Error(`${name}: ${why}`);
  };
  if (help === '') wrong('no help');
  if (UNITS_NOT_BASE.test(name)) wrong('no base unit');
  if (name.endsWith('_total') !== (type === 'counter')) wrong('counters, and only they, end in _total');
  if (/_(bucket|sum|count)$/.test(name)) wrong('the end of the name means something');
  if (type === 'counter' && samples.some(({ value }) => value < 0)) wrong('a counter below zero');
  if (type !== 'histogram') return;
  const groups = new Map<string, Sample[]>();
  for (const sample of samples) {
    const { le: _le, ...rest } = sample.labels;
    const key = JSON.stringify(rest);
    groups.set(key, [...(groups.get(key) ?? []), sample]);
  }
  for (const group of groups.values()) {
    const buckets = group.filter((sample) => sample.name.endsWith('_bucket'));
    const count = group.find((sample) => sample.name.endsWith('_count'))?.value;
    if (buckets.at(-1)?.labels.le !== '+Inf') wrong('the last bucket is not +Inf');
    if (buckets.at(-1)?.value !== count) wrong('the last bucket is not the count');
    if (!group.some((sample) => sample.name.endsWith('_sum'))) wrong('no sum');
    if (buckets.some(({ value }, at) => value < (buckets[at - 1]?.value ?? 0)))
      wrong('a bucket below the one before it');
  }
}
