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
# # 4 · Squeeze and excitation
#
# **What does a squeeze-and-excitation block do to a feature map, and what does it cost?**
#
# A convolution mixes all its channels in the same way for every image. Squeeze and excitation lets the image decide:
# it looks at the whole picture once, and turns each channel up or down. At the end of this chapter you will have
#
# - the block built by hand in six lines, equal to the library's and to timm's,
# - the residual block it sits in, and the reason why it sits before the addition,
# - its price in weights and multiplications, stage by stage,
# - the gates of an untrained network and of one trained for a few seconds.
#
# Time: under a minute. Paper: section 3.2; Hu, Shen and Sun, CVPR 2018 (its reference [16]).

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
from timm.layers import SEModule
from torch import nn

from seran_lib.lab.dataset import open_dataset
from seran_lib.lab.figures import COLOURS, WIDE, save, use_book_style
from seran_lib.lab.notebook import finish, show_source
from seran_lib.lab.profiles import resolve
from seran_lib.nets import create_model
from seran_lib.nets.blocks import Bottleneck, SEBottleneck, SqueezeExcitation
from seran_lib.nets.describe import count_parameters
from seran_lib.nets.network import STAGE_CHANNELS

use_book_style()
torch.manual_seed(seed)
settings = resolve(profile, seed=seed, data=data, out=out, epochs=epochs)

# %% [markdown]
# ## Six lines by hand
#
# Let $x$ be a feature map with $C$ channels. *Squeeze*: the mean $z$ of each channel over all positions.
# *Excitation*: $s = \sigma(W_2\,\mathrm{ReLU}(W_1 z))$, two small layers with a bottleneck of $C/16$ between them.
# *Rescale*: multiply every channel by its gate $s$, a number between 0 and 1.

# %%
x = torch.randn(2, 64, 12, 12)
first, second = nn.Conv2d(64, 4, 1), nn.Conv2d(4, 64, 1)

z = x.mean(dim=(2, 3), keepdim=True)
s = torch.sigmoid(second(torch.relu(first(z))))
by_hand = x * s
print(f"z {tuple(z.shape)}, s {tuple(s.shape)}, result {tuple(by_hand.shape)}")

# %% [markdown]
# The library's block is this, with a name for each step:

# %%
show_source(SqueezeExcitation)

# %%
ours, timms = SqueezeExcitation(64), SEModule(64, rd_channels=4)
for squeeze, excite in ((ours.squeeze, ours.excite), (timms.fc1, timms.fc2)):
    squeeze.load_state_dict(first.state_dict())
    excite.load_state_dict(second.state_dict())
assert torch.allclose(ours(x), by_hand, atol=1e-6)
assert torch.allclose(timms(x), by_hand, atol=1e-6)
print("by hand, ours and timm's: equal")

# %% [markdown]
# ## What the squeeze sees, and what it does not
#
# A mean forgets where things are. Shuffle the positions of a feature map, and the gates stay the same: the block knows
# *what* is in the picture, never *where*. For the *where*, SERAN has attention modules (chapter 05).

# %%
shuffled = x.flatten(2)[:, :, torch.randperm(144)].reshape_as(x)
assert torch.allclose(ours.gate(x), ours.gate(shuffled), atol=1e-6)
print("gates after shuffling all positions: unchanged")

# %% [markdown]
# ## The block it sits in
#
# The paper adopts the SE-ResNet module "to incorporate the properties of identity mapping". The residual block computes
# $x + F(x)$. Normalisation and ReLU come *before* each convolution, so that the identity path is never touched.

# %%
show_source(Bottleneck)

# %% [markdown]
# The gate scales $F(x)$ before the addition. It can silence what the block has to say, but never the identity:

# %%
show_source(SEBottleneck)

# %%
unit = SEBottleneck(64, 64).eval()
nn.init.zeros_(unit.se.excite.weight)
nn.init.constant_(unit.se.excite.bias, -100)  # every gate at 0: the block has nothing to say
closed = unit(x)
nn.init.constant_(unit.se.excite.bias, 100)  # every gate at 1: a plain residual block
opened = unit(x)
plain = Bottleneck(64, 64).eval()
plain.load_state_dict(unit.state_dict(), strict=False)
assert torch.allclose(closed, x) and torch.allclose(opened, plain(x), atol=1e-5)
print("gates at 0: identity; gates at 1: plain residual block")

# %% [markdown]
# ## What it costs
#
# In weights, noticeably where channels are many. In multiplications, next to nothing, because the two layers work on a
# single position.

# %%
rows = {}
for stage, channels in enumerate(STAGE_CHANNELS, 1):
    block, gate = count_parameters(Bottleneck(channels, channels)), count_parameters(SqueezeExcitation(channels))
    side = 56 // 2 ** (stage - 1)
    block_macs = (2 * channels * channels // 4 + 9 * (channels // 4) ** 2) * side**2
    rows[f"stage {stage}"] = {
        "channels": channels,
        "weights, %": 100 * gate / block,
        "multiplications, %": 100 * 2 * channels * (channels // 16) / block_macs,
    }
cost = pd.DataFrame.from_dict(rows, orient="index")
cost.round(3)

# %%
figure, axis = plt.subplots(figsize=WIDE)
for offset, column, colour in ((-0.2, "weights, %", "ours"), (0.2, "multiplications, %", "doubt")):
    bars = axis.bar(np.arange(4) + offset, cost[column], width=0.36, color=COLOURS[colour], label=column[:-3])
    axis.bar_label(bars, fmt="%.2f", padding=3)
axis.set_xticks(range(4), [f"stage {k}\n{c} channels" for k, c in enumerate(STAGE_CHANNELS, 1)])
axis.set(ylabel="% of the residual block", title="What squeeze and excitation adds to one block, at 224 px")
axis.legend()
save(figure, "fig04_cost")
plt.show()

# %% [markdown]
# The reduction sets the price: half the reduction, twice the weights.

# %%
prices = {r: count_parameters(SqueezeExcitation(1024, reduction=r)) for r in (4, 8, 16, 32)}
pd.Series(prices, name="weights at 1024 channels").rename_axis("reduction").to_frame()

# %% [markdown]
# ## The gates of a network that knows nothing
#
# With random weights the sigmoid sees numbers around zero, so the gates lie around a half: an untrained SE block halves
# what its residual block has to say. A network of such blocks starts more quietly than a plain residual network. That
# alone may help when epochs are few, before any gate has learnt anything; the ledger's runs with `init="zero"`, where
# all residual blocks start silent, tell the two effects apart.

# %%
dataset = open_dataset(settings)
model = create_model("seran_d", len(dataset.classes), width=settings.width)
images, targets = next(iter(dataset.loaders(settings, torch.device("cpu")).train))


def gates(network: nn.Module, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gates (images, channels) of every SE block, by name, in the mode the network is in."""
    seen = {}
    blocks = {name: m for name, m in network.named_modules() if isinstance(m, SqueezeExcitation)}
    hooks = [m.register_forward_pre_hook(lambda m, i, n=n: seen.update({n: m.gate(i[0])})) for n, m in blocks.items()]
    with torch.no_grad():
        network(pictures)
    for hook in hooks:
        hook.remove()
    return {name: gate.flatten(1) for name, gate in seen.items()}


# %%
before = gates(model.train(), images)
values = torch.cat([gate.flatten() for gate in before.values()])
near = (values - 0.5).abs().lt(0.25).float().mean()
print(f"{len(before)} SE blocks, mean gate {values.mean():.3f}, {near:.0%} of all gates within 0.25 of a half")

# %% [markdown]
# ## The same gates after a few steps of training
#
# Sixty steps of AdamW on the training images, here without the care of chapter 08.

# %%
model = create_model("seran_d", len(dataset.classes), width=1 / 8, init="zero").train()
optimiser = torch.optim.AdamW(model.parameters(), lr=2e-3)
loader = dataset.loaders(settings, torch.device("cpu")).train
for step in range(60):
    if step % len(loader) == 0:
        loader.epoch, batches = step // len(loader), iter(loader)
    images, targets = next(batches)
    loss = nn.functional.cross_entropy(model(images), targets)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
print(f"loss of the last batch {loss:.2f}; of a guess {np.log(len(dataset.classes)):.2f}")

# %%
after = gates(model.eval(), images)
figure, axes = plt.subplots(2, 5, figsize=(9.5, 4.6), sharex=True)
for axis, (name, gate) in zip(axes.flat, after.items(), strict=True):
    axis.hist(gate.flatten(), bins=40, range=(0, 1), color=COLOURS["ours"])
    axis.axvline(0.5, color=COLOURS["paper"], linewidth=1)
    stage, place = (int(part) for part in name.split(".")[1:3])
    axis.set(title=f"stage {stage + 1}, block {place + 1}", yticks=[])
    axis.title.set_fontsize(11)
figure.supxlabel("gate")
plt.show()

# %%
spread = {"untrained": before, "after 60 steps": after}
for name, all_gates in spread.items():
    values = torch.cat([gate.flatten() for gate in all_gates.values()])
    between = torch.cat([gate.std(0) for gate in all_gates.values()]).mean()
    print(f"{name:15s} gates {values.min():.2f} to {values.max():.2f}, spread between images {between:.4f}")

# %% [markdown]
# The orange line is where an untrained gate stands. Whether the trained gates tell look-alike species apart, as the
# paper says, is a question for chapter 11: it needs a trained network and real photographs.

# %% [markdown]
# ## What we saw
#
# - The block is a mean, two small layers and a product. It knows what is in the picture and not where.
# - It is placed before the addition, so it can silence a residual block but not the identity.
# - It costs an eighth of a residual block's weights and almost no multiplications.
# - Untrained gates stand near one half: SE changes how a network *starts*, not only what it can learn.
#
# ## Where we differ from the paper
#
# - The paper does not print the reduction. We use 16, the value of the publication it cites; chapter 06 shows that the
#   quoted parameter counts agree with it.
# - The paper's claim that SE separates similar species is not tested here.
#
# ## Questions
#
# 1. Why is the squeeze a mean and not a maximum? Which insect would a maximum help to find?
# 2. The gate multiplies $F(x)$, not $x + F(x)$. What would go wrong in a deep network otherwise?
# 3. Why does the share of weights fall from stage 1 to stage 4 by so little?
# 4. What does a gate of one half do to the gradient of the block behind it?
# 5. If two images differ only in where the insect sits, can an SE block tell them apart? Can the network?
#
# ## Exercise
#
# Replace the mean by a maximum in a copy of `SqueezeExcitation` and repeat the sixty steps. Do the gates spread more
# between images?

# %%
finish("04_squeeze_and_excitation")
