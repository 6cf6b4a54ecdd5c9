// The supervision tree of all nodes, live: as a list that can be searched, or all agents at once by thread.

import { useSignal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import {
  allNodes,
  childrenOf,
  keepTree,
  treeCounts,
  treeError,
  treeLeftOut,
  treeLoaded,
  treeRoots,
  treeVersion,
} from '../../data/tree.ts';
import { setQuery } from '../../router.ts';
import { count, plural } from '../../ui/format.ts';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';
import { Tabs } from '../../ui/tabs.tsx';
import type { ViewProps } from '../view.ts';
import { AgentMap } from './map.tsx';
import { treeRows } from './rows.ts';
import './tree.css';
import { linkOf, TreeList } from './tree-list.tsx';

const STATES = ['running', 'idle', 'paused', 'error', 'initializing', 'created', 'terminated', 'busy', 'stuck', 'dead'];

export function Tree({ query }: ViewProps) {
  useEffect(keepTree, []);
  const version = treeVersion.value;
  const toggled = useSignal<ReadonlySet<string>>(new Set());
  const text = (query.q ?? '').trim().toLowerCase();
  const state = query.state ?? '';
  const rows = useMemo(
    () => treeRows({ roots: treeRoots.value, childrenOf }, { toggled: toggled.value, text, state }),
    [version, toggled.value, text, state],
  );
  const error = treeError.value;
  if (!treeLoaded.value) return <Loading what="supervision tree" />;
  if (error && treeRoots.value.length === 0) return <ApiProblem error={error} />;
  const toggle = (id: string): void => {
    const next = new Set(toggled.value);
    if (!next.delete(id)) next.add(id);
    toggled.value = next;
  };
  return (
    <div class="tree-view">
      <div class="view-head">
        <h1>Supervision</h1>
        <Totals />
        <span class="grow" />
        <input
          type="search"
          aria-label="Search in the tree"
          placeholder="Name, type or id"
          value={query.q ?? ''}
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
        />
        <select aria-label="State" value={state} onChange={(event) => setQuery({ state: event.currentTarget.value })}>
          <option value="">any state</option>
          {STATES.map((one) => (
            <option key={one}>{one}</option>
          ))}
        </select>
      </div>
      <Stale error={error} />
      <Tabs
        label="How to show the tree"
        param="as"
        tabs={[
          {
            id: 'list',
            title: 'Tree',
            content: () => (
              <div class="tree-frame">
                <div class="tree-head" aria-hidden="true">
                  <span>Name</span>
                  <span>State</span>
                  <span class="num wide">Where</span>
                  <span class="num">Mail</span>
                  <span class="num">Restarts</span>
                </div>
                {rows.length === 0 ? (
                  <Empty title="Nothing fits">Clear the search or the state to see the whole tree.</Empty>
                ) : (
                  <TreeList
                    rows={rows}
                    onToggle={toggle}
                    onOpen={({ node }) => {
                      const link = linkOf(node);
                      if (link !== null) location.hash = link;
                    }}
                  />
                )}
              </div>
            ),
          },
          { id: 'map', title: 'By thread', content: () => <AgentMap nodes={allNodes()} /> },
        ]}
      />
      {treeLeftOut.value > 0 ? (
        <p class="muted">{count(treeLeftOut.value)} more are not shown: search for them.</p>
      ) : null}
    </div>
  );
}

function Totals() {
  const counts = Object.values(treeCounts.value);
  const sum = (of: 'total' | 'threads' | 'workflows' | 'restarts'): number =>
    counts.reduce((total, one) => total + one[of], 0);
  return (
    <span class="muted">
      {plural(counts.length, 'node')}, {plural(sum('threads'), 'thread')}, {plural(sum('total'), 'agent')},{' '}
      {plural(sum('workflows'), 'workflow')}, {plural(sum('restarts'), 'restart')}
    </span>
  );
}
