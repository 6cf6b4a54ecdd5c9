// Names of agents by id, for views that are told ids. The first 500; an agent beyond them is shown by its id.

import { useMemo } from 'preact/hooks';
import type { AgentView } from '../../../runtime/contracts/agent.ts';
import { shortId } from '../ui/format.ts';
import { useResource } from './resource.ts';

export interface AgentNames {
  readonly byId: ReadonlyMap<string, string>;
  /** The name, or the shortened id; a dash for nobody. */
  of(id: string | null | undefined): string;
}

export function useAgentNames(): AgentNames {
  const { data } = useResource<{ items: readonly AgentView[] }>(
    '/api/agents/list',
    { limit: 500 },
    { on: ['agent.created', 'agent.terminated'] },
  ).state.value;
  return useMemo(() => {
    const byId = new Map<string, string>(data?.items.map(({ id, name }) => [id, name]));
    return { byId, of: (id) => (id === null || id === undefined ? '–' : (byId.get(id) ?? shortId(id))) };
  }, [data]);
}
