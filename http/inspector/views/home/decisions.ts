// The last decisions of all runs: those of the newest runs when the page is opened, then as they are made.

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import { api } from '../../data/client.ts';
import { onEvent } from '../../data/live.ts';

export interface ShownDecision {
  readonly workflowId: string;
  readonly at: string;
  readonly kind: string;
  readonly rule: string;
  readonly chosen: string;
}

const KEPT = 12;
const RUNS = 4;

export const decisions = signal<readonly ShownDecision[]>([]);

export function useDecisions(): void {
  useEffect(() => {
    void loadRecent().catch(() => {}); // What is live comes all the same.
    return onEvent(({ type, stream, at, data }) => {
      if (type === 'workflow.decision') add([shown(stream, at, data)]);
    });
  }, []);
}

async function loadRecent(): Promise<void> {
  const runs = await api.get<{ items: readonly { id: string }[] }>('/api/agents/workflows/list', { limit: RUNS });
  const lists = await Promise.all(
    runs.items.map(async ({ id }) => {
      const path = `/api/agents/workflows/${id}/decisions`;
      const { items } = await api.get<{ items: readonly (Record<string, unknown> & { at: string })[] }>(path);
      return items.map((one) => shown(id, one.at, one));
    }),
  );
  add(lists.flat());
}

function shown(workflowId: string, at: string, of: Readonly<Record<string, unknown>>): ShownDecision {
  return { workflowId, at, kind: String(of.kind), rule: String(of.rule), chosen: String(of.chosen) };
}

function add(more: readonly ShownDecision[]): void {
  const all = new Map([...more, ...decisions.peek()].map((one) => [JSON.stringify(one), one]));
  decisions.value = [...all.values()].toSorted((a, b) => (a.at < b.at ? 1 : -1)).slice(0, KEPT);
}
