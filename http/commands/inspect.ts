// `troupe inspect`: a running cluster in a terminal, for machines without a browser: nodes, threads, tree, rates, queue, top agents.

import { setTimeout as sleep } from 'node:timers/promises';
import type { Command } from 'commander';
import type { InspectNodes, InspectThreads, InspectTree } from '../../runtime/contracts/inspection.ts';
import { inspectText, type Sight } from './inspect-text.ts';
import { durationArgument } from './output.ts';
import { connect, type Remote, type RemoteOptions, withRemoteOptions } from './remote.ts';

interface Flags extends RemoteOptions {
  readonly once?: boolean;
  readonly every?: number;
  readonly top?: string;
}

const EVERY_MS = 1_000;
const LEAST_EVERY_MS = 200;
const TOP = 10;
const MOST_AGENTS = 1_000;
/** Home, then clear what is below: the picture is drawn over itself. */
const HOME = '\u001b[H\u001b[J';
const CLEAR = '\u001b[2J';

export function addInspectCommand(program: Command): void {
  withRemoteOptions(program.command('inspect'))
    .description('look at a running cluster: nodes, threads, agents, rates, queue')
    .option('--once', 'print one picture and end')
    .option('--every <duration>', 'time between two pictures, default 1s', durationArgument('--every'))
    .option('--top <n>', `agents to show, default ${TOP}`)
    .action((flags: Flags) => look(flags));
}

async function look(flags: Flags): Promise<void> {
  const remote = await connect(flags);
  const everyMs = Math.max(LEAST_EVERY_MS, flags.every ?? EVERY_MS);
  const top = Math.max(0, Number(flags.top ?? TOP) || TOP);
  const inPlace = process.stdout.isTTY === true && !flags.json && !flags.once;
  if (inPlace) process.stdout.write(CLEAR);
  const ending = new AbortController();
  process.once('SIGINT', () => ending.abort());
  let before: Sight | undefined;
  // Rates are the difference of two sights: the first picture of `--once` is the second sight.
  for (;;) {
    const sight = await see(remote);
    if (before !== undefined || !flags.once) {
      const text = flags.json ? JSON.stringify(sight) : inspectText(sight, before, top, process.stdout.columns ?? 100);
      process.stdout.write(`${inPlace ? HOME : ''}${text}\n`);
      if (flags.once) return;
    }
    before = sight;
    await sleep(everyMs, undefined, { signal: ending.signal }).catch(() => undefined);
    if (ending.signal.aborted) return;
  }
}

async function see(remote: Remote): Promise<Sight> {
  const [nodes, threads, tree] = await Promise.all([
    remote.get('/api/inspect/nodes') as Promise<InspectNodes>,
    remote.get('/api/inspect/threads') as Promise<InspectThreads>,
    remote.get('/api/inspect/tree', { kind: 'agent', limit: String(MOST_AGENTS) }) as Promise<InspectTree>,
  ]);
  return { at: new Date().toISOString(), atMs: performance.now(), nodes, threads, tree };
}
