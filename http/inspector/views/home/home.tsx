import { Loading } from '../../ui/states.tsx';

export function Home() {
  return <Loading what="home" />;
}
