// Draws the view: in place on a terminal, as plain lines elsewhere.

import type { Writable } from 'node:stream';
import { stripVTControlCharacters } from 'node:util';
import { type DemoView, nameOf, type StepLine } from './view.ts';

export interface Screen {
  /** Draws what is new. */
  update(view: DemoView): void;
  /** Text that stays, e.g. the report. */
  print(text: string): void;
  /** Leaves the last state on the screen. */
  finish(view: DemoView): void;
}

export interface ScreenOptions {
  readonly out: Writable & { readonly columns?: number; readonly rows?: number };
  readonly isTty: boolean;
  /** Lines above the agents, e.g. the question. */
  readonly head: readonly string[];
}

export function createScreen(options: ScreenOptions): Screen {
  return options.isTty ? liveScreen(options) : plainScreen(options);
}

function plainScreen({ out, head }: ScreenOptions): Screen {
  let shown = 0;
  let begun = false;
  const update = (view: DemoView) => {
    if (!begun) {
      begun = true;
      out.write(`${head.join('\n')}\n${agentLines(view).join('\n')}\n`);
    }
    for (const { atMs, text } of view.happenings.slice(shown)) out.write(`${seconds(atMs)}  ${text}\n`);
    shown = view.happenings.length;
  };
  return { update, finish: update, print: (text) => void out.write(`${text}\n`) };
}

const HIDE_CURSOR = '\u001b[?25l';
const SHOW_CURSOR = '\u001b[?25h';
const CLEAR_BELOW = '\u001b[J';
const DEFAULT_COLUMNS = 100;
const DEFAULT_ROWS = 24;
const MOST_HAPPENINGS = 12;

function liveScreen({ out, head }: ScreenOptions): Screen {
  let drawn = 0;
  const draw = (lines: readonly string[]) => {
    const width = Math.max(40, (out.columns || DEFAULT_COLUMNS) - 1);
    const up = drawn > 0 ? `\u001b[${drawn}A\r` : HIDE_CURSOR;
    out.write(`${up}${CLEAR_BELOW}${lines.map((line) => cut(line, width)).join('\n')}\n`);
    drawn = lines.length;
  };
  return {
    update: (view) => draw(fitted(view, head, (out.rows || DEFAULT_ROWS) - 1)),
    finish(view) {
      draw(frame(view, head, view.happenings.length));
      out.write(SHOW_CURSOR);
      drawn = 0;
    },
    print: (text) => void out.write(`${text}\n`),
  };
}

/** What scrolls off the top cannot be drawn over: the frame gives up happenings, then space, to stay within the screen. */
function fitted(view: DemoView, head: readonly string[], rows: number): string[] {
  const roomy = rows - frame(view, head, 0).length;
  if (roomy >= 4) return frame(view, head, Math.min(MOST_HAPPENINGS, roomy));
  const body = [...head.slice(0, 1), ...agentLines(view), ...stepLines(view)];
  return [...body, ...happeningLines(view, Math.max(1, rows - body.length))].slice(-rows);
}

function frame(view: DemoView, head: readonly string[], happenings: number): string[] {
  return [
    ...head,
    '',
    bold('Agents'),
    ...agentLines(view),
    '',
    bold('Steps'),
    ...stepLines(view),
    '',
    bold('What happens'),
    ...happeningLines(view, happenings),
  ];
}

const stepLines = (view: DemoView): string[] => [...view.steps.values()].map((step) => stepText(view, step));

const happeningLines = (view: DemoView, count: number): string[] =>
  count === 0 ? [] : view.happenings.slice(-count).map(({ atMs, text }) => `  ${dim(seconds(atMs))}  ${paint(text)}`);

function agentLines(view: DemoView): string[] {
  const width = Math.max(...[...view.agents.values()].map((agent) => agent.name.length), 0);
  return [...view.agents.values()].map(({ id, name, state, thread }) => {
    const step = [...view.steps.values()].find((one) => one.agentId === id && one.state === 'running');
    const place = thread === null ? 'no thread' : `thread ${thread}`;
    return `  ${name.padEnd(width)}  ${state.padEnd(12)}  ${place.padEnd(9)}  ${step?.id ?? ''}`.trimEnd();
  });
}

const BAR = 20;

function stepText(view: DemoView, step: StepLine): string {
  const full = Math.round(step.fraction * BAR);
  const bar = `${'█'.repeat(full)}${'░'.repeat(BAR - full)}`;
  const width = Math.max(...[...view.steps.keys()].map((id) => id.length));
  const share =
    step.state === 'completed'
      ? 'done'
      : step.state === 'running'
        ? `${Math.round(step.fraction * 100)} %`
        : step.state;
  const again = step.attempt > 1 ? `attempt ${step.attempt}  ` : '';
  const who = step.agentId ? `${nameOf(view, step.agentId)}  ` : '';
  return `  ${step.id.padEnd(width)}  ${bar}  ${share.padEnd(9)}  ${again}${who}${dim(step.note)}`.trimEnd();
}

const seconds = (ms: number): string => `${(ms / 1_000).toFixed(1).padStart(5)} s`;
const bold = (text: string): string => `\u001b[1m${text}\u001b[22m`;
const dim = (text: string): string => (text === '' ? '' : `\u001b[2m${text}\u001b[22m`);

/** What goes wrong in red, what is mended in green. */
function paint(text: string): string {
  if (/\b(down|killed|kills|interrupted|failed)\b/.test(text)) return `\u001b[31m${text}\u001b[39m`;
  if (/\b(back|again|restarts)\b/.test(text)) return `\u001b[32m${text}\u001b[39m`;
  return text;
}

/** Splits a text at its colours and keeps them. */
const COLOURS = new RegExp(`(${String.fromCharCode(27)}\\[[0-9;]*m)`);

/** Cut to the width of the terminal, so that every line stays one line; colours do not count. */
function cut(line: string, width: number): string {
  if (stripVTControlCharacters(line).length <= width) return line;
  let left = width - 1;
  let text = '';
  for (const part of line.split(COLOURS)) {
    if (part.startsWith('\u001b[')) text += part;
    else {
      text += part.slice(0, Math.max(0, left));
      left -= part.length;
    }
  }
  return `${text}…\u001b[22;39m`;
}
