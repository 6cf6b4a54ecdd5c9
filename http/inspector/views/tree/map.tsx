// All agents at once: a square each, gathered by node and thread, coloured and shaped by state. What restarts flashes.

import type { InspectNode } from '../../../../runtime/contracts/inspection.ts';
import { isFlashing } from '../../data/tree.ts';
import { href } from '../../router.ts';
import { StateBadge, toneOf } from '../../ui/badge.tsx';
import { plural, shortId } from '../../ui/format.ts';
import { Empty } from '../../ui/states.tsx';

interface Place {
  readonly key: string;
  readonly title: string;
  readonly thread: InspectNode | undefined;
  readonly agents: InspectNode[];
}

export function AgentMap({ nodes }: { readonly nodes: Iterable<InspectNode> }) {
  const places = placesOf(nodes);
  const states = new Set(places.flatMap(({ agents }) => agents.map(({ state }) => state)));
  if (places.length === 0)
    return <Empty title="No threads">The node has not started its threads yet, or cannot be reached.</Empty>;
  return (
    <>
      <p class="row map-legend">
        {[...states].toSorted().map((state) => (
          <StateBadge key={state} state={state} />
        ))}
      </p>
      <div class="map">
        {places.map(({ key, title, thread, agents }) => (
          <section key={key} class={`map-place ${thread && isFlashing(thread.id) ? 'flash' : ''}`} aria-label={title}>
            <h3>
              {title} <span>{plural(agents.length, 'agent')}</span>
              {thread ? <StateBadge state={thread.state} /> : null}
            </h3>
            <div class="map-cells">
              {agents.map((agent) => (
                <a
                  key={agent.id}
                  class={`map-cell badge-${toneOf(agent.state)} ${isFlashing(agent.id) ? 'flash' : ''}`}
                  href={href(['agents', agent.subject ?? agent.name])}
                  title={`${agent.name}: ${agent.state}`}
                >
                  <span class="sr">
                    {agent.name}: {agent.state}
                  </span>
                </a>
              ))}
            </div>
          </section>
        ))}
      </div>
    </>
  );
}

function placesOf(nodes: Iterable<InspectNode>): readonly Place[] {
  const places = new Map<string, Place>();
  const several = new Set<string>();
  const place = (node: string, thread: number | null, of?: InspectNode): Place => {
    const key = `${node}/${thread ?? '-'}`;
    const known = places.get(key);
    if (known && !of) return known;
    const title = thread === null ? 'Nowhere' : `Thread ${thread}`;
    const made = { key, title, thread: of ?? known?.thread, agents: known?.agents ?? [] };
    places.set(key, made);
    return made;
  };
  for (const node of nodes) {
    several.add(node.node);
    if (node.kind === 'thread') place(node.node, Number(node.subject), node);
    if (node.kind === 'agent') place(node.node, node.thread).agents.push(node);
  }
  const titled = [...places.values()].map((one) =>
    several.size > 1 ? { ...one, title: `${shortId(one.key.split('/')[0] ?? '')}, ${one.title.toLowerCase()}` } : one,
  );
  for (const { agents } of titled) agents.sort((a, b) => (a.id < b.id ? -1 : 1));
  return titled.toSorted((a, b) => a.key.localeCompare(b.key, 'en', { numeric: true }));
}
