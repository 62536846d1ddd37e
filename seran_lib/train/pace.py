"""How fast trainings were: the pace that a run writes down of its first steps, and all rates ever measured."""

import contextlib
import json

import pandas as pd

from seran_lib import paths
from seran_lib.files import write_json
from seran_lib.paths import BENCHMARKS
from seran_lib.train import ledger
from seran_lib.train.profiles import PROFILES
from seran_lib.train.recipes import RECIPES
from seran_lib.train.settings import Settings

PACE = "pace.json"
PACE_STEPS = 50  # of a sitting, from which its pace is taken


def record_pace(settings: Settings, device_name: str, images_per_second: float) -> None:
    """Keep how fast the first `PACE_STEPS` steps of a run were, beside its checkpoints, for later estimates."""
    content = {
        "run_id": settings.run_id,
        "utc": ledger.now(),
        "model": settings.model,
        "width": settings.width,
        "size": settings.size,
        "recipe": settings.recipe,
        "device": device_name,
        "images_per_second": round(images_per_second, 2),
    }
    write_json(settings.folder / PACE, content)


def benchmarked_rates() -> list[dict[str, object]]:
    """What benchmarks/gpu.py measured of the full networks, as rows of `measured_rates`."""
    if not BENCHMARKS.exists():
        return []
    full, rows = PROFILES["paper"], pd.read_csv(BENCHMARKS)
    rows = rows[rows["benchmark"] == "gpu"].drop_duplicates("what", keep="last")
    return [
        {
            "utc": row.utc,
            "model": row.what.removeprefix("training ").split(",")[0],
            "width": full.width,
            "size": full.size,
            "recipe": "paper",
            "device": row.machine,
            "images_per_second": row.ours,
            "origin": "measured by benchmarks/gpu.py",
        }
        for row in rows.itertuples()
    ]


def measured_rates(settings: Settings) -> pd.DataFrame:
    """Training rates measured on any device with the settings' model, width and size, by their recipe or one of equal
    steps, from the oldest to the newest.

    Columns: utc, model, width, size, recipe, device, images_per_second and origin, which says where. They come from
    the benchmarks, the ledger and the paces of runs that are not finished yet.
    """
    columns = ["utc", "model", "width", "size", "recipe", "device", "images_per_second", "origin"]
    rows = settings.results.rows()
    found = benchmarked_rates() + rows.assign(origin="measured in run " + rows["run_id"].astype(str)).to_dict("records")
    for path in {*paths.runs().glob(f"*/{PACE}"), settings.folder / PACE}:
        with contextlib.suppress(OSError, ValueError, KeyError, TypeError):  # no estimate is worth a run's failure
            pace = json.loads(path.read_text(encoding="utf-8"))
            found.append(pace | {"origin": f"measured over {PACE_STEPS} steps in run {pace['run_id']}"})
    table = pd.DataFrame(found, columns=columns)
    same = (table["model"] == settings.model) & (table["width"] == settings.width) & (table["size"] == settings.size)
    same &= table["recipe"].isin([name for name in RECIPES if _step(name) == _step(settings.recipe)])
    return table[same].sort_values("utc", kind="stable")


def _step(recipe: str) -> tuple:
    """What of a recipe decides how long a step takes, besides the network."""
    chosen = RECIPES[recipe]
    return recipe == "frozen", chosen.sizes, chosen.views, chosen.ema > 0


def remaining_time(images_left: int, images_per_second: float) -> str:
    """How long so many images take, in words: "about 2 h 10 min"."""
    minutes = round(images_left / images_per_second / 60)
    hours, days = minutes // 60, minutes // (24 * 60)
    if minutes < 1:
        return "less than a minute"
    if hours < 1:
        return f"about {minutes} min"
    if days < 2:
        return f"about {hours} h {minutes % 60} min"
    return f"about {days} d {hours % 24} h"
