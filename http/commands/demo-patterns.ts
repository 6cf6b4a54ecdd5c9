// `troupe demo patterns`: the examples on a node in this process that keeps nothing.

import { fileURLToPath } from 'node:url';
import { type Command, Option } from 'commander';
import type { Troupe } from '../../runtime/index.ts';
import { type Example, runExamples } from '../demo/patterns.ts';
import { EXIT } from '../exit-codes.ts';
import { endSoon } from './life.ts';
import { print } from './output.ts';

interface Module<Outcome> {
  run(troupe: Troupe): Promise<Outcome>;
  show(outcome: Outcome): string;
}

const example = <Outcome>(pattern: string, load: () => Promise<Module<Outcome>>): Example<Troupe> => ({
  pattern,
  async run(troupe) {
    const { run, show } = await load();
    return show(await run(troupe));
  },
});

const EXAMPLES: readonly Example<Troupe>[] = [
  example('sequential', () => import('../../examples/sequential.ts')),
  example('parallel', () => import('../../examples/parallel.ts')),
  example('pipeline', () => import('../../examples/pipeline.ts')),
  example('hierarchical', () => import('../../examples/hierarchical.ts')),
  example('consensus', () => import('../../examples/consensus.ts')),
  example('auction', () => import('../../examples/auction.ts')),
  example('swarm', () => import('../../examples/swarm.ts')),
];

interface Flags {
  readonly only?: readonly string[];
  readonly json?: boolean;
}

export function addDemoPatterns(demo: Command): void {
  const names = EXAMPLES.map(({ pattern }) => pattern);
  demo
    .command('patterns')
    .description('run an example of each coordination pattern, and show what came of it and what decided it')
    .addOption(new Option('--only <pattern...>', 'only these').choices(names))
    .option('--json', 'print the results as JSON, and the progress on standard error')
    .action(async (_flags: Flags, command: Command) => {
      // --json is an option of the command above too, and then it is found there.
      const { only, json } = command.optsWithGlobals<Flags>();
      // Embedded, whatever database the environment names for nodes that are meant to stay.
      for (const name of ['DATABASE_URL', 'REDIS_URL']) delete process.env[name];
      const { createTroupe } = await import('../../runtime/index.ts');
      const agents = fileURLToPath(new URL('../../examples/agents', import.meta.url));
      const troupe = await createTroupe({ agentRoots: [agents], dataDir: 'memory://', logLevel: 'error' });
      try {
        const wanted = EXAMPLES.filter(({ pattern }) => only?.includes(pattern) ?? true);
        const out = json ? process.stderr : process.stdout;
        const results = await runExamples(troupe, wanted, { out, nowMs: () => performance.now() });
        if (json) print(results, true, () => '');
        process.exitCode = EXIT.ok;
      } finally {
        await troupe.stop();
        endSoon();
      }
    });
}
