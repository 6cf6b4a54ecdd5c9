// The ledger of a run: what it used, what its steps in flight may still use, what is left. Pure.
// Reserved before a step starts, settled when it ends (what is not reported costs the call alone).

import type { CoordinationCommand } from '../contracts/coordination.ts';
import type { Budget, Usage } from '../contracts/workflow.ts';

export const MEASURES = ['tokens', 'cost', 'calls', 'messages'] as const;
export type Measure = (typeof MEASURES)[number];

export type Amounts = Readonly<Partial<Record<Measure, number>>>;

/** `rest`: whatever is not reserved by others: a run inside the run that names no amount. */
export type Reservation = Amounts | 'rest';

export const plus = (left: Amounts, right: Amounts): Amounts => {
  const sum: Partial<Record<Measure, number>> = { ...left };
  for (const measure of MEASURES) {
    const more = right[measure];
    if (more !== undefined) sum[measure] = (sum[measure] ?? 0) + more;
  }
  return sum;
};

export const amountsOf = (usage: Usage | undefined): Amounts => plus({}, (usage ?? {}) as Amounts);

/** What the limits are by now, with what was granted since. */
export const limitsOf = (budget: Budget | undefined, granted: Amounts): Amounts => {
  const limits: Partial<Record<Measure, number>> = {};
  for (const measure of MEASURES) {
    const limit = budget?.[measure];
    if (limit !== undefined) limits[measure] = limit + (granted[measure] ?? 0);
  }
  return limits;
};

export interface Ledger {
  readonly limits: Amounts;
  readonly used: Amounts;
  readonly reserved: readonly Amounts[];
}

/** `wait`: there will be enough if what is in flight uses less than it reserved. `over`: there will not. */
export type Answer =
  | { readonly type: 'granted'; readonly amounts: Amounts }
  | { readonly type: 'wait' }
  | { readonly type: 'over'; readonly measure: Measure };

export function reserve(ledger: Ledger, wish: Reservation): Answer {
  const reserved = ledger.reserved.reduce(plus, {});
  const amounts: Partial<Record<Measure, number>> = wish === 'rest' ? {} : { ...wish };
  let waits = false;
  for (const measure of MEASURES) {
    const limit = ledger.limits[measure];
    if (limit === undefined) continue;
    const used = ledger.used[measure] ?? 0;
    const held = reserved[measure] ?? 0;
    if (wish === 'rest') amounts[measure] = Math.max(0, limit - used - held);
    const need = wish === 'rest' ? 1 : (amounts[measure] ?? 0);
    // A measure that the step says nothing of must still have something left.
    if (used + need > limit || (need === 0 && used >= limit)) return { type: 'over', measure };
    if (used + held + need > limit || (wish === 'rest' && amounts[measure] === 0)) waits = true;
  }
  return waits ? { type: 'wait' } : { type: 'granted', amounts };
}

/** The first measure of which more was used than allowed. */
export const overdrawn = ({ limits, used }: Pick<Ledger, 'limits' | 'used'>): Measure | undefined =>
  MEASURES.find((measure) => (used[measure] ?? 0) > (limits[measure] ?? Number.POSITIVE_INFINITY));

/** What a person may grant: the JSON schema of the answer. */
export const GRANT = {
  type: 'object',
  properties: {
    tokens: { type: 'integer', minimum: 0 },
    cost: { type: 'number', minimum: 0 },
    calls: { type: 'integer', minimum: 0 },
    messages: { type: 'integer', minimum: 0 },
  },
  additionalProperties: false,
};

/** What starts and may use something. */
type Spender = Extract<CoordinationCommand, { type: 'schedule' | 'spawn' }>;

/** What a step may use at most, as far as anybody said. */
export function wishOf(command: Spender, budget: Budget): Reservation {
  if (command.type === 'schedule') return { calls: 1, ...amountsOf(command.reserve ?? budget.perStep) };
  if (command.reserve) return amountsOf(command.reserve);
  const own = limitsOf(command.workflow.budget as Budget | undefined, {});
  return Object.keys(own).length > 0 ? own : 'rest';
}
