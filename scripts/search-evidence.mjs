/**
 * What a search's choice is worth on the test split, by the score it goes by, and what further training adds.
 * docs/search.md shows the numbers.
 *
 *     npm run build && node scripts/search-evidence.mjs digits 0
 *     node scripts/search-evidence.mjs ../shared/data/images/rsscn7 0
 *
 * One supernet (300 to 350 training examples, 20 epochs), two searches of 150 candidates in it, by accuracy and by loss.
 * The best 15 of each and the first 30 random ones are scored on the training and test examples too: no rule may look at
 * the latter. The choice of each rule is trained on for ten epochs and scored again.
 */
const dist = process.env.GLORA_DIST ?? new URL("../dist/", import.meta.url).href;
const load = (file) => import(new URL(file, dist).href);
const [source = "digits", seedText = "0"] = process.argv.slice(2);
const seed = Number(seedText);

const { openModel } = await load("models/open.node.js");
const { openData } = await load("data/open.node.js");
const { fit } = await load("search/fit.js");
const { evolve } = await load("search/evolution.js");
const { gloraGenes } = await load("search/genes.js");
const { inheritedModel, trainableFeeds } = await load("adapters/adapted-model.js");
const { evaluate, scoringGraph } = await load("evaluation/evaluate.js");
const { rngStream } = await load("base/rng.js");
const { train } = await load("training/train.js");

/** The first so many examples of each class. */
const first = (split, each) => {
  const counts = new Map();
  const kept = [...split.labels.keys()].filter((i) => {
    const seen = counts.get(split.labels[i]) ?? 0;
    counts.set(split.labels[i], seen + 1);
    return seen < each;
  });
  return {
    size: kept.length,
    labels: Int32Array.from(kept, (i) => split.labels[i]),
    names: kept.map((i) => split.names[i]),
    rows: (i) => split.rows(kept[i]),
    targets: (indices) => split.targets(indices.map((i) => kept[i])),
    inputs: (indices, o) =>
      split.inputs(
        indices.map((i) => kept[i]),
        o,
      ),
  };
};
const EACH = { digits: { train: 30, validation: 10, test: 60 } };
const whole = { train: Infinity, validation: Infinity, test: Infinity };
const split = { validation: 0.15, test: 0.35 };

const model = await openModel(new URL("../models/vit-micro", import.meta.url).pathname);
const opened = await openData({ path: source, split, seed });
const each = EACH[source] ?? whole;
const data = {
  ...opened,
  prepare: async (...o) => {
    const all = await opened.prepare(...o);
    return Object.fromEntries(Object.entries(all).map(([name, s]) => [name, first(s, each[name])]));
  },
};
const splits = await data.prepare(model.input);
const pooled = (a, b) => {
  const n = a.examples + b.examples;
  const mean = (key) => (a[key] * a.examples + b[key] * b.examples) / n;
  return { accuracy: mean("accuracy"), loss: mean("loss") };
};

const started = performance.now();
const stage = (text) => console.error(`${((performance.now() - started) / 1000).toFixed(0)} s  ${text}`);
const common = { rank: 4, seed, train: { epochs: 20 }, further: { epochs: 10 } };
const { adapted: net, plan } = await fit(model, data, { ...common, stopAfter: "train" });
stage(`supernet trained: ${splits.train.size} / ${splits.validation.size} / ${splits.test.size} examples`);

const graph = scoringGraph(net.model, { layout: net.layout, head: "trainable" });
const session = await model.runtime.open(graph, { name: "evidence", keepArena: true });
const scoreOn = (s) => (genome) =>
  evaluate(session, s, net.model, { feeds: trainableFeeds(net, genome), batchSize: 64 });
const searchBy = (fitness) =>
  evolve({
    population: 25,
    generations: 5,
    parents: 5,
    mutants: 12,
    crossovers: 12,
    fitness,
    seed,
    genes: gloraGenes(net.space, { min: 0, max: 50_000 }),
    score: scoreOn(splits.validation),
  });
const searches = { accuracy: await searchBy("accuracy"), loss: await searchBy("loss") };
stage("searched twice");

const known = new Map();
const full = async (candidate) => {
  if (!known.has(candidate.key)) {
    const [validation, training, test] = [
      { ...candidate, examples: splits.validation.size },
      await scoreOn(splits.train)(candidate.genome),
      await scoreOn(splits.test)(candidate.genome),
    ];
    known.set(candidate.key, { candidate, validation, training, both: pooled(validation, training), test });
  }
  return known.get(candidate.key);
};
const order = { accuracy: (a, b) => b.accuracy - a.accuracy || a.loss - b.loss, loss: (a, b) => a.loss - b.loss };
const best = {};
for (const [name, { history }] of Object.entries(searches))
  best[name] = await Promise.all([...history].sort(order[name]).slice(0, 15).map(full));
const random = await Promise.all(searches.accuracy.history.slice(0, 30).map(full));
stage("scored again");

const rank = (values) => {
  const sorted = [...values.keys()].sort((a, b) => values[a] - values[b]);
  const ranks = [];
  for (let i = 0, j; i < sorted.length; i = j) {
    for (j = i; j < sorted.length && values[sorted[j]] === values[sorted[i]]; ) j++;
    for (let k = i; k < j; k++) ranks[sorted[k]] = (i + j - 1) / 2;
  }
  return ranks;
};
const correlation = (a, b) => {
  const mean = (v) => v.reduce((s, x) => s + x, 0) / v.length;
  const [ma, mb] = [mean(a), mean(b)];
  const dot = (f, g) => a.reduce((s, _, i) => s + f(i) * g(i), 0);
  const [da, db] = [(i) => a[i] - ma, (i) => b[i] - mb];
  return dot(da, db) / Math.sqrt(dot(da, da) * dot(db, db));
};
const testAccuracy = (found) => found.map(({ test }) => test.accuracy);
const rho = (found, score) => correlation(rank(found.map(score)), rank(testAccuracy(found))).toFixed(2);
const rhos = (found) => ({
  validationAccuracy: rho(found, (f) => f.validation.accuracy),
  validationLoss: rho(found, (f) => -f.validation.loss),
  trainingLoss: rho(found, (f) => -f.training.loss),
  bothLoss: rho(found, (f) => -f.both.loss),
});
const mean = (values) => values.reduce((a, b) => a + b, 0) / values.length;

const pick = (found, score) => [...found].sort((a, b) => score(a) - score(b))[0];
const choices = {
  accuracy: best.accuracy[0],
  "accuracy, best 10 by loss on both": pick(best.accuracy.slice(0, 10), (f) => f.both.loss),
  loss: best.loss[0],
  "loss, best 10 by loss on both": pick(best.loss.slice(0, 10), (f) => f.both.loss),
  "first random candidate": random[0],
};
const trainedOn = async (candidate) => {
  const fixed = inheritedModel(net, candidate.genome, rngStream(seed, "inherited values"));
  const { best } = await train(fixed, splits, plan.further);
  fixed.parameters.set(best.parameters);
  const fixedGraph = scoringGraph(fixed.model, { layout: fixed.layout, head: "trainable" });
  const own = await model.runtime.open(fixedGraph, { name: "test" });
  const { accuracy } = await evaluate(own, splits.test, fixed.model, { feeds: trainableFeeds(fixed) });
  await own.dispose();
  return accuracy.toFixed(3);
};
const trained = new Map();
const rows = [];
for (const [rule, found] of Object.entries(choices)) {
  const { candidate } = found;
  if (!trained.has(candidate.key)) trained.set(candidate.key, await trainedOn(candidate));
  rows.push({
    rule,
    parameters: candidate.parameters,
    validation: candidate.accuracy.toFixed(3),
    test: found.test.accuracy.toFixed(3),
    further: trained.get(candidate.key),
  });
}
stage("trained further");
console.table(rows);
console.log(
  JSON.stringify({
    source,
    seed,
    examples: Object.values(splits).map((s) => s.size),
    meanTest: {
      random: mean(testAccuracy(random)).toFixed(3),
      best10ByAccuracy: mean(testAccuracy(best.accuracy.slice(0, 10))).toFixed(3),
      best10ByLoss: mean(testAccuracy(best.loss.slice(0, 10))).toFixed(3),
    },
    correlationWithTestAccuracy: {
      random: rhos(random),
      best15ByAccuracy: rhos(best.accuracy),
      best15ByLoss: rhos(best.loss),
    },
  }),
);
await session.dispose();
await model.runtime.dispose();
