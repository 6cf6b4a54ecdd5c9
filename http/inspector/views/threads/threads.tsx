import { Loading } from '../../ui/states.tsx';

export function Threads() {
  return <Loading what="threads" />;
}
