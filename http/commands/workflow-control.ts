// `troupe workflow pause`, `resume`, `fork`, `inputs`, `answer`, `signal` and `append`: acting on a run.

import type { Command } from 'commander';
import { UsageError } from './failure.ts';
import { intArgument, jsonArgument, print } from './output.ts';
import { connect, type RemoteOptions, withRemoteOptions } from './remote.ts';
import { inputsText, inputText, pathOf, show } from './workflow-text.ts';

interface AnswerFlags extends RemoteOptions {
  readonly approve?: boolean;
  readonly reject?: boolean;
  readonly value?: string;
  readonly comment?: string;
  readonly round?: number;
}

export function addWorkflowControl(workflow: Command): void {
  for (const [verb, description] of [
    ['pause', 'start nothing new; what is in flight goes on'],
    ['resume', 'go on'],
  ] as const) {
    withRemoteOptions(workflow.command(verb))
      .description(description)
      .argument('<id>')
      .action(async (id: string, flags: RemoteOptions) => {
        const remote = await connect(flags);
        print(await remote.send('POST', `${pathOf(id)}/${verb}`), flags.json, show);
      });
  }

  withRemoteOptions(workflow.command('fork'))
    .description('run it again with the outcomes it has; without --from-step what had not completed is done anew')
    .argument('<id>')
    .option('--from-step <step>', 'this step and all that depends on it are done anew')
    .option('--name <name>', 'of the new workflow')
    .option('--no-start', 'do not start it')
    .action(async (id: string, flags: RemoteOptions & { fromStep?: string; name?: string; start: boolean }) => {
      const remote = await connect(flags);
      const { fromStep, name, start } = flags;
      print(await remote.send('POST', `${pathOf(id)}/fork`, { fromStep, name, start }), flags.json, show);
    });

  withRemoteOptions(workflow.command('inputs'))
    .description('list questions to people: of a run and all below it, or of every run and task')
    .argument('[id]')
    .option('--state <state>', 'open, answered, closed or all', 'open')
    .option('--limit <n>', 'at most so many', intArgument('--limit'))
    .action(async (id: string | undefined, flags: RemoteOptions & { state: string; limit?: number }) => {
      const remote = await connect(flags);
      const query = {
        state: flags.state === 'all' ? undefined : flags.state,
        limit: flags.limit === undefined ? undefined : String(flags.limit),
      };
      const path = id === undefined ? '/api/agents/inputs' : `${pathOf(id)}/inputs`;
      print(await remote.get(path, query), flags.json, inputsText);
    });

  withRemoteOptions(workflow.command('answer'))
    .description('answer an approval (--approve, --reject) or a question (--value)')
    .argument('<id>', 'of the workflow that asks: see troupe workflow inputs')
    .argument('<step>')
    .option('--approve', 'yes')
    .option('--reject', 'no: the step fails')
    .option('--value <json>', 'JSON, @file, or - for standard input')
    .option('--comment <text>', 'kept with an approval')
    .option('--round <n>', 'of a step that runs more than once', intArgument('--round'))
    .action(async (id: string, step: string, flags: AnswerFlags) => {
      const body = answerOf(flags);
      const remote = await connect(flags);
      const answered = await remote.send('POST', `${pathOf(id)}/inputs/${encodeURIComponent(step)}`, body);
      print(answered, flags.json, inputText);
    });

  withRemoteOptions(workflow.command('signal'))
    .description('tell the strategy of a run something')
    .argument('<id>')
    .argument('<key>')
    .option('--value <json>', 'JSON, @file, or - for standard input')
    .option('--id <id>', 'told once for each id')
    .action(async (id: string, key: string, flags: RemoteOptions & { value?: string; id?: string }) => {
      const value = flags.value === undefined ? undefined : jsonArgument('--value', flags.value);
      const remote = await connect(flags);
      print(await remote.send('POST', `${pathOf(id)}/signals`, { key, value, id: flags.id }), flags.json, () => 'kept');
    });

  withRemoteOptions(workflow.command('append'))
    .description('give a pipeline that was created with "open": true more items')
    .argument('<id>')
    .argument('[items]', 'a JSON array, @file, or - for standard input', '[]')
    .option('--end', 'no more will come')
    .option('--id <id>', 'taken once for each id')
    .action(async (id: string, given: string, flags: RemoteOptions & { end?: boolean; id?: string }) => {
      const items = jsonArgument('the items', given);
      const remote = await connect(flags);
      const body = { items, end: flags.end, id: flags.id };
      print(await remote.send('POST', `${pathOf(id)}/items`, body), flags.json, () => 'kept');
    });
}

function answerOf({ approve, reject, value, comment, round }: AnswerFlags): Record<string, unknown> {
  const given = [approve, reject, value].filter((one) => one !== undefined);
  if (given.length !== 1) throw new UsageError('give one of --approve, --reject and --value');
  if (value !== undefined) return { value: jsonArgument('--value', value), comment, round };
  return { approved: approve === true, comment, round };
}
