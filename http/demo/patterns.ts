// The examples, one after the other, and for each run of theirs what decided it: from its decision log, as anybody can read it.

import type { Writable } from 'node:stream';
import type { Decision } from '../../runtime/contracts/coordination.ts';
import type { TroupeRuntime } from '../../runtime/contracts/runtime.ts';
import type { WorkflowView } from '../../runtime/contracts/workflow.ts';

export interface Example<Runtime extends TroupeRuntime> {
  readonly pattern: string;
  /** Runs it and says what came of it; shown is the beginning. */
  run(troupe: Runtime): Promise<string>;
}

export interface PatternRun {
  readonly id: string;
  readonly name: string;
  readonly status: WorkflowView['status'];
  readonly stopReason: string | null;
  readonly steps: number;
  readonly wallMs: number;
  /** In words, the last ones of each kind. */
  readonly decided: readonly string[];
}

export interface PatternResult {
  readonly pattern: string;
  readonly ms: number;
  readonly text: string;
  readonly runs: readonly PatternRun[];
}

const MOST_RUNS = 20;
const MOST_DECISIONS = 500;
const OF_EACH_KIND = 3;
const CANDIDATES_SHOWN = 5;
const MOST_AGENTS = 100;
/** Of a report. */
const MOST_LINES = 24;

/** Rejects with what an example threw. */
export async function runExamples<Runtime extends TroupeRuntime>(
  troupe: Runtime,
  examples: readonly Example<Runtime>[],
  { out, nowMs }: { readonly out: Writable; readonly nowMs: () => number },
): Promise<readonly PatternResult[]> {
  const results: PatternResult[] = [];
  const seen = new Set<string>();
  for (const { pattern, run } of examples) {
    out.write(`${results.length > 0 ? '\n\n' : ''}== ${pattern}\n`);
    const fromMs = nowMs();
    const text = await run(troupe);
    const ms = nowMs() - fromMs;
    const { items } = await troupe.workflows.list({ limit: MOST_RUNS });
    const fresh = items.filter(({ id }) => !seen.has(id)).reverse();
    for (const { id } of fresh) seen.add(id);
    const names = await namesOf(troupe);
    const runs = await Promise.all(fresh.map(({ id }) => runOf(troupe, id, names)));
    out.write(`${headOf(text.trim())}\n\n${runs.map(runText).join('\n')}\n(${(ms / 1_000).toFixed(1)} s)\n`);
    results.push({ pattern, ms, text, runs });
  }
  return results;
}

function headOf(text: string): string {
  const lines = text.split('\n');
  if (lines.length <= MOST_LINES) return text;
  return `${lines.slice(0, MOST_LINES).join('\n')}\n... and ${lines.length - MOST_LINES} lines more`;
}

async function namesOf(troupe: TroupeRuntime): Promise<ReadonlyMap<string, string>> {
  const { items } = await troupe.agents.list({ limit: MOST_AGENTS });
  return new Map(items.map(({ id, name }) => [id, name]));
}

async function runOf(troupe: TroupeRuntime, id: string, names: ReadonlyMap<string, string>): Promise<PatternRun> {
  const [view, decisions] = await Promise.all([
    troupe.workflows.get(id),
    troupe.workflows.decisions(id, { limit: MOST_DECISIONS }),
  ]);
  const { name, status, stopReason, progress, metrics } = view;
  const decided = lastOfEachKind(decisions).map((decision) => decisionText(decision, names));
  return { id, name, status, stopReason, steps: progress.total, wallMs: metrics?.wallMs ?? 0, decided };
}

function lastOfEachKind(decisions: readonly Decision[]): readonly Decision[] {
  const left = new Map<string, number>();
  const kept = decisions.toReversed().filter(({ kind }) => {
    const count = left.get(kind) ?? 0;
    left.set(kind, count + 1);
    return count < OF_EACH_KIND;
  });
  return kept.reverse();
}

/** Agents by their names: ids mean nothing to a person. */
function decisionText({ kind, rule, chosen, candidates = [] }: Decision, names: ReadonlyMap<string, string>): string {
  const named = (text: string): string => text.replace(/agt_[a-z0-9]+/g, (id) => names.get(id) ?? id);
  const shown = candidates.slice(0, CANDIDATES_SHOWN).map(({ id, score, note }) => {
    const said = [score, note].filter((one) => one !== undefined).join(' ');
    return named(said === '' ? id : `${id} ${said}`);
  });
  const more = candidates.length > shown.length ? `, ${candidates.length - shown.length} more` : '';
  return `${kind} by ${rule}: ${named(chosen)}${shown.length > 0 ? ` (of ${shown.join(', ')}${more})` : ''}`;
}

const runText = ({ name, status, stopReason, steps, wallMs, decided }: PatternRun): string =>
  [
    `${name}: ${status}, stopped by ${stopReason ?? 'nothing'}, ${steps} steps in ${Math.round(wallMs)} ms`,
    ...decided.map((text) => `  ${text}`),
  ].join('\n');
