// Peers of the durable-workflow benchmark, each on a PostgreSQL of its own with default settings (synchronous_commit on): three steps in
// a row that do nothing. A caller has the result of its workflow before it starts the next; then the rows of the peer's own tables are counted.

import { createRequire } from 'node:module';
import { join } from 'node:path';
import { startPostgres } from '../../test/kit/services.ts';
import type { Subject } from '../scenario.ts';
import { countUntil, type PgPool, submitAll } from './task-queues.ts';

/** The peers are installed beside the sources (`npm run bench:peers`); benchmarks run compiled, from the root of the project. */
const require = createRequire(join(process.cwd(), 'bench/peers/package.json'));

export interface WorkflowLoad {
  readonly workflows: number;
  /** Callers that each run one workflow after the other. */
  readonly callers: number;
}

/** Text that goes through all steps. */
export const TEXT = 'x'.repeat(180);

interface Measured {
  /** Runs one workflow; resolves with what came out of its last step. */
  readonly run: () => Promise<unknown>;
  /** One number: workflows that are complete, as the store says. */
  readonly countSql: string;
  readonly close: () => Promise<void>;
}

/** Each caller checks the result it was given; in the end the store must hold every workflow as complete. */
export async function workflowRounds(url: string, load: WorkflowLoad, measured: Measured) {
  const { Pool } = require('pg') as { Pool: new (options: object) => PgPool };
  const pool = new Pool({ connectionString: url, max: 1 });
  // The server is stopped while idle connections may still be open; that is the end of the benchmark, not a fault.
  pool.on('error', () => undefined);
  let completed = 0;
  return {
    async once() {
      const began = performance.now();
      await submitAll({ tasks: load.workflows, callers: load.callers }, async () => {
        const result = await measured.run();
        if (result !== TEXT) throw new Error(`a workflow ended with ${JSON.stringify(result)}`);
      });
      completed += load.workflows;
      await countUntil(pool, measured.countSql, completed);
      return { count: load.workflows, ms: performance.now() - began };
    },
    async close() {
      await pool.end();
      await measured.close();
    },
  };
}

interface Dbos {
  setConfig(config: object): void;
  registerWorkflow<Out>(fn: (text: string) => Promise<Out>, options: object): (text: string) => Promise<Out>;
  runStep<Out>(fn: () => Promise<Out>, options: object): Promise<Out>;
  launch(): Promise<void>;
  shutdown(): Promise<void>;
}

/** DBOS Transact: every step's result is a row before the next step begins. */
export const dbosWorkflows = (load: WorkflowLoad): Subject => ({
  name: 'dbos',
  role: 'peer',
  async prepare() {
    const postgres = await startPostgres();
    const { DBOS } = require('@dbos-inc/dbos-sdk') as { DBOS: Dbos };
    DBOS.setConfig({
      name: 'bench',
      systemDatabaseUrl: postgres.url,
      systemDatabasePoolSize: 20,
      logLevel: 'error',
    });
    const run = DBOS.registerWorkflow(
      async (text: string) => {
        const first = await DBOS.runStep(async () => text, { name: 'first' });
        const second = await DBOS.runStep(async () => first, { name: 'second' });
        return DBOS.runStep(async () => second, { name: 'third' });
      },
      { name: 'three-steps' },
    );
    await DBOS.launch();
    return workflowRounds(postgres.url, load, {
      run: () => run(TEXT),
      countSql: `SELECT count(*) AS n FROM dbos.workflow_status s JOIN dbos.workflow_output o USING (workflow_uuid)
        WHERE s.status = 'SUCCESS' AND o.output IS NOT NULL`,
      async close() {
        await DBOS.shutdown();
        await postgres.stop();
      },
    });
  },
});

interface LangGraph {
  readonly START: string;
  readonly END: string;
  readonly StateGraph: new (channels: unknown) => Graph;
  readonly Annotation: { Root(fields: object): unknown } & (() => unknown);
}
interface Graph {
  addNode(name: string, fn: (state: { text: string }) => Promise<object>): Graph;
  addEdge(from: string, to: string): Graph;
  compile(options: object): { invoke(input: object, options: object): Promise<{ text: string }> };
}
interface PostgresSaver {
  setup(): Promise<void>;
  end(): Promise<void>;
}

/** LangGraph.js with `durability: 'sync'`: a checkpoint is committed before the next node begins (its default, 'async', writes it meanwhile). */
export const langGraphWorkflows = (load: WorkflowLoad): Subject => ({
  name: 'langgraph',
  role: 'peer',
  async prepare() {
    const postgres = await startPostgres();
    const { START, END, StateGraph, Annotation } = require('@langchain/langgraph') as LangGraph;
    const { PostgresSaver: Saver } = require('@langchain/langgraph-checkpoint-postgres') as {
      PostgresSaver: new (pool: PgPool) => PostgresSaver;
    };
    const { Pool } = require('pg') as { Pool: new (options: object) => PgPool };
    const pool = new Pool({ connectionString: postgres.url, max: 20 });
    pool.on('error', () => undefined);
    const saver = new Saver(pool);
    await saver.setup();
    const pass = async ({ text }: { text: string }) => ({ text });
    const graph = new StateGraph(Annotation.Root({ text: Annotation() }))
      .addNode('first', pass)
      .addNode('second', pass)
      .addNode('third', pass)
      .addEdge(START, 'first')
      .addEdge('first', 'second')
      .addEdge('second', 'third')
      .addEdge('third', END)
      .compile({ checkpointer: saver });
    let threads = 0;
    return workflowRounds(postgres.url, load, {
      async run() {
        const configurable = { thread_id: `thread-${threads++}` };
        return (await graph.invoke({ text: TEXT }, { configurable, durability: 'sync' })).text;
      },
      // Checkpoint 3 is the one after the third node.
      countSql: `SELECT count(*) AS n FROM checkpoints WHERE metadata->>'step' = '3'`,
      async close() {
        await saver.end();
        await postgres.stop();
      },
    });
  },
});
