"""Loads a merged folder into the library that it is for, and compares its logits with ours and with its ONNX file's.

    python scripts/parity/merged.py FOLDER            # runs `npx glora run` on random images of the model's size
    python scripts/parity/merged.py FOLDER --inputs in.safetensors --outputs out.safetensors    # compares with a run done

Needs torch, safetensors, and timm or transformers; with onnx and onnxruntime the ONNX file is checked and run too.
Exit code 1 if the library misses a tensor or finds one too many, or if logits differ by more than --limit of the largest.
"""

import argparse
import json
import pathlib
import shlex
import subprocess
import sys
import tempfile

import torch
from safetensors.torch import load_file, save_file


def open_timm(folder):
    import timm

    # Loads strictly: a tensor that is missing or unexpected is an error.
    model = timm.create_model(f"local-dir:{folder.resolve()}", pretrained=True).float().eval()
    return f"timm {timm.__version__}", model, model.pretrained_cfg["input_size"], {}


def open_transformers(folder):
    import transformers

    model, info = transformers.AutoModelForImageClassification.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    seen = getattr(model.config, "vision_config", model.config)
    size = seen.image_size
    size = [size, size] if isinstance(size, int) else size
    problems = {kind: sorted(map(str, found)) for kind, found in info.items() if found}
    return f"transformers {transformers.__version__}", model.eval(), [seen.num_channels, *size], problems


def run_glora(command, folder, shape):
    with tempfile.TemporaryDirectory() as temporary:
        inputs, outputs = (f"{temporary}/{name}.safetensors" for name in ("in", "out"))
        pixel_values = torch.randn(4, *shape, generator=torch.Generator().manual_seed(0))
        save_file({"pixel_values": pixel_values}, inputs)
        subprocess.run([*shlex.split(command), "run", folder, "--inputs", inputs, "--outputs", outputs], check=True)
        return load_file(inputs), load_file(outputs)


def run_onnx(folder, pixel_values):
    """Logits of the ONNX file, or why there are none."""
    try:
        import onnx
        import onnxruntime
    except ImportError as missing:
        return f"not run: {missing}"
    file = next(folder.glob("**/onnx/model.onnx"))
    onnx.checker.check_model(file, full_check=True)
    session = onnxruntime.InferenceSession(file, providers=["CPUExecutionProvider"])
    return torch.from_numpy(session.run(["logits"], {"pixel_values": pixel_values.numpy()})[0])


parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
parser.add_argument("folder", type=pathlib.Path)
parser.add_argument("--inputs", help="a .safetensors file with pixel_values, as given to `glora run`")
parser.add_argument("--outputs", help="a .safetensors file with logits, as `glora run` wrote it")
parser.add_argument("--glora", default="npx glora", help="the command (default: %(default)s)")
parser.add_argument("--limit", type=float, default=1e-4, help="of the largest logit (default: %(default)s)")
o = parser.parse_args()
if (o.inputs is None) != (o.outputs is None):
    parser.error("--inputs and --outputs go together")

config = json.loads((o.folder / "config.json").read_text())
library, model, shape, problems = (open_timm if "architecture" in config else open_transformers)(o.folder)
print(f"{o.folder}: loaded by {library}, {sum(p.numel() for p in model.parameters()):,} parameters")
for kind, names in problems.items():
    print(f"  {kind}: {', '.join(names)}")

inputs, ours = (load_file(o.inputs), load_file(o.outputs)) if o.inputs else run_glora(o.glora, o.folder, shape)
with torch.no_grad():
    found = model(inputs["pixel_values"])
reference = found if isinstance(found, torch.Tensor) else found.logits

worst = 0.0
for name, logits in {"glora": ours["logits"], "model.onnx": run_onnx(o.folder, inputs["pixel_values"])}.items():
    if isinstance(logits, str):
        print(f"  {name}: {logits}")
        continue
    difference = ((logits - reference).abs().max() / reference.abs().max()).item()
    agree = (logits.argmax(-1) == reference.argmax(-1)).sum().item()
    print(f"  {name}: max|Δ| / max = {difference:.2e}, best class equal on {agree} of {len(reference)}")
    worst = max(worst, difference)
sys.exit(1 if problems or not worst <= o.limit else 0)
