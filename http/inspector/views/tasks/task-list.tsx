// Tasks, newest first, filtered by state, capability and agent.

import { useSignal } from '@preact/signals';
import type { TaskView } from '../../../../runtime/contracts/task.ts';
import { type AgentNames, useAgentNames } from '../../data/agent-names.ts';
import { api } from '../../data/client.ts';
import { useResource } from '../../data/resource.ts';
import { mayAdminister } from '../../data/session.ts';
import { href, navigate, setQuery } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { Choice } from '../../ui/choice.tsx';
import { Action } from '../../ui/dialog.tsx';
import { clock, duration, plural, shortId } from '../../ui/format.ts';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import type { ViewProps } from '../view.ts';

type Page = { readonly items: readonly TaskView[]; readonly nextCursor: string | null };

const STATES = ['scheduled', 'queued', 'running', 'waiting', 'completed', 'failed', 'dead', 'cancelled', 'timed_out'];
const PER_PAGE = 100;
const FRESH = { everyMs: 2_000, on: ['task.dead', 'task.failed', 'task.waiting'] } as const;

interface ListProps {
  readonly query: ViewProps['query'];
  /** Only dead ones: those that wait for somebody to redrive them. */
  readonly dead?: boolean;
}

export function TaskList({ query, dead = false }: ListProps) {
  const names = useAgentNames();
  const filter = {
    status: query.status,
    capability: /^[\w.-]+(@\d+)?$/.test(query.capability ?? '') ? query.capability : undefined,
    agentId: query.agent,
    workflowId: query.workflow,
    limit: PER_PAGE,
  };
  const resource = useResource<Page>('/api/agents/tasks/list', filter, FRESH);
  const { data, error } = resource.state.value;
  const older = useSignal<{ key: string; items: readonly TaskView[]; next: string | null } | null>(null);
  const key = JSON.stringify(filter);
  const more = older.value?.key === key ? older.value : null;
  const next = more ? more.next : (data?.nextCursor ?? null);
  const load = async (): Promise<void> => {
    const page = await api.get<Page>('/api/agents/tasks/list', { ...filter, cursor: next ?? undefined });
    older.value = { key, items: [...(more?.items ?? []), ...page.items], next: page.nextCursor };
  };
  if (data === undefined) return error ? <ApiProblem error={error} /> : <Loading what="tasks" />;
  const known = new Set(data.items.map(({ id }) => id));
  const rows = [...data.items, ...(more?.items ?? []).filter(({ id }) => !known.has(id))];
  return (
    <>
      <Stale error={error} />
      <Filters query={query} dead={dead} />
      {dead && rows.length > 1 && mayAdminister.value ? (
        <RedriveAll rows={rows} done={() => resource.refresh()} />
      ) : null}
      <DataTable
        label={dead ? 'Dead tasks' : 'Tasks'}
        rows={rows}
        columns={dead ? [...columnsFor(names), ERROR] : columnsFor(names)}
        rowKey={({ id }) => id}
        onOpen={({ id }) => navigate(['tasks', id])}
        empty={
          dead ? (
            <Empty title="No task is dead">
              A task dies when its attempts are used up. It waits here to be redriven.
            </Empty>
          ) : (
            <Empty title={query.status || query.capability || query.agent ? 'No task fits the filter' : 'No task yet'}>
              {query.status || query.capability || query.agent ? (
                <a href={href(['tasks'])}>Show all</a>
              ) : (
                <>
                  Submit one with <code>troupe task submit</code> or <code>POST /api/agents/tasks/submit</code>.
                </>
              )}
            </Empty>
          )
        }
      />
      {next === null ? null : (
        <p class="more">
          <button type="button" onClick={() => void load()}>
            Load older tasks
          </button>
        </p>
      )}
    </>
  );
}

/** One after the other; the first refusal ends it. */
function RedriveAll({ rows, done }: { readonly rows: readonly TaskView[]; readonly done: () => Promise<void> }) {
  const act = async (): Promise<void> => {
    try {
      for (const { id } of rows) await api.send('POST', `/api/agents/tasks/${id}/redrive`, {});
    } finally {
      await done();
    }
  };
  return (
    <p class="more">
      <Action
        label={`Redrive ${plural(rows.length, 'task')}`}
        act={act}
        confirm={<p>Each goes back into its queue with its attempts counted anew. Mend what they died of first.</p>}
      />
    </p>
  );
}

function Filters({ query, dead }: ListProps) {
  return (
    <search class="filters">
      {dead ? null : <Choice label="State" name="status" of={STATES} value={query.status} />}
      <label>
        Capability
        <input
          type="search"
          placeholder="document.search"
          value={query.capability ?? ''}
          onChange={(event) => setQuery({ capability: event.currentTarget.value })}
        />
      </label>
      <label>
        Agent
        <input
          type="search"
          placeholder="name or id"
          value={query.agent ?? ''}
          onChange={(event) => setQuery({ agent: event.currentTarget.value })}
        />
      </label>
    </search>
  );
}

const ERROR: Column<TaskView> = {
  key: 'error',
  title: 'Died of',
  wide: true,
  cell: ({ error }) => (error ? <span title={error.message}>{error.message}</span> : '–'),
};

const columnsFor = (names: AgentNames): readonly Column<TaskView>[] => [
  { key: 'id', title: 'Task', width: '16ch', cell: ({ id }) => <a href={href(['tasks', id])}>{shortId(id)}</a> },
  {
    key: 'state',
    title: 'State',
    width: '14ch',
    cell: ({ status, waitingFor }) => <StateBadge state={status} title={waitingFor} />,
  },
  {
    key: 'capability',
    title: 'Capability',
    cell: ({ capability }) => capability,
    sort: ({ capability }) => capability,
  },
  {
    key: 'of',
    title: 'Step of',
    wide: true,
    cell: ({ workflowId, stepKey }) =>
      workflowId === null ? (
        '–'
      ) : (
        <a href={href(['workflows', workflowId], { step: stepKey ?? undefined })}>{stepKey}</a>
      ),
  },
  { key: 'agent', title: 'Agent', wide: true, cell: ({ agentId }) => names.of(agentId) },
  {
    key: 'attempt',
    title: 'Attempt',
    width: '10ch',
    numeric: true,
    wide: true,
    cell: ({ attempt, maxAttempts }) => `${attempt} of ${maxAttempts}`,
    sort: ({ attempt }) => attempt,
  },
  { key: 'at', title: 'Submitted', width: '11ch', cell: ({ timings }) => clock(timings.submittedAt) },
  {
    key: 'run',
    title: 'Ran',
    width: '9ch',
    numeric: true,
    wide: true,
    cell: ({ timings }) => duration(timings.runMs),
    sort: ({ timings }) => timings.runMs ?? -1,
  },
];
