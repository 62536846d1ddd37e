"""A pytest plugin for chapters that nbval executes side by side: each process has a folder of runs of its own.

Chapters that follow each other in one process share it, as they do for a reader.
"""

import os

worker = os.environ.get("PYTEST_XDIST_WORKER")
if worker:
    os.environ["SERAN_RUNS"] = os.path.join(os.environ["SERAN_RUNS"], worker)
