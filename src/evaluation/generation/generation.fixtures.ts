/** A small language model that is not in the repository, and adapters drawn for models. */
import { existsSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterAll } from "vitest";
import { type AdaptedModel, fixedModel } from "../../adapters/adapted-model.js";
import { createSpace, drawGenome } from "../../adapters/space.js";
import { rngStream } from "../../base/rng.js";
import type { Model } from "../../models/model.js";
import { createNodeRuntime } from "../../runtime/node/node-runtime.node.js";

/** A LLaMA of 260,000 parameters that tells stories, from the data that lies beside the project. */
export const stories = fileURLToPath(new URL("../../../../shared/data/models/stories260K-hf", import.meta.url));
export const noStories = existsSync(stories) ? false : `${stories} is missing`;

export const runtime = await createNodeRuntime();
afterAll(() => runtime.dispose());

/** A folder that goes away with the tests. */
export const scratch = await mkdtemp(join(tmpdir(), "glora-text-"));
afterAll(() => rm(scratch, { recursive: true }));

/** An adapter of random structure and numbers, small enough that sentences stay sentences. */
export function randomAdapter(model: Model, seed: number): AdaptedModel {
  const rng = rngStream(seed, "adapter");
  const space = createSpace(model.layers, { ranks: [1, 2] });
  const adapted = fixedModel(model, space, drawGenome(space, rng), rng);
  for (let i = 0; i < adapted.parameters.length; i++) adapted.parameters[i] = 0.1 * rng.normal();
  return adapted;
}
