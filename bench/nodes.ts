// Two whole nodes on one PostgreSQL and one Redis, each in a process of its own, with a puppet each: what the scenarios between nodes
// measure of ours. Run as a program this file is the second node.

import { type ChildProcess, fork } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import type { AgentId } from '../runtime/contracts/ids.ts';
import { createTroupe, type Troupe } from '../runtime/index.ts';
import type { Report } from '../test/kit/pool.ts';
import { startPostgres, startRedis } from '../test/kit/services.ts';

const here = import.meta.url;
const puppets = fileURLToPath(new URL(`../test/kit/actors/puppet.${here.endsWith('.ts') ? 'ts' : 'js'}`, here));
const START_LIMIT_MS = 60_000;

export interface TwoNodes {
  readonly near: Troupe;
  readonly from: AgentId;
  /** Lives on the other node. */
  readonly to: AgentId;
  report(): Promise<Report>;
  close(): Promise<void>;
}

interface Urls {
  readonly databaseUrl: string;
  readonly redisUrl: string;
}

const startOne = (urls: Urls): Promise<Troupe> =>
  createTroupe({ ...urls, threads: 1, logLevel: 'error', agentRoots: [puppets], probe: false });

export async function twoNodes(): Promise<TwoNodes> {
  const [postgres, redis] = await Promise.all([startPostgres(), startRedis()]);
  const urls = { databaseUrl: postgres.url, redisUrl: redis.url };
  const near = await startOne(urls);
  const far = fork(fileURLToPath(here), [JSON.stringify(urls)], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
  const to = (await said(far)) as AgentId;
  const { id: from } = await near.agents.spawn('puppet');
  const ask = (type: string): Promise<unknown> =>
    near.agents.ref(to).then((ref) => ref.ask(type, {}, { timeoutMs: 60_000 }));
  const until = performance.now() + START_LIMIT_MS;
  while ((await ask('echo').catch(() => null)) === null) {
    if (performance.now() > until) throw new Error('the nodes do not see each other');
  }
  // The way is found before anything is measured: while it is looked for, only so many messages may wait.
  await (await near.agents.ref(from)).ask('tell-confirmed', { to, type: 'note', body: 0 });
  return {
    near,
    from,
    to,
    report: () => ask('report') as Promise<Report>,
    async close() {
      far.kill('SIGKILL');
      await near.stop();
      await Promise.all([postgres.stop(), redis.stop()]);
    },
  };
}

function said(child: ChildProcess): Promise<unknown> {
  return new Promise((resolve, reject) => {
    child.once('message', resolve);
    child.once('exit', (code) => reject(new Error(`the other node ended with ${code}`)));
  });
}

if (process.send && process.argv[1] === fileURLToPath(here)) {
  const troupe = await startOne(JSON.parse(process.argv[2] ?? '{}') as Urls);
  const { id } = await troupe.agents.spawn('puppet');
  process.send(id);
}
