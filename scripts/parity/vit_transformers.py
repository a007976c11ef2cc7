"""transformers' Vision Transformers for scripts/parity/vit.py: a class of each family, small and with a random config, saved as
a folder. transformers computes in float64 from the saved weights, glora in float32. Its parts serve scripts/fixtures/vit-transformers.py.
"""

import random
import re
import shlex
import subprocess
import tempfile

import torch
import transformers
from safetensors.torch import load_file, save_file
from torch.nn.functional import cross_entropy, mse_loss

transformers.utils.logging.set_verbosity_error()
transformers.utils.logging.disable_progress_bar()

TEXT = dict(vocab_size=16, hidden_size=16, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16, max_position_embeddings=8,
            bos_token_id=0, eos_token_id=1)


def randomise(model):
    for name, p in model.named_parameters():
        noise = torch.randn_like(p)
        if p.ndim > 1 and "position" not in name and "token" not in name and "probe" not in name:
            p.data = noise / p[0].numel() ** 0.5
        else:
            p.data = 0.3 * noise + ("norm" in name and name.endswith("weight")) + ("lambda" in name)
    return model.eval()


def save(model, folder):
    """The model's folder; safetensors' writer makes its file private."""
    model.save_pretrained(folder, safe_serialization=True)


def run(model, pixels, labels, size):
    """Logits and their loss, or features and None, of a model in evaluation."""
    name = type(model).__name__
    resize = {} if size is None or name.startswith("Dinov2") else {"interpolate_pos_encoding": True}
    if name.endswith("WithTeacher"):
        logits = model(pixels, **resize).logits  # this class has no loss of its own
        return logits, (mse_loss if labels.is_floating_point() else cross_entropy)(logits, labels)
    if "ForImageClassification" in name:
        found = model(pixels, labels=labels, **resize)
        return found.logits, found.loss
    if name.startswith(("CLIP", "Siglip")):
        found = getattr(model, "vision_model", model)(pixels, **resize)
        return (found.last_hidden_state.mean(1) if found.pooler_output is None else found.pooler_output), None
    if name == "ViTMAEForPreTraining":
        model = model.vit
    found = model(pixels, **resize).last_hidden_state
    return (found.mean(1) if name.startswith("IJepa") else found[:, 0]), None


def gradients(model):
    """Of every weight under its name in the file: a model of gradients is saved as the model was."""
    before = {n: p.data for n, p in model.named_parameters()}
    for p in model.parameters():
        p.data = torch.full_like(p, torch.nan) if p.grad is None else p.grad
    with tempfile.TemporaryDirectory() as folder:
        save(model, folder)
        found = load_file(f"{folder}/model.safetensors")
    for n, p in model.named_parameters():
        p.data = before[n]
    return {n: g for n, g in found.items() if g.numel() > 0 and not g.isnan().any()}


# ---- what is drawn


def common(r):
    heads, depth = r.choice([1, 2, 3, 4]), r.choice([1, 2, 3])
    return dict(
        hidden_size=heads * r.choice([4, 6, 8]), num_attention_heads=heads, num_hidden_layers=depth,
        hidden_act=r.choice(["gelu", "gelu_new", "gelu_pytorch_tanh", "quick_gelu", "relu", "silu"]),
        layer_norm_eps=r.choice([1e-12, 1e-6, 1e-5, 1e-3]), num_channels=r.choice([1, 3, 3]),
    )


def shaped(r):
    """Sizes of images and patches, perhaps rectangular, perhaps with pixels that fill no patch."""
    pair = lambda choices: r.choice([r.choice(choices), [r.choice(choices), r.choice(choices)]])
    return dict(image_size=pair([16, 20, 23, 24]), patch_size=pair([4, 5, 8]))


def square(r):
    return dict(image_size=r.choice([16, 20, 23, 24]), patch_size=r.choice([4, 5, 8]))


def plain(r):
    return common(r) | r.choice([shaped, square])(r) | dict(intermediate_size=r.choice([10, 24, 40]), qkv_bias=r.random() < 0.7)


def dinov2(r):
    return common(r) | square(r) | dict(mlp_ratio=r.choice([1, 2, 3, 4]), qkv_bias=r.random() < 0.7, use_swiglu_ffn=r.random() < 0.5)


def vision(r):
    return common(r) | square(r) | dict(intermediate_size=r.choice([10, 24, 40]))


def both(r, config, labels):
    return config(text_config=TEXT, vision_config=vision(r), **labels)


def draw(r, t=transformers):
    labels = r.choice([dict(num_labels=n) for n in (1, 2, 3, 5)] + [dict(id2label={0: "ant", 1: "bee", 2: "cat"}, label2id={"ant": 0, "bee": 1, "cat": 2})])
    families = {
        "vit": lambda: (r.choice([t.ViTForImageClassification, t.ViTModel]), t.ViTConfig(**plain(r), **labels)),
        "vit_msn": lambda: (r.choice([t.ViTMSNForImageClassification, t.ViTMSNModel]), t.ViTMSNConfig(**plain(r), **labels)),
        "vit_mae": lambda: (r.choice([t.ViTMAEForPreTraining, t.ViTMAEModel]), t.ViTMAEConfig(
            **common(r), **square(r), mask_ratio=0.0, decoder_hidden_size=16, decoder_num_hidden_layers=1, decoder_num_attention_heads=2, decoder_intermediate_size=16)),
        "ijepa": lambda: (r.choice([t.IJepaForImageClassification, t.IJepaModel]), t.IJepaConfig(**plain(r), **labels)),
        "deit": lambda: (r.choice([t.DeiTForImageClassification, t.DeiTForImageClassificationWithTeacher, t.DeiTModel]), t.DeiTConfig(**plain(r), **labels)),
        "dinov2": lambda: (r.choice([t.Dinov2ForImageClassification, t.Dinov2Model]), t.Dinov2Config(**dinov2(r), **labels, use_mask_token=r.random() < 0.7)),
        "dinov2_with_registers": lambda: (r.choice([t.Dinov2WithRegistersForImageClassification, t.Dinov2WithRegistersModel]),
            t.Dinov2WithRegistersConfig(**dinov2(r), **labels, num_register_tokens=r.choice([0, 1, 3]))),
        "clip_vision_model": lambda: (r.choice([t.CLIPVisionModel, t.CLIPVisionModelWithProjection]), t.CLIPVisionConfig(**vision(r))),
        "clip": lambda: (r.choice([t.CLIPForImageClassification, t.CLIPForImageClassification, t.CLIPModel]), both(r, t.CLIPConfig, labels)),
        "siglip_vision_model": lambda: (t.SiglipVisionModel, t.SiglipVisionConfig(**vision(r), vision_use_head=r.random() < 0.8)),
        "siglip": lambda: (r.choice([t.SiglipForImageClassification, t.SiglipForImageClassification, t.SiglipModel]), both(r, t.SiglipConfig, labels)),
    }
    family = r.choice(list(families))
    cls, config = families[family]()
    seen = getattr(config, "vision_config", config)
    pair = lambda size: list(size) if isinstance(size, (list, tuple)) else [size, size]
    size = None
    if not isinstance(seen.patch_size, (list, tuple)) and not isinstance(seen.image_size, (list, tuple)) and r.random() < 0.3:
        size = [r.choice([16, 24, 28, 33]), r.choice([16, 24, 28, 33])]
    return cls, config, seen.num_channels, pair(seen.image_size), size


# ---- comparison


def compare(ours, reference, wanted, limit, resized):
    output = "logits" if "loss" in reference else "features"
    if (missing := set(reference) - set(ours)) or (spare := set(ours) - set(reference) - {"labels"}):
        return f"missing {sorted(missing)}" if missing else f"unexpected {sorted(spare)}"
    scale = max(reference[output].abs().max().item(), 1e-3)
    worst = (ours[output].double() - reference[output]).abs().max().item() / scale
    if not worst <= limit:
        return f"{output}: max|Δ| / max = {worst:.1e}"
    if "loss" in reference and not abs(ours["loss"].double() - reference["loss"]).item() <= limit * max(1, reference["loss"].abs().item()):
        return f"loss: {ours['loss'].item()} for {reference['loss'].item()}"
    layer = lambda n: re.sub(r"[._](weight|bias)$", "", n)
    largest = {}
    for n, g in wanted.items():
        largest[layer(n)] = max(largest.get(layer(n), 0), g.abs().max().item())
    overall = max(largest.values(), default=0)
    for n, g in wanted.items():
        if resized and "position_embedding" in n:
            continue  # ours is of the resampled table
        difference = (ours[f"grad.{n}"].double() - g).abs().max().item() / max(largest[layer(n)], 1e-4 * overall)
        if not difference <= 10 * limit:
            return f"gradient of {n}: max|Δ| / max = {difference:.1e}"
        worst = max(worst, difference / 10)
    return worst


def check(seed, glora, limit):
    r = random.Random(seed)
    torch.manual_seed(seed)
    cls, config, channels, own, size = draw(r)
    model = randomise(cls(config))
    with tempfile.TemporaryDirectory() as folder:
        save(model, f"{folder}/model")
        model = model.double()
        classes = config.num_labels
        pixels = torch.randn(3, channels, *(size or own))
        labels = torch.randn(3, 1) if classes == 1 else torch.arange(3) % classes
        y, loss = run(model, pixels.double(), labels.double() if labels.is_floating_point() else labels, size)
        given = {"pixel_values": pixels.contiguous()}
        reference, wanted = {"features": y.detach()}, {}
        if loss is not None:
            loss.backward()
            given["labels"] = labels
            wanted = gradients(model)
            reference = {"logits": y.detach(), "loss": loss.detach(), **{f"grad.{n}": g for n, g in wanted.items()}}
        save_file(given, f"{folder}/in.st")
        command = [*shlex.split(glora), "run", f"{folder}/model", "--inputs", f"{folder}/in.st", "--outputs", f"{folder}/out.st"]
        done = subprocess.run(command + (["--grad", "*"] if wanted else []), capture_output=True, text=True)
        title = f"{cls.__name__} of {own}" + (f" at {size}" if size else "")
        if done.returncode != 0:
            return title, done.stderr.strip() or done.stdout.strip()
        return title, compare(load_file(f"{folder}/out.st"), reference, wanted, limit, size is not None)
