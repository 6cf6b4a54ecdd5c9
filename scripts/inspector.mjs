// Builds the inspector page from http/inspector/ into dist/http/inspector/page/: scripts and styles with hashed names, nothing inline.
// `node scripts/inspector.mjs --watch` builds again whenever a file of it changes.

import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'vite';

const root = dirname(dirname(fileURLToPath(import.meta.url)));

export function buildInspector({ watch = false } = {}) {
  return build({
    configFile: false,
    root: join(root, 'http/inspector'),
    // Addresses inside the page are relative, so that it can be mounted anywhere.
    base: './',
    logLevel: watch ? 'info' : 'warn',
    oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
    build: {
      outDir: join(root, 'dist/http/inspector/page'),
      emptyOutDir: true,
      target: ['chrome123', 'firefox121', 'safari17.5'],
      // Inline data would need a weaker content security policy.
      assetsInlineLimit: 0,
      modulePreload: { polyfill: false },
      reportCompressedSize: false,
      chunkSizeWarningLimit: 2_000,
      watch: watch ? {} : null,
    },
  });
}

if (process.argv[1] === fileURLToPath(import.meta.url))
  await buildInspector({ watch: process.argv.includes('--watch') });
