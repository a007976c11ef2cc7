import { defineConfig } from "vitest/config";

export default defineConfig({
  test: {
    include: ["src/**/*.test.ts", "test/**/*.test.ts", "bench/**/*.test.mjs"],
    testTimeout: 120_000,
    hookTimeout: 120_000,
    pool: "forks",
    maxWorkers: 2,
    coverage: {
      provider: "v8",
      include: ["src/ops/**", "src/adapters/**"],
      exclude: ["**/*.test.ts", "**/*.fixtures.ts"],
      thresholds: { lines: 95, functions: 95, branches: 85 },
    },
  },
});
