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
# # 5 · Residual attention
#
# **How does the attention module look, and why are the ports of it that we read another network?**
#
# Squeeze and excitation knows what is in a picture, but not where. The attention module answers the *where*: it
# computes a mask, one number per channel and position, and multiplies its features by it. At the end of this chapter
# you will have
#
# - the module, part by part, and the reason for its strange $1 + M$, measured on stacked modules,
# - the authors' wiring and that of the common ports side by side, and a proof by activations that they differ,
# - what maximum and average pooling hand down to the mask,
# - Attention-56 and Attention-92 with exactly the weights of the released networks.
#
# Time: under a minute. Nothing is trained. Paper: section 3.3; Wang and others, CVPR 2017 (its reference [17]).

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
from itertools import product

import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt
from torch.nn import functional as F

from seran_lib import sources
from seran_lib.book.notebook import finish, show_source, show_table
from seran_lib.book.plots.diagrams import draw_wirings
from seran_lib.book.plots.style import COLOURS, WIDE, save, save_pictures, show_pictures, use_book_style
from seran_lib.data.augment import plain_view
from seran_lib.demo.insects.picture import draw_insect
from seran_lib.demo.insects.species import make_species
from seran_lib.nets import create_model, describe_model
from seran_lib.nets.attention import AttentionModule, MaskBranch, upsample
from seran_lib.nets.blocks import Bottleneck, make_pool
from seran_lib.nets.description import count_parameters
from seran_lib.nets.specs import SPECS
from seran_lib.paper import facts
from seran_lib.train.settings import resolve

use_book_style()
settings = resolve(profile, seed=seed, data=sources.folder(data, profile), out=out, epochs=epochs)

# %% [markdown]
# ## Trunk and mask
#
# The *trunk* $T$ is what the network would compute anyway: $t$ residual blocks. The *mask* $M$ comes from the same
# input by another way. *Bottom-up*, it is pooled several times, so that a single position sees much of the picture.
# *Top-down*, it is enlarged again, and at each level a *lateral connection* brings back the detail of the way down. A
# sigmoid puts it between 0 and 1. The module returns $(1 + M) \cdot T$, with $p$ residual blocks before and after.

# %%
show_source(AttentionModule)

# %%
show_source(MaskBranch)

# %% [markdown]
# Three numbers make a module: $p$ blocks before and after, $t$ in the trunk, $r$ at each level of the mask (twice $r$
# at its bottom). The authors use 1, 2, 1. A mask of $d$ poolings then holds $2r(d-1) + (d-1) + 2r$ blocks.

# %%
for depth, r in product((1, 2, 3), (1, 2)):
    branch = MaskBranch(8, depth, r=r)
    assert sum(isinstance(m, Bottleneck) for m in branch.modules()) == 2 * r * (depth - 1) + (depth - 1) + 2 * r

# %% [markdown]
# ## How deep a mask goes
#
# Each mask ends at 1/32 of the image, whatever stage it is in: three poolings in stage 1, two in stage 2, one in stage
# 3. So a position at the bottom sees much of the picture, and one in the middle all of it. We watch them at 224 pixels.

# %% tags=["nbval-check-output"]
STAGES = {1: (3, 56), 2: (2, 28), 3: (1, 14)}  # stage: poolings, side of its feature map at 224 px
rows, bottoms = [], []
for stage, (depth, side) in STAGES.items():
    module = AttentionModule(32, depth)
    module.mask.bottom.register_forward_hook(lambda m, i, output: bottoms.append(output.shape[-1]))
    module(torch.randn(1, 32, side, side))
    blocks = sum(isinstance(m, Bottleneck) for m in module.mask.modules())
    rows.append({"stage": stage, "input": side, "poolings": depth, "bottom": bottoms[-1], "blocks in mask": blocks})
assert bottoms == [224 // 32] * 3
pd.DataFrame(rows).set_index("stage")

# %% [markdown]
# ## Why 1 + M
#
# A mask between 0 and 1 can only dim. We let a random feature map pass eight modules in a row, with random weights, and
# ask after each how much of the input is left in the output: their cosine similarity, and the size of the signal.
# The same weights, three rules: the mask alone, one plus the mask, and no mask.

# %%
torch.manual_seed(seed)
modules = [AttentionModule(64, 1) for _ in range(8)]
rules = {"M T": lambda m, t: m * t, "(1 + M) T": lambda m, t: (1 + m) * t, "T": lambda m, t: t}
signal = torch.randn(4, 64, 14, 14)
alike, size = ({name: [number] for name in rules} for number in (1.0, float(signal.std())))
for name, rule in rules.items():
    x = signal
    for module in modules:
        with torch.no_grad():
            before = module.before(x)
            trunk = module.trunk(before)
            x = module.after(rule(module.mask(before, trunk), trunk))
        # Rounded, for processors differ in the last digits, and the figure is to be the same file on all.
        alike[name].append(round(float(F.cosine_similarity(x.flatten(), signal.flatten(), dim=0)), 3))
        size[name].append(round(float(x.std()), 3))

# %%
figure, axes = plt.subplots(1, 2, figsize=WIDE)
for axis, lines, title in zip(axes, (alike, size), ("Similarity to the input", "Size of the signal"), strict=True):
    for (name, values), colour in zip(lines.items(), ("paper", "ours", "other"), strict=True):
        axis.plot(values, color=COLOURS[colour], marker="o", markersize=4)
        axis.text(8.3, values[-1], name, color=COLOURS[colour], va="center")
    axis.set(title=title, xlabel="modules passed", xlim=(-0.3, 11.4), xticks=range(0, 9, 2))
axes[0].set_ylim(-0.03, 1.05)
axes[1].set_yscale("log")
axes[1].set_yticks([1, 10], ["1", "10"])
axes[1].minorticks_off()
save(figure, "fig05_stacking")
plt.show()

# %%
print(", ".join(f"{name}: {values[-1]:.2f}" for name, values in alike.items()), "of the input left after eight modules")
assert alike["M T"][-1] < 0.05 < alike["T"][-1] < alike["(1 + M) T"][-1]

# %% [markdown]
# With $M \cdot T$ each module halves what came in, while its residual blocks add as much as ever, because batch
# normalisation gives them the same input whatever its size. After eight modules almost nothing of the input is left.
# $1 + M$ keeps more than no mask at all: at random weights it is a factor of about 1.5 in favour of what came in. The
# price is a growing signal, which the last batch normalisation takes back.
#
# And a mask can close. Then the module is its trunk, and nothing was lost by having it:

# %%
module = AttentionModule(32, 2).eval()
last_norm, last_convolution = module.mask.head[3], module.mask.head[5]
torch.nn.init.zeros_(last_norm.weight)
torch.nn.init.ones_(last_norm.bias)
torch.nn.init.constant_(last_convolution.weight, -10)  # M = sigmoid(-10 * 32)
x = torch.randn(1, 32, 28, 28)
with torch.no_grad():
    assert torch.allclose(module(x), module.after(module.trunk(module.before(x))))
print("mask closed: the module is its trunk")

# %% [markdown]
# ## Two networks under one name
#
# The authors' network files enlarge a feature map with a layer that takes *two* inputs. In their version of Caffe the
# second one gives nothing but the target size. A PyTorch port of 2018 read it as something to add, and others followed.
# So the ports add, beside each lateral connection, the feature it came from, and right before the mask head, the trunk.

# %%
torch.manual_seed(seed)
ours, port = AttentionModule(32, 3, wiring="paper"), AttentionModule(32, 3, wiring="port")
figure = draw_wirings(ours, port)
save(figure, "fig05_wirings")
plt.show()

# %%
ports = {
    "tengshaofeng/ResidualAttentionNetwork-pytorch": "PyTorch, 2018; reported in its issue 11 (2019), still so",
    "GluonCV, residual_attentionnet": "MXNet; written after that port",
    "pytorchcv, resattnet": "PyTorch, several depths; the same two sums",
}
show_table(pd.DataFrame({"what it is": ports}).rename_axis("both sums found in"))

# %% [markdown]
# Counting weights does not show the difference:

# %% tags=["nbval-check-output"]
assert count_parameters(ours) == count_parameters(port)
port.load_state_dict(ours.state_dict())
print(f"{count_parameters(ours):,} weights in both")

# %% [markdown]
# ## A proof by activations
#
# If the mask branch hands up nothing at all, what does the mask head still receive? In the authors' network: nothing.
# In the port: exactly the trunk. A mask that sees the very features it is about to weigh may do without the bottom-up
# top-down way. (This shows what the two wirings of this library do. That the ports have the second was read in their
# sources.)


# %%
def received(module: AttentionModule, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """What the mask head receives, and the trunk, when the way up of the mask is silenced."""
    seen = {}
    hooks = [
        module.mask.up[-1].register_forward_hook(lambda m, i, output: torch.zeros_like(output)),
        module.mask.head.register_forward_pre_hook(lambda m, inputs: seen.update(head=inputs[0].clone())),
        module.trunk.register_forward_hook(lambda m, i, output: seen.update(trunk=output.clone())),
    ]
    with torch.no_grad():
        module.eval()(x)
    for hook in hooks:
        hook.remove()
    return seen["head"], seen["trunk"]


# %% tags=["nbval-check-output"]
x = torch.randn(1, 32, 56, 56)
for name, module in (("paper", ours), ("port", port)):
    head, trunk = received(module, x)
    print(f"{name:5s} head receives nothing: {not head.any()}; exactly the trunk: {torch.equal(head, trunk)}")
assert not received(ours, x)[0].any() and torch.equal(*received(port, x))

# %% [markdown]
# And the feature of the way down is counted twice. Silence the bottom of the mask, and $F$ in the lateral block, so
# that this connection is the identity. What reaches the first block on the way up?


# %%
def arriving(module: AttentionModule, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The input of the first block on the way up, bottom and lateral F silenced, and the down-feature beside it."""
    seen, mask = {}, module.mask
    hooks = [
        mask.bottom.register_forward_hook(lambda m, i, output: torch.zeros_like(output)),
        mask.lateral[0][0].conv3.register_forward_hook(lambda m, i, output: torch.zeros_like(output)),
        mask.down[-1].register_forward_hook(lambda m, i, output: seen.update(down=output.clone())),
        mask.up[0].register_forward_pre_hook(lambda m, inputs: seen.update(up=inputs[0].clone())),
    ]
    with torch.no_grad():
        module.eval()(x)
    for hook in hooks:
        hook.remove()
    return seen["up"], seen["down"]


# %% tags=["nbval-check-output"]
for name, module in (("paper", ours), ("port", port)):
    up, down = arriving(module, x)
    print(f"{name:5s} down-feature arrives {(up.norm() / down.norm()).item():.0f} time(s)")
assert torch.equal(*arriving(ours, x)) and torch.equal(arriving(port, x)[0], 2 * arriving(port, x)[1])

# %% [markdown]
# ## How far apart are they?
#
# The same weights in both wirings of a whole Attention-56, and a batch of drawn insects. After each stage, the relative
# difference of the features.

# %%
species = make_species(8, seed=7)
drawn = [draw_insect(kind, np.random.default_rng(seed), side=224).image.resize((224, 224)) for kind in species]
insects = torch.from_numpy(np.stack([np.array(image) for image in drawn]))
images = plain_view(insects, 224)
torch.manual_seed(seed)
networks = [create_model("attention56", 8, width=1 / 8, wiring=wiring, drop_rate=0) for wiring in ("paper", "port")]
networks[1].load_state_dict(networks[0].state_dict())
features = []
for network in networks:
    for stage in network.stages:
        stage.register_forward_hook(lambda m, i, output: features.append(output))
    with torch.no_grad():
        network(images)

# %%
apart = {}
for stage, (a, b) in enumerate(zip(features[:4], features[4:], strict=True), 1):
    apart[f"after stage {stage}"] = f"{float((a - b).norm() / a.norm()):.0%}"
    assert (a - b).norm() > 0.01 * a.norm()
pd.Series(apart, name="relative difference").to_frame()

# %% [markdown]
# Which of the two did the authors of SERAN train? They wrote in PyTorch in 2018, when the mis-wired port was the one at
# hand. We do not know. This book builds the wiring of the module's inventors; `wiring="port"` gives the other one.
# Whether the difference matters for the error is for trained networks to say: section 9.6 of chapter 09 compares them.

# %% [markdown]
# ## Maximum or average on the way down?
#
# Table 2 compares the two poolings "in the overall model and attention modules".

# %% tags=["nbval-check-output"]
rates = facts.table2()["valid_top1"]
gap = rates["seran_d_avg_pool"] - rates["seran_d"]
print(f"validation error, maximum {rates['seran_d']} %, average {rates['seran_d_avg_pool']} %: {gap:.2f} points")

# %% [markdown]
# What does each hand down? One bright position in an empty map, pooled three times, and the darkness of a drawn insect.

# %%
pools = {"maximum": make_pool("max"), "average": make_pool("avg")}
spot = torch.zeros(1, 1, 56, 56)
spot[0, 0, 28, 28] = 1
darkness = 1 - F.adaptive_avg_pool2d(insects[:1].permute(0, 3, 1, 2).float().mean(1, keepdim=True) / 255, 56)
pooled = {name: [darkness] for name in pools}
for name, pool in pools.items():
    left = spot
    for _ in range(3):
        left = pool(left)
        pooled[name].append(pool(pooled[name][-1]))
    print(f"{name}: brightest position {left.max():.4f}, sum {left.sum():.4f}")

# %%
figure, axes = plt.subplots(2, 4, figsize=(WIDE[0], 4.9))
for row, (name, maps) in zip(axes, pooled.items(), strict=True):
    for axis, image in zip(row, maps, strict=True):
        axis.imshow(image[0, 0], cmap="Greys", vmin=float(darkness.min()), vmax=float(darkness.max()))
        axis.set_title(f"{name}, {image.shape[-1]} x {image.shape[-1]}", fontsize=11, loc="center", pad=3)
        axis.axis("off")
save_pictures(figure, "fig05_pooling")
show_pictures(figure)

# %% [markdown]
# A maximum keeps a mark at full strength, however small, and lets it grow; but it is one-sided, and the pale band on
# the dark wing is gone after one step. An average fades both into their surroundings. For a small insect in a large
# photograph that may be the reason behind Table 2. But Table 2 sets one run against another; chapter 10 repeats both.

# %% [markdown]
# ## Any size
#
# Enlarging is bilinear with aligned corners: the corner positions keep their values, and the others lie on a straight
# line between. PyTorch's default repeats the border instead.

# %%
line = torch.arange(7.0).reshape(1, 1, 1, 7)
aligned = upsample(line, torch.zeros(1, 1, 1, 56)).flatten()
default = F.interpolate(line, size=(1, 56), mode="bilinear").flatten()
assert torch.allclose(aligned, torch.linspace(0, 6, 56), atol=1e-5)
print("aligned:", np.round(aligned[:6].numpy(), 2), " default:", np.round(default[:6].numpy(), 2))

# %% [markdown]
# The size is read from the feature that is enlarged to, poolings round up, and the last pooling is a mean. So any image
# of at least 64 pixels will do, square or not.

# %%
network = create_model("attention56", 5, width=1 / 8).eval()
with torch.no_grad():
    shapes = [tuple(network(torch.randn(1, 3, *size)).shape) for size in ((64, 64), (97, 131), (224, 160))]
assert shapes == [(1, 5)] * 3
print("64 x 64, 97 x 131 and 224 x 160 pixels: five scores each")

# %% [markdown]
# ## Masks before training
#
# The masks of SERAN-D on a drawn insect, with random weights, averaged over channels. They follow the picture a little,
# because convolutions do: a mask that shows the outline of an insect is no proof of attention. Chapter 11 asks what
# trained masks follow.

# %%
torch.manual_seed(seed)
network = create_model("seran_d", len(species), width=settings.width)
masks = []
for module in network.modules():
    if isinstance(module, MaskBranch):
        module.register_forward_hook(lambda m, i, output: masks.append(output[0].mean(0)))
with torch.no_grad():
    network(images)
print(", ".join(f"{mask.shape[0]} x {mask.shape[1]}: {mask.min():.2f} to {mask.max():.2f}" for mask in masks))

# %%
figure, axes = plt.subplots(1, 5, figsize=(9.5, 2.3))
axes[0].imshow(insects[0])
for axis, mask in zip(axes[1:], masks, strict=True):
    axis.imshow(mask, cmap="viridis")
for axis, title in zip(axes, ["picture"] + [f"mask, {mask.shape[0]} x {mask.shape[1]}" for mask in masks], strict=True):
    axis.set_title(title, fontsize=11, loc="center", pad=3)
    axis.axis("off")
if not data:
    save_pictures(figure, "fig05_masks")
show_pictures(figure)

# %% [markdown]
# ## Attention-56 and Attention-92
#
# The networks differ in the number of modules per stage. One word per stage tells all: R is a residual block, A an
# attention module. The numbers of weights, at 1000 classes, are those of the authors' released networks.

# %% tags=["nbval-check-output"]
released = {"attention56": 31_810_728, "attention92": 52_466_344}
quoted = {"attention56": 31.9, "attention92": 51.3}  # million, in the publication
rows = {}
for name, weights in released.items():
    cost = describe_model(name, 1000)
    assert cost.parameters == weights
    rows[name] = {"layout": " ".join(SPECS[name].layout), "weights": f"{weights:,}", "quoted, million": quoted[name]}
    rows[name]["GMACs"] = round(cost.gmacs, 2)
pd.DataFrame.from_dict(rows, orient="index")

# %% [markdown]
# The publication quotes over a million fewer for Attention-92 than its released network has. Its network files decide.

# %% [markdown]
# ## Which part of the module costs what
#
# The mask is not a small addition: in every stage it weighs about twice the trunk or more. In stage 3 nearly half of
# that are the two 1x1 convolutions of its head.

# %%
shares = {}
for stage, (depth, _) in STAGES.items():
    module = AttentionModule(64, depth)
    parts = {"before, after": [module.before, module.after], "trunk": [module.trunk], "mask": [module.mask]}
    shares[f"stage {stage}"] = {name: sum(map(count_parameters, part)) for name, part in parts.items()}
    head = count_parameters(module.mask.head) / count_parameters(module.mask)
    print(f"stage {stage}: {head:.0%} of the mask's weights are in its head")
shares = pd.DataFrame(shares).T
shares = 100 * shares.div(shares.sum(axis=1), axis=0)
assert (shares["mask"] > 1.9 * shares["trunk"]).all()

# %%
figure, axis = plt.subplots(figsize=WIDE)
left = np.zeros(3)
for part, colour in (("before, after", "faint"), ("trunk", "other"), ("mask", "ours")):
    bars = axis.barh(shares.index, shares[part], left=left, color=COLOURS[colour], height=0.6)
    text = "black" if colour == "faint" else "white"
    axis.bar_label(
        bars, [f"{part}\n{value:.0f} %" for value in shares[part]], label_type="center", color=text, fontsize=10
    )
    left += shares[part].to_numpy()
axis.invert_yaxis()
axis.set(xlabel="% of the module's weights", xlim=(0, 100))
save(figure, "fig05_shares")
plt.show()

# %% [markdown]
# ## What we saw
#
# - The module weighs its trunk by $1 + M$. Stacked, the mask alone forgets the input; $1 + M$ keeps it.
# - Every mask goes down to 1/32 of the picture, whatever its stage, so that a position there sees much of it.
# - The common ports leak the trunk into the mask head and count the down-feature twice. Weights are equal in number,
#   outputs are not. A count can not reveal it, a look at activations does.
# - A maximum carries a small mark down to the bottom of the mask, an average fades it.
#
# ## Where we differ from the paper
#
# - The paper does not say which wiring it used. Ours is that of the module's inventors.
# - Pooling has no padded border and rounds up, as in their network files.
#
# ## Questions
#
# 1. Why must the masks of stage 1 pool more often than those of stage 3?
# 2. What could a mask learn in the port that it can not in the authors' network, and is that bad?
# 3. Why is $M$ computed per channel, and not once for all channels?
# 4. The lateral connection brings fine detail to the way up. What would masks look like without it?
# 5. Equal weights, unequal networks: which checks of a port would have found the error in 2018?
# 6. At random weights $1 + M$ keeps the input better than no mask at all. Why is that no proof that it trains better?
# 7. Which of the two poolings would you choose where the insect fills the picture, and why?
#
# ## Exercise
#
# Silence the *bottom* of the mask instead of its last block, and find out what the head of each wiring still sees. Is
# it zero in the authors' wiring? Explain the result with the picture above.

# %% tags=["solution"]
with torch.no_grad():
    for name, module in (("paper", ours), ("port", port)):
        heads = []
        hooks = [
            module.mask.bottom.register_forward_hook(lambda m, i, output: torch.zeros_like(output)),
            module.mask.head.register_forward_pre_hook(lambda m, inputs, heads=heads: heads.append(inputs[0].clone())),
        ]
        module.eval()(x)
        for hook in hooks:
            hook.remove()
        print(f"{name:5s} head receives {heads[0].abs().mean():.2f} on average")
        assert heads[0].any()
print("paper: the lateral connections still speak; port: they do, and so do trunk and down-feature directly")

# %%
finish("05_residual_attention")
