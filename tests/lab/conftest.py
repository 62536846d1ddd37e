"""A small drawn set and settings small enough to train in seconds, away from the repository's own runs and results."""

import dataclasses

import pytest

from seran_lib.data.drawn import draw_atlas
from seran_lib.lab import dataset, profiles


@pytest.fixture(scope="session")
def atlas(tmp_path_factory):
    """Three drawn species, 20 or more images each, 48 px."""
    folder = tmp_path_factory.mktemp("atlas") / "insects"
    return draw_atlas(folder, species=3, images_per_species=34, side=48, seed=1)


@pytest.fixture
def settings(atlas, tmp_path, monkeypatch):
    """Two epochs of SERAN at an eighth of its width, its results below tmp_path."""
    monkeypatch.setattr(profiles, "RUNS", tmp_path / "runs")
    monkeypatch.setattr(dataset, "CACHE", tmp_path / "cache")
    chosen = profiles.resolve("smoke", data=str(atlas), model="seran", epochs=2)
    return dataclasses.replace(chosen, batch=32)
