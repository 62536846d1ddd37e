"""The curated folder on disk: links to what is unchanged, new files for what is cropped, credits that say so.

It is written under a temporary name and renamed when it is whole, so a reader sees the earlier result or the new one.
"""

import contextlib
import hashlib
import io
import os
import shutil
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import numpy as np
import pandas as pd
from filelock import FileLock

from seran_lib.collect.credits import CREDITS, SUMMARY, write_credits
from seran_lib.curate.decisions import check_box
from seran_lib.curate.proposals import PROPOSALS
from seran_lib.data.manifest import MANIFEST, read_manifest
from seran_lib.data.pictures import WORKERS, Box, decode, is_box, read_box
from seran_lib.data.split import SPLIT
from seran_lib.data.tables import write_table
from seran_lib.errors import DataError
from seran_lib.files import replacing, replacing_folder, to_disk

CURATION = "curation.csv"
JPEG_QUALITY = 95


def write_curated(folder: Path, out: Path, table: pd.DataFrame, boxes: dict[str, Box], curation: pd.DataFrame) -> None:
    """Write the pictures of `table` (a manifest by image_id) in `folder` as the collection `out`, cutting `boxes`.

    Raises `DataError` where `out` holds anything else than an earlier result, where a picture cannot be cut, and where
    `out` cannot be written; it is as it was then.
    """
    if folder.resolve().is_relative_to(out.resolve()):
        raise DataError(f"{out} holds the collection itself", "Name another folder for the curated collection.")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        with FileLock(out.with_name(out.name + ".lock")):
            _refuse_foreign(out)
            with replacing_folder(out) as part:
                table = _write_pictures(folder, part, table, boxes)
                write_table(part / MANIFEST, table)
                write_table(part / CURATION, curation)
                _write_credits(folder, part, table)
    except OSError as error:
        raise DataError(
            f"{out} could not be written ({error.strerror or error})",
            "Free disk space, or look at the folder's permissions; then curate again.",
        ) from error


def _refuse_foreign(out: Path) -> None:
    """Raises `DataError` unless `out` is absent, empty, or holds an earlier result and nothing besides."""
    cure = "Name a new folder, or move what is in this one: nothing in it was touched."
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / CURATION).is_file():
        raise DataError(f"{out} is not an earlier result of curation (it has no {CURATION})", cure)
    try:
        ours = {*read_manifest(out)["file"], MANIFEST, CURATION, CREDITS, SUMMARY, SPLIT, PROPOSALS}
    except DataError as error:
        raise DataError([f"{out} is not a whole result of curation", *error.problems], cure) from None
    found = (Path(place, name).relative_to(out).as_posix() for place, _, names in os.walk(out) for name in names)
    if foreign := sorted(set(found) - ours):
        raise DataError([f"{out / name} is not of an earlier curation" for name in foreign], cure)


def _write_pictures(folder: Path, part: Path, table: pd.DataFrame, boxes: dict[str, Box]) -> pd.DataFrame:
    """Link or copy what is unchanged, cut what is cropped. Returns the table with the crops' new values."""
    for parent in {PurePosixPath(file).parent for file in table["file"]}:
        (part / parent).mkdir(parents=True, exist_ok=True)
    for file in table["file"][~table.index.isin(list(boxes))]:
        link(folder / file, part / file)

    taken = set(table["file"])

    def cut(image_id: str) -> dict[str, str]:
        row, box = table.loc[image_id], boxes[image_id]
        file = PurePosixPath(row["file"])
        data = _crop(folder / file, box, row.get("sha256", ""))
        width, height = box[2] - box[0], box[3] - box[1]
        target = file.with_name(f"{file.stem}-crop.jpg")
        while str(target) in taken:
            target = target.with_name(f"{target.stem}-crop.jpg")
        with replacing(part / target) as stream:
            stream.write(data)
        new = {"file": str(target), "sha256": hashlib.sha256(data).hexdigest(), "bytes": str(len(data))}
        new |= {"width": str(width), "height": str(height)}
        if is_box(row.get("label_box", "")):  # the drawn atlas says where a sheet's label is: that moved
            new["label_box"] = _inside(read_box(row["label_box"]), box)
        return new

    with ThreadPoolExecutor(WORKERS) as pool:
        crops = {image_id: pool.submit(cut, image_id) for image_id in boxes}
    errors = {table["file"][image_id]: crop.exception() for image_id, crop in crops.items()}
    if problems := [f"{file}: {error}" for file, error in errors.items() if isinstance(error, ValueError)]:
        raise DataError(problems, "Decide about these pictures again.")
    changed = pd.DataFrame([crop.result() for crop in crops.values()], index=list(boxes), dtype=str)
    table = table.copy()
    table.update(changed)
    return table


def _crop(path: Path, box: Box, sha256: str) -> bytes:
    """The JPEG of what `box` cuts out of the upright picture. Raises `ValueError` where that cannot be."""
    data = path.read_bytes()
    if sha256 and hashlib.sha256(data).hexdigest() != sha256:
        raise ValueError("its content is not that of the sha256 in the manifest")
    image = decode(data)
    check_box(box, image.size)
    buffer = io.BytesIO()
    image.crop(box).save(buffer, "JPEG", quality=JPEG_QUALITY, icc_profile=image.info.get("icc_profile"))
    return buffer.getvalue()


def _inside(inner: Box, outer: Box) -> str:
    """`inner` as seen from the corner of `outer`, cut to it; empty where they do not meet."""
    x0, y0 = (max(inner[side] - outer[side], 0) for side in (0, 1))
    x1, y1 = (min(inner[side + 2], outer[side + 2]) - outer[side] for side in (0, 1))
    return f"{x0} {y0} {x1} {y1}" if x0 < x1 and y0 < y1 else ""


def link(source: Path, target: Path) -> None:
    """A hard link to a file, or a copy where that cannot be."""
    if source.is_symlink():  # a link to it would break in another folder
        source = source.resolve()
    with contextlib.suppress(OSError):
        os.link(source, target)
        return
    shutil.copyfile(source, target)
    with open(target, "rb+") as file:
        to_disk(file)


def _write_credits(folder: Path, part: Path, table: pd.DataFrame) -> None:
    """Credits of what is left, where `folder` has credits, saying which pictures are changed: CC BY asks for it.

    The column ``curation`` knows those that an earlier curation cropped, too.
    """
    if not (folder / CREDITS).is_file():
        return
    write_credits(part, table.to_dict("records"))
    credits = pd.read_csv(part / CREDITS, dtype=str, keep_default_na=False)
    cropped = table["curation"].str.contains(r"(?:^|; )crop ")
    credits["changes"] = np.where(cropped, "cropped and saved again as JPEG", "")
    write_table(part / CREDITS, credits)
    if cropped.any():
        # CC BY-ND and CC BY-NC-ND allow copies, but no changed ones.
        fixed = int(table.loc[cropped, "licence"].str.contains(r"\bND\b").sum()) if "licence" in table else 0
        text = f"\n## Changes\n\nCropped pictures, which `{CREDITS}` names in the column `changes`: {cropped.sum()}."
        if fixed:
            text += f"\n**{fixed} of them must not be passed on:** their licence allows no changed copies (ND)."
        summary = (part / SUMMARY).read_text(encoding="utf-8")
        with replacing(part / SUMMARY, "w") as file:
            file.write(summary + text + "\n")
