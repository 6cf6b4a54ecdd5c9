// Reads by key that many callers want at once become one statement. While reads are under way the next one gathers; no timer.

/** Reads under way at once: one that is slow holds nobody up but its own callers. */
const AT_ONCE = 4;
const MOST_KEYS = 500;

interface Waiting<Key, Value> {
  readonly key: Key;
  readonly resolve: (value: Value) => void;
  readonly reject: (error: unknown) => void;
}

/** The answer was read after the call. A failure is that of all who were read for together. */
export function gather<Key, Value>(
  read: (keys: readonly Key[]) => Promise<(key: Key) => Value>,
  mostKeys = MOST_KEYS,
): (key: Key) => Promise<Value> {
  const waiting: Waiting<Key, Value>[] = [];
  let reading = 0;
  let planned = false;

  /** At the end of the turn, so that all who ask in it ride along. */
  function plan(): void {
    if (planned || reading >= AT_ONCE || waiting.length === 0) return;
    planned = true;
    setImmediate(() => {
      planned = false;
      void next(waiting.splice(0, mostKeys));
      plan();
    });
  }

  async function next(callers: readonly Waiting<Key, Value>[]): Promise<void> {
    reading += 1;
    try {
      const pick = await read([...new Set(callers.map(({ key }) => key))]);
      for (const { key, resolve } of callers) resolve(pick(key));
    } catch (error) {
      for (const { reject } of callers) reject(error);
    } finally {
      reading -= 1;
      plan();
    }
  }

  return (key) =>
    new Promise((resolve, reject) => {
      waiting.push({ key, resolve, reject });
      plan();
    });
}
