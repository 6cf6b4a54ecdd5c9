// Runs benchmarks: every round of every subject in a fresh process, subjects alternating, so that a noisy moment hits all of them.
// Usage: npm run bench -- [scenario ...] [--rounds 5] [--gate] [--list]. Runs compiled, from the root of the project.

import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { cpus, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import type { Confirmed, Scenario, Subject } from './scenario.ts';

const here = dirname(fileURLToPath(import.meta.url));
const WARM_UPS = 1;
const ROUND_LIMIT_MS = 180_000;

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: {
    rounds: { type: 'string', default: '5' },
    gate: { type: 'boolean', default: false },
    list: { type: 'boolean', default: false },
    one: { type: 'string' },
  },
});

interface Figure {
  readonly subject: string;
  readonly role: Subject['role'];
  readonly perSecond: { readonly median: number; readonly min: number; readonly max: number };
  readonly samples: readonly number[];
}

async function loadScenario(name: string): Promise<Scenario> {
  const module = (await import(`./scenarios/${name}.js`)) as { scenario: Scenario };
  return module.scenario;
}

function scenarioNames(): string[] {
  return readdirSync(join(here, 'scenarios'))
    .filter((file) => file.endsWith('.js'))
    .map((file) => file.slice(0, -3));
}

/** In the child: one subject, warmed up, one measured round. */
async function measureOne(scenario: Scenario, subjectName: string): Promise<void> {
  const subject = scenario.subjects.find(({ name }) => name === subjectName);
  if (!subject) throw new Error(`no subject ${subjectName} in ${scenario.name}`);
  const prepared = await subject.prepare();
  try {
    for (let at = 0; at < WARM_UPS; at++) await prepared.once();
    const confirmed = await prepared.once();
    process.stdout.write(`\n@result ${JSON.stringify(confirmed)}\n`);
  } finally {
    await prepared.close();
  }
}

/** In the parent: a fresh process for one round. */
function measureInChild(scenario: string, subject: string): Promise<Confirmed> {
  return new Promise((resolve, reject) => {
    const child = spawn(process.execPath, [fileURLToPath(import.meta.url), scenario, '--one', subject], {
      stdio: ['ignore', 'pipe', 'inherit'],
      timeout: ROUND_LIMIT_MS,
      killSignal: 'SIGKILL',
    });
    let out = '';
    child.stdout.on('data', (chunk: Buffer) => {
      out += chunk.toString();
    });
    child.on('error', reject);
    child.on('close', (code) => {
      const line = out.match(/@result (.*)/)?.[1];
      if (line) resolve(JSON.parse(line) as Confirmed);
      else reject(new Error(`${scenario} / ${subject} gave no result (exit ${code})`));
    });
  });
}

async function measure(scenario: Scenario, rounds: number): Promise<Figure[]> {
  const samples = new Map(scenario.subjects.map(({ name }) => [name, [] as number[]]));
  for (let round = 0; round < rounds; round++) {
    for (const subject of scenario.subjects) {
      const { count, ms } = await measureInChild(scenario.name, subject.name);
      samples.get(subject.name)?.push((count / ms) * 1_000);
      process.stderr.write('.');
    }
  }
  process.stderr.write('\n');
  return scenario.subjects.map(({ name, role }) => {
    const sorted = [...(samples.get(name) ?? [])].sort((a, b) => a - b);
    const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
    return {
      subject: name,
      role,
      samples: sorted,
      perSecond: { median, min: sorted[0] ?? 0, max: sorted.at(-1) ?? 0 },
    };
  });
}

/** Ours against each other subject, median over median. */
function ratios(figures: readonly Figure[]): Record<string, number> {
  const ours = figures.find(({ role }) => role === 'ours')?.perSecond.median ?? 0;
  return Object.fromEntries(
    figures
      .filter(({ role }) => role !== 'ours')
      .map(({ subject, perSecond }) => [subject, round2(ours / perSecond.median)]),
  );
}

const round2 = (value: number): number => Math.round(value * 100) / 100;
const whole = (value: number): string => Math.round(value).toLocaleString('en');

function machine(): Record<string, unknown> {
  const commit = execFileSync('git', ['rev-parse', '--short', 'HEAD'], { cwd: process.cwd() }).toString().trim();
  return {
    commit,
    node: process.version,
    cpu: cpus()[0]?.model ?? 'unknown',
    cores: cpus().length,
    memoryGiB: Math.round(totalmem() / 2 ** 30),
  };
}

/** A figure with its unit: rates are whole, anything else is small. */
const figure = (value: number, unit = '/s'): string => (unit === '/s' ? whole(value) : value.toFixed(2)) + unit;

function print(scenario: Scenario, figures: readonly Figure[], against: Record<string, number>): void {
  console.log(`\n${scenario.name}: ${scenario.about}`);
  for (const { subject, role, perSecond } of figures) {
    const ratio = role === 'ours' || scenario.unit ? '' : `  ours / this = ${against[subject]}`;
    console.log(
      `  ${role.padEnd(5)} ${subject.padEnd(36)} ${figure(perSecond.median, scenario.unit).padStart(14)}  (${figure(perSecond.min, scenario.unit)} to ${figure(perSecond.max, scenario.unit)})${ratio}`,
    );
  }
}

/** Floors that were missed, as sentences. */
function missedFloors(scenario: Scenario, against: Record<string, number>): string[] {
  return Object.entries(scenario.floors ?? {})
    .filter(([subject, floor]) => (against[subject] ?? 0) < floor)
    .map(([subject, floor]) => `${scenario.name}: ${against[subject]} of ${subject}, the floor is ${floor}`);
}

async function main(): Promise<number> {
  if (values.list) {
    for (const name of scenarioNames()) console.log(name);
    return 0;
  }
  const names = positionals.length > 0 ? positionals : scenarioNames();
  if (values.one !== undefined) {
    await measureOne(await loadScenario(names[0] ?? ''), values.one);
    return 0;
  }
  const rounds = Number(values.rounds);
  const missed: string[] = [];
  const results = join(process.cwd(), 'bench', 'results');
  mkdirSync(results, { recursive: true });
  for (const name of names) {
    const scenario = await loadScenario(name);
    const figures = await measure(scenario, rounds);
    const against = scenario.unit ? {} : ratios(figures);
    print(scenario, figures, against);
    missed.push(...missedFloors(scenario, against));
    const report = {
      scenario: name,
      about: scenario.about,
      ...(scenario.unit ? { unit: scenario.unit } : {}),
      at: new Date().toISOString(),
      rounds,
      machine: machine(),
      figures,
      ratios: against,
    };
    writeFileSync(join(results, `${name}.json`), `${JSON.stringify(report, null, 2)}\n`);
  }
  if (!values.gate) return 0;
  for (const line of missed) console.error(`below the floor: ${line}`);
  return missed.length === 0 ? 0 : 1;
}

process.exit(await main());
