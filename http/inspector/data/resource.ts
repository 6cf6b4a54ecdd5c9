// What views read: an API path kept fresh while somebody looks at it. Views that want the same share one request.

import { type ReadonlySignal, signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { EventType } from '../../../runtime/contracts/event.ts';
import { ApiError, api, type Query } from './client.ts';
import { liveEpoch, onEvent } from './live.ts';

export interface ResourceState<Value> {
  /** The last answer; kept while a newer one is on its way or could not be had. */
  readonly data: Value | undefined;
  /** Why there is no newer one. */
  readonly error: ApiError | undefined;
  readonly loading: boolean;
  /** When `data` came, by the clock of this machine. */
  readonly atMs: number | undefined;
}

export interface Resource<Value> {
  readonly state: ReadonlySignal<ResourceState<Value>>;
  /** Reads it now. */
  refresh(): Promise<void>;
}

export interface Freshness {
  /** Reads again this long after the last answer. Absent: only once, and when an event or the connection asks for it. */
  readonly everyMs?: number;
  /** Events after which it is read again, at most every `SOON_MS`. */
  readonly on?: readonly EventType[];
}

const SOON_MS = 250;
const EMPTY = { data: undefined, error: undefined, loading: true, atMs: undefined } as const;
const shared = new Map<string, Keeper<unknown>>();

/**
 * The state of `GET path`, as a signal value; read again as `fresh` says while the component is mounted and the tab is visible.
 * A null path reads nothing.
 * @example
 * const { data, error } = useResource<SystemStatus>('/api/agents/status', {}, { everyMs: 2_000 }).state.value;
 */
export function useResource<Value>(path: string | null, query: Query = {}, fresh: Freshness = {}): Resource<Value> {
  const key = `${path} ${JSON.stringify(query)} ${JSON.stringify(fresh)}`;
  // The key says all that the rest does.
  const keeper = useMemo(() => keeperOf<Value>(key, path, query, fresh), [key]);
  useEffect(() => keeper.hold(), [keeper]);
  return keeper;
}

function keeperOf<Value>(key: string, path: string | null, query: Query, fresh: Freshness): Keeper<Value> {
  const known = shared.get(key);
  if (known) return known as Keeper<Value>;
  const read = (signal: AbortSignal) =>
    path === null ? Promise.resolve(undefined as Value) : api.get<Value>(path, query, signal);
  const made = new Keeper<Value>(read, fresh, () => shared.delete(key));
  shared.set(key, made as Keeper<unknown>);
  return made;
}

/** States: dropped (nobody looks), resting (a timer or an event will wake it), reading. */
class Keeper<Value> implements Resource<Value> {
  readonly state = signal<ResourceState<Value>>(EMPTY);
  readonly #read: (signal: AbortSignal) => Promise<Value>;
  readonly #fresh: Freshness;
  readonly #drop: () => void;
  #holders = 0;
  #stop: (() => void) | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #reading: AbortController | undefined;
  #again = false;
  #askedAtMs = 0;

  constructor(read: (signal: AbortSignal) => Promise<Value>, fresh: Freshness, drop: () => void) {
    this.#read = read;
    this.#fresh = fresh;
    this.#drop = drop;
  }

  hold(): () => void {
    this.#holders += 1;
    if (this.#holders === 1) this.#start();
    return () => {
      this.#holders -= 1;
      // A view that is left for another of the same data must not read it twice.
      setTimeout(() => this.#holders === 0 && this.#end(), 0);
    };
  }

  async refresh(): Promise<void> {
    clearTimeout(this.#timer);
    if (this.#reading) {
      this.#again = true;
      return;
    }
    const reading = new AbortController();
    this.#reading = reading;
    this.#askedAtMs = Date.now();
    try {
      const data = await this.#read(reading.signal);
      if (!reading.signal.aborted) this.state.value = { data, error: undefined, loading: false, atMs: Date.now() };
    } catch (error) {
      if (!reading.signal.aborted) this.state.value = { ...this.state.value, error: asApiError(error), loading: false };
    } finally {
      this.#reading = undefined;
      if (!reading.signal.aborted) this.#rest();
    }
  }

  #start(): void {
    if (this.#stop) return;
    const wanted = new Set<string>(this.#fresh.on);
    const stops = [
      wanted.size > 0 ? onEvent(({ type }) => wanted.has(type) && this.#soon()) : () => {},
      liveEpoch.subscribe((epoch) => {
        if (epoch > 1) this.#soon();
      }),
    ];
    const seen = (): void => {
      if (document.visibilityState === 'visible') void this.refresh();
    };
    document.addEventListener('visibilitychange', seen);
    this.#stop = () => {
      for (const stop of stops) stop();
      document.removeEventListener('visibilitychange', seen);
    };
    void this.refresh();
  }

  #soon(): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => void this.refresh(), Math.max(0, this.#askedAtMs + SOON_MS - Date.now()));
  }

  #rest(): void {
    if (this.#again) {
      this.#again = false;
      this.#soon();
      return;
    }
    const { everyMs } = this.#fresh;
    if (everyMs === undefined || document.visibilityState !== 'visible') return;
    // What does not answer is not asked faster than every few seconds.
    const ms = this.state.value.error ? Math.max(everyMs, 3_000) : everyMs;
    this.#timer = setTimeout(() => void this.refresh(), ms);
  }

  #end(): void {
    clearTimeout(this.#timer);
    this.#reading?.abort();
    this.#stop?.();
    this.#stop = undefined;
    this.#drop();
  }
}

function asApiError(error: unknown): ApiError {
  return error instanceof ApiError ? error : new ApiError(String(error), { status: 0, code: 'page_error' });
}
