/** A model as it is, or with an adapter on it, ready to run forward. */
import type { Tensor } from "../base/tensor.js";
import type { Graph } from "../ir/graph.js";
import type { Model } from "../models/model.js";
import { adaptedGraph } from "./adapted-graph.js";
import { type AdaptedModel, trainableFeeds } from "./adapted-model.js";

export interface Inference {
  readonly model: Model;
  /** Output: `logits`, or `features` where there is no head. */
  readonly graph: Graph;
  /** What is fed beside the inputs. */
  readonly feeds: Readonly<Record<string, Tensor>>;
}

export function inference(subject: Model | AdaptedModel): Inference {
  if (!("parameters" in subject))
    return { model: subject, graph: adaptedGraph(subject, { head: "frozen" }), feeds: {} };
  const { model, layout } = subject;
  return { model, graph: adaptedGraph(model, { layout, head: "trainable" }), feeds: trainableFeeds(subject) };
}
