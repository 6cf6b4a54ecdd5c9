// Figures of nodes and threads as the feed tells them once a second, with the last minutes of them for series.

import { signal } from '@preact/signals';
import type { NodeFigures, ThreadFigures } from '../../../runtime/contracts/inspection.ts';
import { onFrame } from './live.ts';

export interface FiguresAt {
  /** Seconds since 1970. */
  readonly at: number;
  readonly nodes: readonly NodeFigures[];
  readonly threads: readonly ThreadFigures[];
  readonly mailboxes: readonly { readonly node: string; readonly agent: string; readonly waiting: number }[];
}

/** Five minutes. */
const KEPT = 300;

/** Oldest first; empty until the first came. */
export const figureHistory = signal<readonly FiguresAt[]>([]);

let kept = false;

/** Keeps figures from now on. Called once, when the page starts: they are there when a view is opened. */
export function keepFigures(): void {
  if (kept) return;
  kept = true;
  onFrame('figures', ({ at, nodes, threads, mailboxes }) => {
    const next = { at: Date.parse(at) / 1_000, nodes, threads, mailboxes };
    figureHistory.value = [...figureHistory.peek().slice(1 - KEPT), next];
  });
}

/** One number of each moment, added up over the nodes; null where none tells it. */
export function sumOverNodes(
  history: readonly FiguresAt[],
  of: (node: NodeFigures) => number | null,
): readonly (number | null)[] {
  return history.map(({ nodes }) => {
    const values = nodes.map(of).filter((value) => value !== null);
    return values.length === 0 ? null : values.reduce((sum, value) => sum + value, 0);
  });
}

/** The largest over the nodes. */
export function mostOfNodes(
  history: readonly FiguresAt[],
  of: (node: NodeFigures) => number | null,
): readonly (number | null)[] {
  return history.map(({ nodes }) => {
    const values = nodes.map(of).filter((value) => value !== null);
    return values.length === 0 ? null : Math.max(...values);
  });
}
