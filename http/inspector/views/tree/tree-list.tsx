// The tree as rows: only those on the screen are in the page. Arrow keys walk it as ARIA has it for trees.

import { useSignal } from '@preact/signals';
import { useLayoutEffect, useRef } from 'preact/hooks';
import { isFlashing } from '../../data/tree.ts';
import { href } from '../../router.ts';
import { StateBadge } from '../../ui/badge.tsx';
import { count, plural, shortId } from '../../ui/format.ts';
import type { NodeRow, TreeRow, TypeRow } from './rows.ts';

const ROW_PX = 28;
const SPARE = 10;

interface TreeListProps {
  readonly rows: readonly TreeRow[];
  readonly onToggle: (id: string) => void;
  readonly onOpen: (row: NodeRow) => void;
}

export function TreeList({ rows, onToggle, onOpen }: TreeListProps) {
  const scroller = useRef<HTMLDivElement>(null);
  const view = useSignal<readonly [number, number]>([0, 60]);
  const active = useSignal('');
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element) return;
    const measure = (): void => {
      const from = Math.max(0, Math.floor(element.scrollTop / ROW_PX) - SPARE);
      const to = Math.ceil((element.scrollTop + element.clientHeight) / ROW_PX) + SPARE;
      if (view.peek()[0] !== from || view.peek()[1] !== to) view.value = [from, to];
    };
    measure();
    element.addEventListener('scroll', measure, { passive: true });
    const resized = new ResizeObserver(measure);
    resized.observe(element);
    return () => {
      element.removeEventListener('scroll', measure);
      resized.disconnect();
    };
  }, [view]);
  const here = Math.max(
    0,
    rows.findIndex(({ id }) => id === active.value),
  );
  const goTo = (index: number): void => {
    const row = rows[Math.max(0, Math.min(rows.length - 1, index))];
    const element = scroller.current;
    if (!row || !element) return;
    active.value = row.id;
    const top = rows.indexOf(row) * ROW_PX;
    if (top < element.scrollTop) element.scrollTop = top;
    else if (top + ROW_PX > element.scrollTop + element.clientHeight)
      element.scrollTop = top + ROW_PX - element.clientHeight;
  };
  const onKeyDown = (event: KeyboardEvent): void => {
    const row = rows[here];
    if (!row) return;
    const act = keyAction(event.key, row, rows, here);
    if (!act) return;
    event.preventDefault();
    if (act.type === 'go') goTo(act.index);
    else if (act.type === 'toggle') onToggle(row.id);
    else if (row.kind === 'node') onOpen(row);
  };
  const [from, to] = view.value;
  return (
    <div
      class="tree"
      ref={scroller}
      role="tree"
      aria-label="Supervision tree"
      tabIndex={0}
      aria-activedescendant={rows[here] ? domId(rows[here].id) : undefined}
      onKeyDown={onKeyDown}
    >
      <div role="none" class="tree-room" style={{ height: `${rows.length * ROW_PX}px` }}>
        {rows.slice(from, to).map((row, index) => (
          <Row
            key={row.id}
            row={row}
            top={(from + index) * ROW_PX}
            active={from + index === here}
            choose={() => {
              active.value = row.id;
            }}
            toggle={() => onToggle(row.id)}
          />
        ))}
      </div>
    </div>
  );
}

type KeyAction =
  | { readonly type: 'go'; readonly index: number }
  | { readonly type: 'toggle' }
  | { readonly type: 'open' };

function keyAction(key: string, row: TreeRow, rows: readonly TreeRow[], here: number): KeyAction | null {
  switch (key) {
    case 'ArrowDown':
      return { type: 'go', index: here + 1 };
    case 'ArrowUp':
      return { type: 'go', index: here - 1 };
    case 'Home':
      return { type: 'go', index: 0 };
    case 'End':
      return { type: 'go', index: rows.length - 1 };
    case 'ArrowRight':
      return row.open === false ? { type: 'toggle' } : { type: 'go', index: here + 1 };
    case 'ArrowLeft': {
      if (row.open === true) return { type: 'toggle' };
      return { type: 'go', index: rows.findLastIndex(({ level }, index) => index < here && level < row.level) };
    }
    case 'Enter':
      return row.kind === 'type' || !opens(row) ? { type: 'toggle' } : { type: 'open' };
    case ' ':
      return { type: 'toggle' };
    default:
      return null;
  }
}

interface RowProps<Of> {
  readonly row: Of;
  readonly top: number;
  readonly active: boolean;
  readonly choose: () => void;
  readonly toggle: () => void;
}

function Row({ row, top, active, choose, toggle }: RowProps<TreeRow>) {
  const flash = row.kind === 'node' && isFlashing(row.id);
  return (
    // biome-ignore lint/a11y/useKeyWithClickEvents: the tree takes the keys for all its rows
    // biome-ignore lint/a11y/useFocusableInteractive: the tree has the focus and names its active row
    <div
      id={domId(row.id)}
      role="treeitem"
      class={`tree-row ${active ? 'is-active' : ''} ${flash ? 'flash' : ''}`}
      style={{ top: `${top}px` }}
      aria-level={row.level}
      aria-expanded={row.open ?? undefined}
      aria-selected={active}
      onClick={choose}
    >
      <span class="tree-name" style={{ paddingLeft: `${(row.level - 1) * 16}px` }}>
        {row.open === null ? (
          <span class="twist" />
        ) : (
          <button type="button" class="twist" tabIndex={-1} aria-hidden="true" onClick={toggle}>
            {row.open ? '▾' : '▸'}
          </button>
        )}
        {row.kind === 'node' ? <NodeName row={row} /> : <TypeName row={row} />}
      </span>
      {row.kind === 'node' ? <NodeCells row={row} /> : <TypeCells row={row} />}
    </div>
  );
}

function NodeName({ row: { node } }: { readonly row: NodeRow }) {
  const link = linkOf(node);
  const name = node.kind === 'root' ? `node ${shortId(node.node)}` : node.name;
  return (
    <>
      {link === null ? (
        <span title={node.id}>{name}</span>
      ) : (
        <a href={link} tabIndex={-1} title={node.subject ?? node.id}>
          {name}
        </a>
      )}
      {node.type === undefined ? null : <span class="tree-type">{node.type}</span>}
      {node.children > 0 && node.kind !== 'root' ? <span class="tree-type">{count(node.children)}</span> : null}
    </>
  );
}

function NodeCells({ row: { node } }: { readonly row: NodeRow }) {
  return (
    <>
      <span class="tree-state">
        <StateBadge state={node.state} title={node.reason} />
      </span>
      <span class="num wide">{node.kind === 'agent' && node.thread !== null ? `thread ${node.thread}` : ''}</span>
      <span class="num">{node.mailbox === null || node.mailbox === 0 ? '' : count(node.mailbox)}</span>
      <span class={`num ${node.restarts > 0 ? 'tone-warn' : ''}`}>
        {node.restarts === 0 ? '' : count(node.restarts)}
      </span>
    </>
  );
}

function TypeName({ row }: { readonly row: TypeRow }) {
  return (
    <>
      <b>{row.name}</b>
      <span class="tree-type">{plural(row.total, 'agent')}</span>
    </>
  );
}

function TypeCells({ row }: { readonly row: TypeRow }) {
  return (
    <>
      <span class="tree-state">
        {Object.entries(row.byState)
          .toSorted((a, b) => b[1] - a[1])
          .slice(0, 2)
          .map(([state, number]) => (
            <StateBadge key={state} state={state} label={`${count(number)} ${state}`} />
          ))}
      </span>
      <span class="num wide" />
      <span class="num">{row.mailbox === 0 ? '' : count(row.mailbox)}</span>
      <span class={`num ${row.restarts > 0 ? 'tone-warn' : ''}`}>{row.restarts === 0 ? '' : count(row.restarts)}</span>
    </>
  );
}

export function opens({ node }: NodeRow): boolean {
  return linkOf(node) !== null;
}

/** Where a node of the tree is shown in full. */
export function linkOf({ kind, subject }: NodeRow['node']): string | null {
  if (subject === undefined) return null;
  if (kind === 'agent') return href(['agents', subject]);
  if (kind === 'workflow') return href(['workflows', subject]);
  return kind === 'thread' ? href(['threads']) : null;
}

function domId(id: string): string {
  return `row-${id.replaceAll(/[^\w-]/g, '_')}`;
}
