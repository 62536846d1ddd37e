# ---
# jupyter:
#   jupytext:
#     cell_metadata_filter: tags,-all
#     formats: ipynb,py:percent
#     notebook_metadata_filter: kernelspec,jupytext,-jupytext.text_representation.jupytext_version
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 7 · Baselines
#
# **What is SERAN compared with, and what does each network cost?**
#
# An error rate is half of a comparison. The other half is what was spent to get it. At the end of this chapter you will
# have
#
# - all eleven networks of the book by name, four of them checked against the exact sizes of the released networks,
# - weights, multiply-adds and activations of each,
# - a picture of who is cheap and who is dear,
# - what the width multiplier does, by which this book fits on a laptop,
# - an estimate of GPU hours for the whole of Table 1.
#
# Time: under a minute. Paper: sections 4.1 and 4.2, Table 1.

# %%
import sys

if "google.colab" in sys.modules:
    print("Colab: installing seran_lib from ./seran")  # keeps the block valid once jupytext comments the magic
    # %pip install -q -e "./seran[book]"
    sys.path.insert(0, "seran")

# %% tags=["parameters"]
profile: str = "smoke"  # smoke | laptop | colab | paper
seed: int = 0  # one seed per run
data: str = ""  # empty means the drawn demo insects
out: str = ""  # empty means runs/<run id>
epochs: int = 0  # zero means the number the profile names

# %%
import pandas as pd
import torch
from matplotlib import pyplot as plt
from timm.layers import SEModule
from torch import nn

from seran_lib import sources
from seran_lib.book.notebook import finish, show_source, show_table
from seran_lib.book.plots.style import COLOURS, WIDE, save, use_book_style
from seran_lib.nets import create_model, describe_model, list_models
from seran_lib.nets.baselines import create_baseline
from seran_lib.nets.blocks import SqueezeExcitation
from seran_lib.nets.description import count_parameters
from seran_lib.paper import facts
from seran_lib.train.cost import RTX3090_IMAGES_PER_SECOND, gpu_hours
from seran_lib.train.profiles import PROFILES, TABLE1
from seran_lib.train.settings import resolve

use_book_style()
torch.manual_seed(seed)
settings = resolve(profile, seed=seed, data=sources.folder(data, profile), out=out, epochs=epochs)

# %% [markdown]
# ## Whose networks these are
#
# The residual networks, SE-ResNet-101 and SENet-154 are timm's. Residual attention and SERAN are ours, because no
# library has the authors' wiring (chapter 05). Our part of a timm network is small:

# %%
show_source(create_baseline)

# %% [markdown]
# ## Exact sizes
#
# At 1000 classes, as the networks were released. For Attention-92 the publication itself prints a smaller number
# (chapter 05).

# %% tags=["nbval-check-output"]
released = {
    "attention56": 31_810_728,
    "attention92": 52_466_344,
    "se_resnet101": 49_326_872,
    "senet154": 115_088_984,
}
for name, weights in released.items():
    assert describe_model(name, 1000).parameters == weights
    print(f"{name:13s} {weights:>11,}")

# %% [markdown]
# ## What each costs
#
# For 123 species and 224 pixels: weights, multiply-adds (MACs), and activations, the outputs of all convolutions. None
# of the three is training time. Activations have to be written to memory and read again, which is slower than
# arithmetic; how good a guide they are is seen below.

# %%
costs = {name: describe_model(name) for name in list_models()}
table = pd.DataFrame(
    {
        "weights, M": {name: cost.parameters / 1e6 for name, cost in costs.items()},
        "GMACs": {name: cost.gmacs for name, cost in costs.items()},
        "activations, M": {name: cost.activations for name, cost in costs.items()},
    }
)
table.round(2)

# %%
order = table.loc[list(TABLE1)].sort_values("GMACs")
figure, axes = plt.subplots(1, 3, figsize=(11, 4.4), sharey=True)
for axis, column in zip(axes, order, strict=True):
    colours = [COLOURS["ours" if name.startswith("seran") else "faint"] for name in order.index]
    bars = axis.barh(order.index, order[column], color=colours, height=0.65)
    axis.bar_label(bars, fmt="%.1f", padding=4)
    axis.set(title=column, xlim=(0, order[column].max() * 1.25), xticks=[])
save(figure, "fig07_cost")
plt.show()

# %% [markdown]
# SENet-154 has about twice the weights of SERAN-D and two thirds more multiply-adds, but hardly more activations.
# Chapter 03 showed that their errors in the paper tie.

# %%
ratio = table.loc["senet154"] / table.loc["seran_d"]
assert ratio["weights, M"] > 2 and ratio["GMACs"] > 1.6 and ratio["activations, M"] < 1.2
ratio.round(2).rename("SENet-154 / SERAN-D").to_frame()

# %% [markdown]
# ## SE-ResNet-101 is ResNet-101 and its gates
#
# Nothing else. So the comparison of the two is the cleanest in the whole table.

# %% tags=["nbval-check-output"]
with torch.device("meta"):  # shapes suffice, no weights are made
    plain, gated, grouped = (create_model(name) for name in ("resnet101", "se_resnet101", "senet154"))
gates = sum(count_parameters(module.se) for module in gated.modules() if hasattr(module, "bn3"))
assert count_parameters(gated) - count_parameters(plain) == gates
print(f"ResNet-101 {count_parameters(plain):,} + gates {gates:,} = SE-ResNet-101 {count_parameters(gated):,}")

# %% [markdown]
# Two networks go by the name SE-ResNet-101: in the older one the first 1x1 convolution takes the stride, in timm's it
# is the 3x3. Their weights are equal in number; the second computes a little more.
#
# SENet-154 has groups: the 3x3 convolution of each block is split into 64, so that an output channel reads a few inputs
# only. That saves multiply-adds, not memory traffic.

# %%
convolution = next(m for m in grouped.modules() if isinstance(m, nn.Conv2d) and m.groups > 1)
print(convolution)

# %% [markdown]
# ## Width: the same networks, smaller
#
# A width of 1/4 leaves a quarter of the channels, with one exception below. Compute falls with about the square. Depth,
# modules and wiring stay, so a quarter-width table asks the same questions, of smaller networks.

# %%
widths = (1.0, 1 / 2, 1 / 4, 1 / 8)
models = ("resnet101", "attention92", "senet154", "seran_d")
scaled = {name: [describe_model(name, width=w).gmacs for w in widths] for name in models}
shrunk = pd.DataFrame(scaled, index=[f"x{w:g}" for w in widths]).rename_axis("width")
shrunk.round(3)

# %%
figure, axis = plt.subplots(figsize=WIDE)
for name, shift in zip(models, (-9, -5, 6, 6), strict=True):
    colour = COLOURS["ours" if name == "seran_d" else "other"]
    axis.plot(widths, shrunk[name], color=colour, marker="o")
    axis.annotate(
        f" {name}", (1, shrunk[name].iloc[0]), xytext=(4, shift - 3), textcoords="offset points", color=colour
    )
axis.set(xscale="log", yscale="log", xlabel="width", ylabel="billion multiply-adds", xlim=(0.115, 1.6))
axis.set_xticks(widths, ["1", "1/2", "1/4", "1/8"])
axis.minorticks_off()
save(figure, "fig07_width")
plt.show()

# %% [markdown]
# The exception are the gates of the rivals: timm makes the hidden layer of an SE block a multiple of 8 and no smaller
# than that. Ours has a sixteenth of the channels at any width, so that the narrow SE rivals have the richer gates.


# %% tags=["nbval-check-output"]
def hidden(name: str, width: float) -> str:
    """The hidden units of the first SE block of each stage that has one."""
    with torch.device("meta"):  # shapes suffice
        network = create_model(name, 123, width=width)
    seen = {}
    for path, module in network.named_modules():
        if isinstance(module, SEModule):
            seen.setdefault(path.split(".")[0], module.fc1.out_channels)
        elif isinstance(module, SqueezeExcitation):
            seen.setdefault(path.split(".")[1], module.squeeze.out_channels)
    return ", ".join(map(str, seen.values()))


rows = {f"x{w:g}": {name: hidden(name, w) for name in ("se_resnet101", "seran_d")} for w in widths}
show_table(pd.DataFrame.from_dict(rows, orient="index").rename_axis("hidden units, stages 1 to 4"))

# %% [markdown]
# ## What Table 1 would cost on a GPU
#
# Estimated: timm's published training rates on an RTX 3090, other cards by published factors, and our own networks, for
# which no rate is published, by their activations. The factors are good to about 30 %. One seed, the split of the
# paper, the epochs of the `paper` profile.
#
# One thing here is measured. A GPU does what a CPU hands out, kernel by kernel, and a batch of 32 is soon done: an H100
# spent most of each step waiting (`benchmarks/gpu.py`). What handing out takes goes with the number of weight tensors,
# and no card is taken to be quicker than that. So the fastest cards below are equally fast for most networks.

# %%
images = facts.FACTS["train_images"].value
hours = pd.DataFrame([gpu_hours(name, images, PROFILES["paper"].epochs) for name in TABLE1])
hours.loc["all"] = hours.sum()
hours.round(1).rename_axis("hours")

# %% [markdown]
# How good is the rule by activations? Four networks have a published rate. Take that of ResNet-101, scale it by
# activations or by multiply-adds, and see by how many per cent the other three come out too fast:

# %%
rates = pd.Series(RTX3090_IMAGES_PER_SECOND, name="published, images/s")
known, base = table.loc[rates.index, ["activations, M", "GMACs"]], rates["resnet101"]
scaled_rates = base * known.loc["resnet101"] / known
error = 100 * (scaled_rates.div(rates, axis=0) - 1)
error.columns = [f"by {column.split(',')[0]}: % too fast" for column in error]
pd.concat([rates, error], axis=1).round(0).astype(int)

# %% [markdown]
# A rough guide for plain residual networks, and a poor one for SE and for grouped convolutions; multiply-adds do no
# worse. The likely reasons show in neither count: an SE block reads its map once more and adds steps that wait for each
# other, and small groups leave a card partly idle. SERAN and SERAN-D have SE blocks too, so that their hours above may
# well be too few.

# %% [markdown]
# ## Every network takes a step
#
# At the width and size of this run's profile: forward, backward, one step of AdamW, and an evaluation.

# %%
rows = {}
images = torch.randn(2, 3, settings.size, settings.size)
for name in list_models():
    network = create_model(name, 123, width=settings.width)
    optimiser = torch.optim.AdamW(network.parameters(), lr=1e-3)
    loss = nn.functional.cross_entropy(network(images), torch.tensor([0, 1]))
    loss.backward()
    optimiser.step()
    with torch.no_grad():
        scores = network.eval()(images)
    assert loss.isfinite() and scores.isfinite().all()
    rows[name] = {"loss": f"{loss:.2f}", "scores": tuple(scores.shape)}
show_table(pd.DataFrame.from_dict(rows, orient="index").astype(str))

# %% [markdown]
# The tests do the same at full width and 224 pixels for all eleven.

# %% [markdown]
# ## What we saw
#
# - Four of the six rivals were checked, and have exactly the sizes of the released networks.
# - SERAN-D computes more than ResNet-101 and less than SENet-154; in weights it lies near Attention-92, in activations
#   near SENet-154. None of these says how long it trains.
# - SE adds weights and hardly any compute; attention adds both.
#
# ## Where we differ from the paper
#
# - The paper has its own implementations of SE-ResNet-101 and Attention-92. Ours are timm's and our own; the details of
#   theirs are unknown.
# - All networks share one classifier: mean pooling, dropout, one linear layer. In fast.ai version 1 the usual head was
#   larger. The paper does not say.
#
# ## Questions
#
# 1. Which of the three costs would you print in a table with one column for cost?
# 2. Why does compute fall with the square of the width, and weights nearly so?
# 3. Two networks tie in error. Which further number decides which one you take to the field?
# 4. Why is the comparison of ResNet-101 and SE-ResNet-101 cleaner than that of Attention-92 and SERAN-D?
# 5. What would be unfair in giving each network its own batch size?
#
# ## Exercise
#
# Which of the widths 1, 1/2, 1/4 and 1/8 brings SENet-154 nearest to SERAN-D at full width, by each of the three costs?
# Would a comparison at equal cost be fairer than one at equal width?

# %%
finish("07_baselines")
