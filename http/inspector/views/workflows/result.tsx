// What a run came to: its output, and what it waited for.

import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import { useResource } from '../../data/resource.ts';
import { duration } from '../../ui/format.ts';
import { Fields, Json, Panel } from '../../ui/panel.tsx';
import { ApiProblem, Empty, Loading } from '../../ui/states.tsx';
import { hasEnded, runPath } from './run-data.ts';

export function Result({ run }: { readonly run: WorkflowView }) {
  const ended = hasEnded(run);
  const { data, error } = useResource<WorkflowView>(ended ? runPath(run.id) : null, { stepsLimit: 1 }).state.value;
  const { waits, amdahl, messages, criticalPath } = run.metrics ?? {};
  return (
    <div class="columns">
      <Panel title="Output">
        {!ended ? (
          <Empty title="There is no output yet">It is here when the run has ended.</Empty>
        ) : data ? (
          <Json value={data.output ?? null} />
        ) : error ? (
          <ApiProblem error={error} />
        ) : (
          <Loading what="output" />
        )}
      </Panel>
      <Panel title="Where the time went">
        {waits ? (
          <Fields
            of={[
              ['In queues', duration(waits.queueMs)],
              ['Between decision and task', duration(waits.coordinationMs)],
              ['For people', duration(waits.humanMs)],
              ['Paused', duration(waits.pausedMs)],
              ['For budget', duration(waits.budgetMs)],
              ['Failed tries', duration(waits.retryMs)],
              ['Most at once', amdahl?.parallelism],
              ['Messages of the coordination', messages?.total],
            ]}
          />
        ) : (
          <Empty title="Nothing is measured yet" />
        )}
        {criticalPath && criticalPath.length > 0 ? (
          <p class="path">
            <span class="muted">Critical path: </span>
            {criticalPath.slice(0, 60).join(' → ')}
            {criticalPath.length > 60 ? ` … (${criticalPath.length} steps)` : ''}
          </p>
        ) : null}
      </Panel>
    </div>
  );
}
