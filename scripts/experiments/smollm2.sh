#!/usr/bin/env bash
# LoRA, a fixed and a searched GLoRA on instructions with SmolLM2-135M-Instruct, then benchmark tasks. Goes on where it was
# interrupted: runs and evaluations that are there are not done again.
# usage: smollm2.sh MODEL OUT TASKS     MODEL from ../shared/data/models/smollm2.sh, TASKS from scripts/mcqa-to-official.mjs
set -euo pipefail
model=${1:?usage: smollm2.sh MODEL OUT TASKS} out=${2:?usage: smollm2.sh MODEL OUT TASKS} tasks=${3:?usage: smollm2.sh MODEL OUT TASKS}
glora="node dist/cli/main.js"
common="--model $model --data ../shared/data/text/instruct/rasbt_instruction-data.json --batch-size 32 --micro-batch-size 8"
score() {
  $glora eval --model "$model" "${@:2}" --tasks arc_easy,arc_challenge,piqa,truthfulqa_mc1 --task-data "$tasks" --limit 1000 --out "$out/$1-tasks"
}
mkdir -p "$out"
$glora train $common --preset lora --rank 4 --epochs 2 --learning-rate 0.003 --out "$out/lora-0.003"
$glora train $common --preset glora --forms A=vector,B=lora,C=vector,D=none,E=vector --ranks 2 --balance-rates yes --epochs 2 --learning-rate 0.003 \
  --out "$out/fixed-0.003"
$glora fit $common --budget 460800 --rank 4 --epochs 1 --learning-rate 0.001 --population 8 --parents 3 --mutants 4 --crossovers 4 --generations 3 \
  --no-merge --out "$out/searched-0.001"
score base
for run in lora-0.003 fixed-0.003 searched-0.001; do score "$run" --adapter "$out/$run/adapter"; done
