// `troupe task`: submit, read, list, cancel, redrive and await tasks of a running server.

import type { Command } from 'commander';
import { fields, intArgument, jsonArgument, print, type Row, table } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';

const BASE = '/api/agents/tasks';
const SHOWN = [
  'id',
  'status',
  'capability',
  'attempt',
  'agentId',
  'workflowId',
  'waitingFor',
  'question',
  'result',
  'error',
];
const show = (task: Row): string => fields(task, SHOWN);

interface SubmitFlags extends RemoteOptions {
  readonly input?: string;
  readonly priority?: number;
  readonly timeoutMs?: number;
  readonly deadlineMs?: number;
  readonly maxAttempts?: number;
  readonly agent?: string;
  readonly key?: string;
  readonly wait?: number;
}

export function addTaskCommand(program: Command): void {
  const task = program.command('task').description('tasks of a running server');

  withRemoteOptions(task.command('submit'))
    .description('submit a task')
    .argument('<capability>', 'like document.search or document.search@1')
    .option('--input <json>', 'input: JSON, @file, or - for standard input')
    .option('--priority <n>', '0 to 9, 9 first', intArgument('--priority'))
    .option('--timeout-ms <n>', 'of one attempt', intArgument('--timeout-ms'))
    .option('--deadline-ms <n>', 'of all attempts together', intArgument('--deadline-ms'))
    .option('--max-attempts <n>', 'attempts in all', intArgument('--max-attempts'))
    .option('--agent <id>', 'only this agent (id or name)')
    .option('--key <key>', 'idempotency key')
    .option('--wait <seconds>', 'wait for the end, at most 60', intArgument('--wait'))
    .action(async (capability: string, flags: SubmitFlags) => {
      const remote = await connect(flags);
      const { timeoutMs, deadlineMs, priority, maxAttempts } = flags;
      const body = {
        capability,
        ...(flags.input === undefined ? {} : { input: jsonArgument('--input', flags.input) }),
        ...(flags.agent === undefined ? {} : { agentId: flags.agent }),
        ...(maxAttempts === undefined ? {} : { retry: { maxAttempts } }),
        priority,
        timeoutMs,
        deadlineMs,
      };
      const headers = {
        ...(flags.key === undefined ? {} : { 'idempotency-key': flags.key }),
        ...(flags.wait === undefined ? {} : { prefer: `wait=${flags.wait}` }),
      };
      print(await remote.send('POST', `${BASE}/submit`, body, headers), flags.json, show);
    });

  withRemoteOptions(task.command('get'))
    .description('show a task')
    .argument('<id>')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get(`${BASE}/${encodeURIComponent(id)}`), flags.json, show);
    });

  withRemoteOptions(task.command('wait'))
    .description('wait until a task has ended, and show it')
    .argument('<id>')
    .option('--timeout <seconds>', 'default 300', intArgument('--timeout'), 300)
    .action(async (id: string, flags: RemoteOptions & { timeout: number }) => {
      const remote = await connect(flags);
      const task = await waitFor(remote, id, flags.timeout);
      print(task, flags.json, show);
      if (task.status !== 'completed') process.exitCode = 1;
    });

  withRemoteOptions(task.command('list'))
    .description('list tasks, newest first')
    .option('--status <state>', 'only these')
    .option('--capability <name>', 'only these')
    .option('--agent <id>', 'only of this agent')
    .option('--workflow <id>', 'only of this workflow')
    .option('--limit <n>', 'items on a page')
    .option('--cursor <cursor>', 'the next page')
    .action(async (flags: RemoteOptions & Record<string, string | undefined>) => {
      const remote = await connect(flags);
      const { status, capability, agent: agentId, workflow: workflowId, limit, cursor } = flags;
      const page = await remote.get(`${BASE}/list`, { status, capability, agentId, workflowId, limit, cursor });
      print(page, flags.json, pageText);
    });

  withRemoteOptions(task.command('cancel'))
    .description('cancel a task')
    .argument('<id>')
    .option('--grace-ms <n>', 'until it is stopped by force', intArgument('--grace-ms'))
    .action(async (id: string, flags: RemoteOptions & { graceMs?: number }) => {
      const remote = await connect(flags);
      const report = await remote.send('POST', `${BASE}/${encodeURIComponent(id)}/cancel`, { graceMs: flags.graceMs });
      print(report, flags.json, (value: Row) => fields(value, ['id', 'outcome', 'afterMs', 'collateral']));
    });

  withRemoteOptions(task.command('answer'))
    .description('answer what a waiting task asks a person: see troupe workflow inputs')
    .argument('<id>')
    .requiredOption('--value <json>', 'JSON, @file, or - for standard input')
    .option('--question <n>', 'only this one: its number among those of the task, from 0', intArgument('--question'))
    .action(async (id: string, flags: RemoteOptions & { value: string; question?: number }) => {
      const value = jsonArgument('--value', flags.value);
      const remote = await connect(flags);
      const body = { value, question: flags.question };
      print(await remote.send('POST', `${BASE}/${encodeURIComponent(id)}/input`, body), flags.json, show);
    });

  withRemoteOptions(task.command('redrive'))
    .description('put a dead task back into its queue (role admin)')
    .argument('<id>')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.send('POST', `${BASE}/${encodeURIComponent(id)}/redrive`), flags.json, show);
    });
}

const ENDED = ['completed', 'failed', 'dead', 'cancelled', 'timed_out'];

/** Long polls of at most 30 s until the task has ended or the time is over. */
async function waitFor(remote: Awaited<ReturnType<typeof connect>>, id: string, timeoutS: number): Promise<Row> {
  for (let left = timeoutS; ; left -= 30) {
    const path = `${BASE}/${encodeURIComponent(id)}`;
    const task = (await remote.get(path, {}, { prefer: `wait=${Math.max(1, Math.min(30, left))}` })) as Row;
    if (ENDED.includes(String(task.status)) || left <= 30) return task;
  }
}

function pageText({ items, nextCursor }: { items: Row[]; nextCursor: string | null }): string {
  const rows = table(items, ['id', 'status', 'capability', 'attempt', 'agentId']);
  return nextCursor === null ? rows : `${rows}\nmore: --cursor ${nextCursor}`;
}
