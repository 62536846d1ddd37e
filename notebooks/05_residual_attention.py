# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
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
# **How does the attention module look, and why is nearly every PyTorch port of it another network?**
#
# Squeeze and excitation knows what is in a picture, but not where. The attention module answers the *where*: it
# computes a mask, one number per channel and position, and multiplies its features by it. At the end of this chapter
# you will have
#
# - the module, part by part, and the reason for its strange $1 + M$,
# - the authors' wiring and that of the common ports side by side, and a proof by activations that they differ,
# - Attention-56 and Attention-92 with exactly the weights of the released networks.
#
# Time: under a minute. Paper: section 3.3; Wang and others, CVPR 2017 (its reference [17]).

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
import numpy as np
import pandas as pd
import torch
from matplotlib import pyplot as plt

from seran_lib.data.augment import plain_view
from seran_lib.data.drawn import draw_insect, make_species
from seran_lib.lab.diagrams import draw_wirings
from seran_lib.lab.figures import COLOURS, WIDE, save, show_pictures, use_book_style
from seran_lib.lab.notebook import finish, show_source
from seran_lib.nets import create_model, describe
from seran_lib.nets.attention import AttentionModule, MaskBranch
from seran_lib.nets.describe import count_parameters
from seran_lib.nets.models import LAYOUTS

use_book_style()
torch.manual_seed(seed)
# %% [markdown]
# ## Trunk and mask
#
# The *trunk* $T$ is two residual blocks: what the network would compute anyway. The *mask* $M$ comes from the same
# input by another way: shrunk several times, so that a single position sees the whole insect, then enlarged again. A
# sigmoid brings it between 0 and 1. The module returns $(1 + M) \cdot T$.

# %%
show_source(AttentionModule)

# %%
show_source(MaskBranch)

# %% [markdown]
# ## Why 1 + M
#
# A mask between 0 and 1 can only dim. Stack a few modules that return $M \cdot T$, and little is left. With $1 + M$, a
# mask near zero leaves the trunk as it is. Here a constant signal passes eight masks of one half:

# %%
signal = {"M T": [1.0], "(1 + M) T": [1.0], "(1 + M) T, masks near 0": [1.0]}
for _ in range(8):
    for name, factor in zip(signal, (0.5, 1.5, 1.02), strict=True):
        signal[name].append(signal[name][-1] * factor)
pd.DataFrame(signal).iloc[[0, 2, 4, 8]].round(3).rename_axis("modules")

# %% [markdown]
# The network can close its masks, so the module can always fall back to its trunk. The batch normalisation behind it
# takes care of the other extreme.

# %% [markdown]
# ## How deep a mask goes
#
# Each mask ends at 1/32 of the image, whatever stage it is in: three poolings in stage 1, two in stage 2, one in
# stage 3. So all masks have seen the whole insect. At 224 pixels that is 7 x 7.

# %%
rows = []
for stage, depth in ((1, 3), (2, 2), (3, 1)):
    module, side = AttentionModule(32, depth), 56 // 2 ** (stage - 1)
    seen = []
    hook = module.mask.bottom.register_forward_hook(lambda m, i, o, seen=seen: seen.append(o.shape[-1]))
    module(torch.randn(1, 32, side, side))
    rows.append({"stage": stage, "input": side, "poolings": depth, "bottom": seen[0], "blocks": len(module.mask.down)})
pd.DataFrame(rows).set_index("stage")

# %% [markdown]
# ## Two networks under one name
#
# The authors' network files have a layer that enlarges a feature map. It takes *two* inputs. In the authors' version of
# Caffe the second one gives nothing but the target size. The first PyTorch port read it as something to be added, and
# the ports that followed copied that. Added are the down-going feature, beside its lateral connection, and the trunk
# itself, right in front of the mask head.

# %%
paper, port = AttentionModule(32, 3, wiring="paper"), AttentionModule(32, 3, wiring="port")
figure = draw_wirings(paper, port)
save(figure, "fig05_wirings")
plt.show()

# %% [markdown]
# The orange arrows exist only in the port. Counting weights does not show the difference:

# %% tags=["nbval-check-output"]
assert count_parameters(paper) == count_parameters(port)
port.load_state_dict(paper.state_dict())
print(f"{count_parameters(paper):,} weights in both")

# %% [markdown]
# ## A proof by activations
#
# If the mask branch hands up nothing at all, what does the mask head still receive? In the authors' network: nothing.
# In the port: exactly the trunk. A mask that sees the very features it is about to weigh needs no bottom-up
# top-down way.


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


# %%
x = torch.randn(1, 32, 56, 56)
for name, module in (("paper", paper), ("port", port)):
    head, trunk = received(module, x)
    print(f"{name:5s} head receives at most {head.abs().max():.3f}; equal to the trunk: {torch.equal(head, trunk)}")
assert received(paper, x)[0].abs().max() == 0 and torch.equal(*received(port, x))

# %% [markdown]
# With equal weights the two modules give different answers:

# %%
with torch.no_grad():
    difference = (paper.eval()(x) - port.eval()(x)).norm() / paper(x).norm()
print(f"relative difference of the outputs: {difference:.1%}")
assert difference > 0.01

# %% [markdown]
# Which of the two did the authors of SERAN train? They wrote in PyTorch in 2018, when the mis-wired port was the one at
# hand. We do not know. This book builds the authors' wiring; `wiring="port"` gives the other one, for comparison.

# %% [markdown]
# ## Masks before training
#
# Masks of three stages on a drawn insect, with random weights, averaged over channels. They follow the picture a
# little, because convolutions do. Chapter 11 will ask what trained masks follow.

# %%
species = make_species(4, seed=7)
insect = np.array(draw_insect(species[0], np.random.default_rng(3), side=224).image.resize((224, 224)))
network = create_model("seran_d", len(species), width=1 / 8).train()
modules = [m for m in network.modules() if isinstance(m, AttentionModule)]
masks = []
hooks = [m.mask.register_forward_hook(lambda m, i, output: masks.append(output[0].mean(0))) for m in modules]
with torch.no_grad():
    network(plain_view(torch.from_numpy(insect)[None].repeat(2, 1, 1, 1), 224))

# %%
figure, axes = plt.subplots(1, 5, figsize=(9.5, 2.3))
axes[0].imshow(insect)
for axis, mask in zip(axes[1:], masks, strict=True):
    axis.imshow(mask, cmap="viridis")
for axis, title in zip(axes, ["picture"] + [f"mask, {mask.shape[0]} x {mask.shape[1]}" for mask in masks], strict=True):
    axis.set_title(title, fontsize=11, loc="center", pad=3)
    axis.axis("off")
show_pictures(figure)

# %% [markdown]
# ## Attention-56 and Attention-92
#
# The networks differ in the number of modules per stage. One word per stage tells all: R is a residual block, A an
# attention module. The numbers of weights, at 1000 classes, are those of the authors' released networks.

# %% tags=["nbval-check-output"]
released = {"attention56": 31_810_728, "attention92": 52_466_344}
rows = {}
for name, weights in released.items():
    cost = describe(create_model(name, 1000), 224)
    assert cost.parameters == weights
    rows[name] = {"layout": " ".join(LAYOUTS[name]), "weights": f"{weights:,}", "GMACs": round(cost.gmacs, 2)}
pd.DataFrame.from_dict(rows, orient="index")

# %% [markdown]
# The publication quotes 51.3 million for Attention-92, more than a million fewer than its released network has.

# %% [markdown]
# ## Any size
#
# Enlarging reads the size it needs from the feature it is enlarged to, and the last pooling is a mean. So any image of
# at least 64 pixels will do, square or not.

# %%
network = create_model("attention56", 5, width=1 / 8).eval()
with torch.no_grad():
    shapes = [tuple(network(torch.randn(1, 3, *size)).shape) for size in ((64, 64), (97, 131), (224, 160))]
print(shapes)

# %% [markdown]
# ## Which part of the module costs what
#
# The mask is not a small addition: in stage 1 it has more residual blocks than the trunk.

# %%
shares = {}
for stage, depth in ((1, 3), (2, 2), (3, 1)):
    module = AttentionModule(64, depth)
    parts = {"before, after": [module.before, module.after], "trunk": [module.trunk], "mask": [module.mask]}
    shares[f"stage {stage}"] = {name: sum(map(count_parameters, part)) for name, part in parts.items()}
shares = pd.DataFrame(shares).T
shares = 100 * shares.div(shares.sum(axis=1), axis=0)

# %%
figure, axis = plt.subplots(figsize=WIDE)
left = np.zeros(3)
for part, colour in (("before, after", "faint"), ("trunk", "other"), ("mask", "ours")):
    bars = axis.barh(shares.index, shares[part], left=left, color=COLOURS[colour], height=0.6)
    text = "black" if colour == "faint" else "white"
    axis.bar_label(bars, [f"{part} {value:.0f} %" for value in shares[part]], label_type="center", color=text)
    left += shares[part].to_numpy()
axis.invert_yaxis()
axis.set(xlabel="% of the module's weights", xlim=(0, 100))
save(figure, "fig05_shares")
plt.show()

# %% [markdown]
# ## What we saw
#
# - The module weighs its trunk by $1 + M$, so a closed mask costs nothing.
# - Every mask sees the whole picture, because it pools down to 1/32 in every stage.
# - The common PyTorch ports leak the trunk into the mask head and count the down-feature twice. Weights are equal in
#   number; outputs are not. A count can not reveal it, a look at activations does.
#
# ## Where we differ from the paper
#
# - The paper does not say which wiring it used. Ours is that of the module's inventors.
# - Pooling has no padded border and rounds up, as in their network files. Ports usually pad.
#
# ## Questions
#
# 1. Why must the masks of stage 1 pool more often than those of stage 3?
# 2. What could a mask learn in the port that it can not in the authors' network, and is that bad?
# 3. Why is $M$ computed per channel, and not once for all channels?
# 4. The lateral connection brings fine detail to the way up. What would masks look like without it?
# 5. Equal weights, unequal networks: which checks of a port would have found the error in 2018?
#
# ## Exercise
#
# Zero the *bottom* of the mask instead of its last block, and find out what the head of each wiring still sees. Explain
# the result with the picture above.

# %%
finish("05_residual_attention")
