// The history of metrics: a row a node and minute, then a row a node and hour. Few rows, so they are deleted, not dropped with a partition.

import { fromUuid } from '../contracts/ids.ts';
import type { Db } from '../contracts/store.ts';
import type { FigureStore } from '../contracts/store-figures.ts';
import { sql } from './sql.ts';

const MINUTE_S = 60;
const HOUR_S = 3_600;
const MOST = 100_000;
/** What is added up; anything else is a level. */
const TOTAL = `'_total(\\{|$)'`;

export function createFigureStore(db: Db, node: string): FigureStore {
  return {
    async write(minuteMs, figures) {
      await db.query(
        sql(
          'figures_write',
          `INSERT INTO metric_figures (node, step_s, at, figures) VALUES ($1, ${MINUTE_S}, to_timestamp($2::float8 / 1000), $3::jsonb)
           ON CONFLICT (step_s, at, node) DO UPDATE SET figures = excluded.figures`,
          node,
          minuteMs,
          JSON.stringify(figures),
        ),
      );
    },

    async read({ metric, fromMs, toMs, stepMs }) {
      const whole = stepMs % (HOUR_S * 1_000) === 0;
      const rows = whole ? '(m.step_s = 3600 OR h.node IS NULL)' : 'm.step_s = 60';
      const { rows: found } = await db.query<{ t: number; node: string; k: string; v: number }>(
        sql(
          whole ? 'figures_read_hours' : 'figures_read',
          `SELECT (floor(extract(epoch FROM m.at) * 1000 / $4::float8) * $4::float8)::float8 AS t, m.node, e.k,
             (CASE WHEN e.k ~ ${TOTAL} THEN sum(e.v::float8) ELSE avg(e.v::float8) END)::float8 AS v
           FROM metric_figures m
           LEFT JOIN metric_figures h ON h.step_s = 3600 AND m.step_s = 60 AND h.node = m.node AND h.at = date_trunc('hour', m.at, 'UTC')
           CROSS JOIN LATERAL jsonb_each_text(m.figures) AS e(k, v)
           WHERE m.at >= to_timestamp($2::float8 / 1000) AND m.at < to_timestamp($3::float8 / 1000) AND ${rows}
             AND (e.k = $1 OR starts_with(e.k, $1 || '{'))
           GROUP BY 1, 2, 3 ORDER BY 1, 2, 3 LIMIT ${MOST}`,
          metric,
          fromMs,
          toMs,
          stepMs,
        ),
      );
      return found.map(({ t, node: uuid, k, v }) => ({ node: fromUuid('node', uuid), series: k, atMs: t, value: v }));
    },

    async rollUp() {
      await db.query(
        sql(
          'figures_roll_up',
          `INSERT INTO metric_figures (node, step_s, at, figures)
           SELECT node, ${HOUR_S}, hour, jsonb_object_agg(k, v) FROM (
             SELECT m.node, date_trunc('hour', m.at, 'UTC') AS hour, e.k,
               CASE WHEN e.k ~ ${TOTAL} THEN sum(e.v::float8) ELSE avg(e.v::float8) END AS v
             FROM metric_figures m CROSS JOIN LATERAL jsonb_each_text(m.figures) AS e(k, v)
             WHERE m.step_s = ${MINUTE_S} AND m.at < date_trunc('hour', clock_timestamp() - interval '10 minutes', 'UTC')
               AND NOT EXISTS (
                 SELECT 1 FROM metric_figures h WHERE h.step_s = ${HOUR_S} AND h.node = m.node AND h.at = date_trunc('hour', m.at, 'UTC'))
             GROUP BY 1, 2, 3) f
           GROUP BY node, hour ON CONFLICT DO NOTHING`,
        ),
      );
    },
  };
}
