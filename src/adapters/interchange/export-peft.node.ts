import { join } from "node:path";
import { writeFileAtomic, writeFolderAtomic } from "../../formats/folder.node.js";
import type { AdaptedModel } from "../adapted-model.js";
import { encodePeft, type PeftType } from "./peft-export.js";

/**
 * Writes an adapter as a folder that PEFT's `PeftModel.from_pretrained(base, folder)` opens, whole or not at all.
 *
 *     const adapted = await attachAdapter(model, await openAdapter(await openFolder("run/adapter")));
 *     await exportPeft(adapted, "run/peft");
 *
 * @param path    must not exist, or be an empty folder
 * @param wanted  "LORA" or "GLORA"; default: whichever says the adapter exactly, LoRA where no layer has more than B and E
 * @returns which of the two it is
 * @throws {GloraError} ADAPTER with the reason for each layer that PEFT cannot say; FILE if it cannot be written
 */
export async function exportPeft(adapted: AdaptedModel, path: string, wanted?: PeftType): Promise<PeftType> {
  const { type, files } = await encodePeft(adapted, wanted);
  await writeFolderAtomic(path, async (temporary) => {
    for (const [file, bytes] of files) await writeFileAtomic(join(temporary, file), bytes);
  });
  return type;
}
