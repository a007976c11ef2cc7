import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { adaptedGraph } from "../../adapters/adapted-graph.js";
import { readJson } from "../../formats/folder.js";
import { openFolder } from "../../formats/folder.node.js";
import type { Shape } from "../../ir/dim.js";
import { AttributeReader } from "../../ir/graph.js";
import type { Runtime } from "../../runtime/runtime.js";
import { embeddedModel } from "../embedded.node.js";
import type { Model } from "../model.js";
import { openModelFolder } from "../open.js";

/** Shape of what each linear layer of the embedded model (6 blocks, 17 tokens, width 192) takes, by its name. */
async function inputsOfLayers(args: Record<string, unknown>): Promise<Map<string, Shape>> {
  const folder = await openFolder(embeddedModel);
  const json = (await readJson(folder, "config.json")) as { model_args: object };
  const changed = { ...json, global_pool: undefined, model_args: { ...json.model_args, ...args } };
  const config = { json: changed, file: "config.json" };
  return layerInputs(await openModelFolder(folder, {} as Runtime, { config }));
}

function layerInputs(model: Model): Map<string, Shape> {
  const { nodes } = adaptedGraph(model, { head: "frozen" });
  return new Map(
    nodes
      .filter(({ op }) => op === "Linear")
      .map((node) => [new AttributeReader(node.attributes, node.name).string("layer", ""), node.inputs[0]!.type.shape]),
  );
}

test("the class token is pooled: behind the last attention nothing else is computed", async () => {
  const inputs = await inputsOfLayers({ global_pool: "token" });
  expect(inputs.get("blocks.4.mlp.fc2")).toEqual(["batch", 17, 768]);
  expect(inputs.get("blocks.5.attn.qkv")).toEqual(["batch", 17, 192]); // keys and values of every token
  expect(inputs.get("blocks.5.attn.proj")).toEqual(["batch", 1, 192]);
  expect(inputs.get("blocks.5.mlp.fc1")).toEqual(["batch", 1, 192]);
  expect(inputs.get("blocks.5.mlp.fc2")).toEqual(["batch", 1, 768]);
});

test("the mean is pooled: every token passes the last block", async () => {
  const inputs = await inputsOfLayers({ global_pool: "avg", fc_norm: false });
  for (const [layer, shape] of inputs) if (layer.startsWith("blocks.")) expect(shape[1], layer).toBe(17);
});

test("class and distillation token are pooled: of the last block these two are computed", async () => {
  const folder = fileURLToPath(new URL("../../../test/fixtures/vit/timm-deit-distilled", import.meta.url));
  const inputs = layerInputs(await openModelFolder(await openFolder(folder), {} as Runtime));
  expect(inputs.get("blocks.0.mlp.fc2")).toEqual(["batch", 18, 32]);
  expect(inputs.get("blocks.1.attn.qkv")).toEqual(["batch", 18, 16]);
  expect(inputs.get("blocks.1.attn.proj")).toEqual(["batch", 2, 16]);
  expect(inputs.get("blocks.1.mlp.fc2")).toEqual(["batch", 2, 32]);
  expect(inputs.get("head")).toEqual(["batch", 16]);
  expect(inputs.get("head_dist")).toEqual(["batch", 16]);
});
