"""`seran data`: a collection of photographs, from the first question to the split."""

import argparse
import datetime
from dataclasses import replace
from pathlib import Path

import pandas as pd

from seran_lib import sources
from seran_lib.collect import fetch as fetching
from seran_lib.collect import zenodo
from seran_lib.collect.ala import client
from seran_lib.collect.ala.listing import collect_plan
from seran_lib.collect.http import polite_session
from seran_lib.collect.plan import Plan
from seran_lib.curate import grouping, leaks, proposals, replay
from seran_lib.curate.decisions import DECISIONS
from seran_lib.curate.duplicates import near_duplicates
from seran_lib.data.manifest import MANIFEST, read_manifest, select
from seran_lib.data.split import SPLIT, fingerprint, split_by_species
from seran_lib.data.tables import write_table

# What has no meaning for Zenodo.
OF_THE_ATLAS = (
    *("source", "taxon", "species", "per_species", "region", "since", "until", "as_of", "basis", "licence"),
    *("exclude_resource", "occurrences", "images", "names", "size", "seed"),
)


def plan(options: argparse.Namespace) -> int:
    """Ask the atlas (or Zenodo), write the plan, fetch nothing."""
    if options.zenodo or options.labels:
        if not (options.zenodo and options.labels):
            raise ValueError("--zenodo names the records and --labels the table of labels: give both")
        standard = options.parser.get_default
        if ignored := [name for name in OF_THE_ATLAS if getattr(options, name) != standard(name)]:
            raise ValueError(f"--zenodo asks no atlas: leave out --{', --'.join(ignored).replace('_', '-')}")
        pace = sources.POLITE if options.per_second is None else options.per_second
        session = polite_session(per_second=pace)
        found = zenodo.plan_records(session, options.zenodo, zenodo.read_labels(options.labels), options.folder)
        return _show(found, options.folder, pace or sources.POLITE)
    query = client.Query(
        taxon=options.taxon,
        region=options.region,
        since=options.since,
        until=options.until,
        basis=tuple(options.basis),
        licences=tuple(options.licence),
        exclude_resources=tuple(options.exclude_resource),
        as_of=options.as_of,
    )
    with sources.service(options.source) as service:
        named = {name: getattr(options, name) for name in ("occurrences", "images", "names", "per_second")}
        service = replace(service, **{name: value for name, value in named.items() if value is not None})
        atlas = service.atlas(options.folder)
        found = collect_plan(
            atlas,
            query,
            options.folder,
            species=options.species,
            per_species=options.per_species,
            seed=options.seed,
            size=options.size,
        )
        if atlas.oldest.date() < datetime.datetime.now(datetime.UTC).date():
            kept = options.folder / client.LISTING
            print(f"from answers of {atlas.oldest:%Y-%m-%d} and later: delete {kept} to ask again")
        return _show(found, options.folder, service.per_second or sources.POLITE)


def _show(plan: Plan, folder: Path, per_second: float) -> int:
    print(plan.summary().to_string())
    minutes = plan.seconds(per_second) / 60
    time = f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
    print(f"\nabout {time} at {per_second:g} pictures a second")
    print(f"next: seran data fetch {folder}")
    return 0


def fetch(options: argparse.Namespace) -> int:
    """Fetch what the plan names and is not there yet."""
    with sources.service(sources.source_of(options.folder)) as service:
        if options.per_second is not None:
            service = replace(service, per_second=options.per_second)
        session = service.session(options.connections)
        report = fetching.fetch(options.folder, session=session, connections=options.connections)
    print(report)
    return 0 if report.present == report.planned else 1


def verify(options: argparse.Namespace) -> int:
    """Compare every picture with its checksum."""
    problems = fetching.verify(options.folder)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else "every picture is there and whole")
    return 1 if problems else 0


def curate(options: argparse.Namespace) -> int:
    """Propose, replay decisions, write a clean copy."""
    proposed = _proposals(options.folder)
    decisions = options.decisions or options.folder / DECISIONS
    if options.decisions and not decisions.is_file():
        raise ValueError(f"{decisions} is no file: look at its name; without --decisions nobody has decided anything")
    curated = replay.curate(
        options.folder,
        replay.Decisions(decisions).frame,
        options.out,
        min_images=options.min_images,
        proposals=proposed,
        accept_proposals=options.accept_proposals,
    )
    print(curated.table.to_string(index=False))
    print(f"{curated.images} images of {curated.species} species in {options.out}")
    return 0


def _proposals(folder: Path) -> pd.DataFrame:
    """The proposals for a collection, made again where its manifest is newer than those on disk."""
    path = folder / proposals.PROPOSALS
    manifest = read_manifest(folder)
    if path.is_file() and path.stat().st_mtime >= (folder / MANIFEST).stat().st_mtime:
        return pd.read_csv(path, dtype=str, keep_default_na=False).astype({"score": float})
    proposed = proposals.propose(folder, manifest)
    write_table(path, proposed)
    return proposed


def group(options: argparse.Namespace) -> int:
    """Write the same set with near-copies in one group."""
    before = read_manifest(options.folder)["group"]
    manifest = grouping.write_grouped(options.folder, options.out, progress=True)
    together = [groups.duplicated(keep=False) for groups in (before, manifest["near_duplicate"], manifest["group"])]
    own, copies, joined = (int(several.sum()) for several in together)
    number = manifest.loc[together[2], "group"].nunique()
    print(f"{len(manifest):,} images: {own:,} in groups of the set's own, {copies:,} have a near-copy")
    print(f"{joined:,} images in {number:,} groups of several in {options.out}")
    return 0


def split(options: argparse.Namespace) -> int:
    """Show the split of a seed in `split.csv`, and what leaks between its parts. Training reads no such file: it splits
    by its own seed, never parting a group, and its fingerprint in the ledger is the one printed here."""
    manifest = select(read_manifest(options.folder), min_images=options.min_images)
    parts = split_by_species(manifest, seed=options.seed, grouped=not options.single_images)
    write_table(options.folder / SPLIT, manifest[["image_id", "label"]].assign(part=parts))
    for reason, images in manifest.attrs["dropped"].items():
        if images:
            print(f"left out: {images} images, {reason.replace('_', ' ')}")
    found = leaks.links(manifest, near_duplicates=near_duplicates(options.folder, manifest, progress=True))
    counts = parts.value_counts()
    print(f"{counts['train']} images to train, {counts['valid']} for validation, {counts['test']} for the test")
    print(f"fingerprint {fingerprint(manifest, parts)}")
    print(leaks.audit(found, parts).to_string(formatters={"share": "{:.1%}".format}))
    return 0
