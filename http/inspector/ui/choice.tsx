// One of several values for a filter that is in the address; none is all.

import { setQuery } from '../router.ts';
import './lists.css';

interface ChoiceProps {
  readonly label: string;
  /** In the query of the address. */
  readonly name: string;
  readonly of: readonly string[];
  readonly value: string | undefined;
}

export function Choice({ label, name, of, value }: ChoiceProps) {
  const known = value === undefined || value === '' || of.includes(value) ? of : [...of, value];
  return (
    <label>
      {label}
      <select value={value ?? ''} onChange={(event) => setQuery({ [name]: event.currentTarget.value })}>
        <option value="">all</option>
        {known.map((one) => (
          <option key={one} value={one}>
            {one.replaceAll('_', ' ')}
          </option>
        ))}
      </select>
    </label>
  );
}
