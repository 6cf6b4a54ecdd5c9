// A first-in-first-out queue over a ring that doubles when it is full. Capacity limits are its users' matter.

export class Queue<T> {
  #ring: (T | undefined)[] = new Array(16);
  #head = 0;
  #length = 0;

  get length(): number {
    return this.#length;
  }

  push(item: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#ring[(this.#head + this.#length) & (this.#ring.length - 1)] = item;
    this.#length++;
  }

  /** Puts an item before the first. */
  unshift(item: T): void {
    if (this.#length === this.#ring.length) this.#grow();
    this.#head = (this.#head - 1) & (this.#ring.length - 1);
    this.#ring[this.#head] = item;
    this.#length++;
  }

  shift(): T | undefined {
    if (this.#length === 0) return undefined;
    const item = this.#ring[this.#head];
    this.#ring[this.#head] = undefined;
    this.#head = (this.#head + 1) & (this.#ring.length - 1);
    this.#length--;
    return item;
  }

  /** The item `index` places behind the first, without taking it. */
  at(index: number): T | undefined {
    return index < 0 || index >= this.#length ? undefined : this.#ring[(this.#head + index) & (this.#ring.length - 1)];
  }

  /** Takes everything, in order. */
  drain(): T[] {
    const items: T[] = [];
    for (let item = this.shift(); this.#length > 0 || item !== undefined; item = this.shift()) {
      if (item !== undefined) items.push(item);
    }
    this.#ring = new Array(16);
    this.#head = 0;
    return items;
  }

  #grow(): void {
    const old = this.#ring;
    const ring: (T | undefined)[] = new Array(old.length * 2);
    for (let at = 0; at < this.#length; at++) ring[at] = old[(this.#head + at) & (old.length - 1)];
    this.#ring = ring;
    this.#head = 0;
  }
}
