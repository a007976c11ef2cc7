#!/usr/bin/env bash
# Methods compared with DeiT-Ti on a small stand-in for the three groups of VTAB-1k, at 112 pixels, for one budget of adapter
# parameters. Goes on where it was interrupted.
# usage: vision.sh BUDGET METHODS OUT     run from the project's root, built; BUDGET 50k or 150k
set -euo pipefail
budget=${1:?usage: vision.sh BUDGET METHODS OUT} methods=${2:?usage: vision.sh BUDGET METHODS OUT} out=${3:?usage: vision.sh BUDGET METHODS OUT}
images=../shared/data/images
exec node dist/cli/main.js compare --model ../shared/data/models/deit-tiny --image-size 112 \
  --data "$images/caltech101?name=Caltech101&split-shares=validation=0.1875,test=0.5" \
  --data "$images/cifar10?name=CIFAR-10&split-shares=validation=0.2" \
  --data "$images/flowers?name=Flowers&split-shares=validation=0.07,test=0.2" \
  --data "$images/gtsrb-8?name=GTSRB-8&split-shares=validation=0.2,test=0.3" \
  --data "$images/rsscn7?name=RSSCN7&split-shares=validation=0.15,test=0.3" \
  --data "$images/shapes-count?name=Shapes-count&split-shares=validation=0.15,test=0.3" \
  --data "$images/shapes-position-x?name=Shapes-x&split-shares=validation=0.15,test=0.3" \
  --methods "$methods" --budget "$budget" --seeds 3 --select-seed --epochs 10 --batch-size 16 --train-examples 500 \
  --candidates 60 --learning-rates 0.003,0.01 --out "$out"
