"""A finished run as one file, to bring it home from a machine that shares no disk: its ledger row and its files."""

import json
import zipfile
from dataclasses import fields
from pathlib import Path

from seran_lib.files import replacing
from seran_lib.train.ledger import LEDGER, Results, Row

ROW, CURVE, SCORES, PREDICTIONS = "row.json", "curve.csv", "scores.npz", "predictions.csv.gz"


def places(results: Results, run_id: str) -> dict[str, Path]:
    """Where a parcel's files lie among the results; predictions, the sign of the end, last. Old runs have no scores."""
    kinds = {CURVE: "curves", SCORES: "scores", PREDICTIONS: "predictions"}
    return {name: results.file(kind, run_id) for name, kind in kinds.items()}


def pack(folder: Path, run_id: str, file: Path) -> None:
    """Write the newest ledger row of a run in a folder of results, its curve, scores and predictions into `file`, a
    zip archive.

    Raises ValueError where the ledger does not hold the run or its files are missing, WriteError where the disk
    is full.
    """
    results = Results(folder)
    own = [row for row in results.written() if row["run_id"] == run_id]
    if not own:
        raise ValueError(f"{folder / LEDGER} holds no run {run_id}: it has not finished")
    files = {name: path for name, path in places(results, run_id).items() if name != SCORES or path.exists()}
    if missing := [str(path) for path in files.values() if not path.exists()]:
        raise ValueError(f"{', '.join(missing)}: missing, and the ledger has the run. Restore it, or run again")

    with replacing(file) as stream, zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(ROW, json.dumps(own[-1]))
        for name, path in files.items():
            archive.write(path, name)


def unpack(folder: Path, file: Path) -> None:
    """Put a packed run among the results, as if it had been done here; a row that is there already is not repeated.

    Raises ValueError where the row has other columns than this version writes, and BadZipFile or KeyError where `file`
    is no parcel.
    """
    results = Results(folder)
    with zipfile.ZipFile(file) as archive:
        row = json.loads(archive.read(ROW))
        if row.keys() != {field.name for field in fields(Row)}:
            raise ValueError(f"{file} has a row of other columns than this version writes")
        if row not in results.written():
            results.append(Row(**row))
        for name, path in places(results, row["run_id"]).items():
            if name == SCORES and name not in archive.namelist():
                continue
            content = archive.read(name)
            with replacing(path) as stream:
                stream.write(content)
