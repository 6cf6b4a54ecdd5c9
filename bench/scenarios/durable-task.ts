import pg from 'pg';
import { createTroupe } from '../../runtime/index.ts';
import { startPostgres } from '../../test/kit/services.ts';
import { countUntil, graphileTasks, pgBossTasks, submitAll, type TaskLoad } from '../peers/task-queues.ts';
import type { Scenario, Subject } from '../scenario.ts';

const LOAD: TaskLoad = { tasks: 10_000, callers: 256 };
const AGENTS = 128;
const INPUT = { answer: 'x'.repeat(180) };

/** Counts the rows of completed tasks, as the peers count theirs. */
const troupeTasks = (load: TaskLoad): Subject => ({
  name: 'troupe',
  role: 'ours',
  async prepare() {
    const postgres = await startPostgres();
    const troupe = await createTroupe({ databaseUrl: postgres.url, threads: 2, logLevel: 'error' });
    await Promise.all(Array.from({ length: AGENTS }, () => troupe.agents.spawn('probe')));
    const pool = new pg.Pool({ connectionString: postgres.url, max: 1 });
    pool.on('error', () => undefined);
    let completed = 0;
    return {
      async once() {
        const began = performance.now();
        await submitAll(load, () => troupe.tasks.submit({ capability: 'probe.run', input: INPUT }));
        completed += load.tasks;
        await countUntil(pool, `SELECT count(*) AS n FROM task WHERE state = 'completed'`, completed);
        return { count: load.tasks, ms: performance.now() - began };
      },
      async close() {
        await troupe.stop();
        await pool.end();
        await postgres.stop();
      },
    };
  },
});

export const scenario: Scenario = {
  name: 'durable-task',
  about: `tasks submitted by ${LOAD.callers} callers one at a time, run, result stored, on PostgreSQL; tasks a second`,
  subjects: [troupeTasks(LOAD), pgBossTasks(LOAD), graphileTasks(LOAD)],
  floors: { 'pg-boss': 2, 'graphile-worker': 2 },
};
