"""Figures of a collection: how uneven it is, what its taxonomy, places and licences are, and why it is hard.

Each takes a manifest (and its folder where pictures are shown) and returns the figure, whatever set is loaded; columns
that a set lacks raise `ValueError` naming them. Figures with photographs are shown, not saved.
"""

import textwrap
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.colors import to_rgba
from matplotlib.figure import Figure
from PIL import ImageOps

from seran_lib.analysis.stats import wilson
from seran_lib.book.plots.coast import MAINLAND, TASMANIA
from seran_lib.book.plots.style import COLOURS, SQUARE, WIDE
from seran_lib.data.pictures import UnfitError, decode, read_box

PALETTE = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#999933", "#8C6BB1")
UNKNOWN = "not stated"
_LOOK = 16  # pixels a side of the small picture by which look-alikes are found


def plot_imbalance(manifest: pd.DataFrame, min_images: int) -> Figure:
    """Images per species, largest first, those below the species cut in grey, and the share of the largest."""
    counts = manifest["label"].value_counts()
    figure, axis = plt.subplots(figsize=WIDE)
    kept = counts >= min_images
    axis.bar(range(len(counts)), counts, width=0.85, color=np.where(kept, COLOURS["ours"], COLOURS["faint"]))
    axis.axhline(min_images, color=COLOURS["doubt"], linewidth=1.5)
    axis.text(len(counts) - 0.4, min_images, f"{min_images} images ", ha="right", va="bottom", color=COLOURS["doubt"])
    share = f"the largest, {counts.index[0]}, has {counts.iloc[0] / counts.sum():.1%} of all images"
    axis.text(0.99, 0.97, share, ha="right", va="top", transform=axis.transAxes)
    axis.set(ylabel="images", xlim=(-0.6, len(counts) - 0.4))
    axis.set_title(f"{len(counts)} species, {kept.sum()} with at least {min_images} images")
    if len(counts) <= 30:
        axis.set_xticks(range(len(counts)), counts.index, rotation=40, ha="right")
    else:
        axis.set_xlabel("species, largest first")
    return figure


def plot_taxonomy(manifest: pd.DataFrame, ranks: Sequence[str] = ("order", "family", "genus", "species")) -> Figure:
    """A sunburst: from the middle outwards one ring a rank, each arc as long as its number of images."""
    ranks = [rank for rank in ranks if rank in manifest and (manifest[rank] != "").any()]
    _need(bool(ranks), "order, family, genus or species", manifest)
    names = manifest[ranks].replace("", UNKNOWN)
    figure, axis = plt.subplots(figsize=SQUARE, subplot_kw={"projection": "polar"})
    top = names[ranks[0]].value_counts().index
    hues = {name: PALETTE[k % len(PALETTE)] for k, name in enumerate(top)}
    ordered = names.value_counts(sort=False).sort_index()
    for ring, _ in enumerate(ranks):
        start = 0
        for path, size in ordered.groupby(level=list(range(ring + 1)), sort=False).sum().items():
            path = path if isinstance(path, tuple) else (path,)
            angle, width = 2 * np.pi * start / len(names), 2 * np.pi * size / len(names)
            look = {"color": hues[path[0]], "alpha": 0.95 - 0.17 * ring, "edgecolor": "white", "linewidth": 0.8}
            axis.bar(angle, 0.97, width, bottom=ring + 0.6, align="edge", **look)
            _write_arc(axis, angle + width / 2, ring + 1.09, width * (ring + 1.09), _own_part(path, ranks[: ring + 1]))
            start += size
    axis.set_axis_off()
    axis.set_title(f"{len(names)} images: " + ", ".join(f"{names[rank].nunique()} {_plural(rank)}" for rank in ranks))
    return figure


def plot_map(manifest: pd.DataFrame) -> Figure:
    """Where the photographs were taken, in the colours of the most frequent species."""
    _need({"latitude", "longitude"} <= set(manifest), "latitude and longitude", manifest)
    place = manifest[["longitude", "latitude"]].apply(pd.to_numeric, errors="coerce")
    known = place.notna().all(axis=1)
    figure, axis = plt.subplots(figsize=SQUARE)
    for outline in (MAINLAND, TASMANIA):
        axis.fill(*zip(*outline, strict=True), facecolor="#F3F1EA", edgecolor=COLOURS["faint"], linewidth=1.2)
    common = manifest["label"].value_counts().index[: len(PALETTE) - 1]
    others = known & ~manifest["label"].isin(common)
    axis.scatter(*place[others].T.to_numpy(), s=14, color=COLOURS["faint"], edgecolor=COLOURS["other"], linewidth=0.4)
    for name, colour in zip(common, PALETTE, strict=False):
        mine = known & (manifest["label"] == name)
        axis.scatter(*place[mine].T.to_numpy(), s=22, color=colour, edgecolor="white", linewidth=0.4, label=name)
    figure.legend(loc="outside right upper", handletextpad=0.1)
    axis.set_aspect(1 / np.cos(np.radians(27)))  # a degree of longitude is shorter than one of latitude there
    axis.set(xlabel="longitude", ylabel="latitude")
    axis.set_title(f"{known.sum()} of {len(manifest)} images have a place")
    return figure


def plot_licences(manifest: pd.DataFrame, is_open) -> Figure:
    """A ring of licences by number of images; `is_open` says which allow the picture to be passed on."""
    _need("licence" in manifest, "licence", manifest)
    counts = manifest["licence"].replace("", UNKNOWN).value_counts()
    free = [name != UNKNOWN and is_open(name) for name in counts.index]
    figure, axis = plt.subplots(figsize=WIDE)
    shades = iter(np.linspace(0.95, 0.35, max(sum(free), 1)))
    colours = [to_rgba(COLOURS["ours"], next(shades)) if good else COLOURS["paper"] for good in free]
    ring = {"width": 0.4, "edgecolor": "white"}
    wedges, _ = axis.pie(counts, startangle=90, counterclock=False, colors=colours, wedgeprops=ring)
    closed = ["" if good else ", closed" for good in free]
    words = [f"{name}: {count} images{end}" for (name, count), end in zip(counts.items(), closed, strict=True)]
    figure.legend(wedges, words, loc="outside right center")
    open_images = int(counts[free].sum())
    axis.text(0, 0, f"{open_images / len(manifest):.0%}\nmay be shared", ha="center", va="center", fontsize=13)
    return figure


def plot_leaks(audits: Mapping[str, pd.DataFrame]) -> Figure:
    """The share of test images with a sibling in training, a bar a link and split, with Wilson's intervals."""
    figure, axis = plt.subplots(figsize=WIDE)
    links = list(next(iter(audits.values())).index)
    height = 0.8 / len(audits)
    for k, (name, table) in enumerate(audits.items()):
        place = np.arange(len(links)) + (k - (len(audits) - 1) / 2) * height
        share = 100 * table["share"].to_numpy()
        ends = [wilson(int(row.leaked), int(row.test)) for row in table.itertuples()]
        spread = np.abs(100 * np.array(ends).T - share)
        colour = (COLOURS["paper"], COLOURS["ours"], COLOURS["good"])[k % 3]
        axis.barh(place, share, 0.9 * height, color=colour, label=name)
        axis.errorbar(share, place, xerr=spread, fmt="none", ecolor=COLOURS["other"], elinewidth=1.2, capsize=3)
        for y, row, (_, high) in zip(place, table.itertuples(), ends, strict=True):
            axis.text(100 * high + 0.6, y, f"{row.leaked} of {row.test}", va="center", fontsize=11)
    axis.set_yticks(range(len(links)), links)
    axis.invert_yaxis()
    axis.set(xlabel="test images with a sibling in training, %", xlim=(0, None))
    axis.margins(x=0.15)
    figure.legend(loc="outside upper left", ncols=len(audits))
    return figure


def figure1(folder: str | Path, manifest: pd.DataFrame, insect_score, columns: int = 6) -> Figure:
    """The paper's Fig. 1 from any set: look-alike species, one species in many looks, hard poses and backgrounds.

    The first row alternates between the two species whose mean small pictures are nearest, of one genus where the
    manifest knows genera. The second shows pictures of one species as far apart as can be. The third shows the pictures
    with the lowest `insect_score(image)`. At most 40 pictures a species are looked at.
    """
    folder = Path(folder)
    seen = manifest.groupby("label").head(40)
    seen = seen[seen.groupby("label")["label"].transform("size") >= columns]
    if seen["label"].nunique() < 2:
        raise ValueError(f"two species with at least {columns} pictures are needed")
    looks = np.stack([_look(folder / file) for file in seen["file"]])
    means = pd.DataFrame(looks, index=seen.index).groupby(seen["label"]).mean()
    one, two = _nearest_pair(means, seen)

    def pictures(rows: pd.DataFrame) -> list[Path]:
        return [folder / file for file in rows["file"]]

    pairs = zip(*(pictures(seen[seen["label"] == name]) for name in (one, two)), strict=False)
    alike = list(chain.from_iterable(pairs))[:columns]
    of = {label: looks[rows] for label, rows in seen.groupby("label").indices.items()}
    varied = max(of, key=lambda label: of[label].std(axis=0).mean())
    mine = seen[seen["label"] == varied]
    apart = _far_apart(of[varied], columns)
    scores = [insect_score(decode(path.read_bytes())) for path in pictures(seen)]
    hard = seen.iloc[np.argsort(scores, kind="stable")[:columns]]
    rows = {
        f"two species: {one}, {two}": (alike, [one, two] * columns),
        f"one species: {varied}": (pictures(mine.iloc[apart]), [""] * columns),
        "hard poses and backgrounds": (pictures(hard), hard["label"].tolist()),
    }
    return picture_rows(rows, columns)


def picture_rows(rows: Mapping[str, tuple[Sequence[Path], Sequence[str]]], columns: int = 6) -> Figure:
    """Rows of pictures, each with a heading; below each picture its caption."""
    figure = plt.figure(figsize=(WIDE[0], (0.9 + 9 / columns) * len(rows)))
    parts = figure.subfigures(len(rows), 1, squeeze=False)[:, 0]
    for part, (heading, (paths, captions)) in zip(parts, rows.items(), strict=True):
        part.suptitle(heading, x=0.01, ha="left", fontsize=12)
        axes = part.subplots(1, columns)
        for axis in axes:
            axis.axis("off")
            axis.set_anchor("N")
        for axis, path, caption in zip(axes, paths, captions, strict=False):
            show_picture(axis, path, caption)
    return figure


def show_picture(axis: Axes, path: Path, caption: str = "") -> None:
    """One picture, upright, its centre cut to a square so that a row is even; its caption below."""
    axis.axis("off")
    try:
        axis.imshow(ImageOps.fit(decode(path.read_bytes()), (220, 220)))
    except (OSError, UnfitError):
        axis.text(0.5, 0.5, "not\nreadable", ha="center", va="center", transform=axis.transAxes, fontsize=11)
    below = "\n".join(textwrap.wrap(caption, 18)[:2])
    axis.text(0.5, -0.03, below, ha="center", va="top", transform=axis.transAxes, fontsize=10)


def _own_part(path: tuple[str, ...], ranks: Sequence[str]) -> str:
    """The last name of `path`; of a species below its genus only what the genus does not say already."""
    name = path[-1]
    if ranks[-1] == "species" and "genus" in ranks:
        name = name.removeprefix(path[ranks.index("genus")]).strip() or name
    return name


def _write_arc(axis: Axes, angle: float, radius: float, room: float, name: str) -> None:
    """A name along its arc if there is room, else across it, else not at all."""
    turn = np.degrees(angle)
    if room > 0.105 * len(name):
        turn += 90 if 180 <= turn < 360 else -90
    elif room > 0.17:
        turn -= 180 if 90 < turn < 270 else 0
        name = name if len(name) <= 11 else name[:10] + "…"
    else:
        return
    style = {"ha": "center", "va": "center", "rotation_mode": "anchor", "fontsize": 10}
    axis.text(angle, radius, name, rotation=turn, **style)


def show_crop(axis: Axes, path: Path, crop: str) -> None:
    """The whole picture, with a frame around the part that would be kept ("x0 y0 x1 y1", pixels)."""
    x0, y0, x1, y1 = read_box(crop)
    axis.imshow(decode(path.read_bytes()))
    axis.add_patch(plt.Rectangle((x0, y0), x1 - x0, y1 - y0, fill=False, edgecolor=COLOURS["paper"], linewidth=2))
    axis.axis("off")


def _look(path: Path) -> np.ndarray:
    small = ImageOps.fit(decode(path.read_bytes()), (_LOOK, _LOOK))
    return np.asarray(small, dtype=np.float32).ravel() / 255


def _nearest_pair(means: pd.DataFrame, seen: pd.DataFrame) -> tuple[str, str]:
    """The two labels with the nearest means; among labels of one genus first, where genera are known."""
    distance = np.linalg.norm(means.to_numpy()[:, None] - means.to_numpy()[None], axis=2)
    distance[np.tril_indices(len(means))] = np.inf
    if "genus" in seen:
        genus = seen.groupby("label")["genus"].first().loc[means.index].to_numpy()
        sisters = (genus[:, None] == genus[None]) & (genus != "")[:, None]
        if np.isfinite(distance[sisters]).any():
            distance[~sisters] = np.inf
    one, two = np.unravel_index(np.argmin(distance), distance.shape)
    return means.index[one], means.index[two]


def _far_apart(looks: np.ndarray, count: int) -> list[int]:
    """Greedy farthest points: first the one nearest to the mean, then always the one farthest from all taken."""
    taken = [int(np.argmin(np.linalg.norm(looks - looks.mean(axis=0), axis=1)))]
    while len(taken) < min(count, len(looks)):
        nearest = np.linalg.norm(looks[:, None] - looks[taken][None], axis=2).min(axis=1)
        taken.append(int(np.argmax(nearest)))
    return taken


def _plural(rank: str) -> str:
    return {"genus": "genera", "family": "families", "species": "species"}.get(rank, f"{rank}s")


def _need(present: bool, columns: str, manifest: pd.DataFrame) -> None:
    if not present:
        raise ValueError(f"this manifest has no {columns} (it has {', '.join(manifest.columns)})")
