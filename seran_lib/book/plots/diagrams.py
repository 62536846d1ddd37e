"""Block diagrams drawn from model objects: the mask branch in both wirings, and a whole staged network (Figure 2)."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch

from seran_lib.book.plots.style import COLOURS
from seran_lib.nets.attention import AttentionModule, MaskBranch
from seran_lib.nets.blocks import Bottleneck, SEBottleneck
from seran_lib.nets.description import count_parameters, describe
from seran_lib.nets.network import StagedNetwork

FILLS = {"plain": "#DDE6EE", "ours": "#9CC7E6", "attention": "#F4C99B", "head": "#E3E3E3"}


def box(
    axis: Axes, x: float, y: float, text: str, fill: str, width: float = 1.5, height: float = 0.62, points: float = 11
) -> None:
    """A labelled box centred on (x, y)."""
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0.02,rounding_size=0.08"
    axis.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=fill, edgecolor="none"))
    axis.text(x, y, text, ha="center", va="center", fontsize=points)


def arrow(
    axis: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0, line: str = "-"
) -> None:
    """An arrow between two points; `bend` curves it, `line` is a matplotlib line style."""
    way = {"connectionstyle": f"arc3,rad={bend}", "arrowstyle": "-|>", "mutation_scale": 15}
    axis.add_patch(FancyArrowPatch(start, end, color=colour, linewidth=1.9, linestyle=line, **way))


LEFT, MIDDLE, RIGHT = 0.0, 3.2, 6.4  # the way down, the lateral connections, the way up
DOTTED = (0, (1, 1.6))
TYPE = 13  # points; two panels share the width of a page


def draw_mask_branch(mask: MaskBranch, axis: Axes) -> None:
    """One attention module: the trunk on top, below it the mask as a valley with a level for each pooling.

    The second input of every enlargement is dotted where it gives its size only. Where it is added, as in the port, it
    is drawn in the colour of the paper's numbers.
    """
    depth, usual = len(mask.down) + 1, COLOURS["other"]
    second = {"colour": COLOURS["paper"]} if mask.adds_reference else {"colour": usual, "line": DOTTED}
    word = "added" if mask.adds_reference else "size only"
    box(axis, LEFT, 0, "x", FILLS["head"], 0.8, points=TYPE)
    box(axis, MIDDLE, 1, "trunk T", FILLS["plain"], 1.6, points=TYPE)
    box(axis, RIGHT, 1, "(1 + M) T", FILLS["head"], 1.9, points=TYPE)
    box(axis, RIGHT, 0, "mask head", FILLS["attention"], 1.9, points=TYPE)
    arrow(axis, (LEFT + 0.3, 0.34), (MIDDLE - 0.84, 1), usual, bend=-0.25)
    arrow(axis, (MIDDLE + 0.84, 1), (RIGHT - 0.98, 1), usual)
    arrow(axis, (RIGHT, 0.33), (RIGHT, 0.67), usual)
    arrow(axis, (MIDDLE + 0.4, 0.67), (RIGHT - 0.98, 0), bend=0.22, **second)
    axis.text(MIDDLE + 0.5, 0.1, word, fontsize=TYPE, color=second["colour"], ha="center", va="center")
    for level in range(1, depth):
        box(axis, LEFT, -level, "pool, block", FILLS["plain"], 1.9, points=TYPE)
        box(axis, MIDDLE, -level, "lateral block", FILLS["ours"], 2.1, points=TYPE)
        box(axis, RIGHT, -level, "add, block", FILLS["plain"], 1.9, points=TYPE)
        arrow(axis, (LEFT, 0.67 - level), (LEFT, 0.33 - level), usual)
        arrow(axis, (LEFT + 0.98, -level), (MIDDLE - 1.08, -level), usual)
        arrow(axis, (MIDDLE + 1.08, -level), (RIGHT - 0.98, -level), usual)
        arrow(axis, (RIGHT, 0.33 - level), (RIGHT, 0.67 - level), usual)
        arrow(axis, (LEFT + 0.9, 0.27 - level), (RIGHT - 0.9, 0.27 - level), bend=-0.07, **second)
    box(axis, MIDDLE, -depth, "pool, two blocks", FILLS["plain"], 2.5, points=TYPE)
    arrow(axis, (LEFT, 0.67 - depth), (MIDDLE - 1.28, -depth), usual, bend=0.25)
    arrow(axis, (MIDDLE + 1.28, -depth), (RIGHT, 0.67 - depth), usual, bend=0.25)
    for level in range(depth):
        axis.text(RIGHT + 0.15, -level - 0.5, "enlarge", fontsize=TYPE, color=usual, va="center")
    axis.set(xlim=(-1.1, 7.9), ylim=(-depth - 0.45, 1.45))
    axis.axis("off")


def draw_wirings(paper: AttentionModule, port: AttentionModule) -> Figure:
    """Both wirings side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 1.05 * (len(paper.mask.down) + 3)))
    for axis, module, name in zip(axes, (paper, port), ("paper", "port"), strict=True):
        draw_mask_branch(module.mask, axis)
        axis.set_title(f'wiring="{name}"', fontsize=TYPE + 2)
    return figure


MODULES = {
    Bottleneck: ("residual", FILLS["plain"], 0.5),
    SEBottleneck: ("SE", FILLS["ours"], 0.5),
    AttentionModule: ("attention", FILLS["attention"], 1.1),
}  # the label, colour and width of a module's box


def draw_network(network: StagedNetwork, title: str, size: int = 224) -> Figure:
    """Figure 2 of the paper, drawn from the object: a row per stage, a box per module, cost and shape beside it."""
    cost = describe(network, size)
    figure, axis = plt.subplots(figsize=(11, 4.9))
    parts = {"stem": network.stem, **{f"stage {k}": stage for k, stage in enumerate(network.stages, 1)}}
    for row, (name, part) in enumerate(parts.items()):
        x = 1.2
        axis.text(0, -row, name, fontsize=13, va="center")
        if name == "stem":
            shown = [*[("3x3", FILLS["head"], 0.7)] * 3, (f"{network.pool_name} pool", FILLS["head"], 1.5)]
        else:
            shown = [MODULES[type(module)] for module in part]
        for label, fill, width in shown:
            box(axis, x + width / 2, -row, label if width > 0.6 else "", fill, width)
            x += width + 0.14
        channels, height, width = cost.stages["pool" if name == "stem" else name]
        weights = count_parameters(part) / 1e6
        axis.text(9.0, -row, f"{channels} x {height} x {width}", fontsize=12, va="center", ha="right")
        axis.text(10.6, -row, f"{weights:.2f} M", fontsize=12, va="center", ha="right")
    for x, text in ((9.0, "output"), (10.6, "weights")):
        axis.text(x, 0.75, text, fontsize=12, color=COLOURS["other"], ha="right")
    box(axis, 3.25, -len(parts), "BN, ReLU, mean, dropout, classifier", FILLS["head"], 4.1)
    axis.text(10.6, -len(parts), f"{cost.parameters / 1e6:.2f} M in all", fontsize=12, va="center", ha="right")
    legend = [Patch(color=fill, label=label) for label, fill, _ in MODULES.values()]
    axis.legend(handles=legend, loc="upper center", ncols=3, bbox_to_anchor=(0.36, 1.08))
    axis.set_title(f"{title}: {cost.gmacs:.2f} billion multiply-adds at {size} px", pad=22)
    axis.set(xlim=(-0.1, 10.7), ylim=(-len(parts) - 0.6, 1))
    axis.axis("off")
    return figure
