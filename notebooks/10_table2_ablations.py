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
# # 10 · Table 2, the ablations
#
# **Which part of SERAN-D does the work, and where does the network fail?**
#
# An ablation takes one part away and trains anew. The paper does this four times, once each, and reads causes from the
# differences. Here the same five networks meet several seeds and two sets of photographs. Then we leave the single
# number behind and ask for *which* insects a network fails, whether it knows when it fails, and what it says of an
# insect that is none of its species. At the end of this chapter you will have
#
# - Table 2 of the paper beside ours, with verdicts by the protocol of chapter 9,
# - the same contrasts after other trainings,
# - the training and validation losses of long runs, with and without attention, where they have been run,
# - the errors within groups of look-alikes, with and without SE,
# - every species with an interval, and the pairs that are taken for each other,
# - probabilities that mean what they say, and what they are worth for leaving a picture to an expert.
#
# Time: under a minute in every profile. Nothing is trained here: the runs are in `results/ledger.csv`. A profile
# without runs of its own shows those of `laptop`.
# Paper: sections 3.2 and 4.2, Table 2.

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
from matplotlib import pyplot as plt

from seran_lib import paths
from seran_lib.analysis import calibration, claims, conditions, errors, protocol, tables
from seran_lib.analysis.select import Evidence
from seran_lib.book.notebook import finish, show_source, show_table
from seran_lib.book.plots import ledger
from seran_lib.book.plots.style import save, use_book_style
from seran_lib.nets import describe_model
from seran_lib.nets.specs import SPECS, label
from seran_lib.train.evaluate import fit_temperature
from seran_lib.train.ledger import Results

use_book_style()
shown = Evidence(Results(paths.results()), profile).or_else("laptop")
print(f"profile {profile}: showing the runs of {shown.profile}")

# %% [markdown]
# ## 10.1 Five networks, one difference each
#
# A layout has a word a stage and a letter a module: R a residual block, S an SE block, A an attention module. Without
# SE every S becomes R, without attention every A goes. So the two ablations are not alike: one exchanges a block for a
# block of nearly the same size, the other makes the network shorter. A network that loses by becoming shorter does not
# prove that attention helps.

# %%
variants = ["seran_d", "seran_d_avg_pool", "seran_d_no_se", "seran_d_no_attention", "seran"]
layouts = {}
for model in variants:
    cost = describe_model(model)
    layouts[label(model)] = {
        "layout": " ".join(SPECS[model].layout),
        "parameters": f"{cost.parameters / 1e6:.1f} M",
        "operations": f"{cost.gmacs:.1f} GMAC",
    }
show_table(pd.DataFrame.from_dict(layouts, orient="index"))

# %% [markdown]
# ## 10.2 Table 2, theirs and ours
#
# The paper's Table 2 is of validation images; its Table 1 has test errors for SERAN-D and SERAN alone. So each of the
# paper's numbers stands beside ours of the same kind. Our verdicts rest on test errors, because validation images choose
# the learning rates.

# %%
for name in shown.tables():
    show_table(tables.error_table(shown, name, variants).rename_axis(name))

# %%
figure = ledger.forest_table2(shown)
save(figure, "fig10_forest")
plt.show()

# %% [markdown]
# **How to read it.** As in chapter 9: the ratio of two errors, right of 1 if the part taken away was worth having. In
# orange the paper, with the noise of its images: of the test where its Table 1 has both networks, as for SERAN, else of
# the validation. The grey band is a tie, and a contrast that can not be told but lies in it is *alike*. Above, ± is the
# standard deviation over seeds.

# %%
verdict = claims.verdict_table(shown)
show_table(verdict[verdict["claim"].isin(["C1", "C2", "C3"])].set_index("claim"))

# %% [markdown]
# The intervals of *ours* share one noise, measured over all networks, because few seeds of two networks tell little of
# theirs. But a network may be less steady than the others, or more: *by their noise* is what each pair would have said
# by itself.
#
# What would a reader of one run have said? Points of every seed, and seeds significant by McNemar's test, with Holm's
# correction over all contrasts of the protocol:

# %%
for name in shown.tables():
    show_table(tables.single_runs(shown, name, conditions.TABLE2_CONTRASTS).rename_axis(name))

# %% [markdown]
# On the field photographs nothing that is taken from SERAN-D is missed at this scale. Without attention it errs less,
# in every seed. Without SE it errs as much, and so nearly as much that a gain of the paper's size is ruled out. With
# average pooling it errs no more. Nor does SERAN, with fewer modules of both kinds: it loses less than in the paper.
# (These last two had bfloat16 in every seed, SERAN-D in one of three; see the end of chapter 9.) On the pinned wings
# taking attention away helps more still, in four of five seeds; in one it costs much. By the rule of the protocol the
# claim is contradicted there. By its own seeds alone it is not: the network without attention is the least steady of
# all. A table of single runs hides how much one more run can do. (And 10.6 asks in which species the difference lies.)
#
# ## 10.3 Is it the network, or how it was trained?
#
# All networks above had the same few epochs, one learning rate and the plain start of 2019. A network that suits those
# better wins without being better. So some of them are trained in other ways, too, on *Heliconius*: with residual
# branches that start at zero, for more epochs; and all of them each with its own learning rate. What is not in the
# figure has not been run yet. A claim on networks should survive that.

# %%
figure = ledger.forest_conditions(shown)
save(figure, "fig10_conditions")
plt.show()

# %% [markdown]
# **How to read it.** A colour is a way of training, orange the paper. Where the colours of a row disagree, the row does
# not speak of networks alone. A way that is missing was not run with enough seeds. In the first table Holm's correction
# is over all contrasts of which that training has both networks, shown or not; the second has the intervals by the
# noise of their own two networks alone.

# %%
trained = conditions.conditions(shown)
show_table(conditions.condition_table(trained))
show_table(conditions.own_noise(trained))

# %% [markdown]
# Two verdicts that differ are no proof that the ratios do: one may be told and the other not. That the training
# *changes* a ratio is a claim of its own, and here is its test: the ratio after the other training over that in the
# tables, with its interval, and p after Holm's correction over all cells of this table, run or not.

# %%
show_table(conditions.condition_changes(shown))

# %% [markdown]
# All five networks err less after a zero start, most of them several times less (9.6). SERAN-D and its two variants can
# not be told apart then; whether the start changed their ratios, three seeds can not say. Of SE-ResNet-101 they can.
# With the plain start it errs less than ResNet-101, or as much; with a zero start it errs *more*, and falls far behind
# SERAN-D. That is so after eight epochs; after twelve, of which the ledger has one seed that counts for no claim, both
# ResNets err alike. And of the five networks SERAN-D and ResNet-101 are those that had their zero start in bfloat16 in
# every seed, a difference that was not tested (see the end of chapter 9).
#
# At its own learning rate, most often four times that of the tables (9.6), SERAN-D gains more than its variants do.
# There SE pays, and more than in the paper: without it SERAN-D errs several times as much, whichever rate validation
# images choose for it. Maximum pooling pays as well, though by the noise of these two networks alone it might not. That
# the rate *changes* what SE or pooling is worth does not survive the correction; that it widens the gaps from
# ResNet-101 to SERAN-D and from SE-ResNet-101 to SERAN does. What attention is worth can not be told there: SERAN-D
# errs no less with it. So SE helps with a plain start and large steps, and no help of it is seen with a zero start. (One
# seed at such rates in the field points the same way: 9.6.)
#
# After 32 epochs SERAN-D and its two variants can not be told apart either, at errors of so few images that much could
# hide in it. So what a table of ablations shows at this scale is also how well a deep network gets going in eight
# epochs, and not only what its modules can do. The paper states neither its start nor how it chose its rate.

# %% [markdown]
# ## 10.4 Does a network without attention over-fit?
#
# "Without attention modules, the modified model starts to show signs of over-fitting after 20 epochs", says the paper,
# and with attention alone it does not. A network over-fits when its validation loss rises while its training loss
# still falls. We train for 32 epochs and look.

# %%
figure = ledger.losses(shown)
save(figure, "fig10_losses")
plt.show()

# %%
show_table(verdict[verdict["claim"] == "C6"].set_index("claim"))
show_table(tables.losses(shown, shown.study("long", "heliconius")).round(3).set_index("model"))

# %% [markdown]
# Without attention we see none of it: at the end the validation loss of every seed is at its lowest, though the
# training loss is small by then. With attention alone one seed ends above its lowest by hardly more than the rule
# allows, which is the wrong way round for the claim. Nor is it a sign of much: on the way the loss of every run goes up
# and down by more than that from one epoch to the next, and who looks once, in the middle, may take it for
# over-fitting. One thing in our setting speaks against seeing what the paper saw: a one-cycle schedule ends with tiny
# steps, and in those epochs a network settles rather than over-fits. The paper does not state its schedule.
#
# What the many epochs do show is how little of an error after eight of them is the network's own. Mean test errors in
# percent, after 32 epochs and as in the tables:

# %%
show_table(conditions.beside_usual(shown, "long"))

# %% [markdown]
# ## 10.5 Look-alikes
#
# SE is said to increase "differentiating capacity" for similar species (section 3.2). If so, taking it away must cost
# more within groups of look-alikes than elsewhere. An error is *within* when the picture is of one species of a group
# and the answer is another of the same group; all others are the rest. The groups were written down before the runs:
# the mimic pairs of *Heliconius*, and the look-alikes that the notes of butterfly100 name.

# %%
groups = [[data_set, " · ".join(group)] for data_set, sets in protocol.LOOK_ALIKES.items() for group in sets]
show_table(pd.DataFrame(groups, columns=["data", "look-alikes"]).set_index("data"))

# %%
figure = ledger.look_alikes(shown)
save(figure, "fig10_look_alikes")
plt.show()

# %% [markdown]
# **How to read it.** If SE were for look-alikes, the orange bar would grow from SERAN-D to its variant without SE, and
# by a larger factor than the grey one. The test of that:

# %%
show_table(verdict[verdict["claim"] == "C8"].set_index("claim"))

# %% [markdown]
# In neither set can it be told whether SE matters more among look-alikes than elsewhere.
#
# Which species does SERAN-D take for each other, over all seeds and both ways? The list can differ from the groups that
# we expected: what looks alike to a naturalist and what looks alike to a network need not be the same.

# %%
for name, rows in shown.tables().items():
    answers = shown.answers(rows[rows["model"] == "seran_d"])
    if len(answers):
        show_table(errors.confusions(answers).head(8).set_index("one").rename_axis(f"{name}, one"))

# %% [markdown]
# ## 10.6 Every species by itself
#
# A mean over images hides the rare ones. Below is every species' error over all seeds of SERAN-D. The answers of a
# network stand and fall together, so the bars are longer than those of as many independent answers, by what the seeds
# of all species show in the mean. For a species whose seeds disagree more than most they are still too short. Do not
# read the order of single dots, read how wide the cloud is.

# %%
figure = ledger.species(shown)
save(figure, "fig10_species")
plt.show()

# %% [markdown]
# The macro error gives every species the same weight. Its interval comes from a bootstrap that draws *groups* again,
# because pictures of one animal fail together. It knows the test images of a run and nothing of training; that is in
# the last column, the standard deviation over seeds. Mean over seeds of the error and of its bounds, in percent:

# %%
for name, rows in shown.tables().items():
    by_model = errors.macro_errors(shown.answers(rows[rows["model"].isin(variants)])).groupby("model")
    means = by_model[["macro", "low", "high"]].mean().assign(**{"sd over seeds": by_model["macro"].std()})
    means = (100 * means).map("{:.1f}".format)
    show_table(
        means.reindex([model for model in variants if model in means.index]).rename(index=label).rename_axis(name)
    )

# %% [markdown]
# Which species make the differences of Table 2? The ratios of 10.2 once more: of all errors, of the mean over species,
# and of the errors within and outside the look-alikes of 10.5. None of these is a verdict.

# %%
for name in shown.tables():
    table = tables.ratios_by_count(shown, name, conditions.TABLE2_CONTRASTS)
    show_table(table.rename_axis(f"ratio of errors, {name}"))

# %% [markdown]
# On the field photographs it matters little how one counts. On the pinned wings most errors are between mimics, so
# most are won and lost there, and the verdict on attention rests on them. Outside the look-alikes few errors are left,
# and these networks can not be told apart; that a ratio is another inside than outside can not be told either (C8, for
# SE).
#
# ## 10.7 Does it know when it fails?
#
# A network gives its answer a probability. Networks trained for long tend to be too sure of themselves, networks
# trained briefly not sure enough. A single number, the temperature, can repair either. It divides the scores, is fitted
# on validation images, and changes no answer.

# %%
show_source(fit_temperature)

# %%
figure = ledger.reliability(shown)
save(figure, "fig10_reliability")
plt.show()

# %% [markdown]
# **How to read it.** Left: a dot on the diagonal is a probability that means what it says, below it the network is too
# sure. Right: if it may leave the images it is least sure of to an expert, how many of the rest are wrong? The
# steeper the curve, the more that helps. Calibration errors in percent, mean over seeds. Even a network
# whose probabilities are exact has one, because a bin holds few images; *by chance* is what it would be, were those
# after the temperature exact, and *at most* what it would then stay below in 97.5 of 100 studies.

# %%
for name, rows in shown.tables().items():
    calibrated = calibration.calibration(shown.answers(rows))
    runs = calibrated.groupby("model")
    table = runs[["temperature", "before", "after", "by chance"]].mean()
    spread = np.sqrt(runs["chance_sd"].apply(lambda sd: (sd**2).sum())) / runs.size()
    table["at most, by chance"] = table["by chance"] + 1.96 * spread
    table[["before", "after", "by chance", "at most, by chance"]] *= 100
    show_table(table.round(2).rename(index=label).rename_axis(name))

# %% [markdown]
# Temperatures below 1 say that networks trained so briefly are not sure enough. On the field photographs the
# temperature takes away between a third and two thirds of the error. What is left is within chance for some networks
# and beyond it for others, SERAN-D among them. On the pinned wings, with fewer test images, little can be seen to
# repair: most of what is measured there is chance.
#
# ## 10.8 What does it say of a species it has never seen?
#
# The data set of *Heliconius* holds crosses between forms, and forms too rare to train on. They are none of the
# classes, and the network must answer nevertheless. Is it less sure of them?

# %%
figure = ledger.unknowns(shown)
save(figure, "fig10_unknowns")
plt.show()

# %% [markdown]
# The area under the ROC curve says how well the probability tells them from test images: 0.5 is chance. Beside it is
# the test error in percent, of everything that has answered in three seeds: networks at other learning rates than that
# of the tables, after more epochs, and by the recipes of chapter 12.

# %%
separations = tables.separations(shown)
show_table(separations[separations["seeds"] >= protocol.SEEDS_NEEDED])

# %% [markdown]
# All of them are surer of what they know, none of them reliably so: many a cross is named with a probability near one.
# And the area does not follow the error. ResNet-101, which errs most here, is among the better; the recipe with strong
# views errs more than most and yet tells them apart best in the mean. Perhaps smoothed labels keep that one from being
# sure of anything; this was not tested.

# %% [markdown]
# ## What we saw
#
# The verdicts of all claims, counted by contrast, as the ledger has them today:

# %%
show_table(claims.summary(verdict))

# %% [markdown]
# - An ablation compares two trained networks, so it has the noise of two trainings. The paper's Table 2 has one of
#   each.
# - What a part is worth depends on how the network was trained. With another start of the residual branches SE in a
#   ResNet goes from a help, or nothing, to a hindrance in as many epochs; with a higher learning rate SE and maximum
#   pooling in SERAN-D are worth more than in the paper. Whoever publishes an ablation should state start and rate, and
#   try more than one.
# - Taking attention away also makes the network shorter and much cheaper. The right rival of SERAN-D is a network with
#   SE and without attention that costs as much. The paper has none: of its rivals ResNet-152 costs nearly as much and
#   has no SE, SENet-154 costs more (chapter 7). Chapter 12 spends what is saved on more epochs.
# - The error is not all. Leaving the doubtful pictures to an expert takes more points from the error of SERAN-D than
#   from that of ResNet-101 on the field photographs, and about as many on the pinned wings (the exercise).
#
# ## Where we differ from the paper
#
# - Test errors instead of validation errors, several seeds, other photographs, smaller networks, fewer epochs.
# - Over-fitting is measured by a rule that was fixed before, not read from a curve.
# - Look-alikes, calibration and unknown species are not in the paper. Its title speaks of insects; these decide whether
#   one can use it for insects.
#
# ## Questions
#
# 1. SERAN-D without attention has how many modules less? Which network would be a fairer rival?
# 2. Why does a temperature change no answer and no error, and yet the loss?
# 3. The two mimic pairs of *Heliconius* are pairs of different species that look alike. What would you want to know of
#    the other pairs in the list of 10.5 before you call it a bad mistake to take one for the other?
# 4. A risk-coverage curve that starts above zero means the network is wrong where it is surest. Name two causes.
# 5. Crosses share wing patterns with both parents. Is it a fault if the network is sure of them?
# 6. Which of the claims would you still believe if only seed 0 had been run?
#
# ## Exercise
#
# Let the network leave the fifth of the test images that it is least sure of to an expert. How many are that a seed,
# and what is the error of SERAN-D on the rest, in each data set? Compare with the error of ResNet-101 on all images.

# %% tags=["solution"]
for name, rows in shown.tables().items():
    for model, runs in rows.groupby("model")["run_id"]:
        if model in ("seran_d", "resnet101"):
            answers = [shown.results.predictions(run_id) for run_id in runs]
            risks = [calibration.risk_by_coverage(one["calibrated"], one["right"])["risk"] for one in answers]
            everything, surest = (100 * np.mean([r.iloc[int(share * len(r)) - 1] for r in risks]) for share in (1, 0.8))
            left = len(answers[0]) - int(0.8 * len(answers[0]))
            print(f"{name}, {model}: {everything:.1f} % of all, {surest:.1f} % with {left} images left to an expert")

# %%
finish("10_table2_ablations")
