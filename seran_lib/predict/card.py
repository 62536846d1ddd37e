"""The card of a bundle, as Hugging Face reads it: what the network is, how well it does, and what it does not know."""

import json
from collections.abc import Iterator

from seran_lib.data.markdown import table
from seran_lib.predict.rules import SPECIES

Share = dict[str, object]


def card(about: dict[str, object]) -> str:
    """`card.md` for the content of a `bundle.json`."""
    data, run, every = about["data"], about["run"], about["accuracy"]["all"]
    shape = about["input"]
    return f"""{_front_matter(about)}
# {about["model"]} for {len(about["classes"])} species of {data["name"]}

It names the insect on a photograph: {_percent(every)} of {every["of"]} test pictures rightly; it never saw them before.

```sh
seran predict photo.jpg --model FOLDER --risk 0.05
```

## What it promises

Asked for a risk, it says a species only where it is sure enough, else the group ({about["groups"]["rank"]}), else
"unknown". The thresholds come from {data["valid"]} validation pictures: of the pictures that get a name, at most the
asked share is named wrongly, with 95 % confidence for each level (fixed-sequence testing, Angelopoulos et al. 2021,
arXiv:2110.01052). This is what became of it on the {data["test"]} test pictures, with intervals of 95 %:

{table(("asked risk", "level", "answered", "of these wrong", "promise"), _promise_rows(about))}

It holds for pictures like those it was measured on. It does not hold for other cameras and places, nor for species that
are none of its classes: these get the most similar name, or "unknown".

## How well it knows each species

"Recognised": of the test pictures of this species. "Right when named": of the test pictures that got this name.

{table(("species", "recognised", "right when named"), _species_rows(about))}

## How it was made

- run `{run["run_id"]}` of {run["utc"]}, commit `{run["git_commit"] or "unknown"}`: `{run["command"]}`
- pictures of {data["name"]}: {data["train"]} for training, {data["valid"]} for validation, {data["test"]} for testing,
  fingerprint `{data["fingerprint"][:16]}`; their licences: {_licences(data["licences"])}
- input: {shape["side"]} pixels a side, seen by the network at {shape["size"]}. {shape["rule"]}
- temperature {about["temperature"]:.3f} (Guo et al. 2017), fitted on validation pictures
- torch and onnxruntime agree on {about["verified"]["images"]} validation pictures: every first answer is the same, and
  no score differs by more than {about["verified"]["farthest_score"]:g}
- {about["versions"]}
"""


def _front_matter(about: dict[str, object]) -> str:
    """YAML, of which JSON is a part; the result as Hugging Face's `model-index` wants it."""
    task = {"type": "image-classification"}
    dataset = {"name": about["data"]["name"], "type": about["data"]["name"], "split": "test"}
    metric = {"type": "accuracy", "value": about["accuracy"]["all"]["share"]}
    result = {"name": about["name"], "results": [{"task": task, "dataset": dataset, "metrics": [metric]}]}
    lines = {"library_name": "onnx", "pipeline_tag": task["type"], "tags": ["insects"], "model-index": [result]}
    return "\n".join(["---", *(f"{name}: {json.dumps(value)}" for name, value in lines.items()), "---"])


def _promise_rows(about: dict[str, object]) -> Iterator[tuple[str, ...]]:
    for row in about["promise"]:
        level = "species" if row["level"] == SPECIES else about["groups"]["rank"]
        yield f"{100 * row['risk']:g} %", level, _percent(row["answered"]), _percent(row["wrong"]), row["verdict"]


def _species_rows(about: dict[str, object]) -> Iterator[tuple[str, ...]]:
    for name, own in zip(about["classes"], about["accuracy"]["species"], strict=True):
        yield name, _counted(own["recognised"]), _counted(own["named"])


def _licences(licences: dict[str, int]) -> str:
    return ", ".join(f"{licence or 'none stated'} ({count})" for licence, count in licences.items()) or "none stated"


def _percent(share: Share) -> str:
    if share["share"] is None:
        return "-"
    share, low, high = (100 * share[name] for name in ("share", "low", "high"))
    return f"{share:.1f} % ({low:.1f} to {high:.1f})"


def _counted(share: Share) -> str:
    return f"{_percent(share)}, {share['count']} of {share['of']}"
