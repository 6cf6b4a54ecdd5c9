// Addresses: `#/agents/agt_1?tab=mailbox`. Every view and every choice in it that is worth sharing is in the address.

import { computed, signal } from '@preact/signals';

export interface Route {
  /** First part of the path; `home` when there is none. */
  readonly view: string;
  /** The parts after it, decoded. */
  readonly path: readonly string[];
  readonly query: Readonly<Record<string, string>>;
}

const hash = signal('');

/** Follows the address from now on: after the session has taken a token out of it, which is no view. Call once. */
export function followAddress(): void {
  hash.value = location.hash;
  addEventListener('hashchange', () => {
    hash.value = location.hash;
  });
}

/** Where we are. */
export const route = computed<Route>(() => parseRoute(hash.value));

export function parseRoute(text: string): Route {
  const [path = '', query = ''] = text.replace(/^#?\/?/, '').split('?');
  const [view, ...rest] = path.split('/').filter(Boolean).map(decode);
  return { view: view ?? 'home', path: rest, query: Object.fromEntries(new URLSearchParams(query)) };
}

/** An address to put into a link. Absent and empty query values are left out. */
export function href(path: readonly string[], query: Readonly<Record<string, string | undefined>> = {}): string {
  const text = new URLSearchParams(
    Object.entries(query).filter((entry): entry is [string, string] => entry[1] !== undefined && entry[1] !== ''),
  ).toString();
  return `#/${path.map(encodeURIComponent).join('/')}${text ? `?${text}` : ''}`;
}

export function navigate(path: readonly string[], query: Readonly<Record<string, string | undefined>> = {}): void {
  location.hash = href(path, query);
}

/** Changes the query of the present address; undefined removes a value. Without `keep` no entry of the history is made. */
export function setQuery(change: Readonly<Record<string, string | undefined>>, { keep = false } = {}): void {
  const { view, path, query } = route.value;
  const next = href([view, ...path], { ...query, ...change });
  if (keep) {
    location.hash = next;
    return;
  }
  history.replaceState(null, '', next);
  hash.value = next;
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}
