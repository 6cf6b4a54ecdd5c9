// Panels with a heading, figures in tiles, fields in rows: what most views are put together from.

import type { ComponentChildren } from 'preact';
import { useId } from 'preact/hooks';
import type { Tone } from './badge.tsx';
import './panel.css';

interface PanelProps {
  readonly title: string;
  /** Right of the heading. */
  readonly aside?: ComponentChildren;
  readonly children: ComponentChildren;
  /** Its content has its own edges, like a table. */
  readonly flush?: boolean;
  readonly class?: string;
}

export function Panel({ title, aside, children, flush = false, class: extra = '' }: PanelProps) {
  const id = useId();
  return (
    <section class={`panel ${flush ? 'panel-flush' : ''} ${extra}`} aria-labelledby={id}>
      <div class="panel-head">
        <h2 id={id}>{title}</h2>
        {aside}
      </div>
      <div class="panel-body">{children}</div>
    </section>
  );
}

interface StatProps {
  readonly label: string;
  readonly value: ComponentChildren;
  /** Under the figure: a unit in words, a comparison, what to do. */
  readonly note?: ComponentChildren;
  readonly tone?: Tone;
  readonly href?: string;
}

/** One figure. Coloured only when something is to be done about it. */
export function Stat({ label, value, note, tone, href }: StatProps) {
  const inner = (
    <>
      <span class="stat-label">{label}</span>
      <span class={`stat-value ${tone ? `tone-${tone}` : ''}`}>{value}</span>
      <span class="stat-note">{note}</span>
    </>
  );
  return href === undefined ? (
    <div class="stat">{inner}</div>
  ) : (
    <a class="stat" href={href}>
      {inner}
    </a>
  );
}

/** Names and values. Absent values are left out. */
export function Fields({ of }: { readonly of: readonly (readonly [name: string, value: ComponentChildren])[] }) {
  return (
    <dl class="fields">
      {of
        .filter(([, value]) => value !== undefined && value !== null && value !== '')
        .map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
    </dl>
  );
}

/** A part of a whole, as a bar beside its figure. */
export function Meter({
  part,
  tone = 'busy',
  label,
}: {
  readonly part: number;
  readonly tone?: Tone;
  readonly label: string;
}) {
  const width = `${Math.max(0, Math.min(1, part)) * 100}%`;
  return (
    <span class="meter" role="img" aria-label={label}>
      <span class={`meter-fill fill-${tone}`} style={{ width }} />
    </span>
  );
}

/** JSON to look at. */
export function Json({ value }: { readonly value: unknown }) {
  return <pre class="json">{JSON.stringify(value, null, 2) ?? 'nothing'}</pre>;
}
