// Messages as a sequence diagram: a lane per agent, an arrow per message, replies paired with their questions, pauses marked. Pure.

import type { MessageRecord } from '../../../../runtime/contracts/inspection.ts';

export type Told = Pick<
  MessageRecord,
  | 'seq'
  | 'atMs'
  | 'sentAtMs'
  | 'node'
  | 'thread'
  | 'from'
  | 'to'
  | 'kind'
  | 'protocol'
  | 'type'
  | 'messageId'
  | 'correlation'
  | 'trace'
  | 'topic'
  | 'channel'
  | 'via'
  | 'bytes'
> & { readonly body?: unknown };

/** From outside the actor world. */
export const OUTSIDE = 'outside';
/** All the agents that have no lane of their own. */
export const OTHERS = 'others';

export interface Lane {
  readonly id: string;
  /** Messages from or to it. */
  readonly messages: number;
}

export interface Arrow {
  readonly key: string;
  readonly told: Told;
  /** Places of lanes. */
  readonly from: number;
  readonly to: number;
  readonly answer: boolean;
  /** Of an answer: since its question, when that is among the messages. */
  readonly afterMs: number | null;
  /** From sending to handling. */
  readonly underwayMs: number | null;
  /** Since the message before, when that is long. */
  readonly pauseMs: number | null;
}

export interface Sequence {
  readonly lanes: readonly Lane[];
  readonly arrows: readonly Arrow[];
}

export const keyOf = ({ node, thread, seq }: Pick<Told, 'node' | 'thread' | 'seq'>): string =>
  `${node}/${thread}/${seq}`;

const LONG_MS = 1_000;

/** `lanes`: at most so many; of more agents the busiest have their own, the rest share one. */
export function sequenceOf(told: readonly Told[], { lanes: most = 10 } = {}): Sequence {
  const ordered = [...told].sort((a, b) => a.atMs - b.atMs || keyOf(a).localeCompare(keyOf(b)));
  const counts = new Map<string, number>();
  for (const { from, to } of ordered)
    for (const id of new Set([from ?? OUTSIDE, to ?? OUTSIDE])) counts.set(id, (counts.get(id) ?? 0) + 1);
  const own = new Set(
    counts.size <= most
      ? counts.keys()
      : [...counts]
          .sort((a, b) => b[1] - a[1])
          .slice(0, most - 1)
          .map(([id]) => id),
  );
  const laneOf = (id: string | null): string => (own.has(id ?? OUTSIDE) ? (id ?? OUTSIDE) : OTHERS);
  const lanes: { id: string; messages: number }[] = [];
  const places = new Map<string, number>();
  const placeOf = (id: string | null): number => {
    const lane = laneOf(id);
    const known = places.get(lane);
    if (known !== undefined) return known;
    places.set(lane, lanes.length);
    lanes.push({ id: lane, messages: 0 });
    return lanes.length - 1;
  };
  const asked = new Map<string, number>();
  let beforeMs: number | null = null;
  const arrows = ordered.map((one): Arrow => {
    const [from, to] = [placeOf(one.from), placeOf(one.to)];
    for (const at of new Set([from, to])) {
      const lane = lanes[at];
      if (lane) lane.messages += 1;
    }
    const answer = one.kind === 'reply' || one.kind === 'error';
    const since = answer && one.correlation !== null ? asked.get(one.correlation) : undefined;
    if (!answer && one.correlation !== null) asked.set(one.correlation, one.sentAtMs ?? one.atMs);
    const pauseMs: number | null = beforeMs !== null && one.atMs - beforeMs >= LONG_MS ? one.atMs - beforeMs : null;
    beforeMs = one.atMs;
    return {
      key: keyOf(one),
      told: one,
      from,
      to,
      answer,
      afterMs: since === undefined ? null : Math.max(0, one.atMs - since),
      underwayMs: one.sentAtMs === null ? null : Math.max(0, one.atMs - one.sentAtMs),
      pauseMs,
    };
  });
  return { lanes, arrows };
}

export interface MessageFilter {
  /** In the names or ids of either end. */
  readonly agent?: string;
  /** A trailing `*` stands for anything. */
  readonly type?: string;
  readonly protocol?: string;
  /** A correlation, message id or trace. */
  readonly follow?: string;
}

/** `names`: of agents by id. */
export function wanted(
  told: Told,
  { agent, type, protocol, follow }: MessageFilter,
  names: ReadonlyMap<string, string> = new Map(),
): boolean {
  if (protocol && told.protocol !== protocol) return false;
  if (type && !(type.endsWith('*') ? told.type.startsWith(type.slice(0, -1)) : told.type === type)) return false;
  if (follow && told.correlation !== follow && told.messageId !== follow && told.trace !== follow) return false;
  if (!agent) return true;
  return [told.from, told.to].some((id) => id !== null && (id.includes(agent) || names.get(id)?.includes(agent)));
}

/** By what the rest of a conversation is found: its trace where it has one, else its correlation, else itself. */
export const threadOf = (told: Told): string | null => told.trace ?? told.correlation ?? told.messageId;

/** The newest `most`, each once. */
export function merged(known: readonly Told[], news: readonly Told[], most: number): readonly Told[] {
  const keys = new Set(known.map(keyOf));
  const fresh = news.filter((one) => !keys.has(keyOf(one)));
  return fresh.length === 0 ? known : [...known, ...fresh].slice(-most);
}
