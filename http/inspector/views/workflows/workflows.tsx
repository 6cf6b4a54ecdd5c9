// Workflows: the list, or the one the address names.

import { useSignal } from '@preact/signals';
import type { WorkflowSummary } from '../../../../runtime/contracts/workflow.ts';
import { ApiError, api } from '../../data/client.ts';
import { useResource } from '../../data/resource.ts';
import { href, navigate, setQuery } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { Choice } from '../../ui/choice.tsx';
import { clock, count, duration } from '../../ui/format.ts';
import { Meter } from '../../ui/panel.tsx';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import type { ViewProps } from '../view.ts';
import { Run } from './run.tsx';
import '../../ui/lists.css';
import './workflows.css';

export function Workflows({ path, query }: ViewProps) {
  const [id] = path;
  return id === undefined ? <RunList query={query} /> : <Run key={id} id={id} query={query} />;
}

type Page = { readonly items: readonly WorkflowSummary[]; readonly nextCursor: string | null };

const STATES = ['created', 'running', 'paused', 'completed', 'partial', 'failed', 'cancelled'];
const PATTERNS = ['sequential', 'parallel', 'pipeline', 'hierarchical', 'consensus', 'auction', 'swarm'];
const LIVE = {
  everyMs: 2_000,
  on: ['workflow.created', 'workflow.started', 'workflow.paused', 'workflow.resumed', 'workflow.ended'],
} as const;
const PER_PAGE = 100;

function RunList({ query }: Pick<ViewProps, 'query'>) {
  const filter = { status: query.status, pattern: query.pattern, parent: query.parent, limit: PER_PAGE };
  const { data, error } = useResource<Page>('/api/agents/workflows/list', filter, LIVE).state.value;
  const key = JSON.stringify(filter);
  const older = useSignal<{ key: string; items: readonly WorkflowSummary[]; next: string | null } | null>(null);
  const failed = useSignal<ApiError | null>(null);
  const more = older.value?.key === key ? older.value : null;
  const next = more ? more.next : (data?.nextCursor ?? null);
  const loadMore = async (): Promise<void> => {
    try {
      const page = await api.get<Page>('/api/agents/workflows/list', { ...filter, cursor: next ?? undefined });
      older.value = { key, items: [...(more?.items ?? []), ...page.items], next: page.nextCursor };
      failed.value = null;
    } catch (problem) {
      failed.value = problem instanceof ApiError ? problem : null;
    }
  };
  const rows = joined(data?.items ?? [], more?.items ?? []).filter((run) => matches(run, query.q ?? ''));
  return (
    <>
      <div class="view-head">
        <h1>Workflows</h1>
      </div>
      <Filters query={query} />
      {query.parent ? (
        <p class="note">
          Runs that are steps of <a href={href(['workflows', query.parent])}>this run</a>.
        </p>
      ) : null}
      <Stale error={data ? error : undefined} />
      {data === undefined ? (
        error ? (
          <ApiProblem error={error} />
        ) : (
          <Loading what="workflows" />
        )
      ) : (
        <DataTable
          label="Workflows"
          rows={rows}
          columns={COLUMNS}
          rowKey={({ id }) => id}
          onOpen={({ id }) => navigate(['workflows', id])}
          empty={<NoRuns filtered={Boolean(query.status || query.pattern || query.q)} />}
        />
      )}
      {next === null || rows.length === 0 ? null : (
        <p class="more">
          <button type="button" onClick={() => void loadMore()}>
            Load older runs
          </button>
        </p>
      )}
      {failed.value ? <ApiProblem error={failed.value} /> : null}
    </>
  );
}

function NoRuns({ filtered }: { readonly filtered: boolean }) {
  if (filtered)
    return (
      <Empty title="No workflow fits the filter">
        <a href={href(['workflows'])}>Show all</a>, or load older runs first: the search looks at what is loaded.
      </Empty>
    );
  return (
    <Empty title="No workflow yet">
      Create one with <code>POST /api/agents/workflows/create?start=true</code>, or run{' '}
      <code>troupe demo patterns</code> to see all seven.
    </Empty>
  );
}

function Filters({ query }: Pick<ViewProps, 'query'>) {
  return (
    <search class="filters">
      <label>
        Search
        <input
          type="search"
          placeholder="name or id"
          value={query.q ?? ''}
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
        />
      </label>
      <Choice label="State" name="status" of={STATES} value={query.status} />
      <Choice label="Pattern" name="pattern" of={PATTERNS} value={query.pattern} />
    </search>
  );
}

function joined(first: readonly WorkflowSummary[], rest: readonly WorkflowSummary[]): readonly WorkflowSummary[] {
  const known = new Set(first.map(({ id }) => id));
  return [...first, ...rest.filter(({ id }) => !known.has(id))];
}

const matches = ({ id, name }: WorkflowSummary, text: string): boolean =>
  text === '' || name.toLowerCase().includes(text.toLowerCase()) || id.includes(text);

const COLUMNS: readonly Column<WorkflowSummary>[] = [
  {
    key: 'name',
    title: 'Name',
    cell: ({ id, name }) => <a href={href(['workflows', id])}>{name}</a>,
    sort: ({ name }) => name,
  },
  {
    key: 'pattern',
    title: 'Pattern',
    width: '14ch',
    wide: true,
    cell: ({ pattern }) => pattern,
    sort: ({ pattern }) => pattern,
  },
  {
    key: 'state',
    title: 'State',
    width: '14ch',
    cell: ({ status }) => <StateBadge state={status} />,
    sort: ({ status }) => status,
  },
  {
    key: 'progress',
    title: 'Progress',
    width: '18ch',
    wide: true,
    cell: ({ progress: { done, total }, status }) => (
      <span class="progress">
        <Meter
          part={total === 0 ? 0 : done / total}
          tone={status === 'failed' ? 'bad' : status === 'running' ? 'busy' : 'calm'}
          label={`${done} of ${total}`}
        />
        <span>
          {count(done)}/{count(total)}
        </span>
      </span>
    ),
  },
  {
    key: 'reason',
    title: 'Stopped because',
    width: '20ch',
    wide: true,
    cell: ({ stopReason }) => stopReason?.replaceAll('_', ' ') ?? '–',
  },
  {
    key: 'started',
    title: 'Started',
    width: '10ch',
    cell: ({ startedAt, createdAt }) => clock(startedAt ?? createdAt),
    sort: ({ startedAt, createdAt }) => startedAt ?? createdAt,
  },
  {
    key: 'took',
    title: 'Took',
    width: '11ch',
    numeric: true,
    wide: true,
    cell: (run) => duration(tookMs(run)),
    sort: (run) => tookMs(run) ?? -1,
  },
];

const tookMs = ({ startedAt, endedAt }: WorkflowSummary): number | null =>
  startedAt === null || endedAt === null ? null : Date.parse(endedAt) - Date.parse(startedAt);
