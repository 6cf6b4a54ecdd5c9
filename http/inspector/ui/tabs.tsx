// Tabs whose choice is in the address (`?tab=`): arrow keys move between them, as ARIA has it.

import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import { route, setQuery } from '../router.ts';
import './tabs.css';

export interface Tab {
  readonly id: string;
  readonly title: string;
  /** Drawn only while it is open. */
  readonly content: () => ComponentChildren;
}

interface TabsProps {
  readonly label: string;
  readonly tabs: readonly Tab[];
  /** Name in the query of the address. */
  readonly param?: string;
}

export function Tabs({ label, tabs, param = 'tab' }: TabsProps) {
  const base = useId();
  const open = tabs.find(({ id }) => id === route.value.query[param]) ?? tabs[0];
  if (!open) return null;
  const choose = (id: string): void => setQuery({ [param]: id === tabs[0]?.id ? undefined : id });
  const onKeyDown = (event: KeyboardEvent): void => {
    const step = { ArrowRight: 1, ArrowLeft: -1 }[event.key];
    if (step === undefined) return;
    const next = tabs[(tabs.indexOf(open) + step + tabs.length) % tabs.length];
    if (!next) return;
    event.preventDefault();
    choose(next.id);
    document.getElementById(`${base}-${next.id}`)?.focus();
  };
  return (
    <>
      <div class="tabs" role="tablist" aria-label={label} onKeyDown={onKeyDown}>
        {tabs.map(({ id, title }) => (
          <button
            key={id}
            id={`${base}-${id}`}
            type="button"
            role="tab"
            aria-selected={id === open.id}
            aria-controls={`${base}-panel`}
            tabIndex={id === open.id ? 0 : -1}
            onClick={() => choose(id)}
          >
            {title}
          </button>
        ))}
      </div>
      <div id={`${base}-panel`} class="tab-panel" role="tabpanel" aria-labelledby={`${base}-${open.id}`}>
        {open.content()}
      </div>
    </>
  );
}
