/** The core: everything that runs unchanged in a browser. */
export {
  type AdaptedGraphOptions,
  adaptedGraph,
  INPUTS,
} from "./adapters/adapted-graph.js";
export {
  type AdaptedModel,
  fixedModel,
  formKinds,
  inheritedModel,
  pullBack,
  supernet,
  trainableFeeds,
  usedByGenome,
} from "./adapters/adapted-model.js";
export { type Adapter, type AdapterFile, encodeAdapter, loadAdapter, openAdapter } from "./adapters/adapter-file.js";
export { attachAdapter, toAdapter } from "./adapters/attach.js";
export { assertFeasible, type Budget, count, type Feasibility, feasibility, repair } from "./adapters/budget.js";
export { type Merged, type MergedFiles, type MergeOptions, mergedFiles } from "./adapters/export.js";
export { inference } from "./adapters/inference.js";
export { inspectModel, type ModelFacts } from "./adapters/inspect-model.js";
export { lossFeeds } from "./adapters/loss-feeds.js";
export { type LinearWeights, mergeLinear } from "./adapters/merge.js";
export { mergeInputs } from "./adapters/merge-inputs.js";
export { checkMerge, type MergeReport, mergedTensors } from "./adapters/merge-model.js";
export { PRESETS, type PresetName, type PresetOptions, presetSpace } from "./adapters/presets.js";
export { type RunModelOptions, runModel } from "./adapters/run-model.js";
export {
  createSpace,
  drawGenome,
  drawStructure,
  largestGenome,
  onlyGenome,
  type Space,
  type SpaceOptions,
  smallestGenome,
} from "./adapters/space.js";
export type { AForm, Form, FormKind, Genome, LayerShape, Structure, Support } from "./adapters/structure.js";
export { type ErrorCode, GloraError } from "./base/errors.js";
export { type Rng, rngFrom, rngStream } from "./base/rng.js";
export type { Tensor } from "./base/tensor.js";
export type { Augmentation } from "./data/augment.js";
export type { Dataset, InputSpec, PrepareOptions, Split, SplitName, Targets } from "./data/dataset.js";
export { type LabelledImage, labelledImages } from "./data/labelled-images.js";
export type { ImageSplitOptions } from "./data/stratify.js";
export type { Task } from "./data/task.js";
export { openTokenizer } from "./data/text/open-tokenizer.js";
export type { TextInput } from "./data/text/text-input.js";
export type { Encoding, Message, Tokenizer } from "./data/text/tokenizer.js";
export { type EvaluateOptions, evaluate, outputsOf, scoringGraph } from "./evaluation/evaluate.js";
export {
  type GenerateOptions,
  type GeneratorOptions,
  generate,
  openGenerator,
  type Prompt,
  type TextGenerator,
  type TextPiece,
} from "./evaluation/generation/generator.js";
export type { SamplingOptions } from "./evaluation/generation/sampler.js";
export {
  balancedClassWeights,
  type ClassificationMetrics,
  classificationMetrics,
  type LanguageMetrics,
  type Metrics,
} from "./evaluation/metrics.js";
export { type Prediction, type PredictOptions, predict } from "./evaluation/predict.js";
export { adapting } from "./evaluation/tasks/adapting.js";
export { selectTasks, taskNames } from "./evaluation/tasks/index.js";
export { type ModelScorer, modelScorer } from "./evaluation/tasks/language-scorer.js";
export { type PreparedTask, prepareTask } from "./evaluation/tasks/prompts.js";
export { runTasks } from "./evaluation/tasks/run-tasks.js";
export { type TestOptions, testModel } from "./evaluation/test-model.js";
export { blobSource } from "./formats/blob.js";
export { fetchFolder, filesFolder } from "./formats/files-folder.js";
export type { Folder } from "./formats/folder.js";
export { readFloat32, readSafetensors } from "./formats/safetensors.js";
export { encodeSafetensors } from "./formats/safetensors-writer.js";
export { type ByteSource, memorySource } from "./formats/source.js";
export { Builder } from "./ir/builder.js";
export { decodeModel, encodeModel } from "./ir/codec.js";
export { Graph } from "./ir/graph.js";
export type { Head, HeadLayer, KeyValueCache, LinearLayer, Model } from "./models/model.js";
export { type OpenModelOptions, openModelFolder } from "./models/open.js";
export { createBuilder } from "./ops/index.js";
export { lowerFor } from "./passes/lower.js";
export type { DeviceName, OpenOptions, RunOptions, Runtime, Session } from "./runtime/runtime.js";
export type { WebDeviceName } from "./runtime/web/choose-device.js";
export { createWebRuntime, type WebRuntimeOptions } from "./runtime/web/web-runtime.js";
export type { Candidate, Fitness, Score } from "./search/candidate.js";
export { type CompareOptions, type Comparison, compareMethods, type Outcome } from "./search/compare.js";
export { type ComparisonSummary, type MethodSummary, summarize } from "./search/compare-summary.js";
export type { FitEvent } from "./search/events.js";
export { type EvolutionOptions, type EvolutionResult, evolve, type Genes } from "./search/evolution.js";
export { type FitOptions, type FitResult, fit } from "./search/fit.js";
export { gloraGenes } from "./search/genes.js";
export { paretoFront } from "./search/pareto.js";
export { type Plan, planDefault, planPaper, type SearchPlan } from "./search/plan.js";
export { clipGradientNorm } from "./training/clip.js";
export { dropPathMasks, dropPathRates } from "./training/drop-path.js";
export { type AdamWOptions, adamw, type Optimizer } from "./training/optimizer.js";
export type { TrainOptions } from "./training/options.js";
export { paperSchedule, type Schedule, warmupSchedule } from "./training/schedule.js";
export { memoryStore, type RunStore } from "./training/store.js";
export { type TrainHooks, type TrainResult, type TrainState, train } from "./training/train.js";
