// The evolutionary search with a score of one's own: accuracy of a structure, less a price for every layer that it adapts.
import {
  adaptedGraph,
  digits,
  embeddedModel,
  evaluate,
  evolve,
  gloraGenes,
  openModel,
  presetSpace,
  rngStream,
  supernet,
  train,
  trainableFeeds,
} from "glora";

const base = await openModel(embeddedModel);
const data = digits();
const model = base.withTask(data.task);
const splits = await data.prepare(model.input);

const space = presetSpace("glora", model.layers, { rank: 2 });
const net = supernet(model, space, rngStream(0, "initial values"));
await train(net, splits, { epochs: 2, batchSize: 32, learningRate: 3e-3, seed: 0 });

const session = await model.runtime.open(adaptedGraph(model, { layout: net.layout, head: "trainable" }));
const adaptedLayers = (genome) =>
  [...genome.values()].filter((structure) => Object.values(structure).some((form) => form !== "none")).length;
const { best, history } = await evolve({
  genes: gloraGenes(space, { min: 0, max: 20_000 }),
  population: 8,
  generations: 2,
  parents: 3,
  mutants: 4,
  crossovers: 3,
  seed: 0,
  score: async (genome) => {
    const { accuracy, loss } = await evaluate(session, splits.validation, model, {
      feeds: trainableFeeds(net, genome),
    });
    return { accuracy: accuracy - 0.002 * adaptedLayers(genome), loss };
  },
});
console.log(
  `${history.length} candidates; the best adapts ${adaptedLayers(best.genome)} of ${space.layers.length} layers`,
);
console.log(`score ${best.accuracy.toFixed(3)}, ${best.parameters} parameters`);
await model.runtime.dispose();
