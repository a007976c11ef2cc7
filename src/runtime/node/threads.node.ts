import { readFileSync } from "node:fs";
import { availableParallelism } from "node:os";

/** Cores without hyper-threading, as many as this process may use: a second thread on a core slows products down. */
export function physicalCores(): number {
  const usable = availableParallelism();
  try {
    const processors = readFileSync("/proc/cpuinfo", "utf8").split("\n\n");
    const field = (text: string, name: string): string | undefined =>
      new RegExp(`^${name}\\s*:\\s*(.*)$`, "m").exec(text)?.[1];
    const cores = new Set(processors.map((p) => `${field(p, "physical id")}/${field(p, "core id")}`));
    cores.delete("undefined/undefined");
    return cores.size > 0 ? Math.min(cores.size, usable) : usable;
  } catch {
    return usable; // not Linux
  }
}
