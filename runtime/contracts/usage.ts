// What work uses: reported by handlers, kept with tasks, limited by the budgets of runs.

import { z } from 'zod';

/** What work used or may use. `cost` in any one unit, the same everywhere in a run. */
export const usageSchema = z
  .strictObject({
    tokens: z.number().int().min(0).max(1e12).optional(),
    cost: z.number().min(0).max(1e12).optional(),
    /** Steps started: every task counts one. */
    calls: z.number().int().min(0).max(1e9).optional(),
    messages: z.number().int().min(0).max(1e9).optional(),
  })
  .meta({ id: 'Usage' });
export type Usage = z.infer<typeof usageSchema>;

/** What an attempt used, as its handler reports it; all of them at least 0. Calls are counted by the run itself. */
export interface TaskUsage {
  readonly tokens?: number | undefined;
  readonly cost?: number | undefined;
  readonly messages?: number | undefined;
}
