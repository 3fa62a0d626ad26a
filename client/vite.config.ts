import { fileURLToPath } from "node:url";
import { defineConfig, type Plugin } from "vite";
import { VitePWA } from "vite-plugin-pwa";
import solid from "vite-plugin-solid";

const root = fileURLToPath(new URL(".", import.meta.url));

/** Paths that the service answers itself: the service worker must never give them the page. */
const serverPaths = [
  /^\/api\//,
  /^\/dashboard-stream/,
  /^\/ingest/,
  /^\/healthz/,
  /^\/readyz/,
  /^\/metrics/,
  /^\/openapi/,
  /^\/shared\//,
];

/**
 * Chromium then compiles a whole file beside the page's thread while it loads, instead of each function on that thread when
 * it is first called: a quarter less blocking when Explore opens on a phone. To other browsers it is a comment.
 */
const compileWhileLoading: Plugin = {
  name: "compile-while-loading",
  generateBundle: {
    // After Vite's own last insertion: the hint counts on the first line only.
    order: "post",
    handler(_, bundle) {
      for (const file of Object.values(bundle)) {
        if (file.type === "chunk") file.code = `//# allFunctionsCalledOnLoad\n${file.code}`;
      }
    },
  },
};

export default defineConfig({
  root,
  plugins: [
    solid(),
    compileWhileLoading,
    VitePWA({
      // A wall display must never reload itself: a new version waits until a person says so.
      registerType: "prompt",
      injectRegister: false,
      manifest: {
        id: "/",
        name: "Sluice",
        short_name: "Sluice",
        description: "A fleet of devices, live.",
        display: "standalone",
        start_url: "/",
        scope: "/",
        background_color: "#0d1218",
        theme_color: "#0d1218",
        icons: [
          { src: "/icon-192.png", sizes: "192x192", type: "image/png" },
          { src: "/icon-512.png", sizes: "512x512", type: "image/png" },
          { src: "/icon-maskable-512.png", sizes: "512x512", type: "image/png", purpose: "maskable" },
        ],
      },
      workbox: {
        globPatterns: ["**/*.{js,css,html,svg,png}"],
        // Push messages; loaded by the worker itself, never by the page.
        importScripts: ["/push-worker.js"],
        globIgnores: ["push-worker.js"],
        navigateFallback: "/index.html",
        navigateFallbackDenylist: serverPaths,
        // No runtimeCaching on purpose: a cached stream or answer would show old numbers as if they were now.
        cleanupOutdatedCaches: true,
      },
    }),
  ],
  build: {
    outDir: "dist",
    emptyOutDir: true,
    // The size budget test reads which chunk needs which.
    manifest: true,
    target: "es2022",
    sourcemap: false,
    // Inlined images would need `img-src data:` in the content security policy.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    // ApexCharts alone is larger than this warning's default, and it is loaded for Explore only.
    chunkSizeWarningLimit: 700,
  },
  server: {
    proxy: Object.fromEntries(
      ["/api", "/dashboard-stream", "/ingest", "/healthz", "/readyz", "/metrics", "/openapi"].map((path) => [
        path,
        "http://127.0.0.1:8000",
      ]),
    ),
  },
});
