import { expect, test } from "vitest";
import { encodeSafetensors } from "../formats/safetensors-writer.js";
import { decodeTrainState, encodeTrainState } from "./checkpoint.js";
import type { TrainState } from "./train.js";

const state: TrainState = {
  step: 7,
  parameters: Float32Array.of(1, -0, 1e-45, 3),
  optimizer: {
    mean: Float32Array.of(0.1, 0.2, 0.3, 0.4),
    square: Float32Array.of(1, 2, 3, 4),
    steps: Float32Array.of(7, 2),
    rates: Float32Array.of(1e-3, 3e-4),
  },
  best: { step: 5, accuracy: 2 / 3, loss: 0.1 + 0.2, parameters: Float32Array.of(5, 6, 7, 8) },
  sinceBest: 2,
  lossSum: 1 / 3,
  lossCount: 4,
};

test("a state comes back to the bit", async () => {
  expect(await decodeTrainState(encodeTrainState(state), "x")).toEqual(state);
  const first = { ...state, best: undefined };
  expect(await decodeTrainState(encodeTrainState(first), "x")).toEqual(first);
});

test("scores that are no numbers, as without a validation split, come back too", async () => {
  const unscored = { ...state, best: { ...state.best!, accuracy: Number.NaN, loss: Number.NaN } };
  expect(await decodeTrainState(encodeTrainState(unscored), "x")).toEqual(unscored);
});

test("a file that is cut or something else is refused", async () => {
  const bytes = encodeTrainState(state);
  await expect(decodeTrainState(bytes.subarray(0, bytes.length - 3), "train.safetensors")).rejects.toMatchObject({
    code: "FILE",
    message: `train.safetensors: is damaged or cut short (${bytes.length - 3} bytes). It is a checkpoint of the run: delete it to train that phase anew.`,
  });
  const other = encodeSafetensors([{ name: "w", dtype: "F32", shape: [1], data: new Uint8Array(4) }]);
  await expect(decodeTrainState(other, "train.safetensors")).rejects.toThrow(
    "train.safetensors: no training state: the file: an object is expected, not nothing",
  );
  const empty = encodeSafetensors([], { state: JSON.stringify({ step: 1, sinceBest: 0, lossSum: 0, lossCount: 0 }) });
  await expect(decodeTrainState(empty, "train.safetensors")).rejects.toThrow(
    'train.safetensors: no training state: it lacks "parameters".',
  );
});
