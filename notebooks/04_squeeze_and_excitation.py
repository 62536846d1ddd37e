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
# # 4 · Squeeze and excitation
#
# **What does a squeeze-and-excitation block do to a feature map, and what does it cost?**
#
# A convolution mixes all its channels in the same way for every image. Squeeze and excitation lets the image decide:
# it looks at the whole picture once, and turns each channel up or down. At the end of this chapter you will have
#
# - the block built by hand in six lines, equal to the library's and to timm's,
# - what a mean over all positions sees, what it misses, and where a maximum would do better,
# - the residual block it sits in, and the reason why it sits before the addition,
# - its price in weights and multiplications, stage by stage,
# - the gates of an untrained network, and what a few seconds of training make of them.
#
# Time: under a minute in `smoke`, about two in `laptop`.
# Paper: section 3.2; Hu, Shen and Sun, CVPR 2018 (its reference [16]).

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
from timm.models.resnet import Bottleneck as PostActivation
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from seran_lib import sources
from seran_lib.book.notebook import finish, show_source
from seran_lib.book.plots.style import COLOURS, WIDE, save, use_book_style
from seran_lib.nets import create_model
from seran_lib.nets.blocks import Bottleneck, SEBottleneck, SqueezeExcitation
from seran_lib.nets.description import count_parameters
from seran_lib.nets.network import STAGE_CHANNELS
from seran_lib.nets.specs import SPECS
from seran_lib.train.dataset import open_dataset
from seran_lib.train.settings import resolve

use_book_style()
settings = resolve(profile, seed=seed, data=sources.folder(data, profile), out=out, epochs=epochs)

# %% [markdown]
# ## Six lines by hand
#
# Let $x$ be a feature map with $C$ channels. *Squeeze*: the mean $z$ of each channel over all positions.
# *Excitation*: $s = \sigma(W_2\,\mathrm{ReLU}(W_1 z))$, two small layers, $C \to C/r \to C$; $r$ is the *reduction*.
# *Rescale*: multiply every channel by its gate $s$, a number between 0 and 1. On a map of one position a 1x1
# convolution is a linear layer.

# %%
torch.manual_seed(seed)
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
# Why a mean? Suppose that a channel answers with 1 to a mark on a wing, with 0 elsewhere, and noise comes on top.
# Squeeze many such maps with and without the mark. How far apart are the two, in standard deviations of the squeeze?
# A small insect in a field photograph covers a few positions, a moth on a wall all of them.

# %%
generator = torch.Generator().manual_seed(seed)
sides = (1, 2, 3, 4, 6, 8, 12, 16)  # of the mark, on a map of 16 x 16 positions
noise = 0.3 * torch.randn(2000, 16, 16, generator=generator)
apart = {}
for side in sides:
    marked = noise.clone()
    marked[:, :side, :side] += 1
    for name, squeeze in (("mean", torch.mean), ("maximum", torch.amax)):
        without, with_mark = squeeze(noise, dim=(1, 2)), squeeze(marked, dim=(1, 2))
        apart.setdefault(name, []).append(float((with_mark.mean() - without.mean()) / without.std()))

# %%
figure, axis = plt.subplots(figsize=WIDE)
area = [100 * side**2 / 256 for side in sides]
for (name, distance), colour in zip(apart.items(), ("ours", "paper"), strict=True):
    axis.loglog(area, distance, color=COLOURS[colour], marker="o")
    axis.text(area[-1] * 1.12, distance[-1], name, color=COLOURS[colour], va="center")
axis.set(xlabel="% of the positions that the mark covers", ylabel="standard deviations apart")
axis.set(title="What a squeeze can tell: with the mark from without", xlim=(0.3, 220))
axis.set_xticks([0.4, 1, 10, 100], ["0.4", "1", "10", "100"])
axis.set_yticks([0.1, 1, 10], ["0.1", "1", "10"])
save(figure, "fig04_squeeze")
plt.show()

# %%
mean_wins = [a > m for a, m in zip(apart["mean"], apart["maximum"], strict=True)]
assert not mean_wins[0] and mean_wins[-1]
print(f"the mean wins where the mark covers {area[mean_wins.index(True)]:.0f} % or more")

# %% [markdown]
# A maximum finds the small mark, because one strong answer is enough. A mean is the better witness of what fills the
# picture: noise cancels in it. The block as published has the mean only, and the paper names no other. Later designs
# (CBAM, ECCV 2018) feed both.

# %% [markdown]
# ## The block it sits in
#
# The paper adopts the SE-ResNet module "to incorporate the properties of identity mapping". The residual block computes
# $x + F(x)$. Normalisation and ReLU come *before* each convolution, so that nothing stands on the identity's way.

# %%
show_source(Bottleneck)

# %% [markdown]
# What does that buy? Silence $F$, and see what comes out. Our block returns its input to the last bit. The older unit,
# in ResNet-101 and SE-ResNet-101, applies a ReLU after the addition: even a silent block cuts off what is negative. In
# a whole network the block before has done so already, and a silent one loses nothing more. The price is paid
# elsewhere: the identity's way carries no negative number, so a block can lower what it was handed only down to zero.

# %% tags=["nbval-check-output"]
silent, older = Bottleneck(64, 64).eval(), PostActivation(64, 16).eval()
nn.init.zeros_(silent.conv3.weight)
nn.init.zeros_(older.bn3.weight)
assert torch.equal(silent(x), x)
assert torch.equal(older(x), x.relu()) and not torch.equal(older(x), x)
assert torch.equal(older(x.relu()), x.relu())
print("silent F: pre-activation returns x, post-activation returns relu(x)")
print("behind a ReLU, as within a network: both return their input")

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
# For each stage, one residual block and its SE block, at 224 pixels. The counter sees convolutions only. The mean and
# the product are one operation each for every number of the map: little to compute, but the map is read again.


# %%
def multiplications(module: nn.Module, *shape: int) -> int:
    """Multiply-accumulates of the convolutions for one image."""
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        module.eval()(torch.zeros(1, *shape))
    return counter.get_total_flops() // 2


# %% tags=["nbval-check-output"]
rows = {}
for stage, channels in enumerate(STAGE_CHANNELS, 1):
    side, row = 56 // 2 ** (stage - 1), {"channels": channels}
    for name, module in (("block", Bottleneck(channels, channels)), ("SE", SqueezeExcitation(channels))):
        row[f"{name} weights"] = count_parameters(module)
        row[f"{name} multiplications"] = multiplications(module, channels, side, side)
    rows[f"stage {stage}"] = row
cost = pd.DataFrame.from_dict(rows, orient="index")
for what in ("weights", "multiplications"):
    cost[f"{what}, %"] = 100 * cost[f"SE {what}"] / cost[f"block {what}"]
cost[["channels", "weights, %", "multiplications, %"]].round(3)

# %%
assert cost["weights, %"].between(100 / 9, 100 / 8).all() and cost["multiplications, %"].max() < 1
figure, axes = plt.subplots(1, 2, figsize=WIDE)
for axis, what in zip(axes, ("weights", "multiplications"), strict=True):
    for name, colour in (("block", "other"), ("SE", "ours")):
        numbers = cost[f"{name} {what}"]
        axis.semilogy(range(4), numbers, color=COLOURS[colour], marker="o")
        axis.text(3.15, numbers.iloc[-1], name, color=COLOURS[colour], va="center")
    axis.set_xticks(range(4), [f"stage {k}" for k in range(1, 5)])
    axis.set(title=f"{what.capitalize()} of one block", xlim=(-0.2, 3.8))
save(figure, "fig04_cost")
plt.show()

# %% [markdown]
# The blocks of all four stages multiply equally often, since each halving of the sides comes with twice the channels.
# The SE block works on one position whatever the size of the map, so its share grows, from almost nothing to very
# little. Its share of the weights stays where it is: both grow with $C^2$.

# %%
work = cost["block multiplications"]
print(f"largest to smallest block, multiplications: {work.max() / work.min():.2f}")
print(f"SE, stage 4 to stage 1: {cost['SE weights'].iloc[3] / cost['SE weights'].iloc[0]:.0f} times the weights")

# %% [markdown]
# ## The reduction
#
# The reduction sets the price: half the reduction, twice the weights. Here for all SE blocks of SERAN-D together.

# %% tags=["nbval-check-output"]
with torch.device("meta"):
    total = count_parameters(create_model("seran_d"))
    blocks = [word.count("S") for word in SPECS["seran_d"].layout]
    price = {
        r: sum(n * count_parameters(SqueezeExcitation(c, r)) for n, c in zip(blocks, STAGE_CHANNELS, strict=True))
        for r in (2, 4, 8, 16, 32, 64)
    }
table = pd.DataFrame({"SE, million weights": price}).rename_axis("reduction") / 1e6
table["% of SERAN-D"] = 100 * table["SE, million weights"] / (total / 1e6 - price[16] / 1e6 + table.iloc[:, 0])
table.round(2)

# %% [markdown]
# What does a large reduction take away? All $C$ gates of an image are computed from the $C/r$ numbers in the middle.
# Before the sigmoid, the gates of any number of images span no more than $C/r$ directions: they can not be set
# independently of each other.

# %% tags=["nbval-check-output"]
with torch.no_grad():
    many = second(torch.relu(first(torch.randn(500, 64, 1, 1)))) - second.bias[:, None, None]
rank = int(torch.linalg.matrix_rank(many.flatten(1)))
assert rank == 64 // 16
print(f"500 images, 64 gates each: {rank} directions")

# %% [markdown]
# ## The gates of a network that knows nothing
#
# With random weights the sigmoid sees numbers around zero, so the gates lie around a half: an untrained SE block halves
# what its residual block has to say. A network of such blocks starts more quietly than a plain residual network. That
# alone may help when epochs are few, before any gate has learnt anything; the ledger's runs with `init="zero"`, where
# all residual blocks start silent, take this difference away; section 10.3 says what they can tell.
#
# We look at SERAN-D without attention, so that SE is alone. All validation images go through as one batch, and batch
# normalisation uses the statistics of that batch, before training and after.


# %%
def gates(network: nn.Module, pictures: torch.Tensor) -> dict[str, torch.Tensor]:
    """The gates (images, channels) of every SE block, by name; the network is left in training mode."""
    seen = {}
    blocks = {name: m for name, m in network.named_modules() if isinstance(m, SqueezeExcitation)}
    hooks = [m.register_forward_pre_hook(lambda m, i, n=n: seen.update({n: m.gate(i[0])})) for n, m in blocks.items()]
    with torch.no_grad():
        network.train()(pictures)
    for hook in hooks:
        hook.remove()
    return {name: gate.flatten(1) for name, gate in seen.items()}


# %%
dataset = open_dataset(settings)
loaders = dataset.loaders(settings, torch.device("cpu"))
pictures, labels = (torch.cat(part) for part in zip(*loaders.valid, strict=True))
torch.manual_seed(seed)
network = create_model("seran_d_no_attention", len(dataset.classes), width=1 / 8)
untrained = gates(network, pictures)
values = torch.cat([gate.flatten() for gate in untrained.values()])
near = (values - 0.5).abs().lt(0.25).float().mean()
print(f"{len(untrained)} SE blocks, mean gate {values.mean():.3f}, {near:.0%} of all gates within 0.25 of a half")
assert abs(values.mean() - 0.5) < 0.05 and near > 0.8

# %% [markdown]
# ## The same gates after a few steps of training
#
# Now the network starts with silent residual branches (`init="zero"`, section 9.6). Then $F(x) = 0$, the squeeze is
# zero for every picture, and no gate depends on the picture at all. Whatever they tell afterwards has come by training.

# %%
torch.manual_seed(seed)
network = create_model("seran_d_no_attention", len(dataset.classes), width=1 / 8, init="zero")
start = gates(network, pictures)
assert all(gate.std(0).max() < 1e-6 for gate in start.values())
print("spread of each gate over the pictures, at the start: none")

# %% [markdown]
# Sixty steps of AdamW at a constant rate, without the care of chapter 08; the same small network in every profile.

# %%
optimiser = torch.optim.AdamW(network.parameters(), lr=2e-3)
for step in range(60):
    if step % len(loaders.train) == 0:
        loaders.train.epoch, batches = step // len(loaders.train), iter(loaders.train)
    images, targets = next(batches)
    loss = nn.functional.cross_entropy(network(images), targets)
    optimiser.zero_grad()
    loss.backward()
    optimiser.step()
print(f"loss of the last batch {loss:.2f}; of a guess {np.log(len(dataset.classes)):.2f}")
trained = gates(network, pictures)

# %% [markdown]
# Take the last SE block, and the mean gate of each species. Which gates does a species open or close, compared with the
# mean over all species? Shown are the forty gates that differ most.

# %%
last = trained[list(trained)[-1]]
by_species = torch.stack([last[labels == k].mean(0) for k in range(len(dataset.classes))])
most = by_species.std(0).topk(40).indices
shown = (by_species - by_species.mean(0))[:, most]
shown = shown[:, shown.argmax(0).argsort(stable=True)]  # channels beside each other that the same species opens

# %%
figure, axis = plt.subplots(figsize=(WIDE[0], 1.8 + 0.32 * len(dataset.classes)))
limit = float(shown.abs().max())
image = axis.imshow(shown, cmap="RdBu_r", vmin=-limit, vmax=limit, aspect="auto")
axis.set_yticks(range(len(dataset.classes)), dataset.classes)
axis.set(xticks=[], xlabel="forty gates of the last SE block", title="Mean gate of a species, less the mean of all")
figure.colorbar(image, ax=axis, pad=0.02, label="gate")
if not data:
    save(figure, "fig04_gates")
plt.show()

# %% [markdown]
# Drawn species of one genus look alike. Do the gates tell such sisters apart, which is what the paper hopes of SE, or
# only one group from another? Distances between the mean gates, over all gates of the block. Where the classes are
# subspecies, as in the Heliconius photographs, sisters are subspecies of one species:

# %%
named = dataset.manifest.get("species", dataset.manifest["label"])  # a set may know labels only
taxon = named.groupby(dataset.manifest["label"]).first()[dataset.classes]
group = np.array([name.split()[0] if name == label else name for label, name in taxon.items()])
pairs = np.triu(np.ones((len(group), len(group)), dtype=bool), 1)
distance = torch.cdist(by_species, by_species).numpy()
for kind, chosen in (("sisters", group[:, None] == group), ("strangers", group[:, None] != group)):
    if (pairs & chosen).any():
        apart = distance[pairs & chosen]
        print(
            f"{kind}: {len(apart)} pairs, {apart.min():.2f} to {apart.max():.2f} apart, {apart.mean():.2f} in the mean"
        )

# %% [markdown]
# On the drawn insects sixty steps do not teach the gates every species. They tell one genus from the others, and those
# others hardly better from each other than sisters: see how near the nearest strangers are.

# %% [markdown]
# ## Where in the network do gates tell species apart?
#
# Two standard deviations for every layer, both averaged over its channels: how far the mean gates of the species lie
# apart, and how far the gates of one species scatter.


# %%
def spreads(gate: torch.Tensor, labels: torch.Tensor) -> dict[str, float]:
    """Standard deviation of the gates between and within species, and the share of the variance between, in %."""
    centred, groups = gate - gate.mean(0), [gate[labels == k] for k in labels.unique()]
    means = torch.cat([(group.mean(0) - gate.mean(0)).expand_as(group) for group in groups])
    inside = torch.cat([group - group.mean(0) for group in groups])
    share = 100 * means.square().sum() / centred.square().sum()
    rows = {"between species": means.std(0).mean(), "within a species": inside.std(0).mean(), "share, %": share}
    return {name: float(value) for name, value in rows.items()}


# %%
table = pd.DataFrame({name: spreads(gate, labels) for name, gate in trained.items()}).T
stages = np.array([int(name.split(".")[1]) + 1 for name in table.index])
figure, axis = plt.subplots(figsize=WIDE)
for column, colour in (("between species", "ours"), ("within a species", "other")):
    axis.plot(range(len(table)), table[column], color=COLOURS[colour], marker="o")
    axis.text(len(table) - 0.8, table[column].iloc[-1], column, color=COLOURS[colour], va="center")
axis.set_xticks(range(len(table)), [f"stage {k}" if k not in stages[:i] else "" for i, k in enumerate(stages)])
axis.set(xlim=(-0.3, len(table) + 1.4), ylim=(0, None), ylabel="spread of a gate", xlabel="SE blocks in order")
if not data:
    save(figure, "fig04_species")
plt.show()

# %% [markdown]
# Gates of the first stages hardly move. One reason may have nothing to do with insects. A gate depends on the picture
# only by way of the hidden units between squeeze and excitation, and at this width early blocks have very few. Behind
# silent branches these units see their bias alone: about half start dead, and get no gradient until the squeeze has
# changed enough to wake them. A block without any live unit gives all pictures the same gates, whatever they show.


# %%
def live_units(network: nn.Module, pictures: torch.Tensor) -> dict[str, int]:
    """How many hidden units of every SE block answer to any picture; the network is left in training mode."""
    live = {}
    blocks = {name: m.squeeze for name, m in network.named_modules() if isinstance(m, SqueezeExcitation)}
    hooks = [
        m.register_forward_hook(lambda m, i, o, n=n: live.update({n: int((o > 0).any(0).sum())}))
        for n, m in blocks.items()
    ]
    with torch.no_grad():
        network.train()(pictures)
    for hook in hooks:
        hook.remove()
    return live


# %%
units = pd.DataFrame({"live units": live_units(network, pictures), "between species": table["between species"]})
units.insert(0, "hidden units", [m.squeeze.out_channels for m in network.modules() if isinstance(m, SqueezeExcitation)])
units["block is"] = np.where(units["live units"] == 0, "dead", "live")
print(f"{(units['block is'] == 'dead').sum()} of {len(units)} blocks have no live unit")
by = units.assign(stage=stages, blocks=1).groupby(["stage", "block is"])
by.agg({"blocks": "sum", "hidden units": "sum", "live units": "sum", "between species": "mean"}).round(4)

# %% [markdown]
# A dead block explains its own stillness. Early blocks that live move little too. The very first have a unit or two to
# move by; but in the third stage most units live, and it is far stiller than the last. So units are not all of it. As
# their number grows with depth, this small experiment cannot part the one from the other.
#
# Gates of the last stage do move, and for the most part with the species, that is with what parts one genus from the
# rest. For comparison: pictures sorted at random into $k$ heaps would put $(k-1)/(n-1)$ of the variance between heaps,
# and random weights should do little better.

# %%
chance = 100 * (len(labels.unique()) - 1) / (len(labels) - 1)
control = pd.DataFrame({name: spreads(gate, labels) for name, gate in untrained.items()}).T
late = table[stages == 4].mean()
print(f"stage 4, variance between species: trained {late['share, %']:.0f} %, ", end="")
print(f"random weights {control['share, %'][stages == 4].mean():.0f} %, chance {chance:.0f} %")
assert late["share, %"] > 1.5 * chance
assert late["between species"] > 2 * table["between species"][stages == 1].mean()

# %% [markdown]
# The authors of SE found part of this in their ImageNet network: early gates serve all classes, deeper ones depend on
# the class. But in the last two blocks of theirs gates were mostly open, or moved alike for all classes, where ours
# depend on the picture most. Three warnings. Theirs is wide, and ours is so narrow that few or dead hidden units alone
# could give this order. A gate that follows the species may follow its flower or its background, which is not tested
# here. And a network that classifies must tell species apart somewhere, with SE or without. Whether SE *helps* is
# measured by leaving it out (chapter 10).

# %% [markdown]
# ## What we saw
#
# - The block is a mean, two small layers and a product. It knows what is in the picture and not where.
# - It sits before the addition, so it can silence a residual block but not the identity.
# - It costs between a ninth and an eighth of a residual block's weights and far less than one per cent of its
#   multiplications. The reduction sets the price, and how independent the gates are.
# - Untrained gates stand near one half: SE changes how a network *starts*, not only what it can learn.
# - After a short training late gates tell one genus from the others, and early ones hardly move. At this width, few
#   and dead hidden units may be a part of the reason.
#
# ## Where we differ from the paper
#
# - The paper does not print the reduction. We use 16, the value of the publication it cites; in chapter 06 the
#   quoted parameter counts are compatible with it; with the attention module as published, only if unused weights were
#   counted.
# - The paper does not say in which order a block normalises and convolves. We take that of its reference [21],
#   normalisation first; SE-ResNet-101 has the older order.
# - The paper says that SE helps to tell similar species apart. It shows no gates; the measure above is ours.
#
# ## Questions
#
# 1. Which insect would a maximum help to find, and which would it hide?
# 2. The gate multiplies $F(x)$, not $x + F(x)$. What would go wrong in a deep network otherwise?
# 3. An SE block adds almost no multiplications. Why can it still take noticeable time on a GPU?
# 4. What does a gate of one half do to the gradient of the block behind it?
# 5. If two images differ only in where the insect sits, can an SE block tell them apart? Can the network?
# 6. Why must the gates of a network with silent residual branches be the same for all pictures, and what lets them
#    leave that state?
# 7. SERAN has six SE modules fewer than SERAN-D. From which stage would you take them to save most weights?
#
# ## Exercise
#
# Make a copy of `SqueezeExcitation` that squeezes by maximum, put it into the small network above, and repeat the sixty
# steps. Does the spread between species change, and is the change larger than that between two seeds?

# %%
finish("04_squeeze_and_excitation")
