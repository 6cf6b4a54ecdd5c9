// The options of `troupe demo`, mounted on a commander command.

import type { Command } from 'commander';

export interface DemoOptions {
  /** Folder of documents. Default: the README files of the installed packages. */
  readonly docs?: string;
  /** CSV files. Default: those in `data/` of the package. */
  readonly data?: readonly string[];
  readonly ask?: string;
  /** File of the report (`--out`). Default `troupe-report.md`. */
  readonly report?: string;
  /** End when done instead of serving the API until Ctrl-C. Read by the command, not by the run. */
  readonly exit?: boolean;
  /** Kill a thread in the middle. Default true. */
  readonly kill?: boolean;
}

export const DEFAULT_QUESTION = 'How do I run work in a worker thread, and how is a running task cancelled?';
export const DEFAULT_REPORT = 'troupe-report.md';

/** Adds the options; `command.opts()` is then a {@link DemoOptions}. */
export function addDemoOptions(command: Command): Command {
  // The value goes by the name `report`, because `out` is where the live view is written.
  command.on('option:out', (file: string) => command.setOptionValue('report', file));
  return command
    .option(
      '--docs <folder>',
      'documents to search (.md .txt .html .json .csv); default: READMEs of the installed packages',
    )
    .option('--data <file...>', 'CSV files to analyse; default: weather, CO2 and temperature in data/')
    .option('--ask <question>', `what to find out; default: "${DEFAULT_QUESTION}"`)
    .option('--out <file>', `where the report goes; default: ${DEFAULT_REPORT}`)
    .option('--exit', 'end when the report is written instead of serving the API until Ctrl-C')
    .option('--no-kill', 'do not kill a thread in the middle of the work');
}
