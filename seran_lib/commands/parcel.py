"""`seran parcel`: bring finished runs home from a machine that shares no disk."""

import argparse
import zipfile

from seran_lib.errors import DataError
from seran_lib.train import parcel


def pack(options: argparse.Namespace) -> int:
    """Put the newest row of a run, its curve and its predictions into a file."""
    parcel.pack(options.results, options.run_id, options.file)
    return 0


def unpack(options: argparse.Namespace) -> int:
    """Add the run of a file to a folder of results."""
    try:
        parcel.unpack(options.results, options.file)
    except (zipfile.BadZipFile, KeyError) as error:
        raise DataError(f"{options.file} is no parcel of a run: {error}") from error
    return 0
