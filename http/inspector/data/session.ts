// Who looks: the token, kept for this tab only, and what it says of its bearer. The server decides what is allowed; this only hides what would be refused.

import { computed, signal } from '@preact/signals';

export type Role = 'viewer' | 'operator' | 'admin' | 'service';

export interface Session {
  readonly token: string;
  readonly subject: string;
  readonly tenant: string;
  readonly role: Role;
  readonly expiresAtMs: number;
}

const KEY = 'troupe.token';
const ROLES: readonly string[] = ['viewer', 'operator', 'admin', 'service'];

const current = signal<Session | null>(null);
/** Null: nobody is logged in. */
export const session = computed(() => current.value);
/** Why the last session ended, for the login. */
export const endedBecause = signal<string | null>(null);
/** Create, submit, start, cancel, pause, answer. */
export const mayWork = computed(() => current.value !== null && current.value.role !== 'viewer');
/** Remove, redrive, shut down, act on what runs. */
export const mayAdminister = computed(() => current.value?.role === 'admin');

/** Takes the token of the address (`#token=...`, which is removed from it at once), or the one this tab has. */
export function restoreSession(): void {
  const given = tokenOfAddress();
  if (given === null && current.peek() !== null) return;
  const token = given ?? sessionStorage.getItem(KEY);
  if (token !== null) logIn(token);
}

/** Whether it reads like a token that is still valid; the server has the last word with the first request. */
export function logIn(token: string): boolean {
  const read = readToken(token.trim());
  if (read === null) return false;
  if (read.expiresAtMs <= Date.now()) {
    logOut('The token has expired. Paste a new one.');
    return false;
  }
  sessionStorage.setItem(KEY, read.token);
  endedBecause.value = null;
  current.value = read;
  return true;
}

export function logOut(because: string | null = null): void {
  sessionStorage.removeItem(KEY);
  endedBecause.value = because;
  current.value = null;
}

function tokenOfAddress(): string | null {
  const match = /^#token=([\w.-]+)/.exec(location.hash);
  if (match?.[1] === undefined) return null;
  history.replaceState(null, '', `${location.pathname}${location.search}`);
  return match[1];
}

function readToken(token: string): Session | null {
  const [, payload] = token.split('.');
  if (payload === undefined) return null;
  try {
    const bytes = Uint8Array.from(atob(payload.replaceAll('-', '+').replaceAll('_', '/')), (char) =>
      char.charCodeAt(0),
    );
    const { sub, tenant, role, exp } = JSON.parse(new TextDecoder().decode(bytes)) as Record<string, unknown>;
    if (typeof sub !== 'string' || typeof tenant !== 'string' || typeof exp !== 'number') return null;
    if (typeof role !== 'string' || !ROLES.includes(role)) return null;
    return { token, subject: sub, tenant, role: role as Role, expiresAtMs: exp * 1_000 };
  } catch {
    return null;
  }
}
