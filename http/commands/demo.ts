// `troupe demo`: starts a node in this process, runs the main job on it, and leaves the API up until Ctrl-C. The job itself is in http/demo/.

import type { Command } from 'commander';
import { type ConfigInput, resolveConfig } from '../../runtime/config.ts';
import { addDemoOptions, type DemoOptions } from '../demo/args.ts';
import { DemoError, resolveInputs } from '../demo/inputs.ts';
import { EXIT } from '../exit-codes.ts';
import type { RunningNode } from '../main.ts';
import { configInput, withConfigOptions } from './config-options.ts';
import { addDemoPatterns } from './demo-patterns.ts';
import { UsageError } from './failure.ts';
import { endSoon, signalled } from './life.ts';
import { print } from './output.ts';

type DemoFlags = DemoOptions & Record<string, unknown> & { readonly json?: boolean };

const TOKEN_TTL_MS = 3_600_000;

export function addDemoCommand(program: Command): void {
  const command = program
    .command('demo')
    .description('run the main job: research, analysis and a report, with a thread killed in the middle')
    .option('--json', 'print the result as JSON, and the progress on standard error');
  addDemoPatterns(command);
  withConfigOptions(addDemoOptions(command)).action(async (flags: DemoFlags) => {
    const out = flags.json ? process.stderr : process.stdout;
    const config = quiet(configInput(flags), process.env);
    const { dataDir, databaseUrl } = resolveConfig(config, process.env);
    // What was asked for is checked before anything starts; and a person sees at once that something happens.
    await resolveInputs(flags, process.cwd()).catch((error: unknown) => {
      throw error instanceof DemoError ? new UsageError(error.message) : error;
    });
    out.write(
      `Starting a node (${databaseUrl === undefined ? (dataDir.startsWith('memory://') ? 'embedded database in memory' : `embedded database in ${dataDir}`) : 'PostgreSQL'}) ...\n`,
    );
    const [{ startNode }, { runDemo, dismiss }] = await Promise.all([
      import('../main.ts'),
      import('../demo/run-demo.ts'),
    ]);
    const node = await startNode({ config, anyPort: true });
    const asked = signalled();
    const stop = new AbortController();
    void asked.then(() => stop.abort(new Error('stopped by a signal')));
    try {
      const result = await runDemo(node.runtime, {
        ...flags,
        out,
        isTty: out.isTTY === true,
        apiUrl: node.url,
        signal: stop.signal,
        keepAgents: !flags.exit,
      });
      if (flags.json) print(result, true, () => '');
      if (!flags.exit) {
        out.write(await howToGoOn(node));
        await Promise.race([asked, node.exitAsked]);
        await dismiss(node.runtime, result.agents);
      }
      process.exitCode = EXIT.ok;
    } finally {
      await node.stop();
      endSoon();
    }
  });
}

/** Log lines would tear the live view: only warnings, unless a level was asked for. */
function quiet(given: ConfigInput, env: NodeJS.ProcessEnv): ConfigInput {
  return given.logLevel === undefined && !env.TROUPE_LOG_LEVEL ? { ...given, logLevel: 'warn' } : given;
}

async function howToGoOn(node: RunningNode): Promise<string> {
  const token = await node.token('admin', TOKEN_TTL_MS);
  const call = token === undefined ? '' : `\ncurl -H "authorization: Bearer ${token}" ${node.url}/api/agents/status\n`;
  return `\nThe API is up until Ctrl-C: ${node.url} (description: ${node.url}/docs)\n${call}${inspectorLine(node, token)}
DATABASE_URL=postgres://... and REDIS_URL=redis://... put the same on PostgreSQL and Redis.\n`;
}

/** The token stands behind the `#`: browsers do not send that part, and the page takes it out of the address. */
function inspectorLine({ url, config }: RunningNode, token: string | undefined): string {
  if (!config.inspector) return '';
  return `\nSee it live in the inspector: ${url}/inspect/${token === undefined ? '' : `#token=${token}`}\n`;
}
