/** glora for Node.js: the core, and what reads and writes files. */

export { describeBase, openAdapterPath, saveAdapter, verifyBase } from "./adapters/adapter-file.node.js";
export { type MergeResult, mergeModel } from "./adapters/export.node.js";
export { exportPeft } from "./adapters/interchange/export-peft.node.js";
export { digits } from "./data/digits.node.js";
export { imageFiles } from "./data/image-files.node.js";
export { type ImageFolder, imageFolder } from "./data/image-folder.node.js";
export { type DataSource, openData } from "./data/open.node.js";
export { previewExamples, type TextPreview } from "./data/text/preview.js";
export { textData } from "./data/text/text-data.node.js";
export type { TextDataset, TextReport } from "./data/text/text-dataset.js";
export type { TextOptions } from "./data/text/text-options.js";
export { type UnlabelledTexts, unlabelledTexts } from "./data/text/unlabelled-texts.node.js";
export { type EvaluateTasksOptions, evaluateTasks, type TaskResults } from "./evaluation/tasks/evaluate-tasks.node.js";
export { hubTasks } from "./evaluation/tasks/hub-data.node.js";
export { localTasks } from "./evaluation/tasks/local-data.node.js";
export { openFile } from "./formats/file.node.js";
export { openFolder } from "./formats/folder.node.js";
export { writeSafetensors } from "./formats/safetensors-file.node.js";
export { embeddedModel } from "./models/embedded.node.js";
export { type OpenModelPathOptions, openModel } from "./models/open.node.js";
export { createNodeRuntime, type NodeRuntimeOptions } from "./runtime/node/node-runtime.node.js";
export { compareInFolder } from "./search/compare.node.js";
export {
  type FitToFolderOptions,
  fit,
  type ResumeOptions,
  type Run,
  resume,
  type SearchOptions,
  search,
} from "./search/run.node.js";
export { folderStore } from "./training/folder-store.node.js";
export * from "./web.js";
