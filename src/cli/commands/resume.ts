import { resume as resumeRun } from "../../search/run.node.js";
import { defineCommand } from "../command.js";
import { unless } from "../options.js";
import { savingTo } from "../run-report.js";
import { finishBegunRun } from "./fit.js";

export const resume = defineCommand({
  name: "resume",
  summary: "Go on with an interrupted run: it ends with the same bits as one that was never interrupted.",
  arguments: { run: "folder of the run" },
  options: { merge: unless("do not merge; a run that was begun with --no-merge is not merged either") },
  examples: [{ command: "glora resume runs/flowers", text: "After Ctrl-C, a crash, or a lost machine" }],
  async run({ run: path, merge }, context) {
    const run = await savingTo(path, () => resumeRun(path, { signal: context.signal, onProgress: context.onEvent }));
    try {
      await finishBegunRun(run, context, merge);
    } finally {
      await run.adapted.model.runtime.dispose();
    }
  },
});
