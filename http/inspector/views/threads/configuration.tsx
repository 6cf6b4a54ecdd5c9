// What the answering node runs with: every option, its variable, its value. Secrets never leave the node.

import type { InspectedConfig } from '../../../../runtime/contracts/inspection.ts';
import { useResource } from '../../data/resource.ts';
import { setQuery } from '../../router.ts';
import { ApiProblem, Empty, Loading } from '../../ui/states.tsx';
import { type Column, DataTable } from '../../ui/table.tsx';

type Option = InspectedConfig['items'][number];

const COLUMNS: readonly Column<Option>[] = [
  { key: 'key', title: 'Option', cell: ({ key }) => key, sort: ({ key }) => key, width: '150px' },
  { key: 'value', title: 'Value', cell: (option) => <Value option={option} />, width: '28%' },
  {
    key: 'set',
    title: 'From',
    width: '80px',
    cell: ({ isDefault }) => (isDefault ? <span class="muted">default</span> : 'set'),
    sort: ({ isDefault }) => Number(isDefault),
    wide: true,
  },
  { key: 'env', title: 'Variable', cell: ({ env }) => <code>{env}</code>, width: '220px', wide: true },
  { key: 'about', title: 'Meaning', cell: ({ about }) => <span title={about}>{about}</span>, wide: true },
];

function Value({ option: { value, secret } }: { readonly option: Option }) {
  if (value === null || value === undefined) return <span class="muted">not set</span>;
  const text = typeof value === 'string' ? value : JSON.stringify(value);
  return secret ? <span class="muted">{text}</span> : <code title={text}>{text}</code>;
}

export function Configuration({ text }: { readonly text: string }) {
  const resource = useResource<InspectedConfig>('/api/inspect/config');
  const { data, error } = resource.state.value;
  if (!data)
    return error ? (
      <ApiProblem error={error} retry={() => void resource.refresh()} />
    ) : (
      <Loading what="configuration" />
    );
  const wanted = text.trim().toLowerCase();
  const shown = data.items.filter(({ key, env, about }) => `${key}\n${env}\n${about}`.toLowerCase().includes(wanted));
  return (
    <>
      <p class="row threads-config">
        <input
          type="search"
          aria-label="Search options"
          placeholder="Option, variable or meaning"
          value={text}
          onInput={(event) => setQuery({ q: event.currentTarget.value })}
        />
        <span class="muted">Troupe {data.version}</span>
      </p>
      <DataTable
        label="Configuration"
        rows={shown}
        columns={COLUMNS}
        rowKey={({ key }) => key}
        empty={<Empty title="No such option">Clear the search to see all of them.</Empty>}
      />
    </>
  );
}
