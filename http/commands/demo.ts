// `troupe demo`: the main job on real input, with live progress. The job itself is in http/demo/.

import type { Command } from 'commander';
import { configInput, withConfigOptions } from './config-options.ts';

interface DemoFlags extends Record<string, unknown> {
  readonly ask?: string;
  readonly docs?: string;
  readonly data?: string[];
  readonly out?: string;
  readonly exit?: boolean;
  readonly json?: boolean;
}

export function addDemoCommand(program: Command): void {
  withConfigOptions(program.command('demo'))
    .description('run the main job: research, analysis and a report, with a thread killed in the middle')
    .option('--ask <question>', 'what the report should answer')
    .option(
      '--docs <dir>',
      'folder with .md, .txt, .html, .json or .csv files; default the documents of the installed packages',
    )
    .option('--data <file...>', 'CSV files with the numbers; default the ones that come with Troupe')
    .option('--out <file>', 'where the report goes')
    .option('--exit', 'end when the report is written')
    .option('--json', 'print JSON lines')
    .action(async (flags: DemoFlags) => {
      const { runDemo } = await import('../demo/run-demo.ts');
      const { ask, docs, data, out, exit, json } = flags;
      const given = { ask, docs, data, out, exit, json };
      process.exitCode = await runDemo({
        ...Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined)),
        config: configInput(flags),
      });
    });
}
