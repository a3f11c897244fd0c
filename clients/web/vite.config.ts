/// <reference types="vitest/config" />
import { defineConfig } from 'vitest/config';
import { VitePWA } from 'vite-plugin-pwa';

const server = process.env.PIGEON_URL ?? 'http://127.0.0.1:8460';

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
  plugins: [
    VitePWA({
      registerType: 'autoUpdate',
      injectRegister: 'script-defer',
      workbox: {
        // Only the application itself is cached: messages and files are private and stay out of the cache.
        globPatterns: ['**/*.{js,css,html,svg,png}'],
        navigateFallback: 'index.html',
        navigateFallbackDenylist: [/^\/v1\//, /^\/mqtt/, /^\/healthz/, /^\/readyz/],
      },
      manifest: {
        name: 'Pigeon',
        short_name: 'Pigeon',
        description: 'Private messages on your own Raspberry Pi',
        display: 'standalone',
        start_url: './',
        background_color: '#f6f6fb',
        theme_color: '#5653d4',
        icons: [
          { src: 'icon.svg', sizes: 'any', type: 'image/svg+xml' },
          { src: 'icon-192.png', sizes: '192x192', type: 'image/png' },
          { src: 'icon-512.png', sizes: '512x512', type: 'image/png', purpose: 'any maskable' },
        ],
      },
    }),
  ],
});
