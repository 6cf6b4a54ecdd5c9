// `troupe workflow`: create, start, read, list and cancel workflows of a running server.

import type { Command } from 'commander';
import { intArgument, jsonArgument, print, type Row, table } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';
import { addWorkflowControl } from './workflow-control.ts';
import { addWorkflowFigures } from './workflow-figures.ts';
import { BASE, pageText, pathOf, show } from './workflow-text.ts';

export function addWorkflowCommand(program: Command): void {
  const workflow = program.command('workflow').description('workflows of a running server');

  withRemoteOptions(workflow.command('create'))
    .description('create a workflow from its definition')
    .argument('<definition>', 'JSON, @file, or - for standard input')
    .option('--start', 'start it at once')
    .option('--wait <seconds>', 'with --start: wait for the end, at most 60', intArgument('--wait'))
    .action(async (definition: string, flags: RemoteOptions & { start?: boolean; wait?: number }) => {
      const remote = await connect(flags);
      const created = (await remote.send('POST', `${BASE}/create`, jsonArgument('the definition', definition))) as Row;
      const shown = flags.start ? await start(remote, String(created.id), flags.wait) : created;
      print(shown, flags.json, show);
    });

  withRemoteOptions(workflow.command('start'))
    .description('start a workflow')
    .argument('<id>')
    .option('--wait <seconds>', 'wait for the end, at most 60', intArgument('--wait'))
    .action(async (id: string, flags: RemoteOptions & { wait?: number }) => {
      const remote = await connect(flags);
      print(await start(remote, id, flags.wait), flags.json, show);
    });

  withRemoteOptions(workflow.command('get'))
    .description('show a workflow and its steps')
    .argument('<id>')
    .option('--steps <n>', 'steps to show, at most 1000', intArgument('--steps'))
    .option('--steps-cursor <cursor>', 'the next steps')
    .action(async (id: string, flags: RemoteOptions & { steps?: number; stepsCursor?: string }) => {
      const remote = await connect(flags);
      const { steps, stepsCursor } = flags;
      const query = { ...(steps === undefined ? {} : { stepsLimit: String(steps) }), stepsCursor };
      print(await remote.get(pathOf(id), query), flags.json, show);
    });

  withRemoteOptions(workflow.command('list'))
    .description('list workflows, newest first')
    .option('--status <state>', 'only these')
    .option('--pattern <name>', 'only these')
    .option('--limit <n>', 'items on a page')
    .option('--cursor <cursor>', 'the next page')
    .action(async (flags: RemoteOptions & Record<string, string | undefined>) => {
      const remote = await connect(flags);
      const { status, pattern, limit, cursor } = flags;
      print(await remote.get(`${BASE}/list`, { status, pattern, limit, cursor }), flags.json, pageText);
    });

  withRemoteOptions(workflow.command('cancel'))
    .description('cancel a workflow and its running steps')
    .argument('<id>')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.send('POST', `${pathOf(id)}/cancel`), flags.json, show);
    });

  withRemoteOptions(workflow.command('decisions'))
    .description('show what was chosen, and by which rule')
    .argument('<id>')
    .action(async (id: string, flags: RemoteOptions) => {
      const remote = await connect(flags);
      print(await remote.get(`${pathOf(id)}/decisions`), flags.json, ({ items }: { items: Row[] }) =>
        table(items, ['seq', 'kind', 'rule', 'chosen']),
      );
    });

  addWorkflowControl(workflow);
  addWorkflowFigures(workflow);
}

function start(remote: Awaited<ReturnType<typeof connect>>, id: string, waitS: number | undefined): Promise<unknown> {
  return remote.send('POST', `${pathOf(id)}/start`, undefined, waitS === undefined ? {} : { prefer: `wait=${waitS}` });
}
