"""`seran demo`: the demo atlas as a server of its own."""

import argparse
import contextlib
import threading

from seran_lib.demo.atlas.server import ADDRESS, IMAGES, NAMES, OCCURRENCES, DemoAtlas


def demo(options: argparse.Namespace) -> int:
    """Serve an atlas of drawn insects until Ctrl-C."""
    names = ("species", "images", "side", "seed", "latency")
    with DemoAtlas(**{name: getattr(options, name) for name in names}) as atlas:
        (address,) = atlas.reroute.values()
        for base in (OCCURRENCES, IMAGES, NAMES):
            print(base.replace(ADDRESS, address))
        print(f"Addresses in its answers begin with {ADDRESS}: polite_session(reroute={atlas.reroute}) finds them.")
        with contextlib.suppress(KeyboardInterrupt):
            threading.Event().wait()
    return 0
