"""timm's Vision Transformers for scripts/parity/vit.py: an architecture of timm's by name, small and with random arguments
over what its name implies, saved as a folder of the hub. PyTorch computes in float64 from the saved weights, glora in float32.
"""

import json
import pathlib
import random
import re
import shlex
import subprocess
import tempfile

import timm
import torch
from safetensors.torch import load_file, save_file
from timm.models import save_for_hf
from torch import nn
from torch.nn.functional import cross_entropy

FOREIGN = re.compile(r"_xp_|18x2|pwee|_dlittle|_dwee|_dpwee")  # blocks that are not built
NAMES = [n for m in ("vision_transformer", "deit") for n in timm.list_models(module=m) if not FOREIGN.search(n)]
# Names that imply much of what others do not, each as likely as all names together.
KINDS = [[n for n in NAMES if re.search(kind, n)] for kind in
         (".", "^deit", "distilled", "aimv2", "beit3", "rpn", "siglip", "clip", "giant.*(dinov2|tips)", "reg", "radio")]


def draw(r):
    """A name, and model_args."""
    name = r.choice(r.choice(KINDS))
    heads, pair = r.choice([1, 2, 3, 4]), lambda choices: r.choice([r.choice(choices), (r.choice(choices), r.choice(choices))])
    args = dict(
        embed_dim=heads * r.choice([8, 12, 16]), num_heads=heads, depth=r.choice([1, 2, 3]),
        img_size=pair([16, 20, 23, 24]), patch_size=pair([4, 5, 8]), num_classes=r.choice([0, 1, 2, 5, 5, 5]),
    )
    flag = lambda: r.random() < 0.5
    options = dict(
        in_chans=lambda: r.choice([1, 3]),
        mlp_ratio=lambda: r.choice([1.25, 1.5, 2, 2.5, 4]),
        qkv_bias=flag, qk_norm=flag, scale_attn_norm=flag, scale_mlp_norm=flag, proj_bias=flag, fc_norm=flag, final_norm=flag,
        pool_include_prefix=flag, class_token=flag, no_embed_class=flag, pre_norm=flag, dynamic_img_size=flag,
        pos_embed=lambda: r.choice(["learn", "none"]),
        reg_tokens=lambda: r.choice([0, 1, 3]),
        init_values=lambda: r.choice([1e-5, 1.0]),
        norm_layer=lambda: r.choice(["layernorm", "rmsnorm"]),
        embed_norm_layer=lambda: "layernorm",
        act_layer=lambda: r.choice(["gelu", "gelu_tanh", "quick_gelu", "silu", "relu"]),
        drop_path_rate=lambda: 0.1,
    )
    if r.random() < 0.4:
        args["global_pool"] = r.choice(["token", "avg", "max", "avgmax", "map", "prr"])
    likelihood = r.choice([0, 0.2, 0.4])
    return name, args | {key: value() for key, value in options.items() if r.random() < likelihood}


def built(r):
    """A model that timm can build and run, as far as both libraries have it."""
    while True:
        name, args = draw(r)
        try:
            model = timm.create_model(name, **args).eval()
            model(torch.zeros(1, model.patch_embed.proj.in_channels, *model.patch_embed.img_size))
        except (AssertionError, RuntimeError, AttributeError):
            continue
        if hasattr(model, "dist_token") and (model.num_reg_tokens or args.get("fc_norm") or args.get("pos_embed") == "none" or model.no_embed_class):
            continue  # timm builds these, with parts that it does not use
        norms = {(type(m).__name__, m.eps) for m in model.modules() if isinstance(m, nn.LayerNorm) or type(m).__name__ == "RmsNorm"}
        if len(norms) <= 1:
            return name, args, model


def randomise(model):
    for name, p in model.named_parameters():
        noise = torch.randn_like(p)
        if p.ndim > 1 and "pos" not in name and "token" not in name and "latent" not in name:
            p.data = noise / p[0].numel() ** 0.5
        else:
            p.data = 0.3 * noise + ("norm" in name and name.endswith("weight")) + ("gamma" in name)
    return model


def glora(command, *given):
    done = subprocess.run([*shlex.split(command), *map(str, given)], capture_output=True, text=True)
    if done.returncode != 0:
        raise RuntimeError(done.stderr.strip() or done.stdout.strip())


def gradients(model, pixels, labels):
    """Logits, loss and the gradient of every weight."""
    model.zero_grad()
    logits = model(pixels)
    loss = cross_entropy(logits, labels)
    loss.backward()
    return {"logits": logits, "loss": loss, **{f"grad.{n}": p.grad for n, p in model.named_parameters() if p.grad is not None}}


def compare(ours, exact, narrow, limit):
    """
    Against float64, in parts of the largest logit, and of the largest gradient of a tensor's layer. Where nothing but
    rounding is left of a gradient, as of the bias of a key, PyTorch's own in float32 is as far off.
    """
    missing, spare = sorted(set(exact) - set(ours)), sorted(set(ours) - set(exact))
    if missing or spare:
        return f"missing {missing}, unexpected {spare}"
    layer = lambda n: re.sub(r"\.(weight|bias)$", "", n)
    largest = {}
    for n, value in exact.items():
        largest[layer(n)] = max(largest.get(layer(n), 0), value.abs().max().item())
    worst = 0.0
    for n, value in exact.items():
        if ours[n].shape != value.shape:
            return f"{n}: {list(ours[n].shape)} for {list(value.shape)}"
        off = lambda found: (found.double() - value).abs().max().item()
        part = 1 if n in ("logits", "loss", "features") else 0.1
        difference = part * off(ours[n]) / max(largest[layer(n)], 1e-30)
        if not (difference <= limit or off(ours[n]) <= 20 * off(narrow[n]) + 1e-9):
            return f"{n}: max|Δ| / max = {difference / part:.1e}, of PyTorch in float32 {off(narrow[n]) / max(largest[layer(n)], 1e-30):.1e}"
        worst = max(worst, min(difference, limit))
    return worst


def adapter_of(r, model, folder):
    """Random vectors and low ranks on linear layers."""
    layers, tensors = {}, {}
    for name, layer in model.named_modules():
        if not isinstance(layer, nn.Linear) or name.startswith("head") or r.random() < 0.3:
            continue
        out, width = layer.weight.shape
        structure = {"A": "vector", "B": "lora_1", "D": "vector"} | ({"C": "vector", "E": "vector"} if layer.bias is not None else {})
        shapes = {"A.X": (out, 1), "B.Xd": (out, 1), "B.Xu": (1, width), "C.X": (width, 1), "D.X": (out,), "E.X": (out,)}
        layers[name] = structure
        tensors |= {f"{name}.{part}": 0.1 * torch.randn(shape) for part, shape in shapes.items() if part[0] in structure}
    for name in ("head", "head_dist"):
        if isinstance(getattr(model, name, None), nn.Linear):
            tensors |= {f"{name}.{part}": 0.3 * torch.randn_like(p) for part, p in getattr(model, name).named_parameters()}
    folder.mkdir()
    save_file(tensors, folder / "adapter.safetensors")
    labels = [f"class {i}" for i in range(model.num_classes)]
    manifest = {"format": "glora-adapter", "version": 1, "a": "elementwise", "layers": layers, "labels": labels}
    (folder / "adapter.json").write_text(json.dumps(manifest))


def check_merge(r, model, base, pixels, command):
    """Folds an adapter into the base; timm must load all of it, and no more, and compute what the adapted model does."""
    folder = base.parent
    adapter_of(r, model, folder / "adapter")
    save_file({"pixel_values": pixels}, folder / "pixels.st")
    glora(command, "run", base, "--inputs", folder / "pixels.st", "--adapter", folder / "adapter", "--outputs", folder / "adapted.st")
    glora(command, "merge", "--model", base, "--adapter", folder / "adapter", "--out", folder / "merged")
    adapted = load_file(folder / "adapted.st")["logits"]
    merged = timm.create_model(f"local-dir:{folder / 'merged'}", pretrained=True).eval()
    with torch.no_grad():
        found = merged(pixels)
    difference = ((found - adapted).abs().max() / adapted.abs().max()).item()
    return None if difference <= 1e-4 else f"merged: max|Δ| / max = {difference:.1e}"


def check(seed, command, limit):
    r = random.Random(seed)
    torch.manual_seed(seed)
    name, args, model = built(r)
    title = f"{name} {args}"
    randomise(model)
    with tempfile.TemporaryDirectory() as temporary:
        folder = pathlib.Path(temporary)
        base = folder / "model"
        save_for_hf(model, str(base), safe_serialization=True, model_args=args)
        size = own = model.patch_embed.img_size
        resized = r.random() < 0.2 and model.pos_embed is not None
        channels = model.patch_embed.proj.in_channels
        if resized:
            # A margin that fills no patch is left out, but by models of flexible size, where timm refuses it.
            margin = 0 if model.dynamic_img_size else r.choice([0, 3])
            size = tuple(p * r.choice([2, 3, 5]) + margin for p in model.patch_embed.patch_size)
            title += f" at {size}"
        pixels = torch.randn(3, channels, *size)
        try:
            if model.num_classes > 1 and not resized and r.random() < 0.25 and (problem := check_merge(r, model, base, pixels, command)):
                return title, problem
            if resized and size != own:
                model.set_input_size(img_size=size)
            given, flags = {"pixel_values": pixels}, []
            if model.num_classes == 0:
                with torch.no_grad():
                    narrow = {"features": model(pixels)}
                    exact = {"features": model.double()(pixels.double())}
            else:
                given["labels"], flags = torch.arange(3) % model.num_classes, ["--grad", "*"]
                narrow = gradients(model, pixels, given["labels"])
                exact = gradients(model.double(), pixels.double(), given["labels"])
            if hasattr(model, "dist_token") and model.num_classes == 0:
                return title, 0.0  # timm's features are the mean of the two that a head of ours sees
            save_file(given, folder / "in.st")
            glora(command, "run", base, "--inputs", folder / "in.st", "--outputs", folder / "out.st", *flags)
        except RuntimeError as problem:
            return title, str(problem)
        return title, compare(load_file(folder / "out.st"), exact, narrow, limit)
