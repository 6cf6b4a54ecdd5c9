// What a module says about a plain actor type, checked when it is made.

import type { AnyActorLogic, InputFrom } from 'xstate';
import { z } from 'zod';
import { isolationSchema, labelsSchema, passivateAfterSchema } from '../../runtime/contracts/agent.ts';
import { type MailboxOptions, mailboxOptionsSchema } from '../../runtime/contracts/envelope.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import { type SupervisionOptions, supervisionOptionsSchema } from '../../runtime/contracts/supervision.ts';
import { stateWithAfter } from './machines.ts';
import { actorTypeSchema, checkOptions } from './options.ts';

/** What an actor's `input` function is told of the incarnation it is for. */
export interface ActorStart {
  readonly id: AgentId;
  readonly name: string;
  readonly node: NodeId;
  readonly thread: number;
  readonly incarnation: number;
  /** As given when it was spawned; not validated. */
  readonly config: Record<string, unknown>;
}

export interface ActorOptions<Logic extends AnyActorLogic> {
  readonly type: string;
  readonly description?: string;
  /** A message `{ type, body }` reaches it as the event `{ ...body, type }`. */
  readonly logic: Logic;
  /** Input of the logic. */
  readonly input?: InputFrom<Logic> | ((start: ActorStart) => InputFrom<Logic>);
  /**
   * Save the persisted snapshot and start from it again, after a restart too. Default false: each incarnation starts afresh.
   * Refused for machines with `after`: XState does not restore these timers.
   */
  readonly persist?: boolean;
  readonly mailbox?: MailboxOptions;
  readonly supervision?: SupervisionOptions;
  readonly isolation?: 'shared' | 'dedicated';
  /** Labels that a node must have to host it. */
  readonly requires?: Readonly<Record<string, string>>;
  /** Idle for this long it is put to sleep until something is there for it. 0 or absent: never. */
  readonly passivateAfterMs?: number;
}

const logicSchema = z.custom<AnyActorLogic>(
  (value) => typeof value === 'object' && value !== null && 'transition' in value && 'getInitialSnapshot' in value,
  'expected XState actor logic: a machine, fromTransition, fromPromise, fromCallback, fromObservable',
);

const actorOptionsSchema = z
  .strictObject({
    type: actorTypeSchema,
    description: z.string().optional(),
    logic: logicSchema,
    input: z.unknown().optional(),
    persist: z.boolean().default(false),
    mailbox: mailboxOptionsSchema.prefault({}),
    supervision: supervisionOptionsSchema.prefault({}),
    isolation: isolationSchema.default('shared'),
    requires: labelsSchema.optional(),
    passivateAfterMs: passivateAfterSchema.optional(),
  })
  .superRefine((options, ctx) => {
    const at = options.persist ? stateWithAfter(options.logic) : undefined;
    if (at === undefined) return;
    ctx.addIssue({
      code: 'custom',
      path: ['persist'],
      message: `state "${at}" has an after transition, whose timer XState does not restore; remove it or persist`,
    });
  });
export type ResolvedActor = z.output<typeof actorOptionsSchema>;

/** @throws RuntimeError `config_invalid` naming the field. */
export function resolveActor(options: unknown): ResolvedActor {
  return checkOptions('defineActor', actorOptionsSchema, options);
}
