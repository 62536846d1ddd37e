"""`seran batch`: what `make book` and `make trainings` call, with their words in the environment."""

import argparse
import os

from seran_lib.book import batch as front
from seran_lib.book import stopping


def batch(options: argparse.Namespace) -> int:
    """Do what is due of the book or of its trainings."""
    with stopping.stopped_by_signals("seran batch"):
        return front.do(options.goal, os.environ)
