// What the open views want to hear beyond tree, figures and events, put together into the one focus of the feed.

import { computed, effect, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { InspectFocusInput } from '../../../runtime/contracts/inspection.ts';
import { api } from './client.ts';

/** The wish of one view. Actors of all are joined; of `messages` and `rows` the latest counts. */
export type FocusWish = Pick<InspectFocusInput, 'actors' | 'messages' | 'rows'>;

const MOST_ACTORS = 50;
const SETTLE_MS = 150;

const wishes = signal<readonly FocusWish[]>([]);
const focus = computed<InspectFocusInput>(() => {
  const actors = [...new Set(wishes.value.flatMap((wish) => wish.actors ?? []))].slice(0, MOST_ACTORS);
  const messages = wishes.value.findLast((wish) => wish.messages)?.messages;
  const rows = wishes.value.findLast((wish) => wish.rows)?.rows;
  return { actors, messages: messages ?? null, ...(rows ? { rows } : {}) };
});
const stream = signal<string | null>(null);
let told = '';

/** Wishes for this while the component is mounted; null wishes for nothing. */
export function useFocus(wish: FocusWish | null): void {
  const text = JSON.stringify(wish);
  useEffect(() => {
    const mine = JSON.parse(text) as FocusWish | null;
    if (mine === null) return;
    wishes.value = [...wishes.peek(), mine];
    return () => {
      wishes.value = wishes.peek().filter((one) => one !== mine);
    };
  }, [text]);
}

/** The focus for the opening of a feed. Rows would not fit into an address: they follow. */
export function focusText(): string {
  const { rows: _rows, ...rest } = focus.peek();
  told = JSON.stringify(rest);
  return told;
}

/** The name of the open feed; null: there is none. */
export function streamOpened(name: string | null): void {
  stream.value = name;
}

/** Tells the server when the focus has changed. Call once. */
export function followFocus(): void {
  effect(() => {
    const wanted = JSON.stringify(focus.value);
    const name = stream.value;
    if (name === null || wanted === told) return;
    const timer = setTimeout(() => {
      told = wanted;
      // Where the feed is gone it is opened anew, with the focus of then.
      api.send('POST', `/api/inspect/streams/${name}/focus`, JSON.parse(wanted)).catch(() => {});
    }, SETTLE_MS);
    return () => clearTimeout(timer);
  });
}
