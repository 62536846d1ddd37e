"""A small drawn set and settings small enough to train in seconds, away from the repository's own runs and results.

What takes seconds to import (torch, fastai, matplotlib) is imported by the fixtures that need it.
"""

import dataclasses
import gc
import shutil
import sys

import pytest


@pytest.fixture(scope="session", autouse=True)
def libraries_are_not_looked_through_for_garbage():
    """statsmodels collects garbage at every correction of p-values, and would look through all of torch."""
    gc.freeze()


@pytest.fixture(scope="session")
def atlas(tmp_path_factory):
    """Three drawn species, 20 or more images each, 48 px."""
    from seran_lib.demo.dataset import draw_atlas

    folder = tmp_path_factory.mktemp("atlas") / "insects"
    return draw_atlas(folder, species=3, images_per_species=34, side=48, seed=1)


def two_epochs(atlas, folder, monkeypatch):
    """Two epochs of SERAN at an eighth of its width, its results below `folder`."""
    from seran_lib.train.settings import resolve

    monkeypatch.setenv("SERAN_RUNS", str(folder / "runs"))
    return dataclasses.replace(resolve("smoke", data=str(atlas), model="seran", epochs=2), batch=32)


@pytest.fixture
def settings(atlas, tmp_path, monkeypatch):
    """Of a run that nobody has done."""
    return two_epochs(atlas, tmp_path, monkeypatch)


@pytest.fixture(scope="session")
def trained_once(atlas, tmp_path_factory):
    """The folder of a finished run, and its row of the ledger."""
    from seran_lib.train import run

    folder = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as monkeypatch:
        return folder, run.run(two_epochs(atlas, folder, monkeypatch))


@pytest.fixture
def trained(trained_once, settings, tmp_path):
    """Settings and ledger row of a finished run, a copy that may be damaged."""
    folder, row = trained_once
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return settings, row.copy()


@pytest.fixture
def results(tmp_path):
    """An empty folder of results."""
    from seran_lib.train.ledger import Results

    yield Results(tmp_path)
    if pyplot := sys.modules.get("matplotlib.pyplot"):
        pyplot.close("all")
