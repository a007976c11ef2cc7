"""The same training steps in PyTorch: the authors' GLoRA layer, PEFT's GLoRA and LoRA, on a ViT-B/16 of random weights.

    python bench/peers/authors.py [--layers 6] [--batch 8] [--steps 10]     # needs torch, timm and peft

Between the steps a product of 1576×768 by 768×3072 is timed, as bench/step.mjs does; `products` is a step's time in
products of the same moment, so that figures of one machine compare whatever else it does. Prints one JSON object.
"""

import argparse
import json
import random
import statistics
import time

import peft
import timm
import torch
from torch import nn

RANK = 4
FORMS = {"A": ["lora", "vector", "scalar", "none"], "B": ["lora", "vector", "scalar", "none"]}
FORMS |= {"C": ["lora", "vector", "none"], "D": ["vector", "scalar", "none"], "E": ["vector", "scalar", "none"]}
LOW_RANK = {"A": "lora", "B": "lora", "C": "vector", "D": "vector", "E": "vector"}
VECTOR = dict.fromkeys("ABCDE", "vector")


class AuthorsLinear(nn.Module):
    """W' = W + W ⊙ A + B, b' = b + b ⊙ D + E + W·C, as Arnav0400/ViT-Slim (GLoRA) computes it: on whole matrices."""

    def __init__(self, linear):
        super().__init__()
        self.linear = linear
        out, width = linear.weight.shape
        shapes = {"A": (out, width), "B": (out, width), "C": (width, 1)}
        self.down = nn.ParameterDict({n: nn.Parameter(torch.randn(o, RANK) * 0.02) for n, (o, _) in shapes.items()})
        self.up = nn.ParameterDict({n: nn.Parameter(torch.randn(RANK, i) * 0.02) for n, (_, i) in shapes.items()})
        self.bias = nn.ParameterDict({n: nn.Parameter(torch.randn(out) * 0.02) for n in "DE"})
        self.structure = None

    def draw(self, structure):
        self.structure = structure or {name: random.choice(forms) for name, forms in FORMS.items()}

    def matrix(self, name):
        form = self.structure[name]
        if form == "lora":
            return self.down[name] @ self.up[name]
        return {"vector": self.down[name][:, :1], "scalar": self.down[name][0, 0], "none": torch.zeros(1)}[form]

    def vector(self, name):
        form = self.structure[name]
        return {"vector": self.bias[name], "scalar": self.bias[name][0], "none": torch.zeros(1)}[form]

    def forward(self, x):
        weight, bias = self.linear.weight, self.linear.bias
        changed = weight + weight * self.matrix("A") + self.matrix("B")
        shift = 0 if self.structure["C"] == "none" else (weight @ self.matrix("C")).squeeze(1)
        return nn.functional.linear(x, changed, bias + bias * self.vector("D") + self.vector("E") + shift)


def vit(layers):
    torch.manual_seed(0)
    model = timm.create_model("vit_base_patch16_224", depth=layers, num_classes=100)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("head."))
    return model


def adapted_layers(model):
    return [n for n, m in model.named_modules() if isinstance(m, nn.Linear) and n != "head"]


def authors(layers, structure):
    model = vit(layers)
    for name in adapted_layers(model):
        parent, _, child = name.rpartition(".")
        setattr(model.get_submodule(parent), child, AuthorsLinear(model.get_submodule(name)))
    wrapped = [m for m in model.modules() if isinstance(m, AuthorsLinear)]
    return model, lambda: [layer.draw(structure) for layer in wrapped]


def with_peft(layers, config):
    model = vit(layers)
    config.target_modules = adapted_layers(model)
    config.modules_to_save = ["head"]
    return peft.get_peft_model(model, config), lambda: None


def frozen(layers):
    """Nothing is adapted, but the gradient passes every layer."""
    model = vit(layers)
    model.pos_embed.requires_grad_(True)
    return model, lambda: None


def glora(form):
    return peft.GloraConfig(r=RANK, config_A_B=form, config_C="vector", config_D_E="vector")


CONFIGURATIONS = {
    "authors' GLoRA, a structure drawn at every step": lambda n: authors(n, None),
    "authors' GLoRA, all low-rank": lambda n: authors(n, LOW_RANK),
    "authors' GLoRA, all vector": lambda n: authors(n, VECTOR),
    "PEFT's GLoRA, A and B low-rank": lambda n: with_peft(n, glora("lora")),
    "PEFT's GLoRA, A and B vector": lambda n: with_peft(n, glora("vector")),
    "PEFT's LoRA": lambda n: with_peft(n, peft.LoraConfig(r=RANK, lora_alpha=RANK, lora_dropout=0.0)),
    "frozen base, forward and backward": frozen,
}


def milliseconds(body):
    start = time.perf_counter()
    body()
    return 1000 * (time.perf_counter() - start)


def main():
    parser = argparse.ArgumentParser()
    for name, default in {"layers": 6, "batch": 8, "steps": 10}.items():
        parser.add_argument(f"--{name}", type=int, default=default)
    o = parser.parse_args()
    random.seed(0)
    torch.manual_seed(0)
    images, labels = torch.randn(o.batch, 3, 224, 224), torch.randint(100, (o.batch,))
    x, weight = torch.randn(1576, 768), torch.randn(3072, 768)
    results = {}
    for name, build in CONFIGURATIONS.items():
        model, draw = build(o.layers)
        model.train()
        trained = [p for p in model.parameters() if p.requires_grad]

        def step():
            draw()
            for parameter in trained:
                parameter.grad = None
            nn.functional.cross_entropy(model(images), labels).backward()

        steps, products = [], []
        for i in range(o.steps + 2):  # two warm up
            product = milliseconds(lambda: [x @ weight.T for _ in range(4)]) / 4
            elapsed = milliseconds(step)
            if i >= 2:
                steps.append(elapsed)
                products.append(product)
        ratios = [s / p for s, p in zip(steps, products)]
        results[name] = {
            "milliseconds": {"median": statistics.median(steps), "best": min(steps)},
            "products": statistics.median(ratios),
            "productGflops": 2e-6 * 1576 * 768 * 3072 / statistics.median(products),
        }
    versions = {"torch": torch.__version__, "timm": timm.__version__, "peft": peft.__version__}
    print(json.dumps({**versions, "threads": torch.get_num_threads(), **vars(o), "results": results}, indent=2))


if __name__ == "__main__":
    main()
