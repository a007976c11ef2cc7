import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import type { AdaptedModel } from "../../adapters/adapted-model.js";
import { inlineFloat32 } from "../../ir/builder.js";
import type { Model } from "../../models/model.js";
import { openModel } from "../../models/open.node.js";
import { noStories, randomAdapter, runtime, scratch, stories } from "../generation/generation.fixtures.js";
import { evaluateTasks } from "./evaluate-tasks.node.js";
import { localTasks } from "./local-data.node.js";

const data = fileURLToPath(new URL("../../../test/fixtures/lm-eval/data", import.meta.url));

test.skipIf(noStories)(
  "answers are those of one model and one adapter: another number in it, and they are asked for anew",
  async () => {
    const model = await openModel(stories, { runtime });
    const adapted = randomAdapter(model, 3);
    const out = join(scratch, "answers");
    const source = await localTasks(data);
    /** How many of the two documents were not answered yet. */
    const asked = async (subject: Model | AdaptedModel): Promise<number> => {
      const lines = async () =>
        (await readFile(join(out, "answers_piqa.jsonl"), "utf8").catch(() => "")).split("\n").length;
      const before = await lines();
      await evaluateTasks(subject, { tasks: ["piqa"], data: source, limit: 2, out });
      return (await lines()) - before;
    };
    expect(await asked(adapted)).toBe(2);
    expect(await asked(adapted)).toBe(0);
    expect(await asked(model)).toBe(2);
    const parameters = adapted.parameters.slice();
    parameters[parameters.length - 1]! += 1e-6;
    expect(await asked({ ...adapted, parameters })).toBe(2);
    expect(await asked(adapted)).toBe(0);
    const replaced = (value: number) => {
      const weight = { shape: [1], data: inlineFloat32(Float32Array.of(value), [1]) };
      return { ...adapted, replaced: new Map([["model.norm.weight", weight]]) };
    };
    expect(await asked(replaced(1))).toBe(2);
    expect(await asked(replaced(2))).toBe(2);
  },
);
