"""`seran export`: a finished run becomes a bundle that `seran predict` uses."""

import argparse

from seran_lib import sources
from seran_lib.errors import DataError
from seran_lib.predict.export import export as write
from seran_lib.predict.export import find_run


def export(options: argparse.Namespace) -> int:
    """Write the bundle of a run, verified."""
    row, _ = find_run(options.run, ".")
    data = sources.folder(options.data, row["profile"])
    if not data:
        raise DataError(f"{options.run} was trained on {row['data']}", "Name its folder with --data.")
    bundle = write(options.run, options.out, data)
    verified, every = bundle.about["verified"], bundle.about["accuracy"]["all"]
    print(
        f"{options.out}: torch and onnxruntime agree on {verified['images']} validation pictures; "
        f"{every['share']:.1%} of {every['of']} test pictures are named rightly; see {options.out / 'card.md'}"
    )
    return 0
