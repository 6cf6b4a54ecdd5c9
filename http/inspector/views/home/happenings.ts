// What supervision did lately: restarts, threads and nodes that went, escalations. Kept while the page is open.

import { signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { RuntimeEvent } from '../../../../runtime/contracts/event.ts';
import { onEvent } from '../../data/live.ts';
import type { Tone } from '../../ui/badge.tsx';

export interface Happening {
  readonly key: string;
  readonly at: string;
  readonly label: string;
  readonly tone: Tone;
  readonly text: string;
}

const KEPT = 12;
const KINDS: Readonly<Partial<Record<RuntimeEvent['type'], readonly [string, Tone]>>> = {
  'thread.down': ['thread died', 'bad'],
  'thread.stuck': ['thread stuck', 'bad'],
  'thread.up': ['thread up', 'good'],
  'node.started': ['node started', 'good'],
  'node.draining': ['node drains', 'warn'],
  'node.lost': ['node lost', 'bad'],
  'supervision.restart': ['restarted', 'warn'],
  'supervision.escalated': ['escalated', 'bad'],
};

export const happenings = signal<readonly Happening[]>([]);
let counter = 0;

export function useHappenings(): void {
  useEffect(
    () =>
      onEvent((event) => {
        const kind = KINDS[event.type];
        if (!kind) return;
        counter += 1;
        const next = { key: String(counter), at: event.at, label: kind[0], tone: kind[1], text: textOf(event) };
        happenings.value = [next, ...happenings.peek()].slice(0, KEPT);
      }),
    [],
  );
}

function textOf({ data, stream }: RuntimeEvent): string {
  const error = data.error as { message?: unknown } | undefined;
  const parts = [
    data.name ?? data.child ?? data.agentId,
    data.thread === undefined ? undefined : `thread ${data.thread}`,
    data.reason ?? data.cause,
    typeof error?.message === 'string' ? error.message : undefined,
  ].filter((part) => typeof part === 'string' && part !== '');
  return parts.length > 0 ? parts.join(', ') : stream;
}
