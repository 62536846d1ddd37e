"""A bundle of a small trained run."""

import shutil

import pytest


@pytest.fixture(scope="session")
def exported_once(trained_once, atlas, tmp_path_factory):
    from seran_lib.predict.export import export

    folder, row = trained_once
    out = tmp_path_factory.mktemp("bundles") / "insects-seran"
    with pytest.MonkeyPatch.context() as monkeypatch:
        monkeypatch.setenv("SERAN_RUNS", str(folder / "runs"))
        export(row["run_id"], out, str(atlas))
    return out


@pytest.fixture
def exported(exported_once, tmp_path):
    """A copy of its folder that may be damaged."""
    return shutil.copytree(exported_once, tmp_path / "bundle")
