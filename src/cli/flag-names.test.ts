import { expect, test } from "vitest";
import { type ErrorCode, GloraError } from "../base/errors.js";
import { commands } from "./commands/index.js";
import { inFlags } from "./flag-names.js";
import { flagsOf } from "./options.js";

const { options } = commands.find(({ name }) => name === "fit")!;
const said = (message: string, details: Record<string, unknown> = {}, code: ErrorCode = "USAGE") =>
  inFlags(new GloraError(code, message, details), options);

test.each([
  ["imageSize: bert takes no images. Leave it out.", "--image-size: bert takes no images. Leave it out."],
  ["Name a new folder (out) for one with others.", "Name a new folder (--out) for one with others."],
  ["taskFitness ranks candidates: leave it out.", "--fitness-tasks ranks candidates: leave it out."],
  ["name the second as secondColumn", "name the second as --second-column"],
  ["addBiases: no.", "--no-add-biases: no."],
])("%s", (message, expected) => {
  expect(said(message)).toBe(expected);
});

test("every option of every command has its flag", () => {
  for (const command of commands)
    for (const [key, spec] of Object.entries(command.options)) {
      const error = new GloraError("USAGE", `${key}: no.`, { option: key });
      expect(inFlags(error, command.options)).toBe(`${flagsOf(key, spec).split(" ")[0]}: no.`);
    }
});

test("one word is an option's where the error is about it, and then once", () => {
  const message = "loss: mse is no loss for this data.";
  expect(said(message, { option: "loss" })).toBe("--loss: mse is no loss for this data.");
  expect(said(message)).toBe(message);
  expect(said("augment: texts are not mirrored.", { option: "augment" })).toBe(
    "--flip and --random-crop: texts are not mirrored.",
  );
});

test("what else has such a name keeps it: fields of files, paths, quotations, flags", () => {
  const field = "flowers/adapter.json: imageSize: a positive whole number is expected";
  expect(said(field, {}, "CONFIG")).toBe(field);
  const rest = 'batchSize/x.png, "batchSize", options.batchSize and --loss are no options; unknownName neither';
  expect(said(rest, { option: "loss" })).toBe(rest);
  // An error of a program's own settings says which one it is about.
  expect(said("limit the gradient norm (clipNorm).", { option: "clipNorm" }, "CONFIG")).toBe(
    "limit the gradient norm (--clip-norm).",
  );
});

test("what differs from a run's settings", () => {
  const lines = [
    "This run was begun with other settings:",
    "  model.imageSize: not given in the run, [384,384] now",
    "  options.train.batchSize: 8 in the run, 4 now",
    "  options.train.augment.crop.scale: not given in the run, [0.5,1] now",
    "  options.maxSeconds: 60 in the run, 3600 now",
    "  data.share.validation: 0.1 in the run, 0.2 now",
  ];
  expect(said(lines.join("\n"), { differences: [] }, "CONFIG").split("\n")).toEqual([
    lines[0],
    "  --image-size: not given in the run, [384,384] now",
    "  --batch-size: 8 in the run, 4 now",
    "  --random-crop: not given in the run, [0.5,1] now",
    "  --max-time: 60 in the run, 3600 now",
    lines[5],
  ]);
});
