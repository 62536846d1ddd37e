"""A data set from the command line: `python -m seran_lib.commands.data plan | fetch | verify | curate | split`.

    python -m seran_lib.commands.data plan data/ala --taxon Insecta --species 200 --as-of 2018-10-31    first
    python -m seran_lib.commands.data fetch data/ala                                                    go on
    python -m seran_lib.commands.data verify data/ala                                  is every picture whole
    python -m seran_lib.commands.data curate data/ala data/ala-curated                                  clean it
    python -m seran_lib.commands.data split data/ala-curated   70/15/15, and its leaks

Each command may be interrupted and given again. With `plan --source demo` all of it runs offline.
"""

import argparse
import datetime
import sqlite3
import sys
from dataclasses import replace
from pathlib import Path

import pandas as pd
from requests import RequestException

from seran_lib import sources
from seran_lib.collect import fetch, zenodo
from seran_lib.collect.ala import client
from seran_lib.collect.ala.listing import collect_plan
from seran_lib.collect.http import polite_session
from seran_lib.collect.plan import Plan
from seran_lib.curate import leaks, proposals, replay
from seran_lib.curate.decisions import DECISIONS
from seran_lib.curate.duplicates import near_duplicates
from seran_lib.data.manifest import MANIFEST, read_manifest, select
from seran_lib.data.split import SPLIT, fingerprint, split_by_species
from seran_lib.errors import DataError
from seran_lib.files import replacing


def main(arguments: list[str] | None = None) -> int:
    """Run one command. Returns 0, 1 where the answer is bad news, 2 where the question was wrong, 130 after Ctrl-C."""
    options = _parser().parse_args(arguments)
    try:
        return options.run(options)
    except KeyboardInterrupt:
        print(f"{options.command}: interrupted; nothing is lost, the same command goes on", file=sys.stderr)
        return 130
    except (DataError, ValueError) as error:
        print(f"{options.command}: {error}", file=sys.stderr)
        return 2
    except RequestException as error:
        print(f"{options.command}: the service cannot be reached ({type(error).__name__})", file=sys.stderr)
        print("Look at the network and the address, then give the same command again.", file=sys.stderr)
        return 1
    except (OSError, sqlite3.OperationalError) as error:
        print(f"{options.command}: {options.folder} cannot be read or written ({error})", file=sys.stderr)
        print("Look at its permissions and at the room on the disk, then give the same command again.", file=sys.stderr)
        return 1


def plan(options: argparse.Namespace) -> int:
    """Ask the atlas (or Zenodo), write the plan, fetch nothing."""
    if options.zenodo or options.labels:
        if not (options.zenodo and options.labels):
            raise ValueError("--zenodo names the records and --labels the table of labels: give both")
        if ignored := [name for name, value in options.of_the_atlas.items() if getattr(options, name) != value]:
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
            print(f"from answers of {atlas.oldest:%Y-%m-%d} and later: delete {kept} to ask anew")
        return _show(found, options.folder, service.per_second or sources.POLITE)


def _show(plan: Plan, folder: Path, per_second: float) -> int:
    print(plan.summary().to_string())
    minutes = plan.seconds(per_second) / 60
    time = f"{minutes:.0f} min" if minutes < 90 else f"{minutes / 60:.1f} h"
    print(f"\nabout {time} at {per_second:g} pictures a second")
    print(f"next: python -m seran_lib.commands.data fetch {folder}")
    return 0


def fetch_images(options: argparse.Namespace) -> int:
    """Fetch what the plan names and is not there yet."""
    with sources.service(sources.source_of(options.folder)) as service:
        if options.per_second is not None:
            service = replace(service, per_second=options.per_second)
        session = service.session(options.connections)
        report = fetch.fetch(options.folder, session=session, connections=options.connections)
    print(report)
    return 0 if report.present == report.planned else 1


def verify(options: argparse.Namespace) -> int:
    """Compare every picture with its checksum."""
    problems = fetch.verify(options.folder)
    for problem in problems:
        print(problem)
    print(f"{len(problems)} problems" if problems else "every picture is there and whole")
    return 1 if problems else 0


def curate(options: argparse.Namespace) -> int:
    """Propose, replay decisions, write a clean copy."""
    proposed = _proposals(options.folder)
    decisions = options.decisions or options.folder / DECISIONS
    if options.decisions and not decisions.is_file():
        raise DataError(f"{decisions} is no file", "Look at its name; without --decisions nobody has decided anything.")
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
    """The proposals for a collection, made anew where its manifest is newer than those on disk."""
    path = folder / proposals.PROPOSALS
    manifest = read_manifest(folder)
    if path.is_file() and path.stat().st_mtime >= (folder / MANIFEST).stat().st_mtime:
        return pd.read_csv(path, dtype=str, keep_default_na=False).astype({"score": float})
    proposed = proposals.propose(folder, manifest)
    with replacing(path, "w") as file:
        proposed.to_csv(file, index=False, lineterminator="\n")
    return proposed


def split(options: argparse.Namespace) -> int:
    """Show the split of a seed in `split.csv`, and what leaks between its parts. Training reads no such file: it splits
    by its own seed, never parting a group, and its fingerprint in the ledger is the one printed here."""
    manifest = select(read_manifest(options.folder), min_images=options.min_images)
    parts = split_by_species(manifest, seed=options.seed, grouped=not options.single_images)
    table = manifest[["image_id", "label"]].assign(part=parts)
    with replacing(options.folder / SPLIT, "w") as file:
        table.to_csv(file, index=False, lineterminator="\n")
    for reason, images in manifest.attrs["dropped"].items():
        if images:
            print(f"left out: {images} images, {reason.replace('_', ' ')}")
    found = leaks.links(manifest, near_duplicates=near_duplicates(options.folder, manifest, progress=True))
    counts = parts.value_counts()
    print(f"{counts['train']} images to train, {counts['valid']} for validation, {counts['test']} for the test")
    print(f"fingerprint {fingerprint(manifest, parts)}")
    print(leaks.audit(found, parts).to_string(formatters={"share": "{:.1%}".format}))
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m seran_lib.data",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")

    def command(name: str, run, help: str) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=help, description=run.__doc__, allow_abbrev=False)
        added.set_defaults(run=run)
        added.add_argument("folder", type=Path, metavar="FOLDER", help="the collection's folder")
        return added

    one = command("plan", plan, "ask the atlas, write the plan, fetch nothing")
    one.add_argument("--source", choices=sources.SOURCES, default="ala", help="the live atlas, or the demo (offline)")
    one.add_argument("--taxon", default="Insecta", help="a scientific name or an identifier (Insecta)")
    one.add_argument("--species", type=int, default=200, help="the species with most records, this many (200)")
    one.add_argument("--per-species", type=int, default=0, help="at most so many images a species, drawn at random")
    one.add_argument("--region", default="", help="a state, a territory or a country")
    one.add_argument("--since", type=datetime.date.fromisoformat, metavar="DATE", help="first day, as 2000-01-31")
    one.add_argument("--until", type=datetime.date.fromisoformat, metavar="DATE", help="last day")
    one.add_argument("--basis", action="append", default=[], help="HUMAN_OBSERVATION, PRESERVED_SPECIMEN; repeatable")
    one.add_argument("--licence", action="append", default=[], help='of the image, such as "CC BY 4.0"; repeatable')
    one.add_argument("--exclude-resource", action="append", default=[], help="a data resource uid; repeatable")
    one.add_argument(
        "--as-of", type=datetime.date.fromisoformat, metavar="DATE", help="only what was there on this day, 2018-10-31"
    )
    for name in ("occurrences", "images", "names"):
        one.add_argument(f"--{name}", metavar="URL", help=f"another base address of the service of {name}")
    one.add_argument("--size", choices=("large", "original"), default="large", help="650 pixels, or as uploaded")
    one.add_argument("--seed", type=int, default=0, help="of the choice that --per-species makes")
    one.add_argument(
        "--per-second", type=float, help=f"requests a second to one host ({sources.POLITE:g}; 0: no limit)"
    )
    one.add_argument(
        "--zenodo", action="append", default=[], metavar="RECORD", help="no atlas: a record of Zenodo; repeatable"
    )
    one.add_argument("--labels", type=Path, help="for --zenodo: a CSV table with the columns file and label")
    standard = vars(one.parse_args(["."]))
    for name in ("run", "folder", "per_second", "zenodo", "labels"):
        standard.pop(name)
    one.set_defaults(of_the_atlas=standard)  # what has no meaning for Zenodo

    one = command("fetch", fetch_images, "fetch the pictures of a plan; again: go on, failed ones included")
    one.add_argument(
        "--per-second", type=float, help=f"requests a second to one host ({sources.POLITE:g}; 0: no limit)"
    )
    one.add_argument("--connections", type=int, default=4, help="at the same time (4)")

    command("verify", verify, "compare every picture with its checksum")

    one = command("curate", curate, "replay decisions, drop what is unfit, write a clean copy")
    one.add_argument("out", type=Path, metavar="OUT", help="the folder to write")
    one.add_argument("--decisions", type=Path, help=f"what reviewers decided ({DECISIONS} in the folder)")
    one.add_argument("--accept-proposals", action="store_true", help="where nobody decided, do what is proposed")
    one.add_argument("--min-images", type=int, default=20, help="fewest images a species needs to be kept (20)")

    one = command("split", split, f"write {SPLIT}: 70/15/15 for each species, and count its leaks")
    one.add_argument("--seed", type=int, default=0)
    one.add_argument("--single-images", action="store_true", help="as the paper did: groups may be separated")
    one.add_argument("--min-images", type=int, default=20, help="fewest images a species needs to be kept (20)")
    return parser


if __name__ == "__main__":
    sys.exit(main())
