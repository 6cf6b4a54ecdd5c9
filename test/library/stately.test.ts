// An adapter of Stately's inspector gets the XState events of a feed, and nothing else of it.

import { expect, test } from 'vitest';
import type {
  InspectFocusInput,
  InspectFrame,
  InspectionApi,
  XStateInspection,
} from '../../runtime/contracts/inspection.ts';
import { tellStately } from '../../runtime/library/stately.ts';

test('an adapter is sent what the actors in focus do, in order', async () => {
  const event = (type: string): XStateInspection => ({
    type: '@xstate.event',
    sessionId: `nod/1/1/agt/${type}`,
    rootId: 'nod/1/1/agt/x:0',
    createdAt: '1',
    _version: '0.7.2',
    node: 'nod',
    thread: 1,
    agent: 'agt',
    event: { type },
  });
  const frames: InspectFrame[] = [
    { type: 'actors', items: [event('a'), event('b')], dropped: 0 },
    { type: 'messages', items: [], dropped: 0 },
    { type: 'actors', items: [event('c')], dropped: 0 },
  ];
  let asked: InspectFocusInput | undefined;
  const inspection = {
    open({ focus }: { focus: InspectFocusInput }) {
      asked = focus;
      return {
        id: 's',
        frames: (async function* () {
          yield* frames;
        })(),
      };
    },
  } as unknown as InspectionApi;
  const sent: string[] = [];
  const adapter = {
    send: (told: XStateInspection) => void sent.push(told.type === '@xstate.event' ? told.event.type : ''),
  };
  await tellStately(inspection, adapter, { actors: ['door'], signal: new AbortController().signal });
  expect(sent).toEqual(['a', 'b', 'c']);
  expect(asked).toEqual({ actors: ['door'], rows: [], events: false });
});
