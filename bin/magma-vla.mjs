#!/usr/bin/env node
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const main = new URL('../dist/main.js', import.meta.url);
if (!existsSync(fileURLToPath(main))) {
  console.error(
    'magma-vla is not built yet: run `npm run build` once in ' +
      fileURLToPath(new URL('..', import.meta.url)),
  );
  process.exit(2);
}
await import(main.href);
