"""PyTorch's side of the benchmark: the authors' GLoRA layer, and Hugging Face PEFT's GLoRA and LoRA.

    python bench/peers/torch_side.py '{"configuration": "peft-lora", "model": FOLDER, "examples": FILE, "threads": 2}'

Started by bench/step.mjs, and spoken to as bench/worker.mjs is: one step for each line that it reads, one line of JSON for
each step. The weights, images, tokens and labels are those of our side, read from the same files, and so are the structures
of a supernet's steps. Needs torch and peft, and timm for images or transformers for texts.

What is timed, on both sides: forward, loss and backward, from the stored supports to their gradients (ours builds the
matrices' factors from them in JavaScript, within the time). Not timed: the optimizer (a few hundred thousand numbers), data,
and the draw of a structure. float32, eager mode, attention as the libraries have it by default (fused), gradients set to none
before each step.
"""

import contextlib
import importlib
import json
import os
import re
import sys
import time

import torch
from safetensors.torch import load_file
from torch import nn
from torch.nn.functional import cross_entropy

RANK = 4
ATTENTION = ["q_proj", "k_proj", "v_proj", "o_proj"]
LOW_RANK = {"A": "lora_4", "B": "lora_4", "C": "vector", "D": "vector", "E": "vector"}
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

    def matrix(self, name):
        form = self.structure[name]
        if form.startswith("lora"):
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


def linears(model):
    """The layers that are adapted."""
    language = hasattr(model, "lm_head")
    layers = [name for name, module in model.named_modules() if isinstance(module, nn.Linear)]
    return [n for n in layers if (n.rpartition(".")[2] in ATTENTION if language else n != "head")]


def authors(structure=None):
    """`structure` everywhere, or that of the request."""

    def adapt(model):
        wrapped = {}
        for name in linears(model):
            parent, _, child = name.rpartition(".")
            wrapped[name] = AuthorsLinear(model.get_submodule(name))
            wrapped[name].structure = structure
            setattr(model.get_submodule(parent), child, wrapped[name])

        def prepare(structures):
            for name, layer in wrapped.items():
                layer.structure = structure or structures[name]

        return model, prepare

    return adapt


def with_peft(config):
    def adapt(model):
        import peft

        options = config(peft)
        options.target_modules = linears(model)
        options.modules_to_save = None if hasattr(model, "lm_head") else ["head"]
        adapted = peft.get_peft_model(model, options)
        with torch.no_grad():  # supports start at zero, which no later step does
            for name, parameter in adapted.named_parameters():
                if parameter.requires_grad and ".head." not in name:
                    parameter.normal_(std=0.02)
        return adapted, lambda _: None

    return adapt


def glora(form):
    return lambda peft: peft.GloraConfig(r=RANK, config_A_B=form, config_C="vector", config_D_E="vector")


def lora(peft):
    return peft.LoraConfig(r=RANK, lora_alpha=RANK, lora_dropout=0.0)


def frozen(model):
    """Nothing is adapted, but the gradient passes every layer."""
    if hasattr(model, "lm_head"):
        import peft

        config = lora(peft)
        config.target_modules = linears(model)[:1]
        return peft.get_peft_model(model, config), lambda _: None
    model.requires_grad_(False).pos_embed.requires_grad_(True)
    return model, lambda _: None


CONFIGURATIONS = {
    "authors-drawn": authors(),
    "authors-low-rank": authors(LOW_RANK),
    "authors-vector": authors(VECTOR),
    "peft-low-rank": with_peft(glora("lora")),
    "peft-vector": with_peft(glora("vector")),
    "peft-lora": with_peft(lora),
    "frozen": frozen,
    "linear": lambda model: (model, lambda _: None),
}


def opened(folder):
    """The frozen model of a folder in timm's layout (its head is trained) or transformers'."""
    with open(os.path.join(folder, "config.json")) as file:
        config = json.load(file)
    if "architecture" in config:
        import timm

        arguments = config["model_args"] | {"num_classes": config["num_classes"]}
        model = timm.create_model(config["architecture"], **arguments)
        model.load_state_dict(load_file(os.path.join(folder, "model.safetensors")))
    else:
        from transformers import AutoModelForCausalLM

        model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    for name, parameter in model.named_parameters():
        parameter.requires_grad_(name.startswith("head."))
    return model.train()


@contextlib.contextmanager
def timed():
    """Milliseconds by the clock, and of all processors together."""
    took = {}
    start, used = time.perf_counter(), time.process_time()
    yield took
    took["milliseconds"] = 1000 * (time.perf_counter() - start)
    took["processor"] = 1000 * (time.process_time() - used)


def step(o):
    model, prepare = CONFIGURATIONS[o["configuration"]](opened(o["model"]))
    data = load_file(o["examples"])
    labels = data["labels"].long()
    trained = [p for p in model.parameters() if p.requires_grad]

    def logits():
        if "pixel_values" in data:
            return model(data["pixel_values"])
        return model(input_ids=data["input_ids"], use_cache=False).logits.flatten(0, 1)

    def work(request):
        prepare(request.get("structures"))
        for parameter in trained:
            parameter.grad = None
        with timed() as took:
            loss = cross_entropy(logits(), labels)
            loss.backward()
        return took | {"loss": loss.item()}

    return work


def products(_):
    """As bench/products.mjs."""
    x, y = torch.randn(1576, 768), torch.randn(1576, 3072)
    w, v = torch.randn(3072, 768), torch.randn(768, 3072)

    def work(_):
        with timed() as took:
            for a, b in ((x, w.T), (x, v), (y, v.T), (y, w)):
                a @ b
        return {name: value / 4 for name, value in took.items()}

    return work


def memory(key):
    """Resident megabytes of this process, as the system tells them."""
    try:
        with open("/proc/self/status") as file:
            found = re.search(key + r":\s+(\d+)", file.read())
        return round(int(found[1]) / 1024)
    except OSError:
        return None


def import_for(o):
    """What the libraries themselves take is not the step's memory."""
    if "examples" not in o:
        return
    needed = ["timm" if "pixel_values" in load_file(o["examples"]) else "transformers"]
    for library in needed + ["peft"] * o["configuration"].startswith("peft"):
        importlib.import_module(library)


def versions():
    return {name: importlib.import_module(name).__version__ for name in ("torch", "timm", "transformers", "peft")}


def main():
    # What libraries print must not get between the answers.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def answer(value):
        print(json.dumps(value), file=answers, flush=True)

    if sys.argv[1:] == ["versions"]:
        return answer(versions())
    o = json.loads(sys.argv[1])
    torch.set_num_threads(o["threads"])
    torch.manual_seed(o["seed"])
    import_for(o)
    before = memory("VmRSS")
    work = {"step": step, "products": products}[o["task"]](o)
    try:  # what opening the model took is not the step's
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")
    except OSError:
        pass
    answer({"before": before})
    for line in sys.stdin:
        answer(work(json.loads(line)) | {"peak": memory("VmHWM")})


if __name__ == "__main__":
    main()
