import type { Model } from "../models/model.js";
import { type OpenModelPathOptions, openModel } from "../models/open.node.js";
import type { Context } from "./command.js";

/** Opens a model for a command; where the device was left to it, says which it is and why. */
export async function openModelFor(context: Context, path: string, o: OpenModelPathOptions): Promise<Model> {
  const model = await openModel(path, o);
  if (o.device === "auto") context.note(model.runtime.reason);
  return model;
}
