#!/usr/bin/env bash
# Methods compared on three text classification sets with all-MiniLM-L6-v2. Goes on where it was interrupted.
# usage: minilm.sh MODEL OUT      MODEL from ../shared/data/models/minilm.sh; run from the project's root, built
set -euo pipefail
model=${1:?usage: minilm.sh MODEL OUT} out=${2:?usage: minilm.sh MODEL OUT}
texts=../shared/data/text/classification
exec node dist/cli/main.js compare --model "$model" \
  --data "$texts/sst2/train.tsv?name=SST-2&split-shares=validation=0.06,test=0.2" \
  --data "$texts/sms/SMSSpamCollection?name=SMS&split-shares=validation=0.08,test=0.2" \
  --data "$texts/ag_news/test.csv?name=AG-News&split-shares=validation=0.06,test=0.15" \
  --methods linear,bitfit,ssf,lora,glora --budget 85k --seeds 3 --select-seed --epochs 6 --further-epochs 4 \
  --train-examples 1000 --max-tokens 64 --batch-size 32 --candidates 24 --learning-rates 0.003,0.01 --out "$out"
