/** What commands say of a run: its plan before, its result after. */
import { existsSync } from "node:fs";
import { join } from "node:path";
import { GloraError } from "../base/errors.js";
import type { Run } from "../search/run.node.js";
import { counted } from "../training/progress.js";
import type { Context } from "./command.js";
import { metricsTable } from "./metrics-table.js";
import { frontText } from "./search-front.js";
import { drawStructure } from "./structure-drawing.js";

/** Runs `body`; an interruption says where what was done is saved, and how it goes on. */
export async function savingTo<T>(run: string, body: () => Promise<T>): Promise<T> {
  try {
    return await body();
  } catch (thrown) {
    if (!(thrown instanceof GloraError) || thrown.code !== "ABORTED") throw thrown;
    const saved = existsSync(join(run, "plan.json"));
    const text = saved ? `Saved in ${run}. Go on with: glora resume ${run}` : "Nothing had been trained yet.";
    throw new GloraError("ABORTED", `Interrupted. ${text}`, { run, saved }, thrown);
  }
}

/** Prints a finished run: structure, front and scores; for programs the same as JSON. */
export function reportRun(
  run: Run,
  pictures: readonly string[],
  context: Context,
  more: Readonly<Record<string, unknown>> = {},
): void {
  const { adapted, genome, parameters, validation, test, search, folder, seconds } = run;
  const { paint } = context;
  if (!genome) {
    context.print(`The supernet is trained${folder ? `, in ${folder}` : ""}. Next: glora search ${folder ?? "RUN"}`);
    context.emit({ run: folder, pictures, seconds, ...more });
    return;
  }
  if (adapted.space.layers.length > 0)
    context.print(`${drawStructure(adapted.space.layers, genome, adapted.space.a, paint)}\n`);
  if (search) {
    context.print(`${frontText(search, run.plan.search?.fitness ?? "accuracy", paint)}\n`);
    if (search.note !== undefined) context.print(`${search.note}\n`);
  }
  context.print(`${counted(parameters!, "adapter parameter")}, the head not counted.\n`);
  if (validation || test) context.print(metricsTable({ validation, test }, paint));
  if (folder) context.print(`\nRun: ${folder} (adapter: ${folder}/adapter)`);
  if (pictures.length > 0) context.print(`Pictures: ${pictures.join(", ")}`);
  context.emit({
    run: folder,
    pictures,
    parameters,
    validation,
    test,
    ...(search && {
      candidates: search.evaluated,
      searched: { accuracy: search.best.accuracy, loss: search.best.loss },
    }),
    layers: Object.fromEntries(genome),
    seconds,
    ...more,
  });
}
