"""Is this machine fit to run the book? Asked once, at the start, with the cure in the answer."""

import importlib.metadata
import platform

import pandas as pd
from packaging.requirements import Requirement

from seran_lib.train.device import device_name, pick_device


def requirements(distribution: str = "seran_lib") -> list[Requirement]:
    """What `pyproject.toml` asks for without extras, as the installed distribution records it."""
    asked = [Requirement(text) for text in importlib.metadata.requires(distribution) or []]
    return [one for one in asked if one.marker is None or "extra" not in str(one.marker)]


def check_environment() -> pd.DataFrame:
    """Python, device and every required library with the version found and the versions asked for.

    Raises RuntimeError naming each library that is missing or too old, and the command that installs it.
    """
    rows = [("python", platform.python_version(), ">=3.11"), ("device", device_name(pick_device()), "")]
    faults = []
    for requirement in requirements():
        try:
            found = importlib.metadata.version(requirement.name)
        except importlib.metadata.PackageNotFoundError:
            found = ""
        if not found or not requirement.specifier.contains(found, prereleases=True):
            faults.append(f"{requirement} is needed, {found or 'nothing'} is installed")
        rows.append((requirement.name, found, str(requirement.specifier)))
    if faults:
        raise RuntimeError("\n".join([*faults, "fix it with: pip install -e '.[book]' in the repository's folder"]))
    return pd.DataFrame(rows, columns=["part", "found", "needed"]).set_index("part")
