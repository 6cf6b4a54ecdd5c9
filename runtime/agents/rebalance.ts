// Which node should have more agents and which fewer: who has clearly more than its share gives some to the node that has least. Pure.

import type { NodeId } from '../contracts/ids.ts';

export interface NodeLoad {
  readonly id: NodeId;
  readonly agents: number;
  /** Alive and not draining: it takes agents. */
  readonly takes: boolean;
}

export interface Move {
  readonly to: NodeId;
  /** Agents at most. */
  readonly count: number;
}

/** Above its share by less than this, or less than a fifth of it, a node keeps what it has: nothing is moved to and fro. */
const SLACK = 8;
const SLACK_SHARE = 0.2;
/** Rounds in a row that a node must find itself above before it begins; what it began it brings down to its share. */
const ROUNDS = 2;
/** Agents that move in one round. */
export const MOVES = 32;

/** Decides for one node, round by round. States: calm, above for some rounds, moving. */
export class Balance {
  readonly #node: NodeId;
  #above = 0;

  constructor(node: NodeId) {
    this.#node = node;
  }

  /** Undefined: nothing is to be moved now. */
  decide(nodes: readonly NodeLoad[]): Move | undefined {
    const taking = nodes.filter(({ takes }) => takes);
    const mine = taking.find(({ id }) => id === this.#node)?.agents;
    const least = taking
      .filter(({ id }) => id !== this.#node)
      .reduce<NodeLoad | undefined>((best, each) => (best && best.agents <= each.agents ? best : each), undefined);
    if (mine === undefined || !least) return this.#calm();
    const share = taking.reduce((sum, { agents }) => sum + agents, 0) / taking.length;
    const slack = this.#above >= ROUNDS ? 0 : Math.max(SLACK, share * SLACK_SHARE);
    const count = Math.min(MOVES, Math.floor(mine - share), Math.floor(share - least.agents));
    if (mine <= share + slack || count < 1) return this.#calm();
    this.#above += 1;
    return this.#above < ROUNDS ? undefined : { to: least.id, count };
  }

  #calm(): undefined {
    this.#above = 0;
    return undefined;
  }
}
