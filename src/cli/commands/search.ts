import { search as searchRun } from "../../search/run.node.js";
import { defineCommand } from "../command.js";
import { given, option, unless } from "../options.js";
import { savingTo } from "../run-report.js";
import { searchOptions, structureOptions, taskFitnessOptions } from "../shared-options.js";
import { parseText } from "../values.js";
import { finishBegunRun, taskFitnessOf } from "./fit.js";

export const search = defineCommand({
  name: "search",
  summary: "Search a structure in the trained supernet of a run, train the winner further, test and merge it.",
  details: "With --out the run stays as it is and a new one is made: one supernet serves any number of budgets.",
  arguments: { run: "folder of a run that glora train (or fit) began" },
  options: {
    out: option("folder", "a new run for this search; default: the run itself goes on", parseText),
    budget: structureOptions.budget,
    ...searchOptions,
    ...taskFitnessOptions,
    further: unless("do not train the winner of the search any further"),
    merge: unless("do not merge"),
  },
  examples: [
    { command: "glora search runs/net", text: "With the settings that the run was begun with" },
    { command: "glora search runs/net --budget 20k --out runs/small", text: "Another budget, from the same supernet" },
  ],
  async run({ run: path, out, budget, further, merge, ...values }, context) {
    const settings = given(
      Object.fromEntries(Object.keys(searchOptions).map((key) => [key, values[key as keyof typeof searchOptions]])),
    );
    const taskFitness = taskFitnessOf(values);
    const run = await savingTo(out ?? path, () =>
      searchRun(path, {
        ...given({ out, budget, taskFitness }),
        ...(Object.keys(settings).length > 0 && { search: settings }),
        ...(!further && { further: false as const }),
        ...(!merge && { merge }),
        signal: context.signal,
        onProgress: context.onEvent,
      }),
    );
    try {
      await finishBegunRun(run, context, merge);
    } finally {
      await run.adapted.model.runtime.dispose();
    }
  },
});
