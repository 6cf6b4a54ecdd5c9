// A span for each attempt on the node that runs it: from the slot to the outcome, over the thread and its loss.

import type { NodeId } from '../contracts/ids.ts';
import type { RanTask, TaskRunner } from '../contracts/ports.ts';
import { type OpenSpan, openSpan } from '../contracts/tracing.ts';

/** The runner, with the trace of each task going on in the attempt that it hands to a thread. */
export function tracedRunner(runner: TaskRunner, node: NodeId): TaskRunner {
  return {
    cancelTask: (taskId, fence, graceMs) => runner.cancelTask(taskId, fence, graceMs),
    async runTask(agent, task) {
      const span = openSpan({
        name: `run ${task.capability}`,
        kind: 'consumer',
        parent: task.traceparent ?? null,
        attributes: {
          'troupe.node.id': node,
          'troupe.task.id': task.taskId,
          'troupe.task.attempt': task.attempt,
          'troupe.task.queue_wait_ms': Math.round(task.queuedForMs),
          'troupe.capability': `${task.capability}@${task.version}`,
          'troupe.tenant': task.tenant,
          'troupe.workflow.id': task.workflowId,
          'troupe.workflow.step': task.stepKey,
          'gen_ai.agent.id': agent,
        },
      });
      if (!span) return runner.runTask(agent, task);
      const { traceparent } = span;
      try {
        const outcome = await span.within(() => runner.runTask(agent, { ...task, traceparent }));
        end(span, outcome);
        return outcome;
      } catch (error) {
        span.end('internal');
        throw error;
      }
    },
  };
}

function end(span: OpenSpan, outcome: RanTask): void {
  span.set({
    'troupe.outcome': outcome.type,
    ...(outcome.thread === undefined ? {} : { 'thread.id': outcome.thread }),
  });
  if (outcome.type === 'failed' || outcome.type === 'lost') span.end(outcome.error.code);
  else span.end(outcome.type === 'timed_out' ? 'task_timeout' : undefined);
}
