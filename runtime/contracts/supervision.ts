// The vocabulary of supervision, after OTP's supervisor and Akka: strategies, restart types, intensity, back-off, directives.

import { z } from 'zod';

/** Which siblings restart when one child fails (OTP supervisor: strategy). */
export const supervisionStrategySchema = z.enum(['one-for-one', 'one-for-all', 'rest-for-one']);
export type SupervisionStrategy = z.infer<typeof supervisionStrategySchema>;

/** `permanent`: always restarted; `transient`: only after a failure; `temporary`: never (OTP supervisor: restart). */
export const restartTypeSchema = z.enum(['permanent', 'transient', 'temporary']);
export type RestartType = z.infer<typeof restartTypeSchema>;

/** The verdict on a failure. Unknown codes get `restart` for agents and `escalate` for system children. */
export const directiveSchema = z.enum(['resume', 'restart', 'stop', 'escalate']);
export type Directive = z.infer<typeof directiveSchema>;

/** Waits between restarts: `minMs * factor^n`, capped at `maxMs`, varied by +-`jitter` (0 to 1), forgotten after `resetAfterMs` of calm. */
export const backoffSchema = z
  .strictObject({
    minMs: z.number().int().min(0).max(3_600_000).default(100),
    maxMs: z.number().int().min(0).max(3_600_000).default(5_000),
    factor: z.number().min(1).max(100).default(2),
    jitter: z.number().min(0).max(1).default(0.2),
    resetAfterMs: z.number().int().min(0).max(86_400_000).default(60_000),
  })
  .refine((value) => value.minMs <= value.maxMs, { path: ['minMs'], message: 'minMs must not exceed maxMs' });
export type Backoff = z.infer<typeof backoffSchema>;

/** At most `maxRestarts` restarts in any `withinMs`; one more and the supervisor itself fails (OTP supervisor: restart intensity). */
export interface RestartIntensity {
  readonly maxRestarts: number;
  readonly withinMs: number;
}

/** How one agent (or plain actor) is supervised by its one-child supervisor. */
export const supervisionOptionsSchema = z.strictObject({
  restart: restartTypeSchema.default('transient'),
  maxRestarts: z.number().int().min(0).max(1_000_000).default(3),
  withinMs: z.number().int().min(1).max(86_400_000).default(10_000),
  backoff: backoffSchema.prefault({}),
  directives: z.record(z.string(), directiveSchema).default({}),
});
export type SupervisionOptions = z.input<typeof supervisionOptionsSchema>;
export type ResolvedSupervision = z.infer<typeof supervisionOptionsSchema>;

/** Why something under supervision ended; what `watch` delivers exactly once. */
export interface Terminated {
  readonly type: 'terminated';
  readonly id: string;
  readonly reason: 'stopped' | 'done' | 'crashed' | 'restart_intensity' | 'thread_lost' | 'node_lost' | 'not_found';
  readonly error?: import('./errors.ts').WireError;
}
