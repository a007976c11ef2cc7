"""Runs lm-evaluation-harness and `glora eval --tasks` on the same model and data, and compares all that both record.

    pip install lm_eval==0.4.13 torch transformers
    node scripts/mcqa-to-official.mjs DATA
    python scripts/parity/lm-eval.py MODEL DATA --tasks arc_easy,piqa --shots 0 --limit 100

Prompts are compared to the letter, hashes and accuracies exactly, log-likelihoods to --tolerance for a sum over tokens.
The harness runs in float32. With --perplexity FILE the log-likelihood of a text is compared too. Exit code 1 if anything
differs.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile
import time

import datasets
import lm_eval
from lm_eval.api.instance import Instance
from lm_eval.models.huggingface import HFLM


def local_loader(root):
    """A stand-in for datasets.load_dataset that reads the folder which glora reads."""

    def load_dataset(path, name=None, **_):
        short = path.split("/")[1]
        inner = [name] if name else ["", "data", "default", "plain_text"]
        for folder in [root / base / place for base in (path, short) for place in inner] + ([root / name] if name else []):
            splits = {}
            for file in sorted(folder.glob("*")) if folder.is_dir() else []:
                split = file.stem.split("-")[0]
                if file.suffix == ".jsonl":
                    records = [json.loads(line) for line in file.read_text().splitlines() if line.strip()]
                    splits[split] = datasets.Dataset.from_list(records)
                if file.suffix == ".parquet":
                    splits[split] = datasets.Dataset.from_parquet(str(file))
            if splits:
                return datasets.DatasetDict(splits)
        raise SystemExit(f"{root} has no {path} {name or ''}")

    return load_dataset


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model", type=pathlib.Path)
    parser.add_argument("data", type=pathlib.Path)
    parser.add_argument("--tasks", default="arc_easy")
    parser.add_argument("--shots", type=int, default=0)
    parser.add_argument("--limit", type=int, default=100)
    parser.add_argument("--batch-size", type=int, default=8, help="of the harness")
    parser.add_argument("--perplexity", type=pathlib.Path)
    parser.add_argument("--glora", default="npx glora")
    parser.add_argument("--tolerance", type=float, default=1e-3)
    a = parser.parse_args()

    out = pathlib.Path(tempfile.mkdtemp())
    tasks = a.tasks.split(",")
    command = [*shlex.split(a.glora), "eval", "--model", a.model, "--out", out, "--quiet"]
    begin = time.time()
    subprocess.run(
        [*command, "--tasks", a.tasks, "--task-data", a.data, "--shots", str(a.shots), "--limit", str(a.limit)], check=True
    )
    ours_time = time.time() - begin

    datasets.load_dataset = local_loader(a.data)
    model = HFLM(pretrained=str(a.model), dtype="float32", device="cpu", batch_size=a.batch_size)
    begin = time.time()
    theirs = lm_eval.simple_evaluate(model, tasks=tasks, num_fewshot=a.shots, limit=a.limit, bootstrap_iters=1000)
    theirs_time = time.time() - begin

    ours = json.loads(max(out.glob("results_*.json")).read_text())
    failed = False
    requests = 0
    for name, samples in theirs["samples"].items():
        lines = max(out.glob(f"samples_{name}_2*.jsonl")).read_text().splitlines()
        records = [json.loads(line) for line in lines]
        assert len(records) == len(samples), (name, len(records), len(samples))
        texts = hashes = greedy = 0
        worst = 0.0
        for mine, sample in zip(records, samples):
            arguments = [[b["arg_0"], b["arg_1"]] for b in mine["arguments"].values()]
            texts += arguments != [list(pair) for pair in sample["arguments"]]
            hashes += any(mine[key] != sample[key] for key in ("doc_hash", "prompt_hash", "target_hash"))
            for (value, flag), (expected, is_greedy) in zip(mine["filtered_resps"], sample["filtered_resps"], strict=True):
                worst = max(worst, abs(float(value) - expected))
                greedy += (flag == "True") != is_greedy
                requests += 1
        scores = {key: value for key, value in theirs["results"][name].items() if isinstance(value, float)}
        # Probabilities of mc2 are a function of the log-likelihoods; all others are counts.
        apart = {k: (ours["results"][name][k], v) for k, v in scores.items() if abs(ours["results"][name][k] - v) > 1e-4}
        bad = bool(texts or hashes or apart or worst > a.tolerance)
        failed |= bad
        shown = ", ".join(f"{k.split(',')[0]} {v:.4f}" for k, v in scores.items() if "stderr" not in k)
        print(
            f"{name}: {len(samples)} documents, {shown}; other texts {texts}, other hashes {hashes}, other greedy flags {greedy}, "
            f"largest difference of a log-likelihood {worst:.1e}{f', other scores {apart}' if apart else ''}{' FAILED' if bad else ''}"
        )
    for group in ours.get("groups", {}):
        print(group, ours["groups"][group], theirs["groups"][group]["acc,none"])
    print(f"{requests} requests: glora {ours_time:.1f} s with start and loading, harness {theirs_time:.1f} s without loading")

    if a.perplexity:
        subprocess.run([*command, "--perplexity", a.perplexity], check=True)
        ours = json.loads(max(out.glob("results_*.json")).read_text())["results"]["perplexity"]
        text = a.perplexity.read_text()
        (value,) = model.loglikelihood_rolling([Instance("loglikelihood_rolling", {}, (text,), 0)])
        print(f"{a.perplexity.name}: log-likelihood {ours['loglikelihood,none']:.4f}, harness {value:.4f}; {ours}")
        failed |= abs(ours["loglikelihood,none"] - value) > max(a.tolerance, 1e-6 * abs(value))
    sys.exit(failed)


main()
