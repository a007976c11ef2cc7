/** A training state as a safetensors file, and back: restored, a run goes on with the same bits. */
import { GloraError } from "../base/errors.js";
import { Fields } from "../formats/fields.js";
import { readFloat32, readSafetensors } from "../formats/safetensors.js";
import { encodeSafetensors } from "../formats/safetensors-writer.js";
import { memorySource } from "../formats/source.js";
import type { TrainState } from "./train.js";

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

/** @throws {GloraError} FILE if the bytes are no training state, saying what to do with the file */
export async function decodeTrainState(bytes: Uint8Array, file: string): Promise<TrainState> {
  const refuse = (what: string, thrown?: unknown): GloraError =>
    new GloraError(
      "FILE",
      `${file}: ${what}. It is a checkpoint of the run: delete it to train that phase anew.`,
      { file },
      thrown,
    );
  const { metadata, tensors } = await readSafetensors(memorySource(file, bytes)).catch((thrown: unknown) => {
    throw refuse(`is damaged or cut short (${bytes.length} bytes)`, thrown);
  });
  const read = async (name: string): Promise<Float32Array> => {
    const entry = tensors.get(name);
    if (!entry) throw refuse(`no training state: it lacks "${name}"`);
    return readFloat32(entry);
  };
  const state = new Fields(jsonOf(metadata["state"]));
  const [step, sinceBest, lossCount] = (["step", "sinceBest", "lossCount"] as const).map((key) =>
    state.natural(key, undefined, 0),
  ) as [number, number, number];
  const lossSum = state.numbers("lossSum")[0]!;
  const ofBest = state.has("best") ? state.object("best") : undefined;
  const bestStep = ofBest?.natural("step", undefined, 0);
  if (state.problems.length > 0) throw refuse(`no training state: ${state.problems[0]}`);
  const score = (key: string): number => (ofBest?.raw(key) as number | undefined) ?? Number.NaN;
  const best =
    bestStep === undefined
      ? undefined
      : { step: bestStep, accuracy: score("accuracy"), loss: score("loss"), parameters: await read("best") };
  return {
    step,
    sinceBest,
    lossSum,
    lossCount,
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

function jsonOf(text: string | undefined): unknown {
  try {
    return text === undefined ? undefined : JSON.parse(text);
  } catch {
    return undefined;
  }
}
