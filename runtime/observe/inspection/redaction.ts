// What an inspector may show: plain data without secrets. Beside what the logger hides: tokens of well-known services, and the very
// texts that are secrets of this node, wherever they occur.

import { redact, redactText } from '../redact.ts';

const TOKENS = [
  /\b(?:sk|pk|rk)[-_][\w-]{16,}/g,
  /\b(?:gh[opsru]_|github_pat_|glpat-|xox[abposr]-|npm_)[\w-]{10,}/g,
  /\b(?:AKIA|ASIA)[0-9A-Z]{16}\b/g,
  /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g,
];
const HIDDEN = '(secret)';
/** A shorter text would be found everywhere. */
const LEAST_CHARS = 6;

export interface Redaction {
  /** Bounded plain data. */
  value(value: unknown): unknown;
  record(value: Record<string, unknown>): Record<string, unknown>;
  text(text: string): string;
  /** JSON without credentials, as long as it is. */
  json<Value>(value: Value): Value;
}

export function createRedaction(secrets: readonly string[]): Redaction {
  const own = secrets.filter((secret) => secret.length >= LEAST_CHARS);
  const hide = (text: string): string => {
    let shown = text;
    for (const token of TOKENS) shown = shown.replace(token, HIDDEN);
    for (const secret of own) if (shown.includes(secret)) shown = shown.replaceAll(secret, HIDDEN);
    return shown;
  };
  const deep = (value: unknown): unknown => {
    if (typeof value === 'string') return hide(value);
    if (Array.isArray(value)) return value.map(deep);
    if (typeof value !== 'object' || value === null) return value;
    // A stack tells how the program is built and where it lies.
    const shown = Object.entries(value).filter(([key]) => key !== 'stack');
    return Object.fromEntries(shown.map(([key, one]) => [hide(key), deep(one)]));
  };
  const value = (given: unknown): unknown => deep(redact(given));
  return {
    value,
    record: (given) => value(given) as Record<string, unknown>,
    text: (text) => hide(redactText(text)),
    json: (given) => deep(given) as typeof given,
  };
}

/** The texts to hide of a setting: a key as it is; of an address with credentials the password, as it stands and decoded. */
export function secretsOf(setting: string | undefined): string[] {
  if (setting === undefined) return [];
  if (!URL.canParse(setting)) return [setting];
  const { password } = new URL(setting);
  return password === '' ? [] : [setting, password, safeDecode(password)];
}

function safeDecode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
