/// <reference types="vitest/config" />
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { defineConfig, type Plugin } from 'vitest/config';

const server = process.env.PIGEON_URL ?? 'http://127.0.0.1:8460';

/** Writes sw.js with the names of all files of this build. */
function serviceWorker(): Plugin {
  return {
    name: 'service-worker',
    apply: 'build',
    enforce: 'post',
    generateBundle(_, bundle) {
      const built = Object.keys(bundle).filter((f) => f !== 'index.html');
      const files = ['/index.html', ...[...built, ...readdirSync('public')].map((f) => `/${f}`)].sort();
      const source = readFileSync('sw.js', 'utf8');
      const hash = createHash('sha256').update(source);
      for (const f of readdirSync('public')) hash.update(readFileSync(`public/${f}`));
      hash.update(readFileSync('index.html')).update(files.join());
      this.emitFile({
        type: 'asset',
        fileName: 'sw.js',
        source: source.replace('__FILES__', JSON.stringify(files)).replace('__HASH__', hash.digest('hex').slice(0, 12)),
      });
    },
  };
}

export default defineConfig({
  oxc: { jsx: { runtime: 'automatic', importSource: 'preact' } },
  build: {
    target: 'es2022',
    // A data: URL in a script or stylesheet would need a wider content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
  },
  server: { proxy: { '/v1': { target: server, ws: true } } },
  test: { environment: 'node', include: ['test/**/*.test.ts'] },
  plugins: [serviceWorker()],
});
