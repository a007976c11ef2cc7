import type { Tokenizer } from "../data/text/tokenizer.js";
import type { Checkpoint } from "../formats/checkpoint.js";
import type { Size } from "../formats/fields.js";
import type { Folder } from "../formats/folder.js";
import type { Runtime } from "../runtime/runtime.js";

/** Classes that many models share, whose names a config need not state. */
export type LabelSet = "imagenet-1k";

/** What a family opens a model from. */
export interface ModelParts {
  readonly folder: Folder;
  readonly checkpoint: Checkpoint;
  /** config.json as it is. */
  readonly rawConfig: Readonly<Record<string, unknown>>;
  /** Where it stands, for messages. */
  readonly file: string;
  readonly runtime: Runtime;
  /** Size of the images that the model is wanted for, where that is not its own. */
  readonly imageSize?: Size;
  /** The names of such classes in their order, where they can be had. */
  readonly labelNames?: (set: LabelSet) => Promise<readonly string[]>;
  /** Reads the folder's tokenizer, when it is first asked for. */
  tokenizer(): Promise<Tokenizer>;
}
