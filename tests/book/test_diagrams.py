"""Diagrams show the object they are given."""

import pytest
from matplotlib import pyplot as plt

from seran_lib.book.plots.diagrams import draw_network, draw_wirings
from seran_lib.book.plots.style import COLOURS
from seran_lib.nets import create_model
from seran_lib.nets.attention import AttentionModule


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_figure_2_has_a_box_for_every_module_and_the_weights_of_the_network():
    network = create_model("seran", 123, width=1 / 8)
    figure = draw_network(network, "SERAN", size=64)
    written = texts(figure)
    assert written.count("attention") == 3
    shapes = ["16 x 16 x 16", "32 x 16 x 16", "64 x 8 x 8", "128 x 4 x 4", "256 x 2 x 2"]
    assert [text for text in written if " x " in text] == shapes
    boxes = sum(patch.get_facecolor()[:3] != (1, 1, 1) for patch in figure.axes[0].patches)
    assert boxes == 4 + sum(len(stage) for stage in network.stages) + 1
    plt.close(figure)


def dotted(axis):
    return sum(patch.get_linestyle() not in ("-", "solid") for patch in axis.patches)


def coloured(axis):
    return sum(plt.matplotlib.colors.to_hex(p.get_edgecolor()).upper() == COLOURS["paper"] for p in axis.patches)


@pytest.mark.parametrize("depth", [1, 3])
def test_only_the_port_adds_the_second_input_of_an_enlargement(depth):
    figure = draw_wirings(AttentionModule(8, depth), AttentionModule(8, depth, wiring="port"))
    paper, port = figure.axes
    assert (coloured(paper), coloured(port)) == (0, depth)  # a down-feature for each way up, and the trunk
    assert (dotted(paper), dotted(port)) == (depth, 0)
    for axis in figure.axes:
        assert [text.get_text() for text in axis.texts].count("lateral block") == depth - 1
    plt.close(figure)
