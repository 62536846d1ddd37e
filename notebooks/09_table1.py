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
# # 9 · Table 1
#
# **Do the models rank as the paper says, and how sure can one be?**
#
# The paper trains each network once and prints one number. Here every network is trained several times, on two sets of
# real photographs, and each claim meets the contrast that could refute it. At the end of this chapter you will have
#
# - the protocol: what was to be found out and what counts as an answer, written before the runs,
# - Table 1 of the paper beside ours, with an interval for every ratio,
# - a verdict on each claim: it agrees, it contradicts, or these runs cannot tell,
# - a measure of how much a single run can mislead, and the paper's own table in that light,
# - the way from any number to its run.
#
# Time: under a minute in every profile. Nothing is trained here: the runs are in `results/ledger.csv`. A profile
# without runs of its own shows those of `laptop`.
# Paper: section 4.2, Table 1.

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
out: str = ""  # not used in this chapter
epochs: int = 0  # not used in this chapter

# %%
import numpy as np
import pandas as pd
from IPython.display import Markdown
from matplotlib import pyplot as plt
from scipy.stats import t as student

from seran_lib import paths
from seran_lib.analysis import claims, conditions, protocol, ratios, stats, studies, tables
from seran_lib.analysis.cells import interval
from seran_lib.analysis.errors import look_alike_errors
from seran_lib.analysis.select import Evidence
from seran_lib.book.notebook import finish, show_source, show_table
from seran_lib.book.plots import ledger
from seran_lib.book.plots.style import save, use_book_style
from seran_lib.train.ledger import Results
from seran_lib.train.profiles import FULL, TABLE1
from seran_lib.train.settings import command, settings_of

use_book_style()
shown = Evidence(Results(paths.results()), profile).or_else("laptop")
print(f"profile {profile}: showing the runs of {shown.profile}")

# %% [markdown]
# ## 9.1 The protocol
#
# Whoever looks at the results first and chooses the question afterwards finds what he likes. So the questions came
# first. This page was committed before the runs, and the code below follows it. Where it was amended it says so, and
# which results were known by then.

# %%
Markdown((paths.ROOT / "docs/protocol/1.md").read_text(encoding="utf-8"))

# %%
show_table(pd.DataFrame([vars(claim) for claim in protocol.CLAIMS.values()], index=protocol.CLAIMS.keys()))

# %% [markdown]
# The rule that turns a ratio into a verdict is short enough to read:

# %%
show_source(protocol.decide)

# %% [markdown]
# ## 9.2 What has been run
#
# A study is a set of runs with one question. The most telling stand first.
# `make trainings PROFILE=laptop DATA=path/to/set STUDY=tables` does one of them, or what is left of it. Runs that nobody
# did are marked "not run". Hours are of one core, two runs side by side on two; the hours to go are an estimate from the
# pace of the runs so far. Studies share runs, so their hours cannot be added up.

# %%
show_table(tables.progress(shown).set_index("study"))

# %% [markdown]
# ## 9.3 Table 1, theirs and ours

# %%
figure = ledger.errors(shown)
save(figure, "fig09_errors")
plt.show()

# %% [markdown]
# **How to read it.** In the paper's panel the bar is Wilson's interval, what its number of test images leaves open. In
# ours each dot is a seed, with its own split, first weights and order of images, and the upright line is their mean. In
# tables, ± is the standard deviation over seeds.
# The scales differ, because the sets do: 123 species at 224 pixels there, fewer images, smaller pictures and networks
# of a quarter of the width here. What can be compared is not the error but the *ratio* of two errors.

# %%
for name in shown.tables():
    show_table(tables.error_table(shown, name, TABLE1).rename_axis(name))

# %% [markdown]
# ## 9.4 The claims, as ratios
#
# Does Attention-92 err more than SERAN-D? The paper's two errors have a ratio, and so have ours. Ours is estimated by
# a block design: the logarithm of an error is a model's share, plus a share of the seed, which a hard split
# raises for all models alike, plus a rest. The rest is the noise, and it is pooled over all models.

# %%
show_source(ratios.BlockDesign)

# %%
figure = ledger.forest_table1(shown)
save(figure, "fig09_forest")
plt.show()

# %% [markdown]
# **How to read it.** A bar to the right of 1 says that the first network errs more than the second. Orange is the
# paper, with the noise of its test images only. Within the grey band two errors are within 15 % of each other, which
# the protocol calls alike. A missing bar is a contrast with fewer than three seeds. In the table, the paper's size is
# *possible* where its ratio lies within our interval, whatever the verdict; a wide interval rules out little.

# %%
verdict = claims.verdict_table(shown)
show_table(verdict[verdict["claim"].isin(["T1", "C3", "C4"])].set_index("claim"))

# %% [markdown]
# Two things to know about *ours*. A ratio is the geometric mean over the seeds that both networks have, not the ratio
# of the means in 9.3. And its interval rests on the noise of all networks together; *by their noise* is what the seeds
# of these two alone would have said. Where the two intervals disagree about 1, a verdict leans on the assumption that
# all networks are equally unsteady.
#
# A third: the seeds are several splits of *one* set of photographs, so that they share images. For other splits and
# trainings the intervals are right. For other photographs of the same kinds they are too short; the rule of Nadeau and
# Bengio (2003), which errs on the side of caution, would make them longer by these factors:

# %%
for name, runs in shown.tables().items():
    share = runs["test"].iloc[0] / runs["train"].iloc[0]
    print(f"{name}: {(1 + 3 * share) ** 0.5:.2f} with three seeds, {(1 + 5 * share) ** 0.5:.2f} with five")

# %% [markdown]
# ## 9.5 What would one run have said?
#
# The paper has one run of each network. Suppose we had, too. For every seed by itself, McNemar's test asks whether two
# networks differ on the same images. It knows the images and nothing of training. Below are, for each contrast, the
# difference in points of every seed, and how many seeds a careful reader of one run would have called significant,
# after Holm's correction over all contrasts of the protocol: the first network worse, or the first better.

# %%
show_source(stats.mcnemar)

# %%
for name in shown.tables():
    show_table(tables.single_runs(shown, name, conditions.TABLE1_CONTRASTS).rename_axis(name))

# %% [markdown]
# Where the signs of a row change from seed to seed, one run decides nothing. How much of that is the choice of test
# images, and how much is training?

# %%
figure = ledger.noise(shown)
save(figure, "fig09_noise")
plt.show()

# %% [markdown]
# **How to read it.** Grey is what test images alone make a difference between two networks move by, from McNemar's
# table. Blue is how much it did move over the seeds. Blue beyond grey is training: first weights, order, augmentation,
# and which images were there to learn from. From three seeds a standard deviation is itself hardly known: the true one
# may be half as large, or six times as large. Look at all bars, not at one.
#
# The pooled noise tells how many seeds would be needed:

# %%
show_table(tables.seeds_needed(shown))

# %% [markdown]
# The columns give the smallest ratio between two networks that so many seeds of *all* these networks find in four of
# five studies. Two networks alone would need more, as they tell less of the noise.
#
# How much of the noise is there with the very same images? Some runs were done a second time, with the same seed and so
# the same split, first weights, order of images and augmentation. On the same machine that gives the same weights to
# the last bit. On another processor, or in another precision, additions are rounded otherwise:

# %%
show_table(tables.repeats(shown))

# %% [markdown]
# The same seed twice is not the same network twice: many test images are answered otherwise, and the error moves,
# though by less than from seed to seed. Repetitions in another precision do not stand out from those in the same one.
# (Of the oldest runs, versions of libraries and of this book changed in between, too; `results/repeats.csv` names all.)
# And SERAN-D without attention, which errs so much more in seed 3 than in others (chapter 10), does so again: that is
# the split or the first weights, and not the luck of rounding.
#
# Now the paper's own table. Its intervals in the figure above have the noise of 5,118 images and none of training. Let
# its networks have had the training noise of ours, and look again. (As the paper does not say which images a network
# got wrong, two errors are taken to be of unrelated images. They were the same, so all columns are longer than they
# need be.)

# %%
show_table(tables.paper_with_noise(shown, conditions.TABLE1_CONTRASTS))

# %% [markdown]
# This is a thought experiment. We would expect large networks that are trained to the end to move less from seed to
# seed than small ones after few epochs; then the truth is between the columns. A table of single runs cannot say where.
#
# ## 9.6 Few iterations, little data
#
# The abstract promises gains "with a limited number of training iterations and a small dataset". So the gap to a plain
# ResNet should be widest there, and close with more epochs and more images. In the right panel the number of steps is
# the same for all numbers of images, because an epoch goes over few images again and again: few images are not few
# iterations as well. The numbers are upper bounds, as rare kinds have fewer; the last is what a kind has in the mean,
# with all images. Both axes are logarithmic, so that the gap is the ratio of the errors; a value on the lower axis
# without a dot was not run. A dot is a run, and the lines go through the means: of one seed, or of three or more.

# %%
figure = ledger.learning(shown)
save(figure, "fig09_learning")
plt.show()

# %%
show_table(verdict[verdict["claim"] == "C5"].set_index("claim"))

# %% [markdown]
# That ResNet-101 errs more than SERAN-D after few epochs (9.4) is no test of this claim; a *change* of their ratio is.
# From few epochs to many, three seeds can not tell whether it shrinks: in the mean the ratio is what it was, both
# networks err many times less, and so few images decide that the interval leaves room for much either way. Over the
# images, three seeds can not tell either. How many times as much as SERAN-D does ResNet-101 err at each point of the
# figure, in seed 0, the only one that was run at all of them?

# %%
curves = {"epochs": ("epochs", studies.CURVE_EPOCHS), "images": ("images_per_class", studies.CURVE_IMAGES)}
for study, (axis, points) in curves.items():
    runs = shown.study(study, studies.PINNED)
    errors = runs.pivot_table(index=axis, columns="model", values="test_top1_error")
    errors = errors.reindex(points, columns=["resnet101", "seran_d"]).dropna()
    gap = (errors["resnet101"] / errors["seran_d"]).round(2).rename("ResNet-101 / SERAN-D")
    show_table(gap.rename({0: "all"}).rename(str).to_frame().T.rename_axis(axis.replace("_", " ")))

# %% [markdown]
# The gap does not only close. Over the epochs it opens first, because SERAN-D is sooner at low errors, and closes when
# ResNet-101 arrives there: in between it is much wider than at either end. That plain ResNets *need more epochs* fits
# this seed well; that the gain is widest with the *fewest* does not. Where one stops decides what one sees.
#
# Over the images the gap of this seed *grows* with their number, the claim turned round. And fewer images are not simply
# worse here. Eight epochs of all of them are not learnt to the end at this rate; a few of each kind, equally many and
# shown as often, may be learnt sooner. With the fewest ResNet-101 errs no more than with all, while SERAN-D does.
#
# Three other explanations of a gap must be ruled out: the learning rate, the start of the residual branches, which the
# paper does not state, and the wiring of the masks. The protocol gives all networks the same budget of learning rates.
# Each one's own is chosen by validation images of seed 0, once it has been run with all of them.

# %%
figure = ledger.rates(shown)
save(figure, "fig09_rates")
plt.show()

# %% [markdown]
# **How to read it.** A line is a network, and both axes are logarithmic. A ring is the rate that is chosen for it; a
# network without one was not run with all four. In the table are the validation errors in percent of the figure, and
# beside them the test errors of this seed at the rate of the tables and at the chosen one.

# %%
show_table(tables.rates(shown))

# %% [markdown]
# Every network has its lowest validation error at a higher rate than that of the tables, and most at the highest of the
# budget: their best may lie beyond it. The paper's rate is the lowest here, and at this scale the worst. All networks
# at their own rates, over all seeds, against the rate that all share in the tables:

# %%
show_table(conditions.beside_usual(shown, "tuned"))

# %% [markdown]
# The shared rate was no favour to SERAN-D, and even less to SERAN. At their own both err several times less, and so do
# Attention-92 and SERAN-D without attention. The plain ResNets gain least, so that their gap to SERAN-D grows.
#
# The contrasts of 9.4 on these insects once more, at one rate for all and at each network's own. The protocol decides
# them by the same rule; they stand beside the verdicts of 9.4 and replace none.

# %%
figure = ledger.forest_own_rates(shown)
save(figure, "fig09_own_rates")
plt.show()

# %%
trained = conditions.conditions(shown, conditions.TABLE1_CONTRASTS, conditions.SHARED_AND_OWN)
show_table(conditions.condition_table(trained))
show_table(conditions.own_noise(trained))

# %%
own = shown.study("tuned", studies.PINNED)
if len(own):
    errors = look_alike_errors(shown.answers(own), studies.PINNED)
    wrong = errors.pivot_table(index="model", columns="kind", values="wrong", aggfunc="sum")
    share = wrong["within"] / wrong.sum(axis=1)
    print(
        f"at own rates {share.min():.0%} to {share.max():.0%} of a network's wrong answers are one mimic for the other"
    )

# %% [markdown]
# **How to read it.** As in 9.4: green is one rate for all, as in the tables, blue each network's own.
#
# With its own rate for each network, most of what the paper reads from its Table 1 holds on these insects. SERAN and
# SERAN-D err less than SE-ResNet-101 and than the plain ResNets, Attention-92 less than ResNet-101, and of the
# contrasts of T1 none is decided against the paper; Attention-92 can not be told from SERAN or SERAN-D. So what can not
# be told in 9.4 was in part a table of networks that had hardly begun. The order is not the paper's throughout.
# SENet-154, its best, errs more than SERAN-D, so that their tie (C4) is contradicted, and in the mean Attention-92 errs
# less than SE-ResNet-101. Some warnings. Where a gap can be told it is wider than the paper's, but the errors are of
# few images, most of them of one mimic taken for the other (10.6 asks what that means). By the noise of their own two
# networks alone some of these intervals would hold 1 (the second table). That the *rate* changes a ratio is a claim of
# its own, and can be told of two of them only (chapter 10, 10.3).
#
# Is the rate of the tables as far from the best in the field? The budget was not run there, but the rates that were
# chosen on these insects can be carried over: to the networks of C1 and C5, in one seed, which decides no claim.

# %%
show_table(conditions.beside_usual(shown, "carried"))

# %% [markdown]
# And what a reader of these runs alone would have said, by McNemar's test as in 9.5:

# %%
show_table(tables.single_runs(shown, studies.BOTH[0], protocol.CONTRASTS, study="carried"))

# %% [markdown]
# The rate of the tables is far from the best in the field, too: each of the four errs less at the rate carried over to
# it, SERAN-D by the largest factor. So their order changes. At the tables' rate SERAN-D without its attention modules
# errs less than with them in every seed, and without SE as much. Here it errs more without SE, as in the paper, and no
# less without attention. That is one seed, and 9.5 tells what one seed is worth; rates chosen in the field might say
# another thing. But it is reason enough not to read the verdicts of 9.4 and 10.2 as verdicts on the networks.
#
# Residual branches that start at zero, as today's libraries do, against the plain start of 2019:

# %%
show_table(conditions.beside_usual(shown, "start"))

# %% [markdown]
# And the masks as the common ports wire them (chapter 5), against their inventors' network:

# %%
show_table(conditions.beside_usual(shown, "wiring"))

# %% [markdown]
# ## 9.7 What an error costs
#
# The paper argues with parameters. Operations come nearer to how long a network takes (not very near, see chapter 07),
# and the two do not go together: an attention module computes much and weighs little.

# %%
figure = ledger.cost(shown)
save(figure, "fig09_cost")
plt.show()

# %% [markdown]
# ## 9.8 Do small networks stand for the full ones?
#
# All of the above is from networks of a quarter of the width, on pictures of 96 pixels. The paper's are full, at 224
# pixels, and need a GPU. Which of those have been run, on which set, with how many seeds? One seed gives no verdict by
# the protocol, but it can be laid beside the paper and beside the small networks. (The copies of butterfly100 that were
# used have 144 pixels, and were enlarged to 224.)

# %%
for full in FULL:
    whole = shown.of(full)
    if not whole.tables():
        print(f"profile {full}: {protocol.NOT_RUN}")
    for name, runs in whole.tables().items():
        show_table(tables.error_table(whole, name, list(runs["model"].unique())).rename_axis(f"profile {full}, {name}"))
        show_table(tables.single_runs(whole, name, protocol.CONTRASTS).rename_axis("McNemar's test"))

# %%
for table in tables.full_networks(shown).values():
    show_table(table)

# %% [markdown]
# **How to read it.** Three columns for one ratio of every two networks that were run in full: the paper's (on
# validation images where it has no others), that of full networks and that of small ones. An interval of one seed holds
# the choice of test images and nothing of training. Where the columns lie close together, the small networks tell what
# the full ones would. They do, and lie close to the paper's other photographs as well; but none of these has an
# attention module.
#
# ## 9.9 From a number to its run
#
# Every dot is a row of `results/ledger.csv`. `results/README.md` lists them with links to the predictions and the
# curve, the commit, and the command that repeats the run. For example:

# %%
rows = shown.runs()
if len(rows):
    print(rows["run_id"].iloc[0])
    print(command(settings_of(rows.iloc[0])))

# %% [markdown]
# ## What we saw
#
# The verdicts of all claims, counted by contrast, as the ledger has them today:

# %%
show_table(claims.summary(verdict))

# %% [markdown]
# - Two cores can train small networks for few epochs several times. That is enough to see large effects and to measure
#   how far a single run can be trusted. It is not enough to say how the full networks rank after long training.
# - "Cannot tell" is a result. It says that the interval still holds 1, and its ends say how large an effect may be.
#   "Alike" is more: the interval holds nothing that we would call a difference.
# - The plain ResNets err more than SERAN-D wherever they were run, as the paper says, and in the field the deeper one
#   more than the other, as in its table. What each module adds is not settled by that.
# - SERAN-D and SERAN err as much as Attention-92 and SE-ResNet-101 in the field, against the paper. On the pinned wings
#   these runs cannot tell, at the one rate of the tables.
# - SENet-154 has the lowest mean error in the field, as in the paper. Whether SERAN-D ties with it can not be told.
# - On pinned wings the learning rate decides as much as the network. At the best of the four that were tried SERAN and
#   SERAN-D err several times less than at the rate of the tables, and most of what the paper says of Table 1 holds. In
#   the field one seed of four networks points the same way. A table at one shared rate, ours as the paper's, compares
#   networks *at that rate*.
# - The comparison of ratios does not prove that the paper's numbers are right or wrong on its data.
#
# ## Where we differ from the paper
#
# - Several seeds instead of one run, with a new split each; paired tests; a correction for the number of questions.
# - Photographs of other species, 96 pixels instead of 224, a quarter of the width, eight epochs.
# - All networks share recipe, order of images and budget of learning rates; the paper does not say whether its did.
# - Some runs are in bfloat16 and some in float32, as the processor at hand was quick in; `results/README.md` says
#   which. What rounding does (9.5) is part of the noise, and where two networks differ in it, of their ratio, too.
#
# ## Questions
#
# 1. Why is the ratio of errors a fairer thing to compare between two data sets than the difference in points?
# 2. All models of a seed share the split. What would happen to the intervals in 9.4 if each had its own?
# 3. McNemar's test gives a tiny p for one seed and the opposite sign for the next. Which of its assumptions failed?
# 4. Why is a test for "alike" not the same as a test for "different" that failed?
# 5. The block design takes the noise to be equal for all models. Which dots in 9.3 make you doubt that?
# 6. Which single further run would you do next, and which verdict could it change?
#
# ## Exercise
#
# Take ResNet-101 against SERAN-D, and compute the column *by their noise* of 9.4 yourself: the mean of the logarithms
# of the ratios, one per seed, with Student's t. Few seeds should make it wider than the interval beside it. Is it, on
# either set, and what does that say of the noise of these two networks?

# %% tags=["solution"]
for name, runs in shown.tables().items():
    pair = runs.pivot_table(index="seed", columns="model", values="wrong")
    if {"resnet101", "seran_d"} <= set(pair) and len(pair.dropna(subset=["resnet101", "seran_d"])) > 1:
        logs = np.log(pair["resnet101"] / pair["seran_d"]).dropna()
        half = student.ppf(0.975, len(logs) - 1) * logs.std() / len(logs) ** 0.5
        own = interval(*np.exp([logs.mean(), logs.mean() - half, logs.mean() + half]))
        print(f"{name}: {own} by their own seeds; by the noise of all networks see 9.4")

# %%
finish("09_table1")
