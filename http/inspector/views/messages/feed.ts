// The messages a view keeps: what the live feed told since it was opened, newest last, until it is held.

import { useSignal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { InspectFocusInput } from '../../../../runtime/contracts/inspection.ts';
import { useFocus } from '../../data/focus.ts';
import { onFrame } from '../../data/live.ts';
import { merged, type Told } from './sequence.ts';

/** Kept in the page. */
const MOST = 2_000;
/** Drawn anew at most so often. */
const EVERY_MS = 200;

export interface Feed {
  readonly told: readonly Told[];
  /** Left out by the server because there were too many. */
  readonly dropped: number;
  readonly held: boolean;
  hold(held: boolean): void;
  clear(): void;
}

type Wish = NonNullable<InspectFocusInput['messages']>;

export function useMessages(wish: Wish): Feed {
  const told = useSignal<readonly Told[]>([]);
  const dropped = useSignal(0);
  const held = useSignal(false);
  useFocus({ messages: wish });
  useEffect(() => {
    let news: Told[] = [];
    let lost = 0;
    const stop = onFrame('messages', ({ items, dropped: more }) => {
      news.push(...items);
      lost += more;
    });
    const timer = setInterval(() => {
      if (held.peek() || (news.length === 0 && lost === 0)) return;
      told.value = merged(told.peek(), news, MOST);
      dropped.value += lost;
      news = [];
      lost = 0;
    }, EVERY_MS);
    return () => {
      stop();
      clearInterval(timer);
    };
  }, [told, dropped, held]);
  return {
    told: told.value,
    dropped: dropped.value,
    held: held.value,
    hold: (value) => {
      held.value = value;
    },
    clear: () => {
      told.value = [];
      dropped.value = 0;
    },
  };
}
