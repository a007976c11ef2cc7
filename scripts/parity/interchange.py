"""Loads an adapter that `glora export-adapter` wrote into PEFT, and compares its logits with ours.

    python scripts/parity/interchange.py MODEL EXPORTED --adapter RUN/adapter    # runs `npx glora run` on random inputs
    python scripts/parity/interchange.py MODEL EXPORTED --inputs in.safetensors --outputs out.safetensors    # compares with a run done

MODEL is the base model's folder. Needs torch, safetensors, peft, and transformers or timm. Exit code 1 if PEFT misses a
tensor or finds one too many, or if logits differ by more than --limit of the largest.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import peft
import torch
from safetensors.torch import load_file, save_file


def open_base(folder, tensors):
    """The base model, with as many outputs as the adapter's head has; its logits by name of input."""
    config = json.loads((folder / "config.json").read_text())
    head = [tensor for name, tensor in tensors.items() if name.endswith(HEADS)]
    if "architecture" in config:
        import timm

        model = timm.create_model(f"local-dir:{folder.resolve()}", pretrained=True)
        if head and head[0].shape[0] != model.num_classes:
            model.reset_classifier(head[0].shape[0])
        return model, lambda m, inputs: m(inputs["pixel_values"])
    import transformers

    transformers.logging.set_verbosity_error()
    architecture = config["architectures"][0]
    kind = "ImageClassification" if "image_size" in config else "CausalLM"
    if kind == "CausalLM" and (head or not architecture.endswith("CausalLM")):
        kind = "SequenceClassification"
    options = {"num_labels": head[0].shape[0], "ignore_mismatched_sizes": True} if head else {}
    auto = getattr(transformers, f"AutoModelFor{kind}")
    model = auto.from_pretrained(folder, dtype=torch.float32, **options)
    return model, lambda m, inputs: m(**inputs).logits


HEADS = ("classifier.weight", "score.weight", "head.weight", "classifier.out_proj.weight")


def run_glora(command, folder, adapter, model):
    generator = torch.Generator().manual_seed(0)
    config = model.config if hasattr(model, "config") else None
    if hasattr(config, "vocab_size"):
        made = {"input_ids": torch.randint(5, config.vocab_size, (3, 9), generator=generator)}
        made["attention_mask"] = torch.ones_like(made["input_ids"])
    else:
        size = model.pretrained_cfg["input_size"] if config is None else [config.num_channels, config.image_size, config.image_size]
        made = {"pixel_values": torch.randn(4, *size, generator=generator)}
    with tempfile.TemporaryDirectory() as temporary:
        inputs, outputs = (f"{temporary}/{name}.safetensors" for name in ("in", "out"))
        save_file(made, inputs)
        run = ["run", folder, "--inputs", inputs, "--outputs", outputs, "--adapter", adapter]
        subprocess.run([*shlex.split(command), *run], check=True, stdout=subprocess.DEVNULL)
        return made, load_file(outputs)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("model", type=pathlib.Path)
parser.add_argument("exported", type=pathlib.Path)
parser.add_argument("--adapter", help="the adapter that was exported (default: the exported folder, which glora reads too)")
parser.add_argument("--inputs", help="a .safetensors file as given to `glora run`")
parser.add_argument("--outputs", help="a .safetensors file with logits, as `glora run` wrote it")
parser.add_argument("--glora", default="npx glora", help="the command (default: %(default)s)")
parser.add_argument("--limit", type=float, default=1e-4, help="of the largest logit (default: %(default)s)")
o = parser.parse_args()
if (o.inputs is None) != (o.outputs is None):
    parser.error("--inputs and --outputs go together")

written = load_file(o.exported / "adapter_model.safetensors")
base, logits_of = open_base(o.model, written)
model = peft.PeftModel.from_pretrained(base, o.exported).eval()
loaded = peft.get_peft_model_state_dict(model)
problems = sorted(set(loaded) ^ set(written)) + [name for name in set(loaded) & set(written) if not loaded[name].equal(written[name])]
config = next(iter(model.peft_config.values()))
print(f"{o.exported}: loaded by PEFT {peft.__version__} as {config.peft_type.value}, {len(written)} tensors")
for name in problems:
    print(f"  differs, is missing or is one too many: {name}")

if o.inputs:
    inputs, ours = load_file(o.inputs), load_file(o.outputs)
else:
    inputs, ours = run_glora(o.glora, o.model, o.adapter or o.exported, base)
with torch.no_grad():
    reference = logits_of(model, inputs)
    with model.disable_adapter():
        unadapted = logits_of(model, inputs)
logits = ours["logits"].reshape(reference.shape)
largest = reference.abs().max()
difference = ((logits - reference).abs().max() / largest).item()
print(f"  logits: max|Δ| / max = {difference:.2e}; the adapter moves them by {((unadapted - reference).abs().max() / largest).item():.2e}")
sys.exit(1 if problems or not difference <= o.limit else 0)
