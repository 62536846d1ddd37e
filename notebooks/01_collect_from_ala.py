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
# # 1 · Collect from the Atlas of Living Australia
#
# **How is a data set collected so that every image is checked and credited?**
#
# The paper's set has no address. Its authors asked the web services of the Atlas of Living Australia (ALA) in October
# 2018 and fetched 34,789 pictures. This chapter does the same for any group of animals or plants, any region and any
# period, with a client that knows the traps of that service. At the end you will have
#
# - a list of species, and the two reasons why such a list is easily wrong,
# - a plan: every image with its licence, its creator, its place and its day, before anything is fetched,
# - the pictures, each checked, in a run that may be killed at any moment,
# - a table of thirteen things that go wrong on the way, and what became of each,
# - credits for every single picture.
#
# Time: half a minute in `smoke`. There a small atlas of drawn insects is served on this machine, with the same replies
# and the same traps, and the *same client* asks it. With `data = "ala"` the same cells talk to the live atlas, at the
# polite pace: section 1.4 prints how long the pictures then take.
# Paper: section 2.

# %%
import sys

if "google.colab" in sys.modules:
    print("Colab: installing seran_lib from ./seran")  # keeps the block valid once jupytext comments the magic
    # %pip install -q -e "./seran[book]"
    sys.path.insert(0, "seran")

# %% tags=["parameters"]
profile: str = "smoke"  # smoke | laptop | colab | paper
seed: int = 0  # one seed per run
data: str = ""  # empty means the demo atlas on this machine, "ala" the live Atlas of Living Australia
out: str = ""  # empty means runs/01-demo-atlas, or data/ala for the live atlas
epochs: int = 0  # not used in this chapter

# %%
import contextlib
import datetime
import errno
import json
import shutil
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import numpy as np
import pandas as pd
from IPython.display import Markdown, display
from matplotlib import pyplot as plt

from seran_lib import paths, sources
from seran_lib.book.notebook import finish, show_source, show_table
from seran_lib.book.plots import collection as survey
from seran_lib.book.plots.style import save, use_book_style
from seran_lib.collect import download, fetch, licences
from seran_lib.collect.ala import client
from seran_lib.collect.ala.listing import collect_plan
from seran_lib.collect.ala.query import AS_OF_STATEMENT
from seran_lib.collect.http import polite_session
from seran_lib.collect.plan import read_plan
from seran_lib.data.manifest import read_manifest
from seran_lib.data.pictures import check_whole
from seran_lib.errors import DataError
from seran_lib.paper import facts
from seran_lib.paths import ALA, ROOT

use_book_style()

# %%
fact = {name: entry.value for name, entry in facts.FACTS.items()}
live = data == ALA
source = sources.source_for(data)
folder = sources.folder_of(source) if live else paths.runs() / "01-demo-atlas"
if out:
    folder = Path(out)
    if not live and any(folder.glob("*.csv")) and sources.source_of(folder) != "demo":
        raise DataError(f"{folder} is no demo collection", "Let `out` name a new folder or an empty one.")
elif not live:  # the demo is collected from the beginning each time; chapter 2 has a copy of its own
    shutil.rmtree(folder, ignore_errors=True)

# %% [markdown]
# ## 1.1 What the paper did
#
# Section 2 in five numbers:

# %%
steps = ["species_with_images", "species_downloaded", "images_downloaded", "images_kept", "species_kept"]
show_table(pd.DataFrame({name: {"paper": fact[name], "what": facts.FACTS[name].note} for name in steps}).T)

# %% [markdown]
# The atlas does not keep photographs by species. It keeps *occurrences*: somebody saw, or collected, an organism at a
# place on a day. A record may carry pictures, which live in a second service and have their own creator and licence.
# So a collector asks three times: which species have records with pictures, which records are there of a species,
# and what is known about each picture. Only then does it fetch anything.
#
# The service is opened once. Everything below works on what it returns, live or demo.

# %%
opened = contextlib.ExitStack()
service = opened.enter_context(sources.service(source))
atlas = service.atlas(folder)
query = client.Query(taxon="Insecta")
atlas.terms(query)

# %% [markdown]
# ## 1.2 Which species?
#
# One request asks for the number of records per species, a *facet*. Two traps lie in its answer. Records that are
# identified to a genus only come as one more "species", which must be dropped. And the service's own count of species
# is an estimate unless all of them are asked for; the live service once said 51,757 where its list had 50,892
# (biocache-service, issue 973).

# %%
found = atlas.species(query)
print(f"{len(found):,} species with pictures; the paper found {fact['species_with_images']:,}")
pd.DataFrame(found[:8])

# %% [markdown]
# The paper takes the 200 with the most records. Two species with equally many records would make that list depend on
# the mood of the server, so ties are broken by name, or by identifier where the answer has no names.

# %% [markdown]
# ## 1.3 The silent end of a list
#
# Since 2024 a search of the atlas ends after 5,000 records. It does not say so: the page after that is empty, with
# status 200. A collector that goes on "until the page is empty" loses the rest of a common species and never knows.
# Ours compares what came with the total that the service states. A species above the limit is asked for year by year,
# a year above it month by month, and records without a date get a question of their own. The demo atlas ends its lists
# after 20 records, so that the detour can be watched:

# %%
largest = found[0]
asked_before = len(service.demo.log) if service.demo else 0
records = list(atlas.occurrences(query, largest.species_id))
print(f"{largest.name or largest.species_id}: {largest.records} records stated, {len(records)} collected")
if service.demo:
    print(f"{len(service.demo.log) - asked_before} requests")

# %% [markdown]
# ## 1.4 The plan, a dry run
#
# Before a single picture moves: how many there are, how large, under which licences, and how long it will take. The
# answers of the service are kept in the folder, so a plan that was interrupted goes on where it stopped.

# %%
if live and (folder / "plan.csv").exists():  # a plan that you made stays, with its own taxon, region and licences
    plan = read_plan(folder)
else:
    plan = collect_plan(atlas, query, folder, species=fact["species_downloaded"])
plan.summary()

# %%
print(
    f"{plan.seconds(sources.POLITE) / 3600:.2f} h at {sources.POLITE:g} pictures a second, the pace for the live atlas"
)

# %% [markdown]
# An image belongs to the *service*, not to a record: two uploads of equal bytes get one id. So one id may hang on
# several records, and even on records of two species. The plan keeps one row for each id, and marks those that two
# species claim. Chapter 2 decides about them.
#
# The plan is a plain table. These columns say who made a picture and under which licence, and they stay with it until
# the last figure.

# %%
table = pd.read_csv(folder / "plan.csv", dtype=str, keep_default_na=False)
pd.DataFrame(table.iloc[0]).rename(columns={0: "first row"})

# %% [markdown]
# ## 1.5 October 2018, and what cannot be had again
#
# `as_of` asks for the atlas as it was on a day. It is worth having, but it is no time machine:

# %%
display(Markdown(f"> {AS_OF_STATEMENT}"))

# %%
as_of = client.Query(taxon="Insecta", as_of=datetime.date(2018, 10, 31))
then = atlas.species(as_of)
pd.DataFrame(
    {"species": [len(found), len(then)], "records": [sum(s.records for s in found), sum(s.records for s in then)]},
    index=["today", "as of October 2018"],
)

# %% [markdown]
# ## 1.6 Fetch
#
# The pictures come from a second service, with quirks of its own. An address may lead on to a signed one that is valid
# for an hour: it is followed and never written down. A picture that is missing is answered with status 404 *and* a
# small PNG, which a careless client stores as a photograph. So a file counts only after six checks:

# %%
show_source(download.check_head)
show_source(check_whole)

# %%
report = fetch.fetch(folder, session=service.session(connections=4), connections=4)
print(f"{report.present} of {report.planned} images are here, {report.failed} failed")

# %% [markdown]
# One bad picture stops nothing. What failed is listed with its reason, and tried again by the next call.

# %%
failures = folder / "failures.csv"
pd.read_csv(failures)[["label", "reason", "attempts"]] if failures.exists() else "nothing failed"

# %% [markdown]
# `verify` reads every file again and compares checksum and content. It would also find files that nobody knows.

# %%
fetch.verify(folder) or "every picture is there and whole"

# %% [markdown]
# ## 1.7 Killed in the middle
#
# A run of hours will be interrupted: the lid is closed, the machine is taken back. We let the command line collect
# the same set in a process of its own, kill it in mid-run three times (SIGKILL, which no program can catch), and start
# it again. Then we compare all files with those above, byte for byte.

# %%
RESULTS = ("manifest.csv", "CREDITS.csv", "CREDITS.md", "croissant.json")


def contents(collection: Path) -> dict[str, bytes]:
    """Every file that belongs to the data set; the downloader's own memory is left out."""
    files = [*(collection / "images").glob("*/*"), *(collection / name for name in RESULTS)]
    return {path.relative_to(collection).as_posix(): path.read_bytes() for path in files}


def copy_plan(target: Path, rows: pd.DataFrame = table) -> Path:
    """The plan, or some rows of it, in a folder without any pictures."""
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    rows.to_csv(target / "plan.csv", index=False, lineterminator="\n")
    shutil.copy(folder / "query.json", target)
    return target


# %%
def fetch_and_kill(target: Path, pictures: float) -> int:
    """Runs the command line on `target`, kills it once so many pictures are there, and returns how it ended."""
    command = [sys.executable, "-m", "seran_lib", "data", "fetch", str(target)]
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    while process.poll() is None and len(list(target.glob("images/*/*"))) < pictures:
        time.sleep(0.01)
    process.kill()
    return process.wait()


if service.demo:
    killed = copy_plan(paths.runs() / "killed")
    ends = [fetch_and_kill(killed, pictures) for pictures in (40, 120, 200, float("inf"))]
    print("exits:", ends)
    print("the two sets are the same, byte for byte:", contents(killed) == contents(folder))

# %% [markdown]
# Exit −9 is the kill; exit 1 says that all is done and some pictures failed, as above. The test suite does the same at
# ten random moments.

# %% [markdown]
# ## 1.8 Thirteen things that go wrong
#
# The demo atlas commits faults on request. Each is tried on a collection of six pictures, and hits the first. The first
# call meets the fault, the second comes when it is gone. A file is *false* if its bytes are not those of the atlas. Such
# files are counted after each call, since the first may be the last.

# %%
collected = read_manifest(folder)[:6]
six = table[table["image_id"].isin(collected["image_id"])]
originals = {file: (folder / file).read_bytes() for file in collected["file"]}
trial = paths.runs() / "trial"


def attempt() -> str:
    """One call of `fetch` with a short temper, in words."""
    session = polite_session(per_second=0, tries=2, reroute=service.reroute)
    try:
        with mock.patch.object(download, "BODY_SECONDS", 1.5):  # two minutes in earnest
            done = fetch.fetch(trial, session=session, progress=False)
    except DataError as error:
        return f"stopped: {str(error).splitlines()[0].split(' in ')[0]}"
    failures = trial / "failures.csv"
    reason = f": {pd.read_csv(failures)['reason'][0]}" if failures.exists() else ""
    return f"{done.present} of {done.planned} here{reason}"


def false_files() -> int:
    """How many files among the pictures are not those of the atlas."""
    names = {path: path.relative_to(trial).as_posix() for path in trial.glob("images/*/*")}
    return sum(path.read_bytes() != originals.get(name) for path, name in names.items())


def meet(fault: str = "", times: int = 0, circumstance=None) -> dict[str, object]:
    """A first call with the fault on the first picture, and under the circumstance; then a second without."""
    if fault:
        service.demo.faults.set(six["image_id"].iloc[0], fault, times)
    with circumstance or contextlib.nullcontext():
        met = {"first call": attempt(), "false files": false_files()}
    service.demo.faults.clear()
    return met | {"second call": attempt(), "false files left": false_files()}


# %% [markdown]
# Nine faults of the server:

# %%
faults = {
    "connection cut": ("cut", 0),
    "body truncated": ("truncate", 0),
    "wrong content type": ("wrong_type", 0),
    "a page of HTML with status 200": ("html", 0),
    "404 with a placeholder PNG": ("missing", 0),
    "429 with Retry-After, once": ("busy", 1),
    "503, once": ("unavailable", 1),
    "a redirect that leads to itself": ("redirect_loop", 0),
    "one byte now and then": ("drip", 0),
}
met = {}
for name, (fault, times) in faults.items() if service.demo else ():
    copy_plan(trial, six)
    met[name] = meet(fault, times)

# %% [markdown]
# And four that are harder to arrange: a full disk, a clock that jumps by an hour while the server asks for patience, a
# plan that names an id twice, and a picture that got damaged on our side while the service put another one in its place.

# %%
clock = time.time
full = mock.patch("os.fsync", side_effect=OSError(errno.ENOSPC, "No space left on device"))
jumping = mock.patch("time.time", lambda: clock() + 3600 * (len(service.demo.log) % 2))


@contextlib.contextmanager
def doubled() -> Iterator[None]:
    """A plan with its first row twice, mended afterwards."""
    copy_plan(trial, pd.concat([six, six[:1]]))
    yield
    copy_plan(trial, six)


# %%
if service.demo:
    copy_plan(trial, six)
    met["disk full"] = meet(circumstance=full)
    copy_plan(trial, six)
    met["clock jumps"] = meet("busy", 1, circumstance=jumping)
    met["an id twice in the plan"] = meet(circumstance=doubled())
    next(trial.glob(f"images/*/{six['image_id'].iloc[0]}*")).write_bytes(b"damaged")
    print("verify:", *fetch.verify(trial, progress=False))
    met["damaged here, changed there"] = meet("changed")
show_table(pd.DataFrame(met).T.rename_axis("fault"))

# %% [markdown]
# The one false file after a first call is the one that we damaged ourselves. That call strikes it from the
# manifest, so that no reader meets it, and another replaces it when its picture can be had again.

# %% [markdown]
# ## 1.9 What we have: taxonomy, places, licences

# %%
manifest = read_manifest(folder)
figure = survey.plot_taxonomy(manifest)
if not live:
    save(figure, "fig01_taxonomy")
plt.show()

# %%
figure = survey.plot_map(manifest)
if not live:
    save(figure, "fig01_map")
plt.show()

# %% [markdown]
# A photograph belongs to somebody. The record and the picture may state different licences, and the picture's is the
# one that holds. Both are in the manifest. Where they are not the same, that may mean three things: one of them names
# no licence that can be told, or the same licence without its version, or they contradict each other.

# %%
figure = survey.plot_licences(manifest, licences.is_open)
if not live:
    save(figure, "fig01_licences")
plt.show()

# %%
stated = pd.DataFrame({"record": manifest["record_licence"].map(licences.normalise), "picture": manifest["licence"]})
kinds = stated.apply(lambda texts: texts.str.split().str[:2].str.join(" "))  # CC BY-NC 4.0 is a CC BY-NC
both_versions = stated.apply(lambda texts: texts.str.contains(r"\d\.\d")).all(axis=1)
answers = {  # the first that is true of a picture counts
    "one or both not known": (stated == "").any(axis=1),
    "the same": stated["record"] == stated["picture"],
    "the same but for a missing version": (kinds["record"] == kinds["picture"]) & ~both_versions,
}
answer = np.select(list(answers.values()), list(answers), "another licence")
pd.Series(answer, name="record and picture").value_counts().to_frame("pictures")

# %% [markdown]
# A collector that takes the licence from the record is wrong where the picture has another one, and has no answer where
# the record names none.

# %%
display(Markdown((folder / "CREDITS.md").read_text(encoding="utf-8").replace("# Credits", "**CREDITS.md**")))

# %% [markdown]
# Machines read another file, `croissant.json`: the description of a data set that search engines and loaders agree on.

# %%
described = json.loads((folder / "croissant.json").read_text(encoding="utf-8"))
show_table(
    pd.Series(
        {key: str(described.get(key, ""))[:90] for key in ("name", "conformsTo", "license", "citeAs")}, name="value"
    ).to_frame()
)

# %%
opened.close()

# %% [markdown]
# ## What we saw
#
# - Three questions lead to a plan, and a plan can be read before anything is fetched.
# - The two ways to lose data in silence, an estimated count and a list that ends early, are caught by counting.
# - A collection that is killed and one that is not end with the same bytes.
# - No fault of the server left a false picture behind, not even until the next call, and each cost at most the picture
#   that it hit. A full disk and a plan that contradicts itself stop the whole run: it says why, and goes on once that
#   is mended.
#
# ## Where we differ from the paper
#
# - The paper names neither the size of the pictures it fetched nor their licences; we fetch those of at most 650
#   pixels and keep licence, creator and source of each.
# - "Sorted by the number of occurrences": of occurrences with images, and ties by name. The paper leaves both open.
# - The atlas of October 2018 cannot be had again; section 1.5 says why. Nobody will get the same pictures.
#
# ## Questions
#
# 1. Why is a file written under another name first and then renamed?
# 2. A server answers status 200 and a photograph, but of another insect than last week. Which of the checks notices?
# 3. Why must a picture whose licence is not stated be treated as closed?
# 4. How would you prove that a list of 5,000 records is complete?
#
# ## Exercise
#
# Collect the butterflies of Tasmania: `seran data plan data/tasmania --taxon Papilionoidea --region
# Tasmania --species 30`. Read the plan before you fetch: how many pictures may you show in a lecture?

# %%
finish("01_collect_from_ala")
