// Which siblings share the fate of a failed child (OTP supervisor: restart strategies). Pure; knows no timers and no actors.

import { assertNever } from '../contracts/errors.ts';
import type { RestartType, SupervisionStrategy } from '../contracts/supervision.ts';

/** What the plan needs to know of a child. */
export interface StrategyChild {
  readonly id: string;
  readonly restart: RestartType;
}

/** Both lists are in the order in which they are carried out. */
export interface RestartPlan {
  /** Siblings to stop, in reverse start order; the failed child itself is gone already and not listed. */
  readonly stop: readonly string[];
  /** Children to start once those are down, in start order, the failed one included. Temporary siblings never come back. */
  readonly start: readonly string[];
}

/**
 * The plan for a failed child that is to be restarted, among its siblings in start order.
 * A sibling that ended by itself before is started again with its group, as OTP does.
 */
export function restartPlan(
  strategy: SupervisionStrategy,
  children: readonly StrategyChild[],
  failedId: string,
): RestartPlan {
  const group = affected(strategy, children, failedId);
  return {
    stop: group
      .filter((child) => child.id !== failedId)
      .map((child) => child.id)
      .reverse(),
    start: group.filter((child) => child.id === failedId || child.restart !== 'temporary').map((child) => child.id),
  };
}

function affected(
  strategy: SupervisionStrategy,
  children: readonly StrategyChild[],
  failedId: string,
): readonly StrategyChild[] {
  const at = children.findIndex((child) => child.id === failedId);
  if (at === -1) return [];
  switch (strategy) {
    case 'one-for-one':
      return children.slice(at, at + 1);
    case 'rest-for-one':
      return children.slice(at);
    case 'one-for-all':
      return children;
    default:
      return assertNever(strategy);
  }
}
