// A run may have ten thousand steps: which of them one answer shows. Pure.

import type { StepView } from '../contracts/coordination.ts';
import { RuntimeError } from '../contracts/errors.ts';

/** Shown at once, at most and by default. */
export const STEPS_SHOWN = 1_000;

export interface StepsWanted {
  readonly stepsLimit?: number;
  readonly stepsCursor?: string;
}

export interface StepPage {
  readonly steps: readonly StepView[];
  /** Cursor of the step after them; null: there is none. */
  readonly next: string | null;
}

/** Reads the steps from `from` until before `to`. */
export type ReadSteps = (range: { readonly from: number; readonly to: number }) => {
  readonly steps: readonly StepView[];
  readonly total: number;
};

/** A cursor is a position: steps that a run gains later come behind those it has. Throws `invalid_input`. */
export function stepPage(read: ReadSteps, { stepsLimit = STEPS_SHOWN, stepsCursor = '0' }: StepsWanted): StepPage {
  if (!/^\d{1,9}$/.test(stepsCursor))
    throw new RuntimeError('invalid_input', 'the cursor is not one of these steps', {
      details: { field: 'stepsCursor' },
    });
  const from = Number(stepsCursor);
  const to = from + Math.max(1, Math.min(STEPS_SHOWN, Math.floor(stepsLimit)));
  const { steps, total } = read({ from, to });
  return { steps, next: to < total ? String(to) : null };
}
