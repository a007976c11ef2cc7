"""Writes data/imagenet-1k/names.txt: the names of ImageNet-1k's classes, a line for each, from timm's own files.

Run from the project's root, where Python has timm:
    python -P scripts/imagenet-names.py
"""

import collections
import pathlib

from timm.data import ImageNetInfo

# WordNet has one word for two of the classes; names are to be told apart, here by what their definitions begin with.
SAME = {"n02012849": "crane (bird)", "n03126707": "crane (machine)"}

info = ImageNetInfo("imagenet-1k")
names = [SAME.get(synset, info.label_name_to_description(synset)) for synset in info.label_names()]
twice = [name for name, count in collections.Counter(names).items() if count > 1]
assert len(names) == 1000 and not twice, twice
pathlib.Path("data/imagenet-1k/names.txt").write_text("".join(f"{name}\n" for name in names), encoding="utf-8")
