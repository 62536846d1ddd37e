"""The same pictures with groups that no split separates: the set's own, joined with the clusters of near-copies.

The detector (`duplicates`) says which pictures are copies of each other, a set's own `group` which show one animal.
One group is then all that either of them joins, over any number of steps.
"""

from pathlib import Path

import pandas as pd

from seran_lib.curate.duplicates import near_duplicates
from seran_lib.curate.leaks import merge_links
from seran_lib.curate.write import link
from seran_lib.data.manifest import MANIFEST, read_manifest
from seran_lib.data.masks import MASKS
from seran_lib.data.split import NEAR_DUPLICATE
from seran_lib.data.tables import write_table
from seran_lib.errors import DataError
from seran_lib.files import replacing_folder


def joined_groups(manifest: pd.DataFrame, clusters: pd.Series) -> pd.Series:
    """The group of every image, named after its smallest `image_id`; `clusters` has a name for each row."""
    merged = merge_links(pd.DataFrame({"group": manifest["group"], NEAR_DUPLICATE: clusters}))
    return manifest["image_id"].groupby(merged).transform("min").rename("group")


def write_grouped(folder: Path, out: Path, *, progress: bool = False) -> pd.DataFrame:
    """Write the set in `folder` as `out` with joined groups, and return its manifest.

    Pictures and masks are linked, or copied where that cannot be done. The manifest also has each picture's cluster in
    `NEAR_DUPLICATE`, so that a training can say what its split leaks. Raises DataError where `out` holds anything.
    """
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise DataError(f"{out} is there already", "Name a new folder: nothing in it was touched.")
    manifest = read_manifest(folder)
    clusters = near_duplicates(folder, manifest, progress=progress)
    manifest = manifest.assign(group=joined_groups(manifest, clusters), **{NEAR_DUPLICATE: clusters})
    masks = [f"{MASKS}/{image_id}.png" for image_id in manifest["image_id"]]
    with replacing_folder(out) as part:
        for file in [*manifest["file"], *(mask for mask in masks if (folder / mask).is_file())]:
            (part / file).parent.mkdir(parents=True, exist_ok=True)
            link(folder / file, part / file)
        write_table(part / MANIFEST, manifest)
    return manifest
