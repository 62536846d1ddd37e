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
# # 0 · Start here
#
# **Can a network tell one insect species from its sister, and how would we know that it can?**
#
# In 2019 Park, Tuxworth and Zhou put two ideas of their time into one network, squeeze-and-excitation and residual
# attention, and trained it on photographs of 123 species from the Atlas of Living Australia. They called it SERAN.
# The paper came without code, data or a layout. This book rebuilds the networks, shows how such data are collected,
# trains on other photographs, and asks of every number whether it holds.
#
# It is written for four people. The *reader* reads from top to bottom and runs any cell on a laptop. The *batch user*
# runs everything headlessly on a GPU and loses nothing when the machine goes away. The *teacher* finds exercises, real
# failures and figures to project. The *naturalist* points it at another taxon.
#
# At the end of this chapter you know that the book runs on this machine, what the problem looks like, and where to go.
# Time: under a minute.

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
import torch
from matplotlib import pyplot as plt

from seran_lib import paths, sources
from seran_lib.analysis.select import Evidence
from seran_lib.analysis.tables import error_table
from seran_lib.book.environment import check_environment
from seran_lib.book.notebook import chapters, finish, profiles, show_table
from seran_lib.book.plots.style import save_pictures, show_pictures, use_book_style
from seran_lib.data.augment import plain_view
from seran_lib.demo.insects.picture import draw_insect
from seran_lib.demo.insects.species import make_species
from seran_lib.nets import create_model, describe
from seran_lib.train.ledger import Results
from seran_lib.train.profiles import TABLE1, TABLE2
from seran_lib.train.settings import resolve

use_book_style()

# %% [markdown]
# ## Does it run here?
#
# If a library is missing or too old, the next cell stops and says what to do.

# %%
environment = check_environment()
print(f"{len(environment)} checks passed")

# %% [markdown]
# ## The problem in one picture
#
# No photograph is stored in this repository. The book draws its own insects instead, so that everything runs offline
# and every picture carries its truth: which pixels are insect, where the label lies, in which trait two sisters
# differ. They are invented, and their names are too. What makes the real problem hard is all there.

# %%
species = make_species(12, seed=7)
sisters = [s for s in species if s.genus == species[0].genus][:3]
rng = np.random.default_rng(seed)
rows = {
    "sister species": [(s, "field") for s in sisters] * 2,
    "one species": [(sisters[0], "field")] * 6,
    "in a collection": [(s, "sheet") for s in species[-6:]],
}

# %%
figure, axes = plt.subplots(3, 6, figsize=(9.5, 5.2))
for line, (title, pictures) in zip(axes, rows.items(), strict=True):
    line[0].set_title(title, pad=5)
    for axis, (one, view) in zip(line, pictures, strict=True):
        axis.imshow(np.asarray(draw_insect(one, rng, side=150, view=view).image.resize((150, 150))))
        axis.axis("off")
save_pictures(figure, "fig00_insects")
show_pictures(figure)

# %% [markdown]
# First row: three sister species, twice. They belong to one genus and differ in one or two traits. Second row: a
# single species. Third row: specimens whose label gives the answer away, unless it is cropped; the paper's authors did
# that by hand.

# %% [markdown]
# ## The network, before it has learnt anything

# %%
settings = resolve(profile, seed=seed, data=sources.folder(data, profile), out=out, epochs=epochs)
torch.manual_seed(seed)
model = create_model("seran_d", num_classes=len(species), width=settings.width, init=settings.init).eval()
cost = describe(model, 224)
print(f"width x{settings.width:g}: {cost.parameters:,} parameters, {cost.gmacs:.2f} billion multiply-adds an image")

# %%
insect = draw_insect(sisters[0], np.random.default_rng(1), side=224).image.resize((224, 224))
window = torch.from_numpy(np.array(insect))[None]
with torch.no_grad():
    scores = model(plain_view(window, 224)).softmax(1)[0]
guess = species[int(scores.argmax())].name
print(f"surest of {guess}, with probability {scores.max():.2f}; the truth is {sisters[0].name}")

# %% [markdown]
# With random weights the answer means nothing. Chapter 08 trains this network on the drawn insects in about a minute,
# and a wider one on real photographs in minutes to two hours.

# %% [markdown]
# ## How to run it
#
# - **Read.** Every chapter is stored with its results.
# - **Run all.** Open a chapter in JupyterLab (`make lab`) and run it: the `smoke` profile needs no data and no GPU.
# - **Batch.** `make book` runs everything headlessly. With photographs and another profile the same command trains
#   the paper's networks, at a quarter of their width: `make book PROFILE=laptop DATA=folder`.
#
# What a profile is:

# %%
show_table(profiles())

# %% [markdown]
# ## The chapters

# %%
show_table(chapters())

# %% [markdown]
# ## Results so far
#
# Both tables of the paper on two sets of photographs, by networks of a quarter of the width: the `laptop` profile. They
# are read from the ledger, which the runs themselves write. Errors are those on test images in percent, ± is the
# standard deviation over seeds. Chapters 09 and 10 say which of the differences stand. The `smoke` profile leaves no
# rows: it shows that things work, not how well.

# %%
laptop = Evidence(Results(paths.results()), "laptop")
for name in laptop.tables():
    show_table(error_table(laptop, name, (*TABLE1, *TABLE2)).rename_axis(name))

# %% [markdown]
# ## What we saw
#
# - The book runs here, without data and without a GPU.
# - The problem is hard in four ways: sisters look alike, members of one species do not, poses and backgrounds vary, and
#   labels in the picture tempt a network to read instead of look.
#
# ## Where we differ from the paper
#
# - The paper has one data set and one number per model. We have several sets, seeds and intervals.
# - What the paper leaves open is listed in `DEVIATIONS.md`, with what we chose.
#
# ## Questions
#
# 1. Look at the first row: in which trait do the sisters differ? How sure are you?
# 2. Why would a network trained on collection sheets do badly in the field?
# 3. How many test photographs would you need to tell an error of 13 % from one of 14 %? (Chapter 03 has the
#    tool: `stats.resolvable_difference`.)
# 4. Which of the four readers are you, and which chapter will you open next?
# 5. Why does the `smoke` profile leave no row in the ledger?
#
# ## Exercise
#
# Draw two sister species ten times each with `draw_insect` and let a friend sort the pictures. What error does a person
# make? Lay it beside the network's in chapter 08.

# %%
finish("00_start_here")
