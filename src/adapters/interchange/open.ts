/** Recognises adapters of other libraries. */
import type { Folder } from "../../formats/folder.js";
import { readSafetensors } from "../../formats/safetensors.js";
import type { Model } from "../../models/model.js";
import type { AdapterFile } from "../adapter-file.js";
import { type ForeignAdapter, translate } from "./foreign.js";
import { isLycoris, readLycoris } from "./lycoris.js";
import { openPeft, PEFT_CONFIG, readPeft } from "./peft.js";

/**
 * An adapter of another library: PEFT's adapter_config.json, or a .safetensors file of LyCORIS. It is put into our terms for
 * the model that it is attached to.
 *
 * @throws {GloraError} FILE or CONFIG for a file of these libraries that cannot be read
 */
export async function openForeign(folder: Folder): Promise<AdapterFile | undefined> {
  if (await folder.open(PEFT_CONFIG)) {
    const opened = await openPeft(folder);
    return foreignFile(opened, (model) => readPeft(opened, model));
  }
  for (const file of (await folder.list()).filter((name) => name.endsWith(".safetensors"))) {
    const { tensors } = await readSafetensors((await folder.open(file))!);
    const opened = { name: folder.name, tensors };
    if (isLycoris(tensors)) return foreignFile(opened, (model) => readLycoris(opened, model));
  }
  return undefined;
}

const foreignFile = (
  { name, tensors }: Pick<AdapterFile, "name" | "tensors">,
  read: (model: Model) => Promise<ForeignAdapter>,
): AdapterFile => ({
  name,
  manifest: { a: "elementwise", genome: new Map() },
  tensors,
  translate: async (model) => translate(await read(model), model),
});
