"""The look of every figure, and the one way to save one: below `runs/`, where it changes no tracked file.

`make figures` copies what the committed chapters drew to `figures/`.

Figures are made to be projected: no type below 11 points, labels beside what they name instead of legends, no frames.
Colours follow Okabe and Ito, "Color Universal Design", 2008, and stay apart for colour-blind readers.
"""

import io
import re
from types import MappingProxyType

import matplotlib as mpl
from IPython.display import Image as Shown
from IPython.display import display
from matplotlib import pyplot as plt
from matplotlib.figure import Figure
from PIL import Image

from seran_lib import paths
from seran_lib.files import replacing

COLOURS = MappingProxyType(
    {
        "ours": "#0072B2",  # the model a chapter is about
        "other": "#555555",  # what it is compared with
        "paper": "#D55E00",  # a number printed in the paper
        "good": "#009E73",
        "doubt": "#E69F00",
        "faint": "#C9C9C9",
    }
)
RANDOM_NAME = re.compile(r"\b(image|[mpbh])[0-9a-f]{10}\b")
# Inches. One width for all, so that the same point size looks the same from figure to figure.
WIDE, TALL, SQUARE = (9.0, 4.2), (9.0, 6.0), (9.0, 7.4)

STYLE = MappingProxyType(
    {
        "font.family": "DejaVu Sans",  # comes with matplotlib, so a figure is the same on every machine
        "font.size": 12,
        "axes.titlesize": 13,
        "axes.titlelocation": "left",
        "axes.titlepad": 12,
        "axes.labelsize": 12,
        "xtick.labelsize": 11,
        "ytick.labelsize": 11,
        "legend.fontsize": 11,
        "legend.frameon": False,
        "axes.spines.top": False,
        "axes.spines.right": False,
        "axes.edgecolor": COLOURS["other"],
        "lines.linewidth": 2,
        "figure.figsize": WIDE,
        "figure.dpi": 100,
        "figure.constrained_layout.use": True,
        "svg.fonttype": "path",
    }
)


def use_book_style() -> None:
    """Sets matplotlib's defaults to the book's for the rest of the session."""
    mpl.rcParams.update(STYLE)


def save(figure: Figure, name: str) -> None:
    """Writes `runs/figures/<name>.svg`; the same drawing gives the same bytes.

    The figure stays open, so that a notebook shows it below the cell. Raises ValueError for a name with a folder or a
    suffix.
    """
    _write(f"{name}.svg", svg(figure).encode())


def svg(figure: Figure) -> str:
    """The figure as the text of an SVG file.

    Date, version and matplotlib's random names of parts would change the file without changing the picture. The names
    are replaced by numbers.
    """
    buffer = io.BytesIO()
    figure.savefig(buffer, format="svg", metadata={"Date": None, "Creator": None})
    return numbered(buffer.getvalue().decode())


def numbered(text: str) -> str:
    """An SVG file of matplotlib with its markers, paths and images called m0, p1, image2 in the order they come."""
    names: dict[str, str] = {}
    return RANDOM_NAME.sub(lambda found: names.setdefault(found[0], f"{found[1]}{len(names)}"), text)


def show_pictures(figure: Figure) -> None:
    """Displays a figure that is mostly photographs or drawings as JPEG: a tenth of the bytes of a PNG."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format="jpeg", dpi=90, pil_kwargs={"quality": 82})
    plt.close(figure)
    display(Shown(buffer.getvalue(), format="jpeg"))


def save_pictures(figure: Figure, name: str) -> None:
    """Writes `runs/figures/<name>.png` with 256 colours, for figures made of drawn insects, never of photographs."""
    drawn, stored = io.BytesIO(), io.BytesIO()
    figure.savefig(drawn, format="png", dpi=110)
    Image.open(drawn).convert("RGB").quantize(256, dither=Image.Dither.NONE).save(stored, "png", optimize=True)
    _write(f"{name}.png", stored.getvalue())


def _write(file: str, content: bytes) -> None:
    if not re.fullmatch(r"\w+\.\w+", file):
        raise ValueError(f"figure name {file!r}: letters, digits and underscores only, such as fig03_grim")
    with replacing(paths.runs() / "figures" / file) as stream:
        stream.write(content)
