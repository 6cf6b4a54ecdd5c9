// One live connection of the page: the event stream of the tenant, opened while somebody is logged in, again after it breaks.

import { effect, signal } from '@preact/signals';
import type { RuntimeEvent } from '../../../runtime/contracts/event.ts';
import { apiUrl, authorization, problemOf } from './client.ts';
import { session } from './session.ts';

/** `waiting`: it broke and is tried again at `retryAtMs`. */
export type LiveState = 'off' | 'connecting' | 'open' | 'waiting';

export const liveState = signal<LiveState>('off');
/** Counts openings: what was missed while it was away is read anew when this grows. */
export const liveEpoch = signal(0);

type Listener = (event: RuntimeEvent) => void;
const listeners = new Set<Listener>();

/** Calls the listener with every event from now on, until the returned function is called. */
export function onEvent(listener: Listener): () => void {
  listeners.add(listener);
  return () => listeners.delete(listener);
}

const BACKOFF_MS = [500, 1_000, 2_000, 5_000, 10_000];
/** An open stream beats every 15 s; silence for longer means that nobody is there. */
const SILENCE_MS = 40_000;

/** Keeps the stream open as long as there is a session. Call once. */
export function keepLive(): void {
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
    const opened = await readStream(ended).catch(() => false);
    if (ended.aborted) return;
    if (opened) attempt = 0;
    liveState.value = 'waiting';
    await pause(BACKOFF_MS[Math.min(attempt, BACKOFF_MS.length - 1)] ?? 10_000, ended);
  }
}

/** Resolves when the stream ended; true when it had been open. */
async function readStream(ended: AbortSignal): Promise<boolean> {
  const silence = new AbortController();
  const signal = AbortSignal.any([ended, silence.signal]);
  const response = await fetch(apiUrl('/api/agents/events'), {
    headers: { accept: 'text/event-stream', ...authorization() },
    signal,
    cache: 'no-store',
  });
  if (!response.ok || !response.body) throw await problemOf(response);
  liveState.value = 'open';
  liveEpoch.value += 1;
  const reader = response.body.pipeThrough(new TextDecoderStream()).getReader();
  let rest = '';
  let timer = setTimeout(() => silence.abort(), SILENCE_MS);
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return true;
      clearTimeout(timer);
      timer = setTimeout(() => silence.abort(), SILENCE_MS);
      const frames = (rest + value).split('\n\n');
      rest = frames.pop() ?? '';
      for (const frame of frames) deliver(frame);
    }
  } catch {
    return true;
  } finally {
    clearTimeout(timer);
  }
}

function deliver(frame: string): void {
  const data = /^data: (.*)$/m.exec(frame)?.[1];
  if (data === undefined || data === '{}') return;
  const event = JSON.parse(data) as RuntimeEvent;
  for (const listener of listeners) listener(event);
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
