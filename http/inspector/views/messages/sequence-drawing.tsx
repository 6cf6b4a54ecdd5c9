// Draws a sequence: lanes from left to right, time from top to bottom. On narrow screens the same as a list.

import { useLayoutEffect, useRef } from 'preact/hooks';
import type { AgentNames } from '../../data/agent-names.ts';
import { href, route } from '../../router.ts';
import { clockMs } from '../../ui/figures.ts';
import { duration, shortId } from '../../ui/format.ts';
import { type Arrow, OTHERS, OUTSIDE, type Sequence } from './sequence.ts';

interface DrawingProps {
  readonly sequence: Sequence;
  readonly names: AgentNames;
  readonly chosen: string | undefined;
}

const LANE = 150;
const ROW = 30;
const PAUSE = 18;
const LEFT = 104;
const HEAD = 34;

export function SequenceDrawing({ sequence: { lanes, arrows }, names, chosen }: DrawingProps) {
  const nameOf = (id: string): string => (id === OUTSIDE ? 'outside' : id === OTHERS ? 'others' : names.of(id));
  const width = LEFT + lanes.length * LANE;
  const places: number[] = [];
  let y = HEAD + ROW;
  for (const { pauseMs } of arrows) {
    if (pauseMs !== null) y += PAUSE;
    places.push(y);
    y += ROW;
  }
  // Stays at the newest as long as nobody scrolls away from it.
  const box = useRef<HTMLElement>(null);
  const atEnd = useRef(true);
  useLayoutEffect(() => {
    if (box.current && atEnd.current) box.current.scrollTop = box.current.scrollHeight;
  }, [y]);
  const onScroll = ({
    currentTarget: { scrollHeight, scrollTop, clientHeight },
  }: {
    currentTarget: HTMLElement;
  }): void => {
    atEnd.current = scrollHeight - scrollTop - clientHeight < 2 * ROW;
  };
  const x = (lane: number): number => LEFT + lane * LANE + LANE / 2;
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: what scrolls must be reachable by keyboard
    <section class="sequence" ref={box} onScroll={onScroll} tabIndex={0} aria-label="Sequence of messages">
      <svg width={width} height={y} viewBox={`0 0 ${width} ${y}`} aria-label={`${arrows.length} messages`}>
        <title>Messages by time</title>
        <defs>
          <marker
            id="tip"
            viewBox="0 0 8 8"
            refX="8"
            refY="4"
            markerWidth="7"
            markerHeight="7"
            orient="auto-start-reverse"
          >
            <path class="tip" d="M0 0L8 4L0 8z" />
          </marker>
        </defs>
        {lanes.map(({ id, messages }, at) => (
          <g key={id}>
            <line class="lane" x1={x(at)} x2={x(at)} y1={HEAD} y2={y} />
            <rect class="lane-box" x={x(at) - LANE / 2 + 5} y="4" width={LANE - 10} height={HEAD - 8} rx="4" />
            <text class="lane-name" x={x(at)} y="21" text-anchor="middle">
              {cut(nameOf(id), 18)}
              <title>{`${nameOf(id)}: ${messages} messages`}</title>
            </text>
          </g>
        ))}
        {arrows.map((arrow, at) => (
          <ArrowLine
            key={arrow.key}
            arrow={arrow}
            y={places[at] ?? 0}
            from={x(arrow.from)}
            to={x(arrow.to)}
            chosen={arrow.key === chosen}
            words={`${nameOf(lanes[arrow.from]?.id ?? '')} to ${nameOf(lanes[arrow.to]?.id ?? '')}`}
          />
        ))}
      </svg>
    </section>
  );
}

interface ArrowProps {
  readonly arrow: Arrow;
  readonly y: number;
  readonly from: number;
  readonly to: number;
  readonly chosen: boolean;
  readonly words: string;
}

function ArrowLine({ arrow, y, from, to, chosen, words }: ArrowProps) {
  const { told, answer, afterMs, pauseMs, key } = arrow;
  const { view, path, query } = route.value;
  const self = from === to;
  const d = self ? `M${from} ${y - 6}h26v12h-26` : `M${from} ${y}L${to} ${y}`;
  const middle = self ? from + 32 : (from + to) / 2;
  const label = `${told.type}${afterMs === null ? '' : ` · ${duration(afterMs)}`}`;
  const kind = told.kind === 'error' ? 'is-error' : answer ? 'is-answer' : told.kind === 'durable' ? 'is-durable' : '';
  const most = self ? 18 : Math.max(16, Math.floor(Math.abs(to - from) / 6.4));
  const shown = cut(label, most);
  return (
    <>
      {pauseMs === null ? null : (
        <text class="pause" x={LEFT - 12} y={y - ROW / 2 - 4} text-anchor="end">
          {duration(pauseMs)} later
        </text>
      )}
      <a
        class={`arrow ${kind} ${chosen ? 'is-chosen' : ''}`}
        href={href([view, ...path], { ...query, message: key })}
        aria-current={chosen ? 'true' : undefined}
      >
        <title>{`${told.type}, ${told.kind}\n${words}\n${clockMs(told.atMs)}, thread ${told.thread} of ${shortId(told.node)}, ${told.via}`}</title>
        <rect class="arrow-row" x="0" y={y - ROW / 2 - 3} width={Math.max(from, to) + LANE / 2} height={ROW - 2} />
        <text class="arrow-time" x={LEFT - 12} y={y + 4} text-anchor="end">
          {clockMs(told.atMs)}
        </text>
        <path class="arrow-line" d={d} marker-end="url(#tip)" />
        <text class="arrow-label" x={middle} y={self ? y + 4 : y - 5} text-anchor={self ? 'start' : 'middle'}>
          {shown}
        </text>
      </a>
    </>
  );
}

const cut = (text: string, most: number): string => (text.length > most ? `${text.slice(0, most - 1)}…` : text);
