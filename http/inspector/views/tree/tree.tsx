import { Loading } from '../../ui/states.tsx';

export function Tree() {
  return <Loading what="tree" />;
}
