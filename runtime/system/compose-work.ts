// Makes what gives tasks to agents and runs workflows.

import type { AgentId } from '../contracts/ids.ts';
import type { RanTask, TaskRunner } from '../contracts/ports.ts';
import type { ClaimedTask } from '../contracts/task.ts';
import { createCapabilityResolver } from '../tasks/capability-resolver.ts';
import { Dispatcher } from '../tasks/dispatcher.ts';
import { runsIsolated } from '../tasks/retry-policy.ts';
import { TaskService } from '../tasks/task-service.ts';
import { WorkflowService } from '../workflows/workflow-service.ts';
import { createBidders } from './bidders.ts';
import type { AgentParts, NodeBase, Others, WorkParts } from './parts.ts';
import { measuredObserver, measuredRuns } from './run-figures.ts';
import { createRunObserver } from './run-observer.ts';
import { RunTraces } from './run-traces.ts';
import { tracedRunner } from './traced-runner.ts';

export function composeWork(base: NodeBase & AgentParts, others: Others): WorkParts {
  const { options, ambient, manifest, node, store, bus, feed, workforce } = base;
  const { config } = options;
  const onScheduled = (inMs: number): void => others().sweeper.soon('promote', inMs);
  const resolver = createCapabilityResolver({ workforce, agents: store.agents, manifest, clock: ambient.clock });
  const dispatcher = new Dispatcher({
    store: store.tasks,
    events: store.events,
    workforce,
    runner: tracedRunner(taskRunner(base, others), node),
    bus,
    feed,
    ambient,
    config: { ...config, pulsed: true },
    resolve: (wish, tenant) => resolver.resolve(wish, tenant),
    onScheduled,
    settleStep: (settle, ended) => others().workflows.settle(settle, ended),
    onMail: (mail) => others().workflows.deliver(mail),
  });
  const tasks = new TaskService({
    store: store.tasks,
    events: store.events,
    agents: store.agents,
    node,
    dispatcher,
    workforce,
    resolver,
    feed,
    bus,
    ambient,
    config,
    onScheduled,
  });
  const workflows = makeWorkflows(base, { resolver, dispatcher, tasks }, others);
  return { resolver, dispatcher, tasks, workflows };
}

function makeWorkflows(
  { options, ambient, node, store, bus, feed, life, tree, workforce, home, agents }: NodeBase & AgentParts,
  { resolver, dispatcher, tasks }: Omit<WorkParts, 'workflows'>,
  others: Others,
): WorkflowService {
  const metrics = () => others().metrics;
  const traces = new RunTraces({ traceOf: async (id) => (await store.tasks.traceOf?.(id)) ?? undefined });
  return new WorkflowService({
    store: traces.around(measuredRuns(store.workflows, metrics)),
    tasks: store.tasks,
    strategies: options.strategies,
    node,
    capabilities: resolver,
    bidders: createBidders({
      workforce,
      home,
      agents,
      resolver,
      directory: store.channels,
      clustered: options.config.redisUrl !== undefined,
    }),
    slots: dispatcher,
    answerTask: (id, answer, call) => tasks.answer(id, answer, call),
    waiting: (task, tenant) => tasks.waitingFor(task, tenant),
    stopRunning: (claims) => void dispatcher.onLost(claims.map(({ taskId }) => taskId)),
    observer: traces.observe(
      measuredObserver(
        createRunObserver(tree.workflows, (id) =>
          others()
            .workflows.poll()
            .then(() => id),
        ),
        metrics,
      ),
    ),
    feed,
    bus,
    ambient,
    pollMs: options.config.pollMs,
    pulsed: true,
    draining: () => life.phase !== 'running',
  });
}

/** Runs a task on its agent, or in a stand-in when it may take its thread down again. */
function taskRunner({ pool, standIns, home }: AgentParts, others: Others): TaskRunner {
  return {
    runTask: (agent, task) => others().outcomes.around(run)(agent, task),
    cancelTask: (taskId, fence, graceMs) => standIns.cancelTask(taskId, fence, graceMs),
  };

  async function run(agent: AgentId, task: ClaimedTask): Promise<RanTask> {
    const outcome = await (runsIsolated(task) ? standIns : pool).runTask(agent, task);
    if (outcome.type === 'completed' && outcome.snapshot !== undefined) home.markSaved(agent);
    return outcome;
  }
}
