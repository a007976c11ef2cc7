import type { TensorEntry } from "../../formats/safetensors.js";
import { checkDepth, checkTensors } from "../check-tensors.js";
import type { LinearLayer } from "../model.js";
import type { BertConfig } from "./config.js";
import type { LayerNames, Spelling } from "./families.js";

/** Checkpoint names of an encoder's modules, without ".weight" and ".bias". */
export interface BertNames extends Omit<Spelling, "layer"> {
  /** In front of all of the trunk's; empty in a bare trunk. */
  readonly prefix: string;
  readonly layers: readonly LayerNames[];
  /** Scale and shift of the norms: called gamma and beta in the files of BERT's first years. */
  readonly normTensors: readonly [scale: string, shift: string];
  /** The trunk's own dense layer in front of a classifier, where the checkpoint has one. */
  readonly pooler?: string;
  /** Layers behind the seam. */
  readonly head: readonly string[];
}

/** What {@link checkBertTensors} found. */
export interface BertTensors {
  readonly names: BertNames;
  /** Every linear layer of the encoder, in the order of the forward pass; the pooler is not among them. */
  readonly layers: readonly LinearLayer[];
  /** Tensors of the file that play no part: heads of another task, a pooler that nothing is behind. */
  readonly unused: readonly string[];
}

/** The heads that the base was trained with. */
const PRETRAINING_HEAD = /^(cls|lm_head|vocab_transform|vocab_layer_norm|vocab_projector)\./;

/** Whether a checkpoint of this family holds a classifier. */
export const holdsClassifier = (tensors: ReadonlyMap<string, unknown>): boolean =>
  tensors.has("classifier.weight") || tensors.has("classifier.out_proj.weight");

/**
 * Finds the spelling of a checkpoint, and checks that it holds what the config says and nothing else.
 * @throws {GloraError} "MODEL" with every tensor that is missing, unexpected, misshapen or of a type that is not computed with
 */
export function checkBertTensors(
  { tensors }: { readonly tensors: ReadonlyMap<string, TensorEntry> },
  config: BertConfig,
  file: string,
): BertTensors {
  const names = namesOf(tensors, config, file);
  const layers = names.layers.flatMap((layer) => linearLayers(layer, config));
  const expected = expectedShapes(names, layers, config);
  const mayBeUnused = (name: string): boolean =>
    PRETRAINING_HEAD.test(name) || name.startsWith(`${names.prefix}pooler.dense.`);
  const unused = checkTensors(tensors, expected, mayBeUnused, file, config.architecture);
  return { names, layers, unused };
}

function namesOf(tensors: ReadonlyMap<string, unknown>, config: BertConfig, file: string): BertNames {
  const { family, depth } = config;
  const { layer, ...single } = family.spelling;
  const isBare = tensors.has(`${single.words}.weight`);
  const prefix = isBare ? "" : family.prefix;
  checkDepth(tensors, prefix + layer.query.slice(0, layer.query.indexOf("#")), depth, file, config.architecture);
  const own = <T extends object>(names: T): T =>
    Object.fromEntries(Object.entries(names).map(([part, name]) => [part, prefix + name])) as T;
  const [first, last] = family.head.layers;
  const pooler = family.pooler ? prefix + first : undefined;
  // Where a classifier was trained, its pooler was too.
  const pools = pooler !== undefined && (config.labels.length > 0 || tensors.has(`${pooler}.weight`));
  return {
    ...own(single),
    prefix,
    layers: Array.from({ length: depth }, (_, i) => {
      const numbered = Object.entries(layer).map(([part, name]) => [part, name.replace("#", `${i}`)]);
      return own(Object.fromEntries(numbered) as LayerNames);
    }),
    normTensors: tensors.has(`${prefix}${single.norm}.gamma`) ? ["gamma", "beta"] : ["weight", "bias"],
    ...(pools && { pooler }),
    head: pools ? [last] : [pooler ?? first, last],
  };
}

function linearLayers(n: LayerNames, { width, hidden }: BertConfig): LinearLayer[] {
  const layer = (name: string, from: number, to: number): LinearLayer => ({
    name,
    in: from,
    out: to,
    bias: true,
    addableBias: false,
  });
  return [
    ...[n.query, n.key, n.value, n.projection].map((name) => layer(name, width, width)),
    layer(n.fc1, width, hidden),
    layer(n.fc2, hidden, width),
  ];
}

/** Every tensor that the forward pass needs, in its order. */
function expectedShapes(
  names: BertNames,
  layers: readonly LinearLayer[],
  c: BertConfig,
): ReadonlyMap<string, readonly number[]> {
  const shapes = new Map<string, readonly number[]>();
  const table = (name: string | undefined, rows: number, columns: number): void => {
    if (name !== undefined) shapes.set(`${name}.weight`, [rows, columns]);
  };
  const norm = (name: string): void => {
    for (const tensor of names.normTensors) shapes.set(`${name}.${tensor}`, [c.width]);
  };
  const dense = (name: string, from: number, to: number): void => {
    shapes.set(`${name}.weight`, [to, from]);
    shapes.set(`${name}.bias`, [to]);
  };
  table(names.words, c.vocabulary, c.width);
  table(names.positions, c.positions, c.width);
  table(names.types, c.tokenTypes, c.width);
  norm(names.norm);
  table(names.distances, c.distanceBuckets ?? 0, c.heads);
  for (const layer of layers) dense(layer.name, layer.in, layer.out);
  for (const { attentionNorm, outputNorm } of names.layers) for (const name of [attentionNorm, outputNorm]) norm(name);
  if (names.pooler !== undefined) dense(names.pooler, c.width, c.width);
  if (c.labels.length > 0)
    names.head.forEach((name, i) => {
      dense(name, c.width, i === names.head.length - 1 ? c.labels.length : c.width);
    });
  return shapes;
}
