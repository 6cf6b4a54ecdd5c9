// Fills the generated parts of README.md (snippets that are files, the table of options). `--check` only says whether they are up to date.

import { readFileSync, writeFileSync } from 'node:fs';
import { OPTIONS } from '../dist/runtime/config.js';

const path = new URL('../README.md', import.meta.url);
const before = readFileSync(path, 'utf8');
const rows = Object.values(OPTIONS).map(({ env, schema, about }) => `| \`${env}\` | ${shown(schema)} | ${about} |`);
const table = ['| variable | default | meaning |', '|---|---|---|', ...rows].join('\n');

const after = before
  .replace(/(<!-- file: (\S+) as \S+ -->\n```js\n)[\s\S]*?(\n```)/g, (_all, head, file, tail) => {
    return head + readFileSync(new URL(`../${file}`, import.meta.url), 'utf8').trimEnd() + tail;
  })
  .replace(/(names it\.\n\n)[\s\S]*?(\n\n## Development)/, (_all, head, tail) => head + table + tail);

if (process.argv.includes('--check')) {
  if (after !== before) {
    console.error('README.md is not up to date: run node scripts/readme.mjs');
    process.exit(1);
  }
} else writeFileSync(path, after);

function shown(schema) {
  const value = schema.safeParse(undefined).data;
  return value === undefined || (Array.isArray(value) && value.length === 0) ? '' : `\`${value}\``;
}
