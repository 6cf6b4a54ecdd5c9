// The decision log: what was chosen among what, by which rule, losers included.

import { useSignal } from '@preact/signals';
import type { Decision } from '../../../../runtime/contracts/coordination.ts';
import type { WorkflowView } from '../../../../runtime/contracts/workflow.ts';
import type { AgentNames } from '../../data/agent-names.ts';
import { api } from '../../data/client.ts';
import { useResource } from '../../data/resource.ts';
import { Choice } from '../../ui/choice.tsx';
import { clockMs, figure } from '../../ui/figures.ts';
import { plural } from '../../ui/format.ts';
import { ApiProblem, Empty, Loading } from '../../ui/states.tsx';
import { hasEnded, runPath } from './run-data.ts';

type Made = Decision & { readonly seq: number; readonly at: string };
const PAGE = 200;

interface DecisionsProps {
  readonly run: WorkflowView;
  readonly names: AgentNames;
  readonly kind: string | undefined;
}

export function Decisions({ run, names, kind }: DecisionsProps) {
  const path = `${runPath(run.id)}/decisions`;
  const { data, error } = useResource<{ items: readonly Made[] }>(
    path,
    { limit: PAGE },
    hasEnded(run) ? {} : { everyMs: 1_000 },
  ).state.value;
  const more = useSignal<readonly Made[]>([]);
  const over = useSignal(false);
  if (data === undefined) return error ? <ApiProblem error={error} /> : <Loading what="decisions" />;
  const all = [...data.items, ...more.value.filter(({ seq }) => seq > (data.items.at(-1)?.seq ?? 0))];
  if (all.length === 0) return <Empty title="Nothing has been decided yet" />;
  const kinds = [...new Set(all.map((one) => one.kind))].sort();
  const shown = kind === undefined ? all : all.filter((one) => one.kind === kind);
  const load = async (): Promise<void> => {
    const { items } = await api.get<{ items: readonly Made[] }>(path, { limit: PAGE, after: all.at(-1)?.seq ?? 0 });
    more.value = [...more.value, ...items];
    over.value = items.length < PAGE;
  };
  return (
    <>
      <div class="filters">
        <Choice label="Kind" name="kind" of={kinds} value={kind} />
        <span class="muted">{plural(shown.length, 'decision')}</span>
      </div>
      <ol class="decisions">
        {shown.map((one) => (
          <li key={one.seq}>
            <DecisionLine decision={one} at={one.at} names={names} />
          </li>
        ))}
      </ol>
      {data.items.length === PAGE && !over.value ? (
        <p class="more">
          <button type="button" onClick={() => void load()}>
            Show more
          </button>
        </p>
      ) : null}
    </>
  );
}

interface LineProps {
  readonly decision: Decision;
  readonly at?: string;
  readonly names: AgentNames;
}

export function DecisionLine({ decision: { kind, rule, chosen, candidates = [] }, at, names }: LineProps) {
  const named = (id: string): string => names.byId.get(id) ?? id;
  const scores = candidates.flatMap(({ score }) => (score === undefined ? [] : [score]));
  const [low, high] = [Math.min(...scores, 0), Math.max(...scores, 0)];
  return (
    <>
      <p class="decision-head">
        <span class="decision-kind">{kind.replaceAll('_', ' ')}</span> <strong>{named(chosen)}</strong>{' '}
        <span class="muted">by {rule.replaceAll('_', ' ')}</span>
        {at === undefined ? null : <span class="decision-at muted">{clockMs(at)}</span>}
      </p>
      {candidates.length === 0 ? null : (
        <ul class="candidates" aria-label="Candidates">
          {candidates.map(({ id, score, note }, place) => (
            <li key={place} class={id === chosen ? 'is-chosen' : ''}>
              <span class="candidate-name">
                {named(id)}
                {id === chosen ? <span class="sr"> (chosen)</span> : null}
              </span>
              {score === undefined ? null : (
                <>
                  <span class="candidate-bar" aria-hidden="true">
                    <i style={{ width: `${high > low ? ((score - low) / (high - low)) * 100 : 0}%` }} />
                  </span>
                  <span class="num">{figure(score)}</span>
                </>
              )}
              {note === undefined ? null : <span class="muted">{note.replaceAll('_', ' ')}</span>}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}
