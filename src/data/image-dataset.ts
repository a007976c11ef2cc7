import { GloraError } from "../base/errors.js";
import type { Dataset, InputSpec, SplitName } from "./dataset.js";
import type { ImagePreprocessing } from "./image-spec.js";
import { checkSplits, type ImageSource, ImageSplit, type MemoryBudget } from "./image-split.js";

/** Decoded images are kept in memory up to this many bytes; the others are decoded again at every use. */
const defaultMemory = 2 * 2 ** 30;

/** A {@link Dataset} over images that are divided into splits already. */
export function imageDataset(options: {
  readonly name: string;
  readonly labels: readonly string[];
  readonly splits: Readonly<Record<SplitName, readonly ImageSource[]>>;
  /** Bytes for keeping decoded images. */
  readonly memory?: number;
  describe(): unknown;
}): Dataset {
  const { name, labels, splits, describe } = options;
  return {
    name,
    task: { kind: "classes", labels },
    describe,
    async prepare(input, augment, progress = {}) {
      requireImages(input, name);
      const memory: MemoryBudget = { bytes: options.memory ?? defaultMemory };
      const bound = {
        train: new ImageSplit(splits.train, input, memory, augment),
        validation: new ImageSplit(splits.validation, input, memory),
        test: new ImageSplit(splits.test, input, memory),
      };
      await checkSplits(Object.values(bound), progress);
      return bound;
    },
  };
}

/** @throws {GloraError} DATA if the model takes no images, CONFIG if none of the kind that files hold */
export function requireImages(input: InputSpec, name: string): asserts input is ImagePreprocessing {
  if (input.kind !== "image")
    throw new GloraError(
      "DATA",
      `${name} holds images, and the model takes ${input.kind}: give it data of that kind.`,
      {
        data: name,
        expected: input.kind,
      },
    );
  const { channels } = input;
  if (channels !== 1 && channels !== 3)
    throw new GloraError("CONFIG", `Images have 1 (grey) or 3 (RGB) channels; the model asks for ${channels}.`, {
      channels,
    });
}
