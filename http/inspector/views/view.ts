// What a view is to the shell.

import type { ComponentType } from 'preact';

export interface ViewProps {
  /** The parts of the address after the view's own name. */
  readonly path: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

export interface View {
  /** First part of its address. */
  readonly id: string;
  readonly title: string;
  /** In the navigation. Others are reached from there: one agent from the agents. */
  readonly listed: boolean;
  /** Which listed view is marked as open; default itself. */
  readonly under?: string;
  readonly load: () => Promise<ComponentType<ViewProps>>;
}
