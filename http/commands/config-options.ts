// Every option of the configuration as a flag: `--data-dir` for `dataDir`, and so on. A flag wins over its variable.

import type { Command } from 'commander';
import { type ConfigInput, OPTIONS } from '../../runtime/config.ts';

const KEYS = Object.keys(OPTIONS) as (keyof typeof OPTIONS)[];

export function withConfigOptions(command: Command): Command {
  for (const key of KEYS) {
    const { env, about } = OPTIONS[key];
    command.option(`--${kebab(key)} <value>`, `${about} (${env})`);
  }
  return command;
}

/** The flags that were given. They are texts; the configuration's schema reads them as it reads variables. */
export function configInput(flags: Readonly<Record<string, unknown>>): ConfigInput {
  return Object.fromEntries(KEYS.filter((key) => flags[key] !== undefined).map((key) => [key, flags[key]]));
}

function kebab(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
