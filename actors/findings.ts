// How one agent tells another, in a message, what a task of its found. A hint only: results travel with the tasks themselves.

import { z } from 'zod';
import type { AgentId } from '../runtime/contracts/ids.ts';

/** Part of `config`: the agent that is told in a message what each task found. Default: nobody. */
export const findingsConfig = { reportTo: z.string().min(1).max(100).optional() };

/** Message type. */
export const FINDING = 'finding';

/** Its body. */
export const findingSchema = z.strictObject({
  from: z.string().max(200),
  /** Step of the workflow, or the capability. */
  about: z.string().max(200),
  text: z.string().max(500),
});
export type Finding = z.infer<typeof findingSchema>;

interface Teller {
  readonly config: unknown;
  readonly name: string;
  readonly capability: string;
  readonly stepKey: string | undefined;
  tell(to: AgentId, type: string, body?: unknown): void;
}

/** Says it to the agent of `config.reportTo`, if any. At most once; never throws. */
export function tellFinding(ctx: Teller, text: string): void {
  const { reportTo } = ctx.config as { reportTo?: string };
  if (reportTo === undefined) return;
  const finding: Finding = { from: ctx.name, about: ctx.stepKey ?? ctx.capability, text: text.slice(0, 500) };
  ctx.tell(reportTo as AgentId, FINDING, finding);
}
