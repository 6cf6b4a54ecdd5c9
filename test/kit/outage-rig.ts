// Two nodes whose links to PostgreSQL and Redis pass a proxy each, with work of every kind on them while the links fail: tasks,
// workflows, durable messages from node to node. Afterwards the books: nothing that was accepted is lost, nothing was done twice by effect.

import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { expect } from 'vitest';
import { seededRandom } from './ambient.ts';
import { auditNode, createAgents } from './chaos.ts';
import { eventually } from './eventually.ts';
import { type Load, startLoad } from './http-load.ts';
import { call, type NodeProcess, startNode, tokenFor } from './node-process.ts';
import { freshDatabase, type Service, startPostgres, startRedis } from './services.ts';
import { proxyOf, type TcpProxy, type Trouble } from './tcp-proxy.ts';

const kitAgent = (name: string): string => fileURLToPath(new URL(`./agents/${name}.mjs`, import.meta.url));

export interface RigOptions {
  readonly seed: number;
  /** A PostgreSQL that may be broken; default: a new database of the run's own. */
  readonly ownPostgres?: boolean;
  /** Within this every request must be answered, whatever has failed. */
  readonly requestLimitMs: number;
  readonly env?: Readonly<Record<string, string>>;
  readonly nodes?: number;
}

export interface RigNode {
  readonly process: NodeProcess;
  readonly redis: TcpProxy;
  readonly postgres: TcpProxy;
  readonly load: Load;
  /** Counts the durable messages that the other nodes tell it. */
  readonly tally: string;
}

/** Durable messages of one node to the tally of the next one, in order; said again under their key until they are accepted. */
interface Teller {
  accepted: number;
  stop(): Promise<void>;
}

const TELL_EVERY_MS = 15;
/** Tasks of which the whole stream of events is read. */
const STREAMS_READ = 100;
/** What a node may take above its size before the faults: heaps of a busy node breathe. */
const BREATH_BYTES = 256 * 1024 * 1024;

export class OutageRig {
  readonly random: () => number;
  readonly nodes: RigNode[] = [];
  redis!: Service;
  postgres: Service | undefined;
  readonly #options: RigOptions;
  readonly #folder = mkdtempSync(join(tmpdir(), 'troupe-links-'));
  readonly #tellers: Teller[] = [];
  readonly #sizes: number[] = [];
  #token = '';
  #crossed = 0;

  private constructor(options: RigOptions) {
    this.#options = options;
    this.random = seededRandom(options.seed);
  }

  static async start(options: RigOptions): Promise<OutageRig> {
    const rig = new OutageRig(options);
    try {
      await rig.#start();
    } catch (error) {
      await rig.stop();
      throw error;
    }
    return rig;
  }

  async #start(): Promise<void> {
    const { env, nodes = 2, ownPostgres = false, requestLimitMs } = this.#options;
    this.redis = await startRedis();
    this.postgres = ownPostgres ? await startPostgres() : undefined;
    const databaseUrl = this.postgres?.url ?? (await freshDatabase());
    this.#token = await tokenFor('admin');
    const started: Omit<RigNode, 'load' | 'tally'>[] = [];
    for (let at = 0; at < nodes; at++) {
      const [redis, postgres] = [await proxyOf(this.redis.url), await proxyOf(databaseUrl)];
      const process = await startNode({
        dataDir: join(this.#folder, String(at)),
        databaseUrl: postgres.url(databaseUrl),
        redisUrl: redis.url(this.redis.url),
        env: {
          TROUPE_AGENTS: [kitAgent('ledger'), kitAgent('tally')].join(','),
          TROUPE_POLL_MS: '10000',
          ...env,
        },
      });
      started.push({ process, redis, postgres });
    }
    await createAgents(
      started.map(({ process }) => process),
      this.#token,
    );
    const tallies = await Promise.all(started.map(({ process }) => this.#made(process, 'tally')));
    for (const [at, node] of started.entries()) {
      const load = startLoad({
        node: node.process,
        token: this.#token,
        ledgerFile: this.#ledger,
        random: seededRandom(this.#options.seed + at + 1),
        limitMs: requestLimitMs,
        callers: 2,
      });
      this.nodes.push({ ...node, load, tally: tallies[at] ?? expect.unreachable() });
    }
    for (const [at, { process }] of this.nodes.entries())
      this.#tellers.push(this.#teller(process, this.#after(at).tally));
    await this.underLoad();
    this.#sizes.push(...this.nodes.map(sizeOf));
  }

  get #ledger(): string {
    return join(this.#folder, 'ledger.jsonl');
  }

  #after(at: number): RigNode {
    return this.nodes[(at + 1) % this.nodes.length] ?? expect.unreachable();
  }

  async #made(node: NodeProcess, type: string): Promise<string> {
    const { status, body } = await call(node, this.#token, 'POST', '/api/agents/create', { type });
    expect(status).toBe(201);
    return String(body.id);
  }

  #teller(node: NodeProcess, to: string): Teller {
    let over = false;
    const teller: Teller = {
      accepted: 0,
      async stop() {
        over = true;
        await done;
      },
    };
    const lane = `from ${node.pid}`;
    const tell = async (n: number): Promise<boolean> => {
      const body = { type: 'add', body: { n, lane }, durable: true };
      const headers = { 'idempotency-key': `${lane}-${n}` };
      const answer = await call(node, this.#token, 'POST', `/api/agents/${to}/messages`, body, headers).catch(
        () => undefined,
      );
      if (answer && answer.status !== 202 && answer.status !== 503) throw new Error(JSON.stringify(answer));
      return answer?.status === 202;
    };
    const done = (async () => {
      while (!over) {
        // One that was begun is insisted on: whether it was accepted must be known at the end.
        if (await tell(teller.accepted)) teller.accepted += 1;
        await sleep(TELL_EVERY_MS);
      }
    })();
    return teller;
  }

  /** Every link to it, or that of one node. */
  trouble(link: 'redis' | 'postgres', trouble: Trouble, node?: number): void {
    for (const [at, each] of this.nodes.entries()) if (node === undefined || node === at) each[link].trouble(trouble);
  }

  heal(): void {
    for (const { redis, postgres } of this.nodes) {
      redis.heal();
      postgres.heal();
    }
  }

  get accepted(): number {
    return this.nodes.reduce((sum, { load }) => sum + load.tasks.size + load.workflows.size, 0);
  }

  get told(): number {
    return this.#tellers.reduce((sum, { accepted }) => sum + accepted, 0);
  }

  /** Resolves when work of every kind was accepted since the call. */
  async underLoad(): Promise<void> {
    const [work, told] = [this.accepted, this.told];
    await eventually(() => this.accepted > work + 10 && this.told > told + 5, 'work to be accepted');
  }

  /** Whether a task that the first node takes for an agent of the second is done there in time: by a hint, not by a poll. */
  async #crossesWithin(ms: number): Promise<boolean> {
    const [first, second] = [this.nodes[0] ?? expect.unreachable(), this.#after(0)];
    const deadline = performance.now() + ms;
    const { status, body } = await call(first.process, this.#token, 'POST', '/api/agents/tasks/submit', {
      capability: 'ledger.write',
      agentId: await this.#crossing(second),
      input: { file: join(this.#folder, 'across.jsonl'), key: `across ${this.#crossed++}` },
    });
    if (status !== 202) return false;
    while (performance.now() < deadline) {
      const task = await call(second.process, this.#token, 'GET', `/api/agents/tasks/${body.id}`);
      if (task.body.status === 'completed') return true;
      await sleep(10);
    }
    return false;
  }

  #crossingId: Promise<string> | undefined;
  #crossing(node: RigNode): Promise<string> {
    this.#crossingId ??= this.#made(node.process, 'ledger');
    return this.#crossingId;
  }

  /** Milliseconds from the call until a task was submitted that is done on the other node as fast as a hint has it. */
  async recovery(fastMs: number): Promise<number> {
    const healedAt = performance.now();
    return eventually(async () => {
      const begunMs = performance.now() - healedAt;
      return (await this.#crossesWithin(fastMs)) && Math.max(1, begunMs);
    }, 'the nodes to be as fast as before');
  }

  /** What the nodes have taken above their size before the faults, in bytes; the largest. */
  get growth(): number {
    return Math.max(...this.nodes.map((node, at) => sizeOf(node) - (this.#sizes[at] ?? 0)));
  }

  /** Nothing is sent any more; all that was accepted ends, once by effect. Returns figures to print. */
  async expectCleanBooks(allowed: readonly number[]): Promise<Record<string, unknown>> {
    await Promise.all([...this.#tellers, ...this.nodes.map(({ load }) => load)].map((each) => each.stop()));
    expect(this.growth).toBeLessThan(BREATH_BYTES);
    const [first] = this.nodes;
    if (!first) return expect.unreachable();
    const answers = new Map<number, number>();
    for (const { load } of this.nodes) {
      const { tasks, workflows } = load;
      const verdict = await auditNode({
        node: first.process,
        token: this.#token,
        ...{ tasks, workflows, file: this.#ledger },
        deadline: performance.now() + 60_000,
      });
      expect(Object.fromEntries(load.faults)).toEqual({});
      expect(workflows.size).toBeGreaterThan(0);
      expect(verdict.byStatus).toEqual({ completed: tasks.size });
      expect(verdict).toMatchObject({ missing: [], notEnded: [], twoOutcomes: [], badWorkflows: [] });
      expect(verdict).toMatchObject({ repeatedAfterCommit: [], neverRan: [] });
      for (const [status, count] of load.byStatus) answers.set(status, (answers.get(status) ?? 0) + count);
      await this.#expectStreams([...tasks].slice(-STREAMS_READ));
    }
    for (const status of answers.keys()) if (status >= 400) expect(allowed).toContain(status);
    await this.#expectTallies();
    const { body } = await call(first.process, this.#token, 'GET', '/api/agents/dead-letters');
    expect(body).toMatchObject({ items: [] });
    return {
      tasksAndWorkflows: this.accepted,
      durableMessages: this.told,
      slowestMs: Math.round(Math.max(...this.nodes.map(({ load }) => load.slowestMs))),
      answers: Object.fromEntries(answers),
      growthMb: Math.round(this.growth / 1_048_576),
    };
  }

  /** Every durable message shows in the state of its receiver, once and in order. */
  async #expectTallies(): Promise<void> {
    for (const [at, teller] of this.#tellers.entries()) {
      const { process, tally } = this.#after(at);
      const told = teller.accepted;
      const state = await eventually(async () => {
        const answer = await call(process, this.#token, 'POST', `/api/agents/${tally}/messages`, {
          type: 'read',
          mode: 'ask',
        });
        const seen = answer.body.reply as { count: number } | undefined;
        return answer.status === 200 && seen !== undefined && seen.count >= told && seen;
      }, `${told} durable messages to be counted`);
      expect(state).toMatchObject({ count: told, halves: told, disorder: [] });
    }
  }

  /** The events of a task are numbered without a gap and end once. */
  async #expectStreams(tasks: readonly string[]): Promise<void> {
    const { process } = this.nodes[0] ?? expect.unreachable();
    for (const id of tasks) {
      const response = await fetch(`${process.url}/api/agents/tasks/${id}/events`, {
        headers: { authorization: `Bearer ${this.#token}` },
        signal: AbortSignal.timeout(10_000),
      });
      const text = await response.text();
      const numbers = [...text.matchAll(/^id: ?(\d+)$/gm)].map(([, n]) => Number(n));
      expect(numbers, id).toEqual(numbers.map((_n, at) => at + 1));
      expect(text.match(/^event: ?task\.completed$/gm), `${id}\n${text}`).toHaveLength(1);
    }
  }

  get output(): string {
    return this.nodes.map(({ process }) => process.output().slice(-5_000)).join('\n----\n');
  }

  async stop(): Promise<void> {
    this.heal();
    await Promise.all([...this.#tellers, ...this.nodes.map(({ load }) => load)].map((each) => each.stop()));
    await Promise.all(this.nodes.map(({ process }) => process.kill9()));
    await Promise.all(this.nodes.flatMap(({ redis, postgres }) => [redis.close(), postgres.close()]));
    await Promise.all([this.redis?.stop(), this.postgres?.stop()]);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Bytes of its memory that are resident. */
function sizeOf({ process: { pid } }: RigNode): number {
  return Number(execFileSync('ps', ['-o', 'rss=', '-p', String(pid)], { encoding: 'utf8' }).trim()) * 1_024;
}
