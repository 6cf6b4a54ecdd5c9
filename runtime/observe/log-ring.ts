// The newest lines of this node's log, in memory: bounded in lines and in size, without secrets, found by agent, task or trace.

import type { LogFilter, LoggedLine, LogLevel } from '../contracts/log.ts';
import { LOG_LEVELS } from '../contracts/log.ts';
import type { Clock, Logger } from '../contracts/ports.ts';
import { activeTraceparent, traceIdOf } from '../contracts/tracing.ts';
import { redact, redactText } from './redact.ts';

const MAX_LINES = 2_000;
/** Beyond this, the fields of a line are left out. */
const MAX_FIELD_CHARS = 2_000;
const MAX_MESSAGE_CHARS = 1_000;
const DEFAULT_LIMIT = 100;
const MAX_LIMIT = 1_000;
/** Fields that say what a line is about; they can be looked for. */
const SUBJECTS = ['tenant', 'agentId', 'taskId', 'workflowId', 'traceId'] as const;

export interface LogRing {
  /** Writes to `log`, and keeps what is at least as severe as `level`. */
  around(log: Logger, level: LogLevel | 'silent'): Logger;
  /** Lines of this tenant that fit, oldest first. */
  read(tenant: string, filter: LogFilter): { items: LoggedLine[]; forgotten: number };
}

export function createLogRing({ clock, maxLines = MAX_LINES }: { clock: Clock; maxLines?: number }): LogRing {
  const lines: LoggedLine[] = [];
  let next = 0;
  let seq = 0;

  const keep = (level: LogLevel, message: string, given: Record<string, unknown>): void => {
    const plain = redact(given) as Record<string, unknown>;
    plain.traceId ??= traceIdOf(activeTraceparent());
    const line: Record<string, unknown> = {
      seq: ++seq,
      at: new Date(clock.nowMs()).toISOString(),
      level,
      message: redactText(message).slice(0, MAX_MESSAGE_CHARS),
    };
    for (const name of SUBJECTS) {
      if (typeof plain[name] === 'string') line[name] = plain[name];
      delete plain[name];
    }
    if (typeof plain.thread === 'number') line.thread = plain.thread;
    delete plain.thread;
    line.fields = JSON.stringify(plain).length > MAX_FIELD_CHARS ? { leftOut: Object.keys(plain).slice(0, 50) } : plain;
    lines[next] = line as LoggedLine;
    next = (next + 1) % maxLines;
  };

  const wrap = (log: Logger, least: number, bound: Record<string, unknown>): Logger => {
    const at = (level: LogLevel) => (message: string, fields?: Record<string, unknown>) => {
      log[level](message, fields);
      if (LOG_LEVELS.indexOf(level) >= least) keep(level, message, { ...bound, ...fields });
    };
    return {
      debug: at('debug'),
      info: at('info'),
      warn: at('warn'),
      error: at('error'),
      child: (fields) => wrap(log.child(fields), least, { ...bound, ...fields }),
    };
  };

  return {
    around: (log, level) => wrap(log, LOG_LEVELS.indexOf(level === 'silent' ? 'info' : level), {}),
    read(tenant, filter) {
      const { limit = DEFAULT_LIMIT, after } = filter;
      const most = Math.min(MAX_LIMIT, Math.max(1, limit));
      const inOrder = lines.length < maxLines ? lines : [...lines.slice(next), ...lines.slice(0, next)];
      const found = inOrder.filter((line) => fits(line, tenant, filter));
      const items = after === undefined ? found.slice(-most) : found.slice(0, most);
      return { items, forgotten: (inOrder[0]?.seq ?? 1) - 1 };
    },
  };
}

function fits(line: LoggedLine, tenant: string, filter: LogFilter): boolean {
  if (line.tenant === undefined ? !filter.ofNode : line.tenant !== tenant) return false;
  if (filter.after !== undefined && line.seq <= filter.after) return false;
  if (filter.level && LOG_LEVELS.indexOf(line.level) < LOG_LEVELS.indexOf(filter.level)) return false;
  return (['agentId', 'taskId', 'workflowId', 'traceId'] as const).every(
    (name) => filter[name] === undefined || line[name] === filter[name],
  );
}
