// One preset (LoRA) with a training loop of one's own: the graph gives loss and gradients, the rest is plain JavaScript.
import {
  adamw,
  adaptedGraph,
  digits,
  embeddedModel,
  evaluate,
  fixedModel,
  lossFeeds,
  onlyGenome,
  openModel,
  presetSpace,
  pullBack,
  rngStream,
  trainableFeeds,
  usedByGenome,
  warmupSchedule,
} from "glora";

const STEPS = 60;
const BATCH = 32;
const base = await openModel(embeddedModel);
const data = digits();
const model = base.withTask(data.task);
const { train, test } = await data.prepare(model.input);

const space = presetSpace("lora", model.layers, { rank: 2 });
const lora = fixedModel(model, space, onlyGenome(space), rngStream(0, "initial values"));
const loss = { kind: "cross-entropy" };
const graph = adaptedGraph(model, { layout: lora.layout, head: "trainable", loss, gradients: true });
const session = await model.runtime.open(graph, { name: "training", keepArena: true });

const optimizer = adamw(lora.tensors.map(({ offset, length }) => ({ offset, length, decay: true })));
const schedule = warmupSchedule({ shape: "cosine", steps: STEPS, warmupSteps: 6 });
const gradients = new Float32Array(lora.parameters.length);
const used = usedByGenome(lora);
for (let step = 0; step < STEPS; step++) {
  const indices = rngStream(0, `batch ${step}`)
    .shuffle([...train.labels.keys()])
    .slice(0, BATCH);
  const outputs = await session.run({
    ...(await train.inputs(indices)),
    ...lossFeeds(model, train.targets(indices), new Float32Array(BATCH).fill(1 / BATCH)),
    ...trainableFeeds(lora),
  });
  pullBack(lora, outputs.gradients.data, gradients);
  const rate = schedule(step, 5e-3);
  optimizer.step(lora.parameters, gradients, { used, learningRates: lora.tensors.map(() => rate) });
  if (step % 10 === 9) console.log(`step ${step + 1}: loss ${outputs.loss.data[0].toFixed(3)}`);
}
await session.dispose();

const scoring = await model.runtime.open(adaptedGraph(model, { layout: lora.layout, head: "trainable" }));
const { accuracy } = await evaluate(scoring, test, model, { feeds: trainableFeeds(lora) });
console.log(`test accuracy ${accuracy.toFixed(3)}`);
await model.runtime.dispose();
