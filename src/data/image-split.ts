import { messageOf, throwIfAborted } from "../base/errors.js";
import type { Rng } from "../base/rng.js";
import type { Tensor } from "../base/tensor.js";
import { type Augmentation, randomFlip, randomPart } from "./augment.js";
import type { PrepareOptions, Split, Targets } from "./dataset.js";
import type { ImagePreprocessing } from "./image-spec.js";
import { forEachLimited } from "./limited.js";
import { normalizer } from "./normalize.js";
import { greyPixels, type Pixels } from "./pixels.js";
import { outputSize, preprocess } from "./preprocess.js";
import { dataError } from "./problems.js";

/** One image, wherever it comes from. */
export interface ImageSource {
  readonly name: string;
  /** The class, −1 where it is not known. */
  readonly label: number;
  /** RGB. A failure's message says what is wrong, without the name. */
  decode(): Promise<Pixels>;
}

/** Bytes that may still be spent on keeping decoded images; splits share one. */
export interface MemoryBudget {
  bytes: number;
}

/** Images decoded at the same time. */
const concurrency = 8;

/** Images as `pixel_values` [n, channels, height, width]. */
export class ImageSplit implements Split {
  readonly size: number;
  readonly labels: Int32Array;
  readonly names: readonly string[];
  readonly #kept: (Pixels | undefined)[];
  readonly #shape: readonly number[];

  constructor(
    private readonly sources: readonly ImageSource[],
    private readonly spec: ImagePreprocessing,
    private readonly memory: MemoryBudget,
    private readonly augment: Augmentation = {},
  ) {
    this.size = sources.length;
    this.labels = Int32Array.from(sources, (source) => source.label);
    this.names = sources.map((source) => source.name);
    this.#kept = new Array(sources.length);
    const { height, width } = outputSize(spec);
    this.#shape = [spec.channels, height, width];
  }

  async inputs(
    indices: readonly number[],
    { rng, signal }: { readonly rng?: Rng; readonly signal?: AbortSignal } = {},
  ): Promise<Record<string, Tensor>> {
    const images = new Array<Pixels>(indices.length);
    const problems: string[] = [];
    await forEachLimited(indices.length, concurrency, signal, async (i) => {
      const index = indices[i]!;
      try {
        images[i] = await this.#load(index);
      } catch (error) {
        problems.push(`${this.names[index]}: ${messageOf(error)}`);
      }
    });
    if (problems.length > 0) throw unreadable(problems);

    const values = this.#shape.reduce((product, n) => product * n);
    const data = new Float32Array(indices.length * values);
    const normalize = normalizer(this.spec);
    // After decoding and in order, so that the draws do not depend on which file was read first.
    images.forEach((image, i) => {
      normalize(this.#finish(image, rng), data, i * values);
    });
    return { pixel_values: { dtype: "float32", shape: [indices.length, ...this.#shape], data } };
  }

  rows(): number {
    return 1;
  }

  targets(indices: readonly number[]): Targets {
    return { kind: "labels", labels: Int32Array.from(indices, (i) => this.labels[i]!) };
  }

  /** Reads one image, to see whether it can be read; it is kept while there is room. @returns what is wrong */
  async check(index: number): Promise<string | undefined> {
    return this.#load(index).then(
      () => undefined,
      (error: unknown) => `${this.names[index]}: ${messageOf(error)}`,
    );
  }

  /** The image up to where chance comes in: as decoded if random parts will be cut from it, else in the model's size. */
  async #load(index: number): Promise<Pixels> {
    const kept = this.#kept[index];
    if (kept) return kept;
    const rgb = await this.sources[index]!.decode();
    const decoded = this.spec.channels === 1 ? greyPixels(rgb) : rgb;
    const image = this.augment.crop ? decoded : preprocess(decoded, this.spec);
    if (!this.#kept[index] && image.data.length <= this.memory.bytes) {
      this.memory.bytes -= image.data.length;
      this.#kept[index] = image;
    }
    return image;
  }

  #finish(image: Pixels, rng: Rng | undefined): Pixels {
    const { crop, flip = 0 } = this.augment;
    let sized = image;
    if (crop) sized = rng ? randomPart(image, this.spec, crop, rng) : preprocess(image, this.spec);
    return rng && flip > 0 ? randomFlip(sized, flip, rng) : sized;
  }
}

const unreadable = (problems: readonly string[]) =>
  dataError(
    `${problems.length === 1 ? "An image" : `${problems.length} images`} cannot be read; replace or remove:`,
    problems,
  );

/** Reads every image of the splits once. @throws {GloraError} DATA naming all that cannot be read */
export async function checkSplits(
  splits: readonly ImageSplit[],
  { signal, onProgress }: PrepareOptions,
): Promise<void> {
  const jobs = splits.flatMap((split) => split.names.map((_, index) => () => split.check(index)));
  const problems: string[] = [];
  let done = 0;
  await forEachLimited(jobs.length, concurrency, signal, async (i) => {
    const problem = await jobs[i]!();
    if (problem !== undefined) problems.push(problem);
    onProgress?.(++done, jobs.length);
  });
  throwIfAborted(signal);
  if (problems.length > 0) throw unreadable(problems.sort());
}
