// Messages that nobody took: to whom, why, what was in them; sent again by whoever may.

import type { DeadLetterRow } from '../../../../runtime/contracts/store.ts';
import { useAgentNames } from '../../data/agent-names.ts';
import { api } from '../../data/client.ts';
import { useResource } from '../../data/resource.ts';
import { mayWork } from '../../data/session.ts';
import { setQuery } from '../../router.ts';
import { Choice } from '../../ui/choice.tsx';
import { Action } from '../../ui/dialog.tsx';
import { clockMs } from '../../ui/figures.ts';
import { Fields, Json, Panel } from '../../ui/panel.tsx';
import { ApiProblem, Empty, Loading, Stale } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';
import type { ViewProps } from '../view.ts';

type Page = { readonly items: readonly DeadLetterRow[]; readonly nextCursor: string | null };

export function LetterList({ query }: Pick<ViewProps, 'query'>) {
  const names = useAgentNames();
  const resource = useResource<Page>(
    '/api/agents/dead-letters',
    { to: query.to, limit: 200 },
    { everyMs: 5_000, on: ['message.dead_letter'] },
  );
  const { data, error } = resource.state.value;
  if (data === undefined) return error ? <ApiProblem error={error} /> : <Loading what="letters" />;
  const reasons = [...new Set(data.items.map(({ reason }) => reason))].sort();
  const rows = query.reason ? data.items.filter(({ reason }) => reason === query.reason) : data.items;
  const chosen = data.items.find(({ id }) => id === query.letter);
  return (
    <>
      <Stale error={error} />
      <search class="filters">
        <label>
          To
          <input
            type="search"
            placeholder="id of the addressee"
            value={query.to ?? ''}
            onChange={(event) => setQuery({ to: event.currentTarget.value })}
          />
        </label>
        <Choice label="Reason" name="reason" of={reasons} value={query.reason} />
      </search>
      <div class={chosen ? 'with-aside' : ''}>
        <DataTable
          label="Dead letters"
          rows={rows}
          columns={columnsFor((id) => names.of(id))}
          rowKey={({ id }) => id}
          onOpen={({ id }) => setQuery({ letter: id })}
          isOpen={({ id }) => id === query.letter}
          empty={<Empty title="No letter is here">A message that nobody takes is kept here, with the reason.</Empty>}
        />
        {chosen ? <Letter letter={chosen} nameOf={(id) => names.of(id)} sent={() => resource.refresh()} /> : null}
      </div>
    </>
  );
}

type NameOf = (id: string | undefined) => string;

function columnsFor(nameOf: NameOf): readonly Column<DeadLetterRow>[] {
  return [
    {
      key: 'type',
      title: 'Type',
      cell: ({ id, type }) => (
        <button type="button" class="link" onClick={() => setQuery({ letter: id })}>
          {type}
        </button>
      ),
      sort: ({ type }) => type,
    },
    { key: 'to', title: 'To', cell: ({ to }) => nameOf(to) },
    { key: 'from', title: 'From', wide: true, cell: ({ from }) => (from === undefined ? 'outside' : nameOf(from)) },
    { key: 'reason', title: 'Reason', cell: ({ reason }) => reason.replaceAll('_', ' '), sort: ({ reason }) => reason },
    { key: 'at', title: 'At', width: '13ch', wide: true, cell: ({ atMs }) => clockMs(atMs), sort: ({ atMs }) => atMs },
    { key: 'replays', title: 'Sent again', width: '11ch', numeric: true, wide: true, cell: ({ replays }) => replays },
  ];
}

interface LetterProps {
  readonly letter: DeadLetterRow;
  readonly nameOf: NameOf;
  readonly sent: () => Promise<void>;
}

function Letter({ letter, nameOf, sent }: LetterProps) {
  const { id, type, to, from, reason, atMs, replays, messageId, body } = letter;
  const replay = async (): Promise<void> => {
    const answer = await api.send<{ result: { outcome: string; reason?: string } }>(
      'POST',
      `/api/agents/dead-letters/${id}/replay`,
      {},
    );
    await sent();
    const { outcome, reason: why } = answer.result;
    if (outcome !== 'delivered') throw new Error(`It was not taken again: ${why ?? outcome}.`);
  };
  return (
    <Panel
      title={type}
      class="aside"
      aside={
        <button type="button" class="quiet" onClick={() => setQuery({ letter: undefined })}>
          Close
        </button>
      }
    >
      <Fields
        of={[
          ['To', nameOf(to)],
          ['From', from === undefined ? 'outside' : nameOf(from)],
          ['Reason', reason.replaceAll('_', ' ')],
          ['At', clockMs(atMs)],
          ['Sent again', `${replays} of 3 times`],
          ['Message', <code key="id">{messageId}</code>],
        ]}
      />
      <Json value={body ?? null} />
      {mayWork.value ? (
        <Action
          label="Send again"
          disabled={replays >= 3}
          title={replays >= 3 ? 'Three times is all there is.' : undefined}
          act={replay}
          confirm={<p>The message goes to its addressee once more; three times at most.</p>}
        />
      ) : null}
    </Panel>
  );
}
