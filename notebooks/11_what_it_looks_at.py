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
# # 11 · What it looks at
#
# **Does the network read the insect, or the background, the label and the ruler?**
#
# A mask that lights up on a wing makes a fine figure. It proves little: nine good pictures can be found for any
# network, and masks of random weights show outlines too. So this chapter scores what others show. At the end you will
# have
#
# - the attention masks of every stage beside Grad-CAM, trained and untrained,
# - their hits and misses against the true outline of the insect, with chance and two naive rivals,
# - the error of the same network when the insect, the sheet, the label or the masks are taken away,
# - a verdict on the paper's claim that attention "focuses on" the insect (claim C7 of `analysis/protocol.py`).
#
# Time: about a minute in `smoke`, some minutes in `laptop`. Paper: sections 2 (cropping of labels), 3.2 and 3.3.

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
init: str = ""  # plain | zero, how residual branches start; empty means as the profile

# %%
import dataclasses

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt

from seran_lib import paths, sources
from seran_lib.analysis import claims, protocol, stats
from seran_lib.analysis.conditions import beside_usual
from seran_lib.analysis.select import Evidence
from seran_lib.book.notebook import finish, show_source, show_table
from seran_lib.book.plots import looks
from seran_lib.book.plots.style import save, save_pictures, show_pictures, use_book_style
from seran_lib.errors import DataError
from seran_lib.explain import edits as erase
from seran_lib.explain import localise
from seran_lib.explain import maps as explain
from seran_lib.explain.errors import MASK_EDITS
from seran_lib.explain.measure import DRAWS, look, random_network
from seran_lib.explain.places import mask_maps
from seran_lib.explain.regions import find_regions
from seran_lib.explain.subject import make_subject
from seran_lib.train.dataset import open_dataset
from seran_lib.train.device import pick_device
from seran_lib.train.ledger import Results
from seran_lib.train.run import run
from seran_lib.train.settings import resolve
from seran_lib.train.trained import trained_network

use_book_style()

# %% [markdown]
# ## Where is the insect?
#
# To score a map we must know where the insect is. Drawn insects have exact masks, `masks/<image_id>.png` beside the
# images; masks that you draw for photographs of your own are used in the same way. On a specimen sheet without a mask
# we find the insect by the plain image processing of chapter 02, in which nothing is trained: what stands out from the
# smooth sheet is either the specimen (dark or coloured, no rectangle) or *furniture*: label, ruler, chart. Field
# photographs without masks cannot be used: drawn insects take their place in this chapter.

# %%
settings = resolve(profile, seed=seed, data=sources.folder(data, profile), out=out, epochs=epochs, init=init)
dataset = open_dataset(settings)
regions = find_regions(dataset)
try:
    subject = make_subject(settings, dataset, regions)
except DataError as error:
    print(f"{error}\nDrawn insects are shown instead.")
    settings = resolve("smoke", seed=seed, data=sources.folder(""))
    dataset = open_dataset(settings)
    regions = find_regions(dataset)
    subject = make_subject(settings, dataset, regions)
outlines = "exact" if regions.exact else "found"
print(f"{regions.usable.sum()} of {len(regions.usable)} test images in use, outlines {outlines}")
print(f"the insect covers {subject.insect.mean():.0%} of a picture; by chance a map points to it that often")

# %% [markdown]
# A found outline can be wrong. We judged eighty test photographs of *Heliconius* by eye, drawn at random:

# %%
judged = pd.read_csv(paths.results() / "heliconius_masks.csv")["verdict"]
show_table(judged.value_counts().rename("pictures").to_frame())
low, high = stats.wilson(int((~judged.isin(["right", "a crumb of line or sheet"])).sum()), len(judged))
print(f"a wing missed, or furniture taken for wing: at most {high:.1%} of the pictures (95 %)")

# %% [markdown]
# ## A trained network
#
# The one of chapter 08: SERAN-D on these insects. If chapter 08 was run on this machine, nothing is trained here.
# Weights are not kept in the repository, so elsewhere the run is repeated for them. (On drawn insects its residual
# branches start at zero; the runs on photographs that stand beside it below have the plain start, if not named `zero`.)

# %%
row = run(settings, dataset)
trained = trained_network(settings, dataset, pick_device())

# %% [markdown]
# ## Look first
#
# The masks $M$ of the four attention modules, their mean over channels: first of the trained network, then of
# the same network with its first, random weights. Dark is low, yellow is high, the outline is the insect's.

# %%
randoms = [random_network(settings, dataset, draw) for draw in range(DRAWS)]  # several, for the comparison below
few = [int((subject.targets == k).argmax()) for k in np.unique(subject.targets)[:2]]
pictures = subject.scenes.pictures[few]
maps = {}
for word, network in (("trained", trained), ("random", randoms[0])):
    found = mask_maps(explain.attention_masks(network, subject.view(pictures)), settings.size)
    maps |= {f"{word}\n{name.split()[1]}": values for name, values in found.items() if "channel" not in name}
figure = looks.map_grid(pictures, subject.scenes.insect[few], maps)
if not data:
    save_pictures(figure, "fig11_masks")
show_pictures(figure)

# %% [markdown]
# The mean hides what single channels do. Here is the channel of each mask that varies most over the picture, and
# Grad-CAM for the class the network names: what would raise its score, at the end of stage 3 and of stage 4.

# %%
images = subject.view(pictures)
found = mask_maps(explain.attention_masks(trained, images), settings.size)
maps = {f"channel\n{name[5:7]}": values for name, values in found.items() if "channel" in name}
maps |= {f"Grad-CAM\nstage {stage}": explain.grad_cam(trained, images, stage) for stage in (3, 4)}
figure = looks.map_grid(pictures, subject.scenes.insect[few], maps)
if not data:
    save_pictures(figure, "fig11_cams")
show_pictures(figure)

# %% [markdown]
# Some maps follow the outline, some avoid it, some light up in a corner. And the random network draws outlines as well.
# With two pictures any story could be told. We count instead.

# %% [markdown]
# ## Score, do not eyeball
#
# Three scores, none of which needs a threshold. The *pointing game* asks whether the highest pixel lies on the insect.
# *Overlap* takes as many of the highest pixels as the insect has, and compares the two areas. *Separation* is the area
# under the ROC curve of all pixels: below a half, a map is *lower* on the insect.

# %%
show_source(localise.pointing)

# %%
show_source(localise.overlap)

# %% [markdown]
# Everything is measured on all usable test images, for the trained network, for random weights (several draws, each
# with batch statistics of training images), and for three maps that need no network: *chance*, the *centre* of the
# picture, and plain *darkness*. The same is kept for the runs on photographs in `results/looks`, one file a run, made
# by
#
# `seran look --profile laptop --data path/to/heliconius --model seran_d --seed 0`

# %%
own = look(settings, dataset, randoms)
evidence = Evidence(Results(paths.results()), "laptop")
stored = evidence.results.looks()
first = stored[stored["run_id"] == "heliconius-laptop-seran_d-e8-s0"]
tables = {settings.data_name: own} | ({"heliconius (stored)": first} if len(first) and not data else {})
print("runs in results/looks:", ", ".join(stored["run_id"].unique()) or "not run")

# %%
figure = looks.plot_places(tables, "pointing", "the highest pixel is on the insect")
if not data:
    save(figure, "fig11_pointing")
plt.show()

# %% [markdown]
# The highest pixel is one pixel. Overlap and separation, which ask all of them, say the same of the masks. Of Grad-CAM
# they need not: a map can be higher on the insect as a whole and have its one highest pixel elsewhere. For a map that
# needs no network there is one number, in the first column.


# %%
def scores(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Overlap and separation of each map, trained and random, with the interval of the gain."""
    rows = table[(table["kind"] == "place") & ~table["subject"].str.endswith("channel")]
    columns = {}
    for measure in ("overlap", "separation"):
        mine = rows[rows["measure"] == measure].set_index("subject")
        by_variant = {variant: mine[mine["variant"] == variant] for variant in ("", "trained", "random", "gain")}
        trained = pd.concat([by_variant["trained"], by_variant[""]])["value"]
        columns[f"{measure}, trained"] = trained.map("{:.2f}".format)
        columns[f"{measure}, random"] = by_variant["random"]["value"].map("{:.2f}".format)
        bounds = by_variant["gain"][["low", "high"]].itertuples(index=False)
        columns[f"{measure}, gain"] = pd.Series(
            ["{:+.2f} to {:+.2f}".format(*b) for b in bounds], by_variant["gain"].index
        )
    return pd.DataFrame(columns).reindex(rows["subject"].unique()).fillna("").rename_axis(name)


for name, table in tables.items():
    show_table(scores(table, name))

# %% [markdown]
# ## The verdict on C7
#
# "Attention localises the insect" was to be refuted if trained masks point to the insect no better than random ones.
# The measure, and when the claim *agrees*, were written down before any photograph was measured: the pointing game,
# mean over the masks of SERAN-D, trained less random on the same images, with an interval above 0 for every seed, and
# three seeds at least. At first the claim was *contradicted* where the interval lay above 0 for none, and the interval
# knew the images alone. The present rule was written later and is stricter: the interval must lie below 0 for every
# seed, and holds the choice of random weights, too. Here both decide the same.

# %%
show_source(protocol.decide_localisation)

# %%
gains = claims.localisation(evidence, "heliconius")
show_table(gains.round(3).rename_axis("pointing game, run"))
print(f"C7: {protocol.decide_localisation(gains)}")

# %% [markdown]
# Had these networks learnt too little to know where the insect is? The same for SERAN-D whose residual branches start
# at zero, which errs far less (the first step of chapter 12). No rule named it beforehand, so it decides nothing.

# %%
better = claims.localisation(evidence, "heliconius", recipe="start")
show_table(better.round(3).rename_axis("pointing game, run"))

# %% [markdown]
# Random masks point to the insect about as often as chance does, trained ones less often. (Random Grad-CAM of stage 3
# does better than chance: a convolution that answers to dark or to edges answers to the insect, trained or not.) Why
# can a trained mask have its highest pixel in a corner? Its positions are few (the coarsest mask has one for every 16 x
# 16 pixels), the border is padded with zeros, and nothing in the loss asks a mask to point anywhere.
#
# ## Channel by channel
#
# A mask has as many channels as its features. Perhaps some channels follow the insect and others its surroundings, and
# the mean cancels them. We correlate each channel with the insect: *apart* is the mean size of the correlation,
# whichever its sign, *toward* the share of channels that are higher on the insect. *Spread* is how much a mask varies
# over the picture at all.


# %%
def channels(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """Trained against random weights, a row a mask."""
    rows = table[(table["kind"] == "mask") & (table["variant"] != "gain")]
    wide = rows.pivot_table(index="subject", columns=["measure", "variant"], values="value")
    wide = wide[["spread", "channels apart", "channels toward"]]
    wide.columns = [f"{measure.removeprefix('channels ')}, {variant}" for measure, variant in wide.columns]
    return wide.map("{:.2f}".format).rename_axis(f"{name}, mask")


for name, table in tables.items():
    show_table(channels(table, name))

# %% [markdown]
# ## Take something away
#
# A map shows where a network *could* look. What it *uses* shows when that is taken away. We erase the insect, the
# label, or everything else, and count errors of the same network on the same images. Holes are filled smoothly from
# around them, so that on a plain sheet little of the outline stays behind; where a shadow does, the *box* about the
# insect is erased too.

# %%
show_source(erase.filled)

# %%
sheets = [k for k in range(len(subject)) if subject.scenes.furniture[k].any()] or list(range(len(subject)))
some = [sheets[i * (len(sheets) - 1) // 3] for i in range(4)]
scenes, others = subject.scenes.take(some), subject.scenes.take(subject.others[some])
shown = ["as it is", "insect erased", "as much erased beside it", "label and ruler covered"]
shown += ["only the insect, on grey", "insect on another kind's sheet", "cropped to the insect"]
figure = looks.edit_grid({name: erase.EDITS[name](scenes, others) for name in shown})
if not data:
    save_pictures(figure, "fig11_edits")
show_pictures(figure)

# %% [markdown]
# The network never saw such pictures in training. An error may rise because something was taken away, or because the
# picture has become odd. So each erasure has a control: as many pixels erased elsewhere, and for the crop the same
# surroundings erased without the change of scale.

# %%
rivals = ["a guess: the most frequent kind", "a forest that knows the edge's colour"]
edits = [name for name in erase.EDITS if name not in ("as much bare sheet covered", "around that crop erased")]
figure = looks.plot_errors(tables, [*edits, *rivals])
if not data:
    save(figure, "fig11_errors")
plt.show()


# %%
def against_control(table: pd.DataFrame, name: str) -> pd.DataFrame:
    """What each edit adds to the error, and what it adds beyond its control, with intervals, in points."""
    lines = {}
    for edit, control in erase.CONTROLS.items():
        rows = table[table["subject"] == edit].set_index("measure")
        lines[edit] = {
            measure: "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * rows.loc[measure, ["value", "low", "high"]]))
            for measure in ("rise", "over control")
        } | {"control": control}
    return pd.DataFrame.from_dict(lines, orient="index").rename_axis(f"{name}, points of error")


for name, table in tables.items():
    show_table(against_control(table, name))

# %% [markdown]
# The hardest test is a wing on the sheet of *another* kind. Does the answer follow the wing or the sheet? If the sheet,
# its kind must be a larger share of the wrong answers than it is by mere confusion, with the insect on its own sheet.
# All numbers in percent, of this chapter's run and of all on photographs that somebody looked at:

# %%
OTHER, GREY, OWN = "insect on another kind's sheet", "only the insect, on grey", "as it is"
told = pd.concat([own, stored])
told = told[told["kind"] == "error"].pivot_table(index="run_id", columns=["measure", "subject"], values="value")
wrong, sheet = told["wrong"], told["follows"]
columns = {
    "wrong on its own sheet": wrong[OWN],
    "on grey": wrong[GREY],
    "on another kind's": wrong[OTHER],
    "of these that kind": sheet[OTHER] / wrong[OTHER],
    "by mere confusion": sheet[OWN] / wrong[OWN],
}
show_table((100 * pd.DataFrame(columns)).map("{:.0f}".format))

# %% [markdown]
# ## What the masks are worth
#
# The same with the masks: off ($M = 0$, the module is its trunk), levelled (every channel at its own mean, so that it
# says *how much* but not *where*), or those of an image of another kind.

# %%
for name, table in tables.items():
    rows = table[table["kind"] == "error"].set_index(["subject", "measure"])
    lines = {}
    for edit in MASK_EDITS:
        rise = "{:+.1f} ({:+.1f} to {:+.1f})".format(*(100 * rows.loc[(edit, "rise"), ["value", "low", "high"]]))
        lines[edit] = {"% wrong": f"{100 * rows.loc[(edit, 'wrong'), 'value']:.1f}", "rise, points": rise}
    show_table(pd.DataFrame.from_dict(lines, orient="index").rename_axis(name))

# %% [markdown]
# If *levelled* costs nothing, the masks tell the network nothing about places, however good they look. If *off* costs
# much, it may only be that all signals become smaller than in training. And the masks of another image bring its *how
# much* along with its *where*. All runs on photographs that somebody looked at, in percent of the answers:

# %%
answered = ["as it is", *MASK_EDITS]
masked = stored[(stored["kind"] == "error") & (stored["measure"] == "wrong") & stored["subject"].isin(answered)]
masked = masked.pivot_table(index="run_id", columns="subject", values="value").reindex(columns=answered).dropna()
show_table((100 * masked).map("{:.1f}".format).rename_axis("% wrong"))

# %% [markdown]
# ## Remove what is called important
#
# ROAD removes the pixels that a map calls most important, fills them from their neighbours with a little noise, and
# counts errors. The better a map knows what the network uses, the faster the error grows. The line to beat is that
# of smooth random maps; the outline of the insect itself is a map as well. (On at most eighty images, as it is slow.)

# %%
figure = looks.plot_road(tables)
if not data:
    save(figure, "fig11_road")
plt.show()

# %% [markdown]
# ## SE gates
#
# An SE gate has no place, but it can know the kind: *between species* is the share of a gate's variance over images
# that lies between kinds. Chapter 04 has the picture of it, and what it is by chance: one less than the kinds over one
# less than the images. *Mean gate* is how far the gates are open.

# %%
for name, table in tables.items():
    gates = table[table["kind"] == "gate"].pivot_table(index="subject", columns="measure", values="value")
    gates = gates.rename(columns={"level": "mean gate"})
    show_table(gates.T.map("{:.2f}".format).rename_axis(f"{name}, SE block"))

# %% [markdown]
# On *Heliconius* later blocks know the kind better than early ones; on the drawn insects the order is less clear. Whether
# they know it by the insect or by its sheet was not tested.
#
# ## Other networks
#
# Does a network without attention look at the insect less?

# %%
names = {
    "as it is": "as it is",
    "insect erased": "insect erased",
    "label and ruler covered": "label covered",
    "only the insect, on grey": "only the insect",
    "insect on another kind's sheet": "another sheet",
    "cropped to the insect": "cropped",
}
wrong = stored[(stored["kind"] == "error") & (stored["measure"] == "wrong") & stored["subject"].isin(list(names))]
wrong = wrong.pivot_table(index="run_id", columns="subject", values="value").reindex(columns=list(names))
show_table((100 * wrong).rename(columns=names).map("{:.1f}".format).rename_axis("% wrong"))

# %%
cams = stored[(stored["measure"] == "separation") & stored["subject"].str.startswith("Grad-CAM")]
cams = cams[cams["variant"].isin(["trained", "random"])]
cams = cams.pivot_table(index="run_id", columns=["subject", "variant"], values="value").map("{:.2f}".format)
cams.columns = [f"{subject}, {variant}" for subject, variant in cams.columns]
show_table(cams.rename_axis("separation by Grad-CAM"))

# %% [markdown]
# Grad-CAM of the network without attention, of which there is one seed, finds the insect about as well. Networks
# without SE were not looked at.
#
# ## What does cropping the labels change?
#
# The paper cropped its indoor photographs by hand "so as not to include labels". Above, a network that was trained with
# labels is tested without. The fair comparison trains on crops as well: chapter 02 writes a curated copy of a set with
# its labels cropped away, and any run can be repeated on it. The study "cropped" of the protocol (chapter 09) does so:
# mean test errors in percent, and the ratio of changed to usual with its 95 % interval.

# %%
show_table(beside_usual(evidence, "cropped"))

# %% [markdown]
# Three things change at once. The label is gone, at the same number of pixels the insect is larger, and the crops were
# trained on in float32, while most of the usual runs are in bfloat16. To tell the first two apart takes a training with
# labels covered at the old size, which was not run.

# %% [markdown]
# ## What we saw
#
# - **The network reads the insect.** With the insect erased it errs about as often as one who always names the most
#   frequent kind, in some runs less and in some more; with as much erased beside it, hardly more than before. Labels
#   and rulers alone tell it no more than a guess.
# - **The sheet leaks, and the network leans on its own.** On *Heliconius* the colour of the picture's edge alone, given
#   to a forest, names far more kinds than a guess. The network takes less of it than it could: covering label and ruler
#   costs few points. (To the networks from a zero start, which err least, these few are as many errors again.) But on
#   the sheet of another kind a wing is misnamed several times as often. Much of that is seen on plain grey as well,
#   where the cut edge and the lost sheet can not be told apart. The other sheet costs more in every run, and by about
#   as many points after either start. Its kind is a larger share of the wrong answers than by mere confusion in most
#   runs, and in others not, or hardly.
# - **That training on labels helps was not seen.** Trained and tested on crops, SERAN-D errs a little less than on
#   whole photographs. Three seeds can not tell that from nothing, nor from a loss of a quarter. Whether a network that
#   *has* labels reads them is another question, and the tests above answer it.
# - **On photographs the masks do not point to the insect.** On *Heliconius* they do so less often than those of random
#   weights: their mean is *lower* on the wing. Single channels do learn to tell insect from background, but more of
#   them turn away from the insect than toward it. And this is no lack of training: in SERAN-D from a zero start, which
#   hardly errs, the masks turn away from the wing still further, for every seed.
# - **The network uses little of their *where*.** On *Heliconius*, by the paper's recipe, the error stays within its
#   noise with every channel levelled, and to remove what the masks call important harms no more than to remove
#   something at random. From a zero start levelling costs about as many errors as the network makes anyhow: few, but
#   for every seed. What cannot be taken away is their size: with the masks off, signals are of a strength that the next
#   layers never saw.
# - **It needs no attention for that.** Without attention (one seed, that variant's best) a network falls to a guess, or
#   below, with the insect erased, as the others do: it reads the insect, too. Whether more or less can not be told.
# - Grad-CAM of stage 3 finds the insect better than the masks do, and on a pale sheet plain darkness better than both.
#   A map that looks right is therefore no evidence; a map must beat random weights, the centre and darkness.
#
# ## Where we differ from the paper
#
# - The paper shows no mask and scores none; that attention localises is said in section 3.3 and rests on accuracy.
# - The paper cropped its indoor photographs before training. Our photographs keep label and ruler, so that the question
#   can be asked at all; chapter 02 crops.
# - Our masks are small (at 96 pixels, 24, 12 and 6 positions a side), theirs 56, 28 and 14. At their size a mask could
#   be finer than ours.
#
# ## Questions
#
# 1. By separation the centre of the picture is a hard rival of all maps, by the pointing game on *Heliconius* it is
#    none. Why, and what kind of photograph would beat it by both?
# 2. A mask lies between 0 and 1 and is used as $1 + M$. How far can it turn down the background at most?
# 3. Why must random weights see training images (for their batch statistics) before they are a fair comparison?
# 4. "Only the insect, on grey" errs more than the picture as it is. Give two explanations, and an experiment between
#    them.
# 5. A wing on another sheet is named rightly. Does that prove the sheet was never used in training? And one that is
#    named wrongly: which other sheet should it have been pasted on, to tell a lost sheet from a cut edge?
# 6. ROAD fills holes from their neighbours. What would go wrong if they were filled with black?
# 7. Which of the tests above would you ask of a network that identifies *your* collection, before you trusted it?
#
# ## Exercise
#
# In the *second* network of chapter 05, `wiring="port"`, the mask head sees the trunk. Is it easier for such a mask to
# follow the insect? Score its separation, with random weights, against that of the masks wired as published. A single
# draw of weights says nothing: take several, and compare the two wirings with the spread over draws.

# %% tags=["solution"]
port = dataclasses.replace(settings, wiring="port")
for wiring, networks in {"paper": randoms, "port": [random_network(port, dataset, k) for k in range(DRAWS)]}.items():
    draws = []
    for network in networks:
        found = mask_maps(explain.attention_masks(network, subject.view(subject.scenes.pictures)), settings.size)
        masks = [values for name, values in found.items() if "channel" not in name]
        draws.append([localise.separation(values, subject.insect).mean() for values in masks])
    scores = zip(np.mean(draws, 0), np.std(draws, 0, ddof=1), strict=True)
    print(f"{wiring:5s} separation of each mask:", ", ".join(f"{mean:.2f} ± {sd:.2f}" for mean, sd in scores))

# %%
finish("11_what_it_looks_at")
