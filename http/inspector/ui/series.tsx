// Figures over time, drawn by uPlot in the colours of the theme. The last value is also said in words.

import { useEffect, useRef } from 'preact/hooks';
import uPlot from 'uplot';
import 'uplot/dist/uPlot.min.css';
import './series.css';
import { theme } from './theme.ts';

export interface Line {
  readonly label: string;
  /** A token of the theme, like `--accent`. */
  readonly colour: string;
  readonly values: readonly (number | null)[];
}

interface SeriesProps {
  readonly label: string;
  /** Seconds since 1970, ascending. */
  readonly times: readonly number[];
  readonly lines: readonly Line[];
  readonly format: (value: number) => string;
  readonly height?: number;
  /** Seconds that are shown at most; default 300. */
  readonly window?: number;
}

/** Fewer seconds are drawn as this many: a line must not leap with every value. */
const LEAST_S = 60;

export function Series({ label, times, lines, format, height = 140, window = 300 }: SeriesProps) {
  const place = useRef<HTMLDivElement>(null);
  const plot = useRef<uPlot | null>(null);
  const labels = lines.map((line) => line.label).join('|');
  const scheme = theme.value;
  const data = [times, ...lines.map((line) => line.values)] as uPlot.AlignedData;
  // Made anew only when what is drawn changes, not with every value.
  useEffect(() => {
    const element = place.current;
    if (!element) return;
    const made = new uPlot(optionsFor(element, lines, { format, height, window }), data, element);
    plot.current = made;
    const resized = new ResizeObserver(() => made.setSize({ width: element.clientWidth, height }));
    resized.observe(element);
    return () => {
      resized.disconnect();
      made.destroy();
      plot.current = null;
    };
  }, [labels, scheme, height]);
  useEffect(() => plot.current?.setData(data));
  const last = lines.map((line) => {
    const value = line.values.at(-1);
    return {
      label: line.label,
      colour: line.colour,
      text: value === null || value === undefined ? '–' : format(value),
    };
  });
  return (
    <figure class="series">
      <figcaption>
        <span>{label}</span>
        {last.map((one) => (
          <span key={one.label} class="series-last">
            <i style={{ background: `var(${one.colour})` }} />
            {one.label} <b>{one.text}</b>
          </span>
        ))}
      </figcaption>
      <div ref={place} class="series-plot" aria-hidden="true" />
    </figure>
  );
}

function optionsFor(
  element: HTMLElement,
  lines: readonly Line[],
  { format, height, window }: Required<Pick<SeriesProps, 'format' | 'height' | 'window'>>,
): uPlot.Options {
  const colour = (name: string): string => resolved(element, name);
  const axis = { stroke: colour('--muted'), font: '11px system-ui', ticks: { show: false } };
  const grid = { stroke: colour('--line'), width: 1 };
  return {
    width: Math.max(120, element.clientWidth),
    height,
    legend: { show: false },
    cursor: { points: { size: 5 }, y: false },
    scales: {
      x: { range: (_plot, min, max) => [Math.max(max - window, Math.min(min, max - LEAST_S)), max] },
      y: { range: (_plot, _min, max) => [0, max > 0 ? max * 1.1 : 1] },
    },
    axes: [
      { ...axis, grid: { show: false }, size: 22 },
      { ...axis, grid, size: 52, values: (_plot, ticks) => ticks.map((tick) => format(tick)) },
    ],
    series: [
      {},
      ...lines.map((line) => ({ label: line.label, stroke: colour(line.colour), width: 1.5, points: { show: false } })),
    ],
  };
}

/** A token as a colour a canvas takes: `light-dark()` is resolved by the element, not by the canvas. */
function resolved(element: HTMLElement, token: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${token})`;
  element.append(probe);
  const { color } = getComputedStyle(probe);
  probe.remove();
  return color;
}
