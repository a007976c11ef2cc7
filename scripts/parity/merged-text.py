"""Loads a merged folder of a text model into transformers, and compares its logits, or mean embeddings, with ours.

    python scripts/parity/merged-text.py FOLDER            # runs `npx glora run` on random tokens, some of them padding

Needs torch, safetensors and transformers; with onnxruntime the ONNX file is run too. Exit code 1 if transformers misses a tensor
or finds one too many, or if logits at real positions differ by more than --limit of the largest.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file


def open_model(folder):
    """The class that config.json names, in float32, and what did not fit."""
    [name] = json.loads((folder / "config.json").read_text())["architectures"]
    model, info = getattr(transformers, name).from_pretrained(
        folder, dtype=torch.float32, attn_implementation="eager", output_loading_info=True
    )
    problems = {kind: sorted(map(str, found)) for kind, found in info.items() if found}
    return name, model.eval(), problems


def random_inputs(config, decoder):
    """Three texts of 12 tokens and fewer; padded on the right, except that a decoder is also given one padded on the left."""
    generator = torch.Generator().manual_seed(0)
    count = min(12, config.max_position_embeddings - 3)
    pad = config.pad_token_id if config.pad_token_id is not None else 0
    ids = torch.randint(0, config.vocab_size, (3, count), generator=generator)
    ids[ids == pad] = (pad + 1) % config.vocab_size
    mask = torch.ones_like(ids)
    mask[1, -3:] = 0
    if decoder:
        mask[2, :2] = 0
    ids[mask == 0] = pad
    return {"input_ids": ids, "attention_mask": mask}


def run_glora(command, folder, inputs):
    with tempfile.TemporaryDirectory() as temporary:
        given, found = (f"{temporary}/{name}.safetensors" for name in ("in", "out"))
        save_file({name: tensor.contiguous() for name, tensor in inputs.items()}, given)
        subprocess.run([*shlex.split(command), "run", folder, "--inputs", given, "--outputs", found], check=True)
        return next(iter(load_file(found).values()))  # logits, or the features of a model without a head


def run_onnx(folder, inputs, shape):
    """Logits of the ONNX file, or why there are none."""
    try:
        import onnxruntime
    except ImportError as missing:
        return f"not run: {missing}"
    session = onnxruntime.InferenceSession(folder / "onnx/model.onnx", providers=["CPUExecutionProvider"])
    feeds = {name: tensor.numpy() for name, tensor in inputs.items()}
    batch, tokens = inputs["input_ids"].shape
    for value in session.get_inputs():
        if value.name.startswith("past_key_values"):
            _, heads, _, width = value.shape
            feeds[value.name] = torch.zeros(batch, heads, 0, width).numpy()
        elif value.name == "position_ids":
            feeds[value.name] = torch.arange(tokens).expand(batch, tokens).numpy()
        elif value.name == "token_type_ids":
            feeds[value.name] = torch.zeros(batch, tokens, dtype=torch.long).numpy()
    output = torch.from_numpy(session.run(None, feeds)[0])
    return (output if session.get_outputs()[0].name == "logits" else mean(output, inputs)).reshape(shape)


def mean(states, inputs):
    """The mean over the real tokens: the embedding of a text."""
    mask = inputs["attention_mask"][:, :, None].to(states.dtype)
    return (states * mask).sum(1) / mask.sum(1)


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--glora", default="npx glora", help="the command (default: %(default)s)")
parser.add_argument("--limit", type=float, default=1e-4, help="of the largest logit (default: %(default)s)")
o = parser.parse_args()

name, model, problems = open_model(o.folder)
print(f"{o.folder}: {name} of transformers {transformers.__version__}, {sum(p.numel() for p in model.parameters()):,} parameters")
for kind, names in problems.items():
    print(f"  {kind}: {', '.join(names)}")
inputs = random_inputs(model.config, "CausalLM" in name)
with torch.no_grad():
    found = model(**inputs)
    reference = found.logits if "logits" in found else mean(found.last_hidden_state, inputs)
real = inputs["attention_mask"].bool() if reference.dim() == 3 else torch.ones(len(reference), dtype=torch.bool)

worst = 0.0
ours = run_glora(o.glora, o.folder, inputs).reshape(reference.shape)
for label, logits in {"glora": ours, "model.onnx": run_onnx(o.folder, inputs, reference.shape)}.items():
    if isinstance(logits, str):
        print(f"  {label}: {logits}")
        continue
    difference = ((logits - reference)[real].abs().max() / reference[real].abs().max()).item()
    print(f"  {label}: max|Δ| / max = {difference:.2e}")
    worst = max(worst, difference)
sys.exit(1 if problems or not worst <= o.limit else 0)
