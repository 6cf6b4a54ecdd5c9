// Our subject of the durable-workflow benchmark: three steps in a row whose agents give back what they were given.

import { createTroupe } from '../runtime/index.ts';
import { startPostgres } from '../test/kit/services.ts';
import { TEXT, type WorkflowLoad, workflowRounds } from './peers/durable-workflows.ts';
import type { Subject } from './scenario.ts';

const AGENTS = 128;

/** Each step is given the answer of the one before it. */
const THREE_STEPS = {
  name: 'three steps',
  pattern: 'sequential',
  tasks: [
    { id: 'first', capability: 'probe.run', input: { answer: TEXT } },
    { id: 'second', capability: 'probe.run', input: { answer: { $from: 'first.answer' } } },
    { id: 'third', capability: 'probe.run', input: { answer: { $from: 'second.answer' } } },
  ],
};

export const troupeWorkflows = (load: WorkflowLoad): Subject => ({
  name: 'troupe',
  role: 'ours',
  async prepare() {
    const postgres = await startPostgres();
    const troupe = await createTroupe({ databaseUrl: postgres.url, threads: 2, logLevel: 'error' });
    await Promise.all(Array.from({ length: AGENTS }, () => troupe.agents.spawn('probe')));
    return workflowRounds(postgres.url, load, {
      async run() {
        const flow = await troupe.workflows.run(THREE_STEPS);
        return answerOf(await flow.output());
      },
      countSql: `SELECT count(*) AS n FROM workflow WHERE status = 'completed' AND output IS NOT NULL`,
      async close() {
        await troupe.stop();
        await postgres.stop();
      },
    });
  },
});

/** The answer of the last step. */
const answerOf = (output: unknown): unknown =>
  (output as { readonly third?: { readonly answer?: unknown } })?.third?.answer ?? output;
