"""Block diagrams drawn from model objects: the mask branch in both wirings, and a whole staged network (Figure 2)."""

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Patch

from seran_lib.nets.attention import AttentionModule, MaskBranch
from seran_lib.nets.blocks import Bottleneck, SEBottleneck
from seran_lib.nets.describe import count_parameters, describe
from seran_lib.nets.network import StagedNetwork

from .figures import COLOURS

FILLS = {"plain": "#DDE6EE", "ours": "#9CC7E6", "attention": "#F4C99B", "head": "#E3E3E3"}


def box(axis: Axes, x: float, y: float, text: str, fill: str, width: float = 1.5, height: float = 0.62) -> None:
    """A labelled box centred on (x, y)."""
    corner = (x - width / 2, y - height / 2)
    style = "round,pad=0.02,rounding_size=0.08"
    axis.add_patch(FancyBboxPatch(corner, width, height, boxstyle=style, facecolor=fill, edgecolor="none"))
    axis.text(x, y, text, ha="center", va="center", fontsize=11)


def arrow(axis: Axes, start: tuple[float, float], end: tuple[float, float], colour: str, bend: float = 0) -> None:
    """An arrow between two points; `bend` curves it."""
    style = f"arc3,rad={bend}"
    axis.add_patch(
        FancyArrowPatch(
            start, end, connectionstyle=style, arrowstyle="-|>", mutation_scale=14, color=colour, linewidth=1.8
        )
    )


def draw_mask_branch(mask: MaskBranch, axis: Axes) -> None:
    """One mask branch as a valley: down on the left, up on the right, a level per pooling.

    Arrows in the colour of the paper's numbers are those that only the port has.
    """
    depth, extra, usual = len(mask.down) + 1, COLOURS["paper"], COLOURS["other"]
    box(axis, 0, 0, "x", FILLS["head"], 0.9)
    box(axis, 6.6, 0, "mask head", FILLS["attention"], 1.7)
    box(axis, 3.3, 1.1, "trunk T", FILLS["head"], 1.3)
    for level in range(1, depth):
        box(axis, 0, -level, "pool, block", FILLS["plain"])
        box(axis, 3.3, -level, "lateral block", FILLS["ours"], 1.8)
        box(axis, 6.6, -level, "+, block", FILLS["plain"])
        arrow(axis, (0, 0.3 - level + 0.4), (0, 0.34 - level), usual)
        arrow(axis, (0.8, -level), (2.35, -level), usual)
        arrow(axis, (4.25, -level), (5.8, -level), usual)
        arrow(axis, (6.6, 0.34 - level), (6.6, 0.66 - level), usual)
        if mask.adds_reference:
            arrow(axis, (0.7, 0.25 - level), (5.85, 0.25 - level), extra, bend=-0.09)
    box(axis, 3.3, -depth, "pool, two blocks", FILLS["plain"], 2.1)
    arrow(axis, (0, 0.66 - depth), (2.2, -depth), usual, bend=0.25)
    arrow(axis, (4.4, -depth), (6.6, 0.66 - depth), usual, bend=0.25)
    axis.text(5.75, -depth - 0.02, "enlarge", fontsize=11, color=usual, ha="left", va="top")
    if mask.adds_reference:
        arrow(axis, (4.0, 1.1), (6.6, 0.36), extra, bend=-0.2)
    axis.set(xlim=(-1.1, 7.7), ylim=(-depth - 0.5, 1.6))
    axis.axis("off")


def draw_wirings(paper: AttentionModule, port: AttentionModule) -> Figure:
    """Both wirings side by side."""
    figure, axes = plt.subplots(1, 2, figsize=(13, 4.6))
    for axis, module, title in zip(
        axes, (paper, port), ('wiring="paper": sizes only', 'wiring="port": added as well'), strict=True
    ):
        draw_mask_branch(module.mask, axis)
        axis.set_title(title)
    return figure


MODULES = {
    Bottleneck: ("residual", FILLS["plain"], 0.5),
    SEBottleneck: ("SE", FILLS["ours"], 0.5),
    AttentionModule: ("attention", FILLS["attention"], 1.1),
}


def draw_network(network: StagedNetwork, title: str, size: int = 224) -> Figure:
    """Figure 2 of the paper, drawn from the object: a row per stage, a box per module, cost and shape beside it."""
    cost = describe(network, size)
    figure, axis = plt.subplots(figsize=(11, 4.9))
    parts = {"stem": network.stem, **{f"stage {k}": stage for k, stage in enumerate(network.stages, 1)}}
    for row, (name, part) in enumerate(parts.items()):
        x = 1.2
        axis.text(0, -row, name, fontsize=13, va="center")
        if name == "stem":
            for text, width in (("3x3", 0.7), ("3x3", 0.7), ("3x3", 0.7), (f"{network.pool_name} pool", 1.5)):
                box(axis, x + width / 2, -row, text, FILLS["head"], width)
                x += width + 0.14
        else:
            for module in part:
                label, fill, width = MODULES[type(module)]
                box(axis, x + width / 2, -row, label if width > 1 else "", fill, width)
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
