// The picture of a pattern: which component draws it.

import type { AgentNames } from '../../../data/agent-names.ts';
import { Json } from '../../../ui/panel.tsx';
import { Empty } from '../../../ui/states.tsx';
import type { Step } from '../graph.ts';
import { BidBook } from './bid-book.tsx';
import { Join, Order } from './flow.tsx';
import { readBidBook, readJoin, readOrder, readPipeline, readPlan, readSwarm, readVotes } from './model.ts';
import { PlanTree } from './plan-tree.tsx';
import { Stages } from './stages.tsx';
import { Swarm } from './swarm.tsx';
import { Votes } from './votes.tsx';
import './pictures.css';

const TITLES: Readonly<Record<string, string>> = {
  sequential: 'Order',
  parallel: 'Join',
  pipeline: 'Stages',
  hierarchical: 'Plan',
  consensus: 'Ballots',
  auction: 'Bid book',
  swarm: 'Swarm',
};

export const pictureTitle = (pattern: string): string => TITLES[pattern] ?? 'Picture';

interface PictureProps {
  readonly pattern: string;
  readonly picture: unknown;
  readonly steps: readonly Step[];
  readonly names: AgentNames;
}

export function Picture({ pattern, picture, steps, names }: PictureProps) {
  if (picture === undefined || picture === null)
    return <Empty title="There is no picture yet">It is drawn when the run has taken its first decision.</Empty>;
  switch (pattern) {
    case 'sequential':
      return <Order order={readOrder(picture)} />;
    case 'parallel':
      return <Join join={readJoin(picture)} steps={steps} />;
    case 'pipeline':
      return <Stages pipeline={readPipeline(picture)} />;
    case 'hierarchical':
      return <PlanTree plan={readPlan(picture)} />;
    case 'consensus':
      return <Votes votes={readVotes(picture)} names={names} />;
    case 'auction':
      return <BidBook book={readBidBook(picture)} names={names} />;
    case 'swarm':
      return <Swarm swarm={readSwarm(picture)} />;
    default:
      return <Json value={picture} />;
  }
}
