// One agent: its statechart with the state it is in, what waits, what it knows, what it said and heard, its figures over time, its log.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { InspectedAgent } from '../../../../runtime/contracts/inspection.ts';
import { useFocus } from '../../data/focus.ts';
import { onFrame } from '../../data/live.ts';
import { type Resource, useResource } from '../../data/resource.ts';
import { href } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { clock, count, dateTime, duration, percent, shortId } from '../../ui/format.ts';
import { Fields, Json, Panel, Stat } from '../../ui/panel.tsx';
import { ApiProblem, Loading, Stale } from '../../ui/states.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import { AgentActions } from './actions.tsx';
import { AgentHistory, keepSamples } from './agent-history.tsx';
import { Chart } from './chart.tsx';
import { Log, Mailbox, Messages, Transitions } from './lists.tsx';

export function Agent({ id }: { readonly id: string }) {
  const resource = useResource<InspectedAgent>(`/api/inspect/agents/${encodeURIComponent(id)}`, {}, { everyMs: 2_000 });
  useFocus({ actors: [id] });
  useLiveState(id, resource);
  const { data, error, atMs } = resource.state.value;
  const samples = useSignal(keepSamples([], undefined));
  useEffect(() => {
    samples.value = keepSamples(samples.peek(), data, atMs);
  }, [data, atMs, samples]);
  if (!data)
    return error ? <ApiProblem error={error} retry={() => void resource.refresh()} /> : <Loading what="agent" />;
  const { agent } = data;
  return (
    <>
      <p class="crumbs">
        <a href={href(['agents'])}>Agents</a>
      </p>
      <div class="view-head">
        <h1>{agent.name}</h1>
        <StateBadge state={agent.state} title={agent.reason} />
        <span class="muted">{agent.type}</span>
        <span class="grow" />
        <AgentActions agent={agent} onDone={() => void resource.refresh()} />
      </div>
      <Stale error={error} />
      {data.problem === null ? null : <p class="stale">{data.problem}</p>}
      {agent.reason === undefined ? null : <p class="agent-reason">{agent.reason}</p>}
      <Figures data={data} />
      <div class="agent-tabs">
        <Tabs label={`Agent ${agent.name}`} tabs={tabsOf(data, samples.value)} />
      </div>
    </>
  );
}

/** A transition of this agent is shown when it happens, not with the next look. */
function useLiveState(id: string, resource: Resource<InspectedAgent>): void {
  useEffect(() => {
    let last = 0;
    return onFrame('events', ({ items }) => {
      const mine = resource.state.peek().data?.agent.id ?? id;
      if (!items.some((event) => event.stream === mine) || Date.now() - last < 500) return;
      last = Date.now();
      void resource.refresh();
    });
  }, [id, resource]);
}

function Figures({ data: { agent, mailbox, running } }: { readonly data: InspectedAgent }) {
  const { metrics } = agent;
  const [task] = running;
  return (
    <div class="stats">
      <Stat
        label="Now"
        value={running.length === 0 ? 'no task' : `${count(running.length)} running`}
        note={task ? `${task.capability}, ${duration(task.runningMs)}` : ''}
      />
      <Stat
        label="Mailbox"
        value={count(mailbox.waiting)}
        note={`of ${count(mailbox.capacity)}, then ${mailbox.overflow}`}
      />
      <Stat
        label="Tasks"
        value={count(metrics?.execution.completed)}
        note={`${count(metrics?.execution.failed)} failed, ${count(metrics?.execution.timedOut)} timed out`}
      />
      <Stat
        label="Run time p95"
        value={duration(metrics?.execution.p95Ms)}
        note={`p50 ${duration(metrics?.execution.p50Ms)}`}
      />
      <Stat
        label="Messages"
        value={count(metrics?.communication.received)}
        note={`${count(metrics?.communication.sent)} sent, ${count(metrics?.communication.errors)} errors`}
      />
      <Stat
        label="Restarts"
        value={count(metrics?.availability.restarts)}
        note={`up ${duration(metrics?.availability.uptimeMs)}`}
        {...((metrics?.availability.restarts ?? 0) > 0 ? { tone: 'warn' as const } : {})}
      />
    </div>
  );
}

function tabsOf(data: InspectedAgent, samples: ReturnType<typeof keepSamples>) {
  return [
    {
      id: 'state',
      title: 'Statechart',
      content: () => (
        <div class="columns agent-columns">
          <Panel title={data.machine ? `Machine ${data.machine.id}` : 'Lifecycle'}>
            <Chart chart={data.machine ?? data.lifecycle} />
          </Panel>
          {data.machine ? (
            <Panel title="Lifecycle">
              <Chart chart={data.lifecycle} />
            </Panel>
          ) : null}
          <Panel title="Transitions" flush>
            <Transitions items={data.transitions} />
          </Panel>
        </div>
      ),
    },
    {
      id: 'mailbox',
      title: `Mailbox (${count(data.mailbox.waiting)})`,
      content: () => <Mailbox mailbox={data.mailbox} />,
    },
    {
      id: 'context',
      title: 'Context',
      content: () =>
        data.context === null || data.context === undefined ? (
          <p class="muted">Nothing: the agent keeps no state, or its thread does not answer.</p>
        ) : (
          <Json value={data.context} />
        ),
    },
    { id: 'messages', title: 'Messages', content: () => <Messages data={data} /> },
    { id: 'metrics', title: 'Over time', content: () => <AgentHistory samples={samples} /> },
    { id: 'log', title: `Log (${count(data.log.length)})`, content: () => <Log items={data.log} /> },
    { id: 'about', title: 'About', content: () => <About data={data} /> },
  ];
}

function About({ data: { agent, tree } }: { readonly data: InspectedAgent }) {
  return (
    <>
      <Fields
        of={[
          ['Id', <code key="id">{agent.id}</code>],
          ['Type', agent.type],
          ['Capabilities', agent.capabilities.map(({ name, version }) => `${name}@${version}`).join(', ') || 'none'],
          ['Isolation', agent.isolation],
          [
            'Node',
            agent.node === null ? (
              'none'
            ) : (
              <code key="node" title={agent.node}>
                {shortId(agent.node)}
              </code>
            ),
          ],
          ['Thread', agent.thread === null ? 'none' : String(agent.thread)],
          ['Thread busy', percent(agent.metrics?.resources.threadUtilization)],
          ['Incarnation', tree?.incarnation === undefined ? undefined : String(tree.incarnation)],
          ['Up since', tree?.startedAt === undefined ? undefined : clock(tree.startedAt)],
          ['Created', dateTime(agent.createdAt)],
          ['Version of its specification', String(agent.version)],
        ]}
      />
      <h3 class="agent-config">Configuration</h3>
      <Json value={agent.config} />
    </>
  );
}
