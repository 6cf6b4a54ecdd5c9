// The nodes of the cluster: who is there, how long, how loaded, and what the links between them have carried.

import type { InspectNodes } from '../../../../runtime/contracts/inspection.ts';
import { figureHistory } from '../../data/figures.ts';
import { useResource } from '../../data/resource.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { bytes, count, duration, percent, short } from '../../ui/format.ts';
import { Fields, Panel } from '../../ui/panel.tsx';
import { ApiProblem, Loading, Stale } from '../../ui/states.tsx';

export function Nodes() {
  const resource = useResource<InspectNodes>(
    '/api/inspect/nodes',
    {},
    { everyMs: 2_000, on: ['node.started', 'node.lost'] },
  );
  const { data, error } = resource.state.value;
  if (!data)
    return error ? <ApiProblem error={error} retry={() => void resource.refresh()} /> : <Loading what="nodes" />;
  const live = figureHistory.value.at(-1)?.nodes ?? [];
  return (
    <>
      <Stale error={error} />
      <div class="columns nodes">
        {data.items.map(({ id, host, pid, state, self, agents, heartbeatAgeMs, figures: read }) => {
          // Rates are between two looks: those of the feed are a second apart.
          const figures = live.find(({ node }) => node === id) ?? read;
          return (
            <Panel key={id} title={`${host}, process ${pid}`} aside={<StateBadge state={state} />}>
              <Fields
                of={[
                  ['Id', <code key="id">{id}</code>],
                  ['Answers this page', self ? 'yes' : 'no'],
                  ['Agents', count(agents)],
                  ['Heartbeat', `${duration(heartbeatAgeMs)} ago`],
                  ['Up', duration(figures?.uptimeMs)],
                  ['Memory', figures ? `${bytes(figures.rssBytes)}, heap ${bytes(figures.heapBytes)}` : undefined],
                  ['Main event loop', figures ? percent(figures.utilization) : undefined],
                  [
                    'Tasks',
                    figures
                      ? `${short(figures.tasks.completedPerSecond)}/s done, ${short(figures.tasks.failedPerSecond)}/s failed`
                      : undefined,
                  ],
                  [
                    'Messages',
                    figures
                      ? `${short(figures.messages.inPerSecond)}/s in, ${short(figures.messages.outPerSecond)}/s out`
                      : undefined,
                  ],
                  ['Restarts', figures ? count(figures.counts.restarts) : undefined],
                ]}
              />
              {figures === null ? (
                <p class="muted">
                  No figures: it cannot be reached from the node that answers. With REDIS_URL nodes reach each other.
                </p>
              ) : null}
            </Panel>
          );
        })}
        <Panel title="Links of the answering node">
          <Fields of={Object.entries(data.links).map(([name, value]) => [name, count(value)] as const)} />
        </Panel>
      </div>
    </>
  );
}
