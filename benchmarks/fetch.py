"""Fetching from a server on this machine: speed over a plain loop, use of the permitted rate, memory for large plans.

    python benchmarks/fetch.py [speed] [rate] [memory] [--images N] [--planned N [N ...]]

The server answers after 100 ms. Speed is the ratio of 8 connections to one `requests` session in a plain loop; rate is
the share of 20 requests a second that is reached. Memory is that of a process of its own, with images that all fail at
once, so that only the plan counts: its peak, and how much of it was there after the imports.
"""

import argparse
import csv
import io
import resource
import subprocess
import sys
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import requests
from PIL import Image
from report import report

from seran_lib.data import download
from seran_lib.data.fetch import fetch
from seran_lib.data.http import polite_session

LATENCY = 0.1  # seconds
PERMITTED = 20.0  # requests a second


def photograph() -> bytes:
    """A JPEG of the size that the atlas calls large: 650 x 488 pixels, about 60 kB."""
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3), dtype=np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).resize((650, 488), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    return buffer.getvalue()


def serve() -> ThreadingHTTPServer:
    """A server that answers every request with the photograph after `LATENCY`."""
    body = photograph()
    head = f"HTTP/1.1 200 OK\r\nContent-Type: image/jpeg\r\nContent-Length: {len(body)}\r\n\r\n"
    answer = head.encode() + body  # one write: two would wait for a delayed acknowledgement, 40 ms

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            time.sleep(LATENCY)
            self.wfile.write(answer)

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    threading.Thread(target=server.serve_forever, daemon=True).start()
    return server


def plan(folder: Path, base: str, images: int) -> Path:
    """Write a plan of that many images of 200 species, with columns as wide as those of the atlas."""
    folder.mkdir(parents=True, exist_ok=True)
    header = "image_id label source_url occurrence record licence creator attribution data_resource event_date".split()
    filling = ["https://atlas.example/occurrences/" + "0" * 36, "CC BY-NC 4.0", "An observer", "An observer, " * 8]
    with open(folder / "plan.csv", "w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(header)
        for number in range(images):
            label = f"Genus species{number * 200 // images}"
            row = [f"{number:08x}-{0:032x}", label, f"{base}/image/{number}/large", f"o{number // 2}"]
            writer.writerow([*row, *filling, "A data resource", "2018-10-31"])
    return folder


def speed(base: str, folder: Path, images: int) -> None:
    """Images/s with 8 connections, with all checks and records, and in a plain loop that only writes what comes."""
    session = polite_session(per_second=0, connections=8)
    seconds = fetch(plan(folder / "speed", base, images), session=session, connections=8, progress=False).seconds
    began, plain = time.perf_counter(), requests.Session()
    for number in range(images // 4):
        (folder / f"{number}.jpg").write_bytes(plain.get(f"{base}/image/{number}/large", timeout=30).content)
    loop = (time.perf_counter() - began) * 4
    what = f"fetching with 8 connections, {1000 * LATENCY:g} ms latency"
    report(what, "a plain loop of requests", "images/s", images / seconds, images / loop)


def rate(base: str, folder: Path, images: int) -> None:
    """Share of the permitted rate. The first request waits for nothing, so `images` - 1 intervals count."""
    session = polite_session(per_second=PERMITTED, connections=8)
    seconds = fetch(plan(folder / "rate", base, images), session=session, connections=8, progress=False).seconds
    reached = (images - 1) / (seconds - LATENCY)
    report("fetching at a limited pace", "the pace permitted", "images/s", reached, PERMITTED)


def memory(folder: Path, planned: int) -> None:
    """Peak resident memory of a fetch of so many images, none of which is to be had, and of the call after it."""
    plan(folder / f"memory{planned}", "http://atlas.example", planned)
    for call in ("first call", "second call"):
        command = [sys.executable, __file__, "--measure", str(folder / f"memory{planned}")]
        outcome = subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
        print(f"memory: {planned} planned, {call}: {outcome}", flush=True)


def measure(folder: Path) -> None:
    """In a process of its own: fetch with a stub for the network that knows half of the images, all one picture."""
    body = photograph()

    def known(self: download.Workers, address: str) -> bytes:
        if int(address.split("/")[-2]) % 2:
            raise download.Failure("missing at the source (404)")
        return body

    download.Workers._download = known
    download.decode = lambda body: ("JPEG", 650, 488)
    download._store = lambda path, body: None
    before = _peak()
    session = polite_session(per_second=0)
    report = fetch(folder, session=session, progress=False)
    print(f"peak {_peak():.0f} MB, {before:.0f} MB of it before; {report.seconds:.0f} s; {report}")


def _peak() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 10 if sys.platform != "darwin" else 1 << 20)


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["speed", "rate", "memory"], help="speed, rate, memory")
    parser.add_argument("--images", type=int, default=400, help="images of speed and rate (default 400)")
    parser.add_argument("--planned", type=int, nargs="+", default=[34_789, 1_000_000], help="sizes of plans for memory")
    parser.add_argument("--measure", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.measure:
        measure(options.measure)
        return
    with tempfile.TemporaryDirectory() as folder:
        if {"speed", "rate"} & set(options.parts):
            base = "http://127.0.0.1:{1}".format(*serve().server_address)
            for part in (speed, rate):
                if part.__name__ in options.parts:
                    part(base, Path(folder), options.images)
        if "memory" in options.parts:
            for planned in options.planned:
                memory(Path(folder), planned)


if __name__ == "__main__":
    main()
