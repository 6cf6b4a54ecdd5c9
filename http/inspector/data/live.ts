// One live connection of the page: the inspector's feed, opened while somebody is logged in, again after it breaks.

import { effect, signal } from '@preact/signals';
import type { RuntimeEvent } from '../../../runtime/contracts/event.ts';
import type { InspectFrame } from '../../../runtime/contracts/inspection.ts';
import { apiUrl, authorization, problemOf } from './client.ts';
import { focusText, followFocus, streamOpened } from './focus.ts';
import { session } from './session.ts';

/** `waiting`: it broke and is tried again. */
export type LiveState = 'off' | 'connecting' | 'open' | 'waiting';

export const liveState = signal<LiveState>('off');
/** Counts openings and resets: what was missed meanwhile is read anew when this grows. */
export const liveEpoch = signal(0);
/** The nodes the feed tells of, the answering one first. */
export const liveNodes = signal<readonly string[]>([]);
/** Nodes of the cluster it cannot tell of. */
export const liveUnreachable = signal<readonly string[]>([]);

type FrameOf<Type extends InspectFrame['type']> = Extract<InspectFrame, { type: Type }>;
type Listener = (frame: InspectFrame) => void;
const listeners = new Map<InspectFrame['type'], Set<Listener>>();

/** Calls the listener with every frame of the type from now on, until the returned function is called. */
export function onFrame<Type extends InspectFrame['type']>(
  type: Type,
  listener: (frame: FrameOf<Type>) => void,
): () => void {
  const those = listeners.get(type) ?? new Set();
  listeners.set(type, those);
  those.add(listener as Listener);
  return () => those.delete(listener as Listener);
}

/** Calls the listener with every event of the tenant, of all nodes. */
export function onEvent(listener: (event: RuntimeEvent) => void): () => void {
  return onFrame('events', ({ items }) => {
    for (const event of items) listener(event);
  });
}

const BACKOFF_MS = [500, 1_000, 2_000, 5_000, 10_000];
/** Figures come every second and a heartbeat every 15 s; silence for longer means that nobody is there. */
const SILENCE_MS = 40_000;

/** Keeps the feed open as long as there is a session. Call once. */
export function keepLive(): void {
  followFocus();
  effect(() => {
    if (session.value === null) {
      liveState.value = 'off';
      return;
    }
    const ending = new AbortController();
    void run(ending.signal);
    return () => ending.abort();
  });
}

async function run(ended: AbortSignal): Promise<void> {
  for (let attempt = 0; !ended.aborted; attempt += 1) {
    liveState.value = 'connecting';
    const opened = await readFeed(ended).catch(() => false);
    streamOpened(null);
    if (ended.aborted) return;
    if (opened) attempt = 0;
    liveState.value = 'waiting';
    await pause(BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] ?? 10_000, ended);
  }
}

/** Resolves when the feed ended; true when it had been open. */
async function readFeed(ended: AbortSignal): Promise<boolean> {
  const silence = new AbortController();
  const signal = AbortSignal.any([ended, silence.signal]);
  const response = await fetch(apiUrl('/api/inspect/stream', { focus: focusText() }), {
    headers: { accept: 'text/event-stream', ...authorization() },
    signal,
    cache: 'no-store',
  });
  if (!response.ok || !response.body) throw await problemOf(response);
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return true;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const parts = (rest + value).split('\n\n');
      rest = parts.pop() ?? '';
      for (const part of parts) deliver(part);
    }
  } catch {
    return true;
  } finally {
    clearTimeout(timer);
  }
}

function deliver(part: string): void {
  const data = /^data: (.*)$/m.exec(part)?.[1];
  if (data === undefined) return;
  const frame = JSON.parse(data) as InspectFrame;
  if (frame.type === 'hello') {
    streamOpened(frame.stream);
    liveState.value = 'open';
    liveEpoch.value += 1;
  }
  if (frame.type === 'hello' || frame.type === 'nodes') {
    liveNodes.value = frame.nodes;
    liveUnreachable.value = frame.unreachable;
  }
  if (frame.type === 'reset') liveEpoch.value += 1;
  for (const listener of listeners.get(frame.type) ?? []) listener(frame);
}

function pause(ms: number, ended: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    ended.addEventListener('abort', () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
