// The graph of a run, live, with the chosen step beside it, and its steps as a table.

import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import type { AgentNames } from '../../data/agent-names.ts';
import { useResource } from '../../data/resource.ts';
import { mayWork } from '../../data/session.ts';
import { href, setQuery } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { duration, plural } from '../../ui/format.ts';
import { Fields, Json, Panel } from '../../ui/panel.tsx';
import { ApiProblem, Empty } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import { ForkAction } from './actions.tsx';
import { graphOf, type Step } from './graph.ts';
import { GraphDrawing } from './graph-drawing.tsx';
import type { Loaded } from './run-data.ts';

interface GraphTabProps {
  readonly run: WorkflowView;
  readonly steps: Loaded<Step>;
  readonly names: AgentNames;
  readonly chosen: string | undefined;
  readonly refresh: () => Promise<void>;
}

export function GraphTab({ run, steps, names, chosen }: GraphTabProps) {
  if (steps.items.length === 0)
    return <Empty title="The run has no steps yet">They appear when its coordinator has made a plan.</Empty>;
  const graph = graphOf(steps.items);
  const step = steps.items.find(({ id }) => id === chosen);
  const group = graph.grouped ? graph.nodes.find(({ id }) => id === chosen) : undefined;
  const shown = group ? steps.items.filter(({ id }) => group.steps.includes(id)) : steps.items;
  return (
    <>
      {steps.error ? <ApiProblem error={steps.error} /> : null}
      <div class={step ? 'with-aside' : ''}>
        <GraphDrawing graph={graph} chosen={chosen} critical={run.metrics?.criticalPath ?? []} />
        {step ? <ChosenStep run={run} step={step} names={names} /> : null}
      </div>
      {graph.grouped ? (
        <p class="note">
          {plural(steps.items.length, 'step')} in {plural(graph.nodes.length, 'group')}, so that the graph stays
          readable
          {steps.partial ? '; more are being read' : ''}. Choose a group to see its steps.
        </p>
      ) : null}
      <h2 class="under">
        {group ? `Steps of ${group.title}` : 'Steps'}
        {group ? (
          <button type="button" class="quiet" onClick={() => setQuery({ step: undefined })}>
            Show all
          </button>
        ) : null}
      </h2>
      <div class="table-limited">
        <DataTable
          label="Steps"
          rows={shown}
          columns={columnsFor(names)}
          rowKey={({ id }) => id}
          onOpen={({ id }) => setQuery({ step: id })}
          isOpen={({ id }) => id === chosen}
        />
      </div>
    </>
  );
}

const columnsFor = (names: AgentNames): readonly Column<Step>[] => [
  {
    key: 'id',
    title: 'Step',
    cell: ({ id }) => (
      <button type="button" class="link" onClick={() => setQuery({ step: id })}>
        {id}
      </button>
    ),
    sort: ({ id }) => id,
  },
  {
    key: 'state',
    title: 'State',
    width: '14ch',
    cell: ({ state }) => <StateBadge state={state} />,
    sort: ({ state }) => state,
  },
  {
    key: 'capability',
    title: 'Capability',
    wide: true,
    cell: ({ capability }) => capability ?? '–',
    sort: ({ capability }) => capability ?? '',
  },
  { key: 'agent', title: 'Agent', wide: true, cell: ({ agentId }) => names.of(agentId) },
  {
    key: 'round',
    title: 'Round',
    width: '8ch',
    numeric: true,
    wide: true,
    cell: ({ round }) => round + 1,
    sort: ({ round }) => round,
  },
  {
    key: 'took',
    title: 'Took',
    width: '10ch',
    numeric: true,
    cell: (step) => duration(tookMs(step)),
    sort: (step) => tookMs(step) ?? -1,
  },
];

const tookMs = ({ startedAt, endedAt }: Step): number | null =>
  startedAt && endedAt ? Date.parse(endedAt) - Date.parse(startedAt) : null;

function ChosenStep({
  run,
  step,
  names,
}: {
  readonly run: WorkflowView;
  readonly step: Step;
  readonly names: AgentNames;
}) {
  const { id, state, taskId, agentId, workflowId, dependsOn } = step;
  const { data: task } = useResource<{ result?: unknown; input?: unknown }>(
    taskId === undefined ? null : `/api/agents/tasks/${taskId}`,
    {},
    state === 'running' ? { everyMs: 2_000 } : {},
  ).state.value;
  return (
    <Panel
      title={id}
      class="aside chosen"
      aside={
        <button type="button" class="quiet" onClick={() => setQuery({ step: undefined })}>
          Close
        </button>
      }
    >
      <p>
        <StateBadge state={state} />{' '}
        {step.reason ? <span class="muted">{step.reason.replaceAll('_', ' ')}</span> : null}
      </p>
      {step.error ? (
        <p class="run-error">
          <strong>{step.error.code}</strong> {step.error.message}
        </p>
      ) : null}
      <Fields
        of={[
          ['Capability', step.capability],
          ['Task', taskId ? <a href={href(['tasks', taskId])}>attempts and input</a> : undefined],
          ['Run inside', workflowId ? <a href={href(['workflows', workflowId])}>open</a> : undefined],
          ['Agent', agentId ? <a href={href(['agents', agentId])}>{names.of(agentId)}</a> : undefined],
          ['Depends on', dependsOn.join(', ')],
          ['Took', duration(tookMs(step))],
          ['Tries', step.attempts],
        ]}
      />
      {step.detail === undefined ? null : <Json value={step.detail} />}
      {task?.result === undefined ? null : (
        <>
          <h3>Result</h3>
          <Json value={task.result} />
        </>
      )}
      {mayWork.value && (state === 'completed' || state === 'failed') ? <ForkAction run={run} step={id} /> : null}
    </Panel>
  );
}
