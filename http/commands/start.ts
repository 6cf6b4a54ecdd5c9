// `troupe start`: serves the API until it is told to end. Under a parent process that restarts the node when it dies, unless --no-parent.

import type { Command } from 'commander';
import { type Config, resolveConfig } from '../../runtime/config.ts';
import { RuntimeError } from '../../runtime/contracts/errors.ts';
import { EXIT } from '../exit-codes.ts';
import type { RunningNode } from '../main.ts';
import { runUnderParent } from '../parent.ts';
import { checkSecret } from '../secret.ts';
import { configInput, withConfigOptions } from './config-options.ts';
import { endSoon, signalled } from './life.ts';

interface StartFlags extends Record<string, unknown> {
  readonly parent: boolean;
  readonly join?: boolean;
}

export function addStartCommand(program: Command): void {
  withConfigOptions(program.command('start'))
    .description('serve the API')
    .option('--no-parent', 'run the node in this process, without one that restarts it')
    .option('--join', 'be one of a cluster: needs the DATABASE_URL and REDIS_URL that the other nodes have')
    .option('--json', 'log JSON lines (the same as --log-format json)')
    .action(async (flags: StartFlags) => {
      const input = { ...configInput(flags), ...(flags.json ? { logFormat: 'json' as const } : {}) };
      // A bad option is said once, by the outer process.
      const config = resolveConfig(input, process.env);
      if (flags.join) refuseAlone(config);
      if (config.jwksUrl === undefined) checkSecret(config);
      process.exitCode = flags.parent ? await underParent() : await serve(input, flags.join === true);
    });
}

/** Nodes meet in one database and one Redis: without both a node would stay alone and never say so. */
function refuseAlone({ databaseUrl, redisUrl }: Config): void {
  const missing = [...(databaseUrl ? [] : ['DATABASE_URL']), ...(redisUrl ? [] : ['REDIS_URL'])];
  if (missing.length === 0) return;
  throw new RuntimeError(
    'config_invalid',
    `--join needs ${missing.join(' and ')}: the same as on the nodes that are to be joined`,
    { details: { missing } },
  );
}

function underParent(): Promise<number> {
  return runUnderParent({ args: [...process.argv.slice(1), '--no-parent'] });
}

async function serve(input: Parameters<typeof resolveConfig>[0] & object, joins: boolean): Promise<number> {
  const { startNode } = await import('../main.ts');
  const node = await startNode({ config: input });
  announce(node);
  if (joins) await tellNeighbours(node);
  const asked = node.exitAsked.then(() => 'asked over the API' as const);
  const ended = await Promise.race([signalled(), asked]);
  node.log.info('stopping', { because: ended });
  await node.stop();
  endSoon();
  return EXIT.ok;
}

async function tellNeighbours({ runtime, log }: RunningNode): Promise<void> {
  const { items } = await runtime.system.nodes();
  const others = items.filter(({ self }) => !self).map(({ id, host }) => `${id} on ${host}`);
  log.info(others.length > 0 ? 'joined the cluster' : 'the first node of the cluster', { others });
}

/** One line when the port is open, and how to get in. */
function announce({ url, config, log }: RunningNode): void {
  const ready = `troupe listening on ${url}`;
  process.stdout.write(
    config.logFormat === 'json' ? `${JSON.stringify({ level: 'info', msg: ready, url })}\n` : `${ready}\n`,
  );
  if (config.inspector) log.info(`the inspector is at ${url}/inspect/`);
  if (config.jwksUrl !== undefined) {
    log.info('tokens come from the identity provider', { jwksUrl: config.jwksUrl, issuer: config.jwtIssuer });
    return;
  }
  if (config.jwtSecret === undefined && config.dataDir.startsWith('memory://')) {
    log.info('set TROUPE_JWT_SECRET to get tokens: the secret of a node in memory is known to it alone');
    return;
  }
  const folder = config.jwtSecret === undefined && config.dataDir !== '.troupe' ? ` --data-dir ${config.dataDir}` : '';
  log.info(`get a token with: npx troupe token --role operator${folder}`, { docs: `${url}/docs` });
}
