// Patterns of topics as a tree of segments: which of them a topic fits is found in the length of the topic, however many patterns there are.

interface Branch<Value> {
  readonly next: Map<string, Branch<Value>>;
  /** What ends here. */
  values: Set<Value> | undefined;
  /** What ends here with `**`: everything below. */
  below: Set<Value> | undefined;
}

/**
 * Values under patterns like `orders.created`, `orders.*` (one segment) and `orders.**` (one or more, at the end only). Patterns and
 * topics are checked before they come here.
 */
export class TopicIndex<Value> {
  readonly #root: Branch<Value> = branch();

  add(pattern: string, value: Value): void {
    const { at, deep } = this.#walk(pattern);
    if (deep) {
      at.below ??= new Set();
      at.below.add(value);
    } else {
      at.values ??= new Set();
      at.values.add(value);
    }
  }

  /** Every value once, in no particular order. */
  match(topic: string): Set<Value> {
    const found = new Set<Value>();
    const segments = topic.split('.');
    const look = (at: Branch<Value>, depth: number): void => {
      if (depth === segments.length) {
        for (const value of at.values ?? []) found.add(value);
        return;
      }
      for (const value of at.below ?? []) found.add(value);
      const exact = at.next.get(segments[depth] ?? '');
      if (exact) look(exact, depth + 1);
      const any = at.next.get('*');
      if (any) look(any, depth + 1);
    };
    look(this.#root, 0);
    return found;
  }

  #walk(pattern: string): { readonly at: Branch<Value>; readonly deep: boolean } {
    const segments = pattern.split('.');
    const deep = segments.at(-1) === '**';
    if (deep) segments.pop();
    let at = this.#root;
    for (const segment of segments) {
      let next = at.next.get(segment);
      if (!next) {
        next = branch();
        at.next.set(segment, next);
      }
      at = next;
    }
    return { at, deep };
  }
}

const branch = <Value>(): Branch<Value> => ({ next: new Map(), values: undefined, below: undefined });
