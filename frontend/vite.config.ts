import preact from "@preact/preset-vite";
import { defineConfig } from "vitest/config";

export default defineConfig({
  plugins: [preact({ devToolsEnabled: false })],
  build: {
    outDir: "../backend/ui",
    emptyOutDir: true,
    target: "es2022",
    // data: URLs would need a wider policy than the page has
    assetsInlineLimit: 0,
    // rooms are few and small: what would fetch their parts ahead weighs more than it saves
    modulePreload: false,
    cssCodeSplit: false,
  },
  worker: { format: "es" },
  server: { proxy: { "/api": "http://127.0.0.1:8000", "/docs": "http://127.0.0.1:8000" } },
  test: { environment: "happy-dom", include: ["src/**/*.test.{ts,tsx}"] },
});
