import type { AdaptedModel } from "../adapters/adapted-model.js";
import type { AdapterFile } from "../adapters/adapter-file.js";
import { attachAdapter, imageSizeNote } from "../adapters/attach.js";
import type { Model } from "../models/model.js";
import { type OpenModelPathOptions, openModel } from "../models/open.node.js";
import type { Context } from "./command.js";

/**
 * Opens a model for a command; says what of its weights is not used or was rounded, and, where the device was left to it, which
 * it is and why.
 */
export async function openModelFor(context: Context, path: string, o: OpenModelPathOptions): Promise<Model> {
  const model = await openModel(path, o);
  for (const note of model.checkpoint.notes) context.note(note);
  if (o.device === "auto") context.note(model.runtime.reason);
  return model;
}

/** Puts an adapter on a model for a command; says where it was trained at another image size. */
export async function attachFor(context: Context, model: Model, adapter: AdapterFile): Promise<AdaptedModel> {
  const note = imageSizeNote(adapter, model);
  if (note !== undefined) context.note(note);
  return attachAdapter(model, adapter);
}
