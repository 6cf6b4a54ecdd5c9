// The Logger port over pino: JSON lines for machines, plain lines for people; secrets are taken out of every field before they are written.

import { type DestinationStream, destination, type Logger as Pino, pino, stdTimeFunctions } from 'pino';
import type { Logger } from '../contracts/ports.ts';
import { activeTraceparent, traceIdOf } from '../contracts/tracing.ts';
import { redact, redactText } from './redact.ts';

export interface LoggerOptions {
  /** Least severe level that is written. */
  readonly logLevel: 'debug' | 'info' | 'warn' | 'error' | 'silent';
  /** `text` for people, `json` for machines (one object a line: level, time, msg, fields). */
  readonly logFormat: 'text' | 'json';
}

/**
 * A logger that writes to standard error, so that standard output stays free for what a command answers.
 * `sink` takes the finished lines instead (tests, embedding).
 */
export function createLogger(options: LoggerOptions, sink?: (line: string) => void): Logger {
  const lines: DestinationStream = sink ? { write: sink } : destination({ dest: 2, sync: true });
  const target: DestinationStream =
    options.logFormat === 'json' ? lines : { write: (line) => lines.write(textLine(line)) };
  return wrap(
    pino(
      {
        level: options.logLevel,
        base: null,
        // Fields of the line itself win.
        mixin: () => {
          const traceId = traceIdOf(activeTraceparent());
          return traceId === undefined ? {} : { traceId };
        },
        timestamp: stdTimeFunctions.isoTime,
        formatters: { level: (level) => ({ level }) },
      },
      target,
    ),
  );
}

/** A logger that writes nothing. */
export const silentLogger: Logger = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  child: () => silentLogger,
};

function wrap(log: Pino): Logger {
  const write = (level: 'debug' | 'info' | 'warn' | 'error') => (message: string, fields?: Record<string, unknown>) => {
    if (!log.isLevelEnabled(level)) return;
    log[level](fields ? (redact(fields) as Record<string, unknown>) : {}, redactText(message));
  };
  return {
    debug: write('debug'),
    info: write('info'),
    warn: write('warn'),
    error: write('error'),
    child: (fields) => wrap(log.child(redact(fields) as Record<string, unknown>)),
  };
}

/** `12:00:00.000 warn  message key=value`, with control characters escaped so that a text cannot forge a line. */
function textLine(json: string): string {
  const { level, time, msg, ...fields } = JSON.parse(json) as Record<string, unknown>;
  const clock = String(time).slice(11, 23);
  const rest = Object.entries(fields).map(([key, value]) => `${key}=${textValue(value)}`);
  return `${[clock, String(level).padEnd(5), escapeControls(String(msg ?? '')), ...rest].join(' ')}\n`;
}

function textValue(value: unknown): string {
  if (typeof value !== 'string') return escapeControls(JSON.stringify(value) ?? 'undefined');
  return /^[^\s"=]+$/.test(value) ? escapeControls(value) : escapeControls(JSON.stringify(value));
}

function escapeControls(text: string): string {
  return text.replace(/[\p{Cc}\u2028\u2029\u202a-\u202e\u2066-\u2069]/gu, (char) =>
    char === '\n' ? '\\n' : `\\u${char.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}
