/** A training state as a safetensors file, and back: restored, a run goes on with the same bits. */
import { GloraError } from "../base/errors.js";
import { parseJson } from "../formats/folder.js";
import { readFloat32, readSafetensors } from "../formats/safetensors.js";
import { encodeSafetensors } from "../formats/safetensors-writer.js";
import { memorySource } from "../formats/source.js";
import type { Best, TrainState } from "./train.js";

const bytesOf = (values: Float32Array): Uint8Array =>
  new Uint8Array(values.buffer, values.byteOffset, values.byteLength);

export function encodeTrainState(state: TrainState): Uint8Array {
  const arrays = {
    parameters: state.parameters,
    ...state.optimizer,
    ...(state.best && { best: state.best.parameters }),
  };
  const { step, sinceBest, lossSum, lossCount } = state;
  const best = state.best && { step: state.best.step, accuracy: state.best.accuracy, loss: state.best.loss };
  return encodeSafetensors(
    Object.entries(arrays).map(([name, values]) => ({
      name,
      dtype: "F32" as const,
      shape: [values.length],
      data: bytesOf(values),
    })),
    // JSON has no NaN: without a validation split there are no scores, and null stands for them.
    { state: JSON.stringify({ step, sinceBest, lossSum, lossCount, best }) },
  );
}

/** @throws {GloraError} FILE if the bytes are no training state */
export async function decodeTrainState(bytes: Uint8Array, file: string): Promise<TrainState> {
  const { metadata, tensors } = await readSafetensors(memorySource(file, bytes));
  const read = async (name: string): Promise<Float32Array> => {
    const entry = tensors.get(name);
    if (!entry) throw new GloraError("FILE", `${file}: no training state: it lacks "${name}".`, { file, field: name });
    return readFloat32(entry);
  };
  const fields = parseJson(metadata["state"] ?? "null", file) as
    | (Omit<TrainState, "parameters" | "optimizer" | "best"> & { best?: Omit<Best, "parameters"> })
    | null;
  if (!fields) throw new GloraError("FILE", `${file}: no training state: its metadata lacks "state".`, { file });
  const best = fields.best && {
    step: fields.best.step,
    accuracy: fields.best.accuracy ?? Number.NaN,
    loss: fields.best.loss ?? Number.NaN,
    parameters: await read("best"),
  };
  return {
    step: fields.step,
    sinceBest: fields.sinceBest,
    lossSum: fields.lossSum,
    lossCount: fields.lossCount,
    parameters: await read("parameters"),
    optimizer: {
      mean: await read("mean"),
      square: await read("square"),
      steps: await read("steps"),
      rates: await read("rates"),
    },
    best,
  };
}
