"""Draws Vision Transformers of timm and transformers at random and compares logits, loss and every gradient with `glora run`;
of timm's also what `glora merge` makes of them.

    python -P scripts/parity/vit.py --count 100          # needs torch, safetensors, timm, transformers
    python -P scripts/parity/vit.py --families timm      # one library alone

Every model has its own seed (--seed, then one more for each), which replays it: `--families timm --seed 37 --count 1`. Exit
code 1 if any of them differs. Each library is a file beside this one, whose `check(seed, glora, limit)` returns what was drawn
and either how far it was off, in parts of the largest value, or why it counts as different.
"""

import argparse
import importlib.util
import pathlib
import sys

FILES = {"timm": "vit_timm.py", "transformers": "vit_transformers.py"}


def family(name):
    path = pathlib.Path(__file__).with_name(FILES[name])
    spec = importlib.util.spec_from_file_location(path.stem, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("--families", default=",".join(FILES), help="libraries, with commas between (default: %(default)s)")
parser.add_argument("--count", type=int, default=100, help="models of each library (default: %(default)s)")
parser.add_argument("--seed", type=int, default=1, help="of the first (default: %(default)s)")
parser.add_argument("--glora", default="npx glora", help="the command (default: %(default)s)")
parser.add_argument("--limit", type=float, default=1e-5, help="of the largest logit; ten times that for gradients (default: %(default)s)")
o = parser.parse_args()
different = 0
for name in o.families.split(","):
    module, failed, worst = family(name), 0, 0.0
    for seed in range(o.seed, o.seed + o.count):
        title, result = module.check(seed, o.glora, o.limit)
        if isinstance(result, str):
            failed += 1
            print(f"{name}, seed {seed}: {title}: {result}", flush=True)
        else:
            worst = max(worst, result)
    print(f"{name}: {o.count - failed} of {o.count} models agree, the worst of these to {worst:.1e}")
    different += failed
sys.exit(1 if different else 0)
