import { Loading } from '../../ui/states.tsx';

export function Agents() {
  return <Loading what="agents" />;
}
