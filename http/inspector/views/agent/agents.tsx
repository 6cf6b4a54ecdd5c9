// All agents of all nodes as a table, live; and behind each of them the agent itself.

import { useEffect, useMemo } from 'preact/hooks';
import type { InspectNode } from '../../../../runtime/contracts/inspection.ts';
import { allNodes, isFlashing, keepTree, treeError, treeLoaded, treeVersion } from '../../data/tree.ts';
import { href, navigate, setQuery } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { count, plural, shortId } from '../../ui/format.ts';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import type { ViewProps } from '../view.ts';
import { Agent } from './agent.tsx';
import './agent.css';

const COLUMNS: readonly Column<InspectNode>[] = [
  {
    key: 'name',
    title: 'Name',
    cell: (agent) => <a href={href(['agents', agent.subject ?? agent.name])}>{agent.name}</a>,
    sort: ({ name }) => name,
  },
  {
    key: 'state',
    title: 'State',
    width: '130px',
    cell: ({ state, reason }) => <StateBadge state={state} title={reason} />,
    sort: ({ state }) => state,
  },
  { key: 'type', title: 'Type', cell: ({ type }) => type, sort: ({ type }) => type ?? '', wide: true },
  {
    key: 'node',
    title: 'Node',
    width: '130px',
    cell: ({ node }) => <code title={node}>{shortId(node)}</code>,
    sort: ({ node }) => node,
    wide: true,
  },
  {
    key: 'thread',
    title: 'Thread',
    width: '80px',
    numeric: true,
    cell: ({ thread }) => thread ?? '–',
    sort: ({ thread }) => thread ?? -1,
    wide: true,
  },
  {
    key: 'mailbox',
    title: 'Mail',
    width: '70px',
    numeric: true,
    cell: ({ mailbox }) => count(mailbox),
    sort: ({ mailbox }) => mailbox ?? 0,
  },
  {
    key: 'restarts',
    title: 'Restarts',
    width: '90px',
    numeric: true,
    cell: ({ restarts }) => count(restarts),
    sort: ({ restarts }) => restarts,
    wide: true,
  },
];

export function Agents({ path, query }: ViewProps) {
  const [id] = path;
  return id === undefined ? <List query={query} /> : <Agent key={id} id={id} />;
}

function List({ query }: Pick<ViewProps, 'query'>) {
  useEffect(keepTree, []);
  const version = treeVersion.value;
  const agents = useMemo(() => [...allNodes()].filter(({ kind }) => kind === 'agent'), [version]);
  const types = useMemo(() => [...new Set(agents.map(({ type }) => type ?? ''))].toSorted(), [agents]);
  const states = useMemo(() => [...new Set(agents.map(({ state }) => state))].toSorted(), [agents]);
  const { state = '', type = '', q = '' } = query;
  const text = q.trim().toLowerCase();
  const shown = useMemo(
    () =>
      agents.filter(
        (agent) =>
          (state === '' || agent.state === state) &&
          (type === '' || agent.type === type) &&
          (text === '' || `${agent.name}\n${agent.subject}`.toLowerCase().includes(text)),
      ),
    [agents, state, type, text],
  );
  const error = treeError.value;
  if (!treeLoaded.value) return <Loading what="agents" />;
  if (error && agents.length === 0) return <ApiProblem error={error} />;
  return (
    <div class="agents-view">
      <div class="view-head">
        <h1>Agents</h1>
        <span class="muted">
          {shown.length === agents.length
            ? plural(agents.length, 'agent')
            : `${count(shown.length)} of ${count(agents.length)}`}
        </span>
        <span class="grow" />
        <input
          type="search"
          aria-label="Search agents"
          placeholder="Name or id"
          value={q}
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
        />
        <Choice
          label="Type"
          any="any type"
          options={types}
          value={type}
          onChange={(value) => setQuery({ type: value })}
        />
        <Choice
          label="State"
          any="any state"
          options={states}
          value={state}
          onChange={(value) => setQuery({ state: value })}
        />
      </div>
      <Stale error={error} />
      <DataTable
        label="Agents"
        rows={shown}
        columns={COLUMNS}
        rowKey={({ id }) => id}
        onOpen={(agent) => navigate(['agents', agent.subject ?? agent.name])}
        rowClass={({ id }) => (isFlashing(id) ? 'flash' : undefined)}
        sortedBy="name"
        empty={
          agents.length === 0 ? (
            <Empty title="No agents yet">
              <code>npx troupe agents create probe</code> makes one.
            </Empty>
          ) : (
            <Empty title="Nothing fits">Choose another state or type, or clear the search.</Empty>
          )
        }
      />
    </div>
  );
}

interface ChoiceProps {
  readonly label: string;
  readonly any: string;
  readonly options: readonly string[];
  readonly value: string;
  readonly onChange: (value: string) => void;
}

function Choice({ label, any, options, value, onChange }: ChoiceProps) {
  const all = value === '' || options.includes(value) ? options : [...options, value];
  return (
    <select aria-label={label} value={value} onChange={(event) => onChange(event.currentTarget.value)}>
      <option value="">{any}</option>
      {all.map((one) => (
        <option key={one}>{one}</option>
      ))}
    </select>
  );
}
