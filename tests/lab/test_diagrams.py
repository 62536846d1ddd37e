"""Diagrams show the object they are given."""

from matplotlib import pyplot as plt

from seran_lib.lab.diagrams import draw_network, draw_wirings
from seran_lib.lab.figures import COLOURS
from seran_lib.nets import create_model
from seran_lib.nets.attention import AttentionModule


def texts(figure):
    return [text.get_text() for axis in figure.axes for text in axis.texts]


def test_figure_2_has_a_box_for_every_module_and_the_weights_of_the_network():
    network = create_model("seran", 123, width=1 / 8)
    figure = draw_network(network, "SERAN", size=64)
    written = texts(figure)
    assert written.count("attention") == 3
    assert [text for text in written if " x " in text] == [
        "16 x 16 x 16",
        "32 x 16 x 16",
        "64 x 8 x 8",
        "128 x 4 x 4",
        "256 x 2 x 2",
    ]
    boxes = sum(patch.get_facecolor()[:3] != (1, 1, 1) for patch in figure.axes[0].patches)
    assert boxes == 4 + sum(len(stage) for stage in network.stages) + 1
    plt.close(figure)


def test_only_the_port_has_arrows_of_its_own():
    figure = draw_wirings(AttentionModule(8, 3), AttentionModule(8, 3, wiring="port"))
    extra = [
        sum(plt.matplotlib.colors.to_hex(patch.get_edgecolor()).upper() == COLOURS["paper"] for patch in axis.patches)
        for axis in figure.axes
    ]
    assert extra == [0, 3]  # two down-features and the trunk
    plt.close(figure)
