#!/usr/bin/env node
// The command `troupe`: reads the command line, runs one command, turns failures into one line and an exit code.

import { Command, CommanderError } from 'commander';
import { addAgentsCommand } from './commands/agents.ts';
import { addChannelCommand } from './commands/channel.ts';
import { addConfigCommand } from './commands/config.ts';
import { addDemoCommand } from './commands/demo.ts';
import { exitCodeOf, failureText } from './commands/failure.ts';
import { addInspectCommand } from './commands/inspect.ts';
import { addMessageCommand } from './commands/message.ts';
import { addMigrateCommand } from './commands/migrate.ts';
import { addNodesCommand } from './commands/nodes.ts';
import { addStartCommand } from './commands/start.ts';
import { addStatusCommand } from './commands/status.ts';
import { addTaskCommand } from './commands/task.ts';
import { addTokenCommand } from './commands/token.ts';
import { addWorkflowCommand } from './commands/workflow.ts';
import { EXIT } from './exit-codes.ts';
import { packageVersion } from './version.ts';

const program = new Command('troupe')
  .description('Supervised agents in worker threads, durable tasks and workflows, a REST API.')
  .version(packageVersion())
  .showSuggestionAfterError()
  .exitOverride()
  .configureOutput({ outputError: (text, write) => write(text.replace(/^error: /, 'troupe: ')) });

for (const add of [
  addStartCommand,
  addDemoCommand,
  addTokenCommand,
  addStatusCommand,
  addNodesCommand,
  addInspectCommand,
  addAgentsCommand,
  addTaskCommand,
  addWorkflowCommand,
  addMessageCommand,
  addChannelCommand,
  addMigrateCommand,
  addConfigCommand,
])
  add(program);

try {
  await program.parseAsync(process.argv);
} catch (error) {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? EXIT.ok : EXIT.usage;
  } else {
    process.stderr.write(`${failureText(error, process.argv.includes('--json'))}\n`);
    process.exitCode = exitCodeOf(error);
  }
}
