// What the store tells of its own work, and the history of metrics that it keeps.

import { z } from 'zod';

/** One group commit. */
export interface StoreFlush {
  readonly operations: number;
  readonly tookMs: number;
  readonly failed: boolean;
}

export interface StorePressure {
  /** 0 where the database is embedded. */
  readonly connections: number;
  readonly idle: number;
  /** Statements that wait for a connection. */
  readonly waiting: number;
  /** Operations that wait for the next group commit. */
  readonly gathering: number;
}

/**
 * Figures of a node by the name of their series, labels included: `tasks_ended_total{outcome="completed"}`. What ends in `_total` is what was
 * added in that time, anything else its value at the end of it.
 */
export type Figures = Readonly<Record<string, number>>;

export interface FigureQuery {
  /** Of a series, without labels. */
  readonly metric: string;
  readonly fromMs: number;
  readonly toMs: number;
  readonly stepMs: number;
}

export interface FigurePoint {
  readonly node: string;
  readonly series: string;
  readonly atMs: number;
  readonly value: number;
}

export interface FigureStore {
  /** Of one minute of this node; written again it takes the place of what was there. */
  write(minuteMs: number, figures: Figures): Promise<void>;
  /** Sums of `_total`s and means of the others, per step, in order of time. At most 100,000. */
  read(query: FigureQuery): Promise<readonly FigurePoint[]>;
  /** Minutes of hours that are over, of all nodes, as hours. */
  rollUp(): Promise<void>;
}

export const metricHistorySchema = z
  .object({
    metric: z.string(),
    from: z.string(),
    to: z.string(),
    stepS: z.number().int(),
    series: z.array(
      z.object({
        node: z.string(),
        labels: z.record(z.string(), z.string()),
        points: z
          .array(z.tuple([z.number().int(), z.number()]))
          .meta({ description: 'Seconds since 1970 at the begin of the step, and the value.' }),
      }),
    ),
  })
  .meta({ id: 'MetricHistory' });
export type MetricHistory = z.infer<typeof metricHistorySchema>;
