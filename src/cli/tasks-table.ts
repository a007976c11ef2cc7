/** Scores of benchmark tasks as people read them. */
import type { TaskResults } from "../evaluation/tasks/evaluate-tasks.node.js";
import { table } from "./table.js";
import type { Paint } from "./terminal.js";

/** A row for each metric of each task and group, with its standard error where it has one. */
export function tasksTable(results: TaskResults, paint: Paint): string {
  const shots = (results["n-shot"] ?? {}) as Readonly<Record<string, number>>;
  const rows = Object.entries(results.results).flatMap(([name, fields]) =>
    Object.entries(fields)
      .filter(([key]) => key.endsWith(",none") && !key.includes("_stderr"))
      .map(([key, value]) => {
        const metric = key.slice(0, key.indexOf(","));
        const error = fields[`${metric}_stderr,none`];
        const cells = [name, shots[name], fields["sample_len"] as number, metric, (value as number).toFixed(4)];
        return [...cells, typeof error === "number" ? `± ${error.toFixed(4)}` : undefined];
      }),
  );
  return table(["task", "shots", "documents", "metric", { title: "value", align: "right" }, ""], rows, paint);
}
