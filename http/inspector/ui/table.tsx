// Rows in columns: sorted by a click on a head, drawn only where they are seen, so that ten thousand are as quick as ten.

import { useSignal } from '@preact/signals';
import type { ComponentChildren } from 'preact';
import { useLayoutEffect, useMemo, useRef } from 'preact/hooks';
import './table.css';

export interface Column<Row> {
  readonly key: string;
  readonly title: string;
  readonly cell: (row: Row) => ComponentChildren;
  /** What it is sorted by. Absent: it is not. */
  readonly sort?: (row: Row) => string | number;
  /** CSS width, `12ch` or `20%`; the rest is shared by those without. */
  readonly width?: string;
  readonly numeric?: boolean;
  /** Left out at phone width. */
  readonly wide?: boolean;
}

interface TableProps<Row> {
  /** Said to screen readers. */
  readonly label: string;
  readonly rows: readonly Row[];
  readonly columns: readonly Column<Row>[];
  readonly rowKey: (row: Row) => string;
  /** Where a click or Enter on a row leads. Put a link into the first column as well. */
  readonly onOpen?: (row: Row) => void;
  readonly isOpen?: (row: Row) => boolean;
  /** Shown instead of a table without rows. */
  readonly empty?: ComponentChildren;
  /** Extra class of a row, like `flash`. */
  readonly rowClass?: (row: Row) => string | undefined;
  /** Sorted by this at first; `-key` downwards. Default: as the rows come. */
  readonly sortedBy?: string;
}

const ROW_PX = 30;
/** Fewer are all drawn. */
const VIRTUAL_FROM = 120;
const SPARE_ROWS = 12;

export function DataTable<Row>(props: TableProps<Row>) {
  const { rows, columns, rowKey, label, empty } = props;
  const order = useSignal(props.sortedBy ?? '');
  const sorted = useMemo(() => sortRows(rows, columns, order.value), [rows, columns, order.value]);
  const scroller = useRef<HTMLElement>(null);
  const view = useWindow(scroller, sorted.length);
  if (rows.length === 0 && empty !== undefined) return <>{empty}</>;
  const [from, to] = view;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a part that scrolls must be reachable by keyboard
    <section class="table-scroll" ref={scroller} tabIndex={0} aria-label={label}>
      <table class="table" aria-rowcount={sorted.length + 1}>
        <colgroup>
          {columns.map((column) => (
            <col
              key={column.key}
              class={column.wide ? 'wide' : ''}
              style={column.width ? { width: column.width } : {}}
            />
          ))}
        </colgroup>
        <thead>
          <tr>
            {columns.map((column) => (
              <Head key={column.key} column={column as Column<never>} order={order} />
            ))}
          </tr>
        </thead>
        <tbody>
          <Gap rows={from} columns={columns.length} />
          {sorted.slice(from, to).map((row, index) => (
            <BodyRow key={rowKey(row)} row={row} index={from + index} table={props} />
          ))}
          <Gap rows={sorted.length - to} columns={columns.length} />
        </tbody>
      </table>
    </section>
  );
}

function BodyRow<Row>({
  row,
  index,
  table,
}: {
  readonly row: Row;
  readonly index: number;
  readonly table: TableProps<Row>;
}) {
  const { columns, onOpen, isOpen, rowClass } = table;
  const open = isOpen?.(row);
  const classes = [onOpen ? 'opens' : '', open ? 'is-open' : '', rowClass?.(row) ?? ''].filter(Boolean).join(' ');
  const onClick = onOpen
    ? (event: MouseEvent): void => {
        if (!(event.target as Element).closest('a, button, input')) onOpen(row);
      }
    : undefined;
  return (
    <tr class={classes} aria-rowindex={index + 2} aria-current={open ? 'true' : undefined} onClick={onClick}>
      {columns.map((column) => (
        <td key={column.key} class={cellClass(column)}>
          {column.cell(row)}
        </td>
      ))}
    </tr>
  );
}

function Head({ column, order }: { readonly column: Column<never>; readonly order: { value: string } }) {
  const { key, title, sort } = column;
  const direction = order.value === key ? 'ascending' : order.value === `-${key}` ? 'descending' : undefined;
  const turn = (): void => {
    order.value = direction === 'ascending' ? `-${key}` : direction === 'descending' ? '' : key;
  };
  return (
    <th scope="col" class={cellClass(column)} aria-sort={direction}>
      {sort ? (
        <button type="button" onClick={turn}>
          {title}
          <span aria-hidden="true">{direction === 'ascending' ? ' ▲' : direction === 'descending' ? ' ▼' : ''}</span>
        </button>
      ) : (
        title
      )}
    </th>
  );
}

/** Holds the place of the rows that are not drawn. */
function Gap({ rows, columns }: { readonly rows: number; readonly columns: number }) {
  if (rows <= 0) return null;
  return (
    <tr>
      <td class="gap" colSpan={columns} style={{ height: `${rows * ROW_PX}px` }} />
    </tr>
  );
}

const cellClass = ({ numeric, wide }: Pick<Column<never>, 'numeric' | 'wide'>): string =>
  `${numeric ? 'num ' : ''}${wide ? 'wide' : ''}`;

function sortRows<Row>(rows: readonly Row[], columns: readonly Column<Row>[], order: string): readonly Row[] {
  const down = order.startsWith('-');
  const by = columns.find(({ key }) => key === order.replace(/^-/, ''))?.sort;
  if (!by) return rows;
  const sign = down ? -1 : 1;
  return rows.toSorted((a, b) => {
    const [left, right] = [by(a), by(b)];
    return left < right ? -sign : left > right ? sign : 0;
  });
}

/** Which rows are seen: [from, to). */
function useWindow(scroller: { readonly current: HTMLElement | null }, total: number): readonly [number, number] {
  const seen = useSignal<readonly [number, number]>([0, VIRTUAL_FROM]);
  const virtual = total > VIRTUAL_FROM;
  useLayoutEffect(() => {
    const element = scroller.current;
    if (!element || !virtual) return;
    const measure = (): void => {
      const first = Math.max(0, Math.floor(element.scrollTop / ROW_PX) - SPARE_ROWS);
      const last = Math.ceil((element.scrollTop + element.clientHeight) / ROW_PX) + SPARE_ROWS;
      const [from, to] = seen.peek();
      if (first !== from || last !== to) seen.value = [first, last];
    };
    measure();
    element.addEventListener('scroll', measure, { passive: true });
    const resized = new ResizeObserver(measure);
    resized.observe(element);
    return () => {
      element.removeEventListener('scroll', measure);
      resized.disconnect();
    };
  }, [scroller, virtual, seen]);
  if (!virtual) return [0, total];
  const [from, to] = seen.value;
  const last = Math.min(total, to);
  return [Math.min(from, Math.max(0, last - SPARE_ROWS)), last];
}
