// `troupe migrate`: brings the database to this build's schema and leaves it, for those who migrate before they start.

import type { Command } from 'commander';
import { resolveConfig } from '../../runtime/config.ts';
import { systemAmbient } from '../../runtime/observe/ambient.ts';
import { createLogger } from '../../runtime/observe/logger.ts';
import { configInput, withConfigOptions } from './config-options.ts';
import { print, type Row } from './output.ts';

export function addMigrateCommand(program: Command): void {
  withConfigOptions(program.command('migrate'))
    .description('bring the database to the schema of this version')
    .option('--json', 'print JSON')
    .action(async (flags: Record<string, unknown> & { json?: boolean }) => {
      const config = resolveConfig(configInput(flags), process.env);
      const ambient = systemAmbient(createLogger(config));
      const { openStore } = await import('../../runtime/store/open-store.ts');
      const { databaseUrl, dataDir, leaseMs } = config;
      const store = await openStore(
        { dataDir, leaseMs, node: ambient.newId('node'), ...(databaseUrl === undefined ? {} : { databaseUrl }) },
        ambient,
      );
      const { kind } = store;
      await store.close();
      print(
        { database: kind, status: 'up to date' },
        flags.json,
        ({ database, status }: Row) => `${database}: ${status}`,
      );
    });
}
