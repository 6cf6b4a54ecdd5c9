// `troupe config print`: every option as this process would use it, with where it came from; secrets are hidden.

import type { Command } from 'commander';
import { OPTIONS, printableConfig, resolveConfig } from '../../runtime/config.ts';
import { configInput, withConfigOptions } from './config-options.ts';
import { print, table } from './output.ts';

export function addConfigCommand(program: Command): void {
  const config = program.command('config').description('the configuration');
  withConfigOptions(config.command('print'))
    .description('print every option, its value and where it came from')
    .option('--json', 'print JSON')
    .action((flags: Record<string, unknown> & { json?: boolean }) => {
      const input = configInput(flags);
      const shown = printableConfig(resolveConfig(input, process.env));
      print(shown, flags.json, () =>
        table(
          (Object.keys(OPTIONS) as (keyof typeof OPTIONS)[]).map((key) => ({
            option: key,
            variable: OPTIONS[key].env,
            value: shown[key] ?? '',
            from: input[key] !== undefined ? 'flag' : process.env[OPTIONS[key].env] ? 'environment' : 'default',
            about: OPTIONS[key].about,
          })),
          ['variable', 'value', 'from', 'about'],
        ),
      );
    });
}
