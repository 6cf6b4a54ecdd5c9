import { describe, expect, test } from 'vitest';
import { Places } from '../../runtime/cluster/places.ts';
import type { AgentId, NodeId } from '../../runtime/contracts/ids.ts';
import type { AgentPlace } from '../../runtime/contracts/store-cluster.ts';

const id = (n: number) => `agt_${n}` as AgentId;
const node = (name: string) => `nod_${name}` as NodeId;

describe('places', () => {
  test('questions of one turn are one statement, whoever asks for whom', async () => {
    const asked: (readonly AgentId[])[] = [];
    const row: AgentPlace = { id: id(1), owner: node('a'), epoch: 1, ended: false };
    const places = new Places({
      places: async (ids) => {
        asked.push(ids);
        return ids.includes(id(1)) ? [row] : [];
      },
    });
    expect(await Promise.all([id(1), id(2), id(1)].map((each) => places.read(each)))).toEqual([row, undefined, row]);
    expect(asked).toEqual([[id(1), id(2)]]);
  });

  test('a database that does not answer fails them all, and the next question is asked anew', async () => {
    let away = true;
    const places = new Places({ places: () => (away ? Promise.reject(new Error('away')) : Promise.resolve([])) });
    const all = await Promise.allSettled([places.read(id(1)), places.read(id(2))]);
    expect(all.map(({ status }) => status)).toEqual(['rejected', 'rejected']);
    away = false;
    expect(await places.read(id(1))).toBeUndefined();
  });

  test('remember a bounded number of agents and forget those of a lost node', () => {
    const places = new Places({ places: async () => [] });
    for (let n = 0; n < 70_000; n++) places.learn(id(n), node(n % 2 === 0 ? 'a' : 'b'));
    expect(places.get(id(0))).toBeUndefined();
    expect(places.get(id(69_999))).toBe(node('b'));
    places.forgetNode(node('b'));
    expect([places.get(id(69_999)), places.get(id(69_998))]).toEqual([undefined, node('a')]);
  });
});
