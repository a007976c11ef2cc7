#!/usr/bin/env bash
# LoRA, a fixed and a searched GLoRA on instructions with SmolLM2-135M-Instruct, then benchmark tasks. Goes on where it was
# interrupted: runs and evaluations that are there are not done again.
# usage: smollm2.sh MODEL OUT TASKS [PYTHON]     MODEL from ../shared/data/models/smollm2.sh, TASKS from scripts/mcqa-to-official.mjs,
# PYTHON with torch, transformers and peft, for PEFT's LoRA on the same examples
set -euo pipefail
model=${1:?usage: smollm2.sh MODEL OUT TASKS [PYTHON]} out=${2:?usage: smollm2.sh MODEL OUT TASKS [PYTHON]} tasks=${3:?usage: smollm2.sh MODEL OUT TASKS [PYTHON]}
glora="node dist/cli/main.js"
common="--model $model --data ../shared/data/text/instruct/rasbt_instruction-data.json --batch-size 32 --micro-batch-size 8"
score() {
  $glora eval --model "$model" "${@:2}" --tasks arc_easy,arc_challenge,piqa,truthfulqa_mc1 --task-data "$tasks" --limit 1000 --out "$out/$1-tasks"
}
mkdir -p "$out"
lora="$glora train $common --preset lora --rank 4"
$lora --epochs 2 --learning-rate 0.003 --out "$out/lora-0.003"
# As many epochs as the searched structure has with its supernet's.
for rate in 0.003 0.01; do $lora --epochs 3 --learning-rate $rate --out "$out/lora-3-$rate"; done
$glora train $common --preset glora --forms A=vector,B=lora,C=vector,D=none,E=vector --ranks 2 --balance-rates yes --epochs 2 --learning-rate 0.003 \
  --out "$out/fixed-0.003"
for rate in 0.001 0.003; do
  $glora fit $common --budget 460800 --rank 4 --epochs 1 --learning-rate $rate --population 8 --parents 3 --mutants 4 --crossovers 4 --generations 3 \
    --no-merge --out "$out/searched-$rate"
done
score base
for run in lora-0.003 fixed-0.003 searched-0.003; do score "$run" --adapter "$out/$run/adapter"; done

python=${4:-}
[ -n "$python" ] || exit 0
for split in train validation; do
  $glora inspect "$model" --data ../shared/data/text/instruct/rasbt_instruction-data.json --examples 100000 --split $split --json >"$out/peft-$split.json"
done
"$python" bench/peers/peft_lora.py "$model" "$out/peft-train.json" "$out/peft-validation.json" --rank 4 --rate 3e-3 --epochs 2 >"$out/peft.json"
