import { existsSync, readdirSync, readFileSync } from "node:fs";
import { availableParallelism } from "node:os";
import { expect, test } from "vitest";
import { physicalCores } from "./threads.node.js";

/** Where Linux lists, for each processor, those that share its core. */
const topology = "/sys/devices/system/cpu";

test.skipIf(!existsSync(`${topology}/cpu0/topology/core_cpus_list`))(
  "as many threads as the kernel counts cores, but no more than may be used",
  () => {
    const lists = readdirSync(topology)
      .map((cpu) => `${topology}/${cpu}/topology/core_cpus_list`)
      .filter((path) => existsSync(path))
      .map((path) => readFileSync(path, "utf8"));
    expect(physicalCores()).toBe(Math.min(new Set(lists).size, availableParallelism()));
  },
);
