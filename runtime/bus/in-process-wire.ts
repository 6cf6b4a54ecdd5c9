// Frames between nodes of one process, sealed and opened like on the wire, so that what works here works over Redis.

import type { NodeId } from '../contracts/ids.ts';
import type { NodeWire } from '../contracts/messaging.ts';
import { createSeal } from './seal.ts';

/** What the way does to one frame: how often it arrives and, for `late`, that it lets the next one pass. */
export type Fate = 'arrives' | 'lost' | 'twice' | 'late';

export interface WireHubOptions {
  readonly key: Uint8Array;
  /** For tests: asked once per frame. */
  readonly fate?: (from: NodeId, to: NodeId) => Fate;
}

type Handler = (from: NodeId, frame: unknown) => void;

/** Where the nodes of a process meet. */
export class WireHub {
  readonly #options: WireHubOptions;
  readonly #streams = new Map<NodeId, (bytes: Uint8Array) => void>();
  readonly #late = new Map<NodeId, Uint8Array[]>();
  readonly #back = new Set<() => void>();
  #up = true;

  constructor(options: WireHubOptions) {
    this.#options = options;
  }

  /** For tests: the way is gone, as Redis may be; and back. */
  set up(up: boolean) {
    this.#up = up;
    if (up) for (const listener of [...this.#back]) listener();
  }

  /** For tests: bytes of anybody into the stream of a node. */
  inject(to: NodeId, bytes: Uint8Array): void {
    this.#streams.get(to)?.(bytes);
  }

  open(node: NodeId): NodeWire {
    const seal = createSeal({ node, key: this.#options.key });
    let handler: Handler | undefined;
    let garbage = 0;
    this.#streams.set(node, (bytes) => {
      const opened = seal.open(bytes);
      if (!opened) garbage += 1;
      else handler?.(opened.from, opened.frame);
    });
    return {
      kind: 'in-process',
      seal: (to, frame) => seal.close(to, frame),
      send: async (to, sealed) => this.#up && this.#streams.has(node) && this.#carry(node, to, sealed),
      receive: (taker) => {
        handler = taker;
      },
      healthy: () => this.#up && this.#streams.has(node),
      onHealthy: (listener) => {
        this.#back.add(listener);
        return () => void this.#back.delete(listener);
      },
      garbage: () => garbage,
      close: async () => {
        this.#streams.delete(node);
      },
    };
  }

  #carry(from: NodeId, to: NodeId, bytes: Uint8Array): boolean {
    if (!this.#streams.has(to)) return false;
    const fate = this.#options.fate?.(from, to) ?? 'arrives';
    if (fate === 'lost') return true;
    if (fate === 'late') {
      this.#late.set(to, [...(this.#late.get(to) ?? []), bytes]);
      return true;
    }
    const due = [bytes, ...(fate === 'twice' ? [bytes] : []), ...(this.#late.get(to) ?? [])];
    this.#late.delete(to);
    // Never inside the sender's call: on a real way nobody hears before it has ended.
    setImmediate(() => {
      for (const each of due) this.#streams.get(to)?.(each);
    });
    return true;
  }
}
