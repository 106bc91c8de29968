/** Builds the chat page into `web/dist`: everything but index.html lies in `assets` under a name with its hash. */
import { fileURLToPath } from "node:url"
import { defineConfig } from "vite"

export default defineConfig({
  root: import.meta.dirname,
  publicDir: false,
  oxc: { jsx: { runtime: "automatic", importSource: "preact", development: false } },
  resolve: {
    alias: {
      // Its form for browsers reads entities with innerHTML; this one is the same everywhere.
      "decode-named-character-reference": fileURLToPath(
        new URL("../node_modules/decode-named-character-reference/index.js", import.meta.url)
      )
    }
  },
  build: {
    target: "es2022",
    outDir: "dist",
    emptyOutDir: true,
    // The page's content security policy allows no script, style or font in an address.
    assetsInlineLimit: 0,
    modulePreload: { polyfill: false },
    sourcemap: false
  },
  // For work on the page: the server itself runs beside it.
  server: {
    proxy: {
      "/ws": { target: "ws://127.0.0.1:8080", ws: true, changeOrigin: true },
      "/api": "http://127.0.0.1:8080",
      "/login": "http://127.0.0.1:8080",
      "/logout": "http://127.0.0.1:8080"
    }
  }
})
