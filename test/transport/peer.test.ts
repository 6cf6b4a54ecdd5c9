import { expect, test } from 'vitest';
import type { AgentId } from '../../runtime/contracts/ids.ts';
import { NACK } from '../../runtime/transport/frames.ts';
import type { Route } from '../../runtime/transport/lookups.ts';
import { Peer, type PeerOwner } from '../../runtime/transport/peer.ts';
import { Wheel } from '../../runtime/transport/wheel.ts';
import { Wire } from '../kit/wire.ts';

const to = 'agt_to' as AgentId;
const still = { monotonicMs: () => 0, setTimeout: () => () => {} };

const idle: PeerOwner = {
  label: 'x',
  deliverLocally: () => false,
  deliver: () => {},
  route: () => undefined,
  resolve: () => {},
  operation: () => {},
  other: () => {},
  down: () => {},
  deadLetter: () => {},
  undelivered: () => {},
  unpaused: () => {},
  frameEnded: () => {},
};

test('the old route is drained before the first message takes the new one', () => {
  const wire = new Wire();
  const taken: number[] = [];
  let route: Route | undefined;
  let lookups = 0;
  const sender = new Peer(
    {
      ...idle,
      route: () => route,
      resolve: (id) => {
        lookups++;
        // One more comes while the new place is looked up.
        sender.tell(to, 'n', 301, { from: undefined, fromSlot: 0 });
        if (route) route = { link: route.link, slot: 2 };
        sender.resolved(id);
      },
    },
    new Wheel(still),
    wire.turn,
  );
  const receiver = new Peer(
    {
      ...idle,
      deliver: (link, sequence, slot, message) => {
        // Slot 1 has left: it takes nothing.
        if (slot === 1) link.control([NACK, sequence, 0]);
        else taken.push(message.body as number);
      },
    },
    new Wheel(still),
    wire.turn,
  );
  route = { link: sender.connect(2, wire.port(0)), slot: 1 };
  receiver.connect(1, wire.port(1));
  for (let n = 1; n <= 300; n++) sender.tell(to, 'n', n, { from: undefined, fromSlot: 0 });
  wire.settle();
  expect(taken).toEqual(Array.from({ length: 301 }, (_, n) => n + 1));
  expect(lookups).toBe(1);
});

test('a message that finds its addressee gone again and again ends as a dead letter', () => {
  const wire = new Wire();
  const letters: string[] = [];
  let route: Route | undefined;
  const sender = new Peer(
    {
      ...idle,
      route: () => route,
      resolve: (id) => sender.resolved(id),
      deadLetter: (letter) => letters.push(letter.reason),
    },
    new Wheel(still),
    wire.turn,
  );
  const gone: PeerOwner = { ...idle, deliver: (link, sequence) => link.control([NACK, sequence, 0]) };
  route = { link: sender.connect(2, wire.port(0)), slot: 1 };
  new Peer(gone, new Wheel(still), wire.turn).connect(1, wire.port(1));
  sender.tell(to, 'n', 1, { from: undefined, fromSlot: 0 });
  wire.settle();
  expect(letters).toEqual(['hop_limit']);
});
