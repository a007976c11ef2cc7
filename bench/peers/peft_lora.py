"""LoRA by Hugging Face PEFT on the examples that glora trains on: time, peak memory and loss, to stand beside ours.

    glora inspect MODEL --data DATA --examples 100000 --json > train.json
    glora inspect MODEL --data DATA --examples 100000 --split validation --json > validation.json
    python bench/peers/peft_lora.py MODEL train.json validation.json --rank 4 --rate 1e-3 --epochs 1

Needs torch, transformers and peft. The same steps as glora's: batches of --batch examples in parts of --micro like lengths,
the loss summed over scored tokens and divided by their count in the whole step, AdamW, one warm-up epoch's share and a
cosine, float32.
"""

import argparse
import json
import math
import random
import resource
import time

import torch
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM

args = argparse.ArgumentParser()
args.add_argument("model")
args.add_argument("train")
args.add_argument("validation")
args.add_argument("--rank", type=int, default=4)
args.add_argument("--rate", type=float, default=1e-3)
args.add_argument("--epochs", type=int, default=1)
args.add_argument("--batch", type=int, default=32)
args.add_argument("--micro", type=int, default=8)
args.add_argument("--warmup-epochs", type=float, default=1)
args.add_argument("--steps", type=int, help="stop after so many")
args.add_argument("--targets", default="q_proj,k_proj,v_proj,o_proj")
args.add_argument("--threads", type=int, default=2)
o = args.parse_args()

torch.manual_seed(0)
torch.set_num_threads(o.threads)


def read(path):
    """(ids, places that are scored) of each example."""
    examples = json.load(open(path))["examples"]
    return [([t["id"] for t in e["tokens"]], [i for i, t in enumerate(e["tokens"]) if t["scored"]]) for e in examples]


def batch_of(examples):
    longest = max(len(ids) for ids, _ in examples)
    ids = torch.zeros(len(examples), longest, dtype=torch.long)
    mask = torch.zeros_like(ids)
    labels = torch.full_like(ids, -100)
    for row, (tokens, scored) in enumerate(examples):
        ids[row, : len(tokens)] = torch.tensor(tokens)
        mask[row, : len(tokens)] = 1
        labels[row, scored] = ids[row, scored]
    return ids, mask, labels


def summed_loss(model, examples):
    ids, mask, labels = batch_of(examples)
    logits = model(input_ids=ids, attention_mask=mask).logits[:, :-1]
    return torch.nn.functional.cross_entropy(logits.flatten(0, 1), labels[:, 1:].flatten(), reduction="sum")


def parts(examples):
    ordered = sorted(examples, key=lambda e: len(e[0]))
    return [ordered[i : i + o.micro] for i in range(0, len(ordered), o.micro)]


def count(examples):
    return sum(len([i for i in scored if i > 0]) for _, scored in examples)


def validate(model, examples):
    model.eval()
    with torch.no_grad():
        total = sum(summed_loss(model, part).item() for part in parts(examples))
    model.train()
    return total / count(examples)


train, validation = read(o.train), read(o.validation)
base = AutoModelForCausalLM.from_pretrained(o.model, dtype=torch.float32)
before = validate(base, validation)
config = LoraConfig(r=o.rank, lora_alpha=o.rank, lora_dropout=0.0, target_modules=o.targets.split(","), bias="none")
model = get_peft_model(base, config)
model.train()
trained = [p for p in model.parameters() if p.requires_grad]
optimizer = torch.optim.AdamW(trained, lr=o.rate, weight_decay=1e-4)
per_epoch = math.ceil(len(train) / o.batch)
total = per_epoch * o.epochs
warmup = round(min(o.warmup_epochs, o.epochs) * per_epoch)


def rate(step):
    if step < warmup:
        return o.rate * (step + 1) / warmup
    return o.rate * 0.5 * (1 + math.cos(math.pi * (step - warmup) / max(1, total - warmup)))


shuffle = random.Random(0)
step, seconds = 0, []
order = []
while step < (o.steps or total):
    if step % per_epoch == 0:
        order = list(range(len(train)))
        shuffle.shuffle(order)
    at = step % per_epoch * o.batch
    chosen = [train[i] for i in order[at : at + o.batch]]
    for group in optimizer.param_groups:
        group["lr"] = rate(step)
    started = time.perf_counter()
    tokens = count(chosen)
    for part in parts(chosen):
        (summed_loss(model, part) / tokens).backward()
    torch.nn.utils.clip_grad_norm_(trained, 1.0)
    optimizer.step()
    optimizer.zero_grad()
    seconds.append(time.perf_counter() - started)
    step += 1

seconds.sort()
print(
    json.dumps(
        {
            "parameters": sum(p.numel() for p in trained),
            "steps": step,
            "secondsPerStep": {"median": seconds[len(seconds) // 2], "all": sum(seconds)},
            "peakMB": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000,
            "validation": {"before": before, "after": validate(model, validation)},
        },
        indent=2,
    )
)
