"""Fetching from a server on this machine: speed over a plain loop, use of the permitted rate, memory for large plans.

    python benchmarks/fetch.py [speed] [rate] [memory] [--images N] [--planned N [N ...]]

The server answers after 100 ms. Speed is the ratio of 8 connections to one `requests` session in a plain loop; rate is
the share of 20 requests a second that is reached. Memory is what a process of its own holds at its peak above what it
held after the imports, with stubs for network and disk, so that only the plan and its records count.
"""

import argparse
import contextlib
import csv
import io
import tempfile
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import requests
from peak import measurable, peak_memory
from PIL import Image
from report import report

from seran_lib.collect import download
from seran_lib.collect.fetch import fetch
from seran_lib.collect.http import polite_session

LATENCY = 0.1  # seconds
PERMITTED = 20.0  # requests a second
PLANNED = (34_789, 347_890)  # images: the paper's number and ten times as many


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
    """Peak memory of a fetch of so many images, half of which are not to be had, and of the call after it."""
    plan(folder / f"memory{planned}", "http://atlas.example", planned)
    for call in ("first call", "second call"):
        peak = peak_memory(without_network, folder / f"memory{planned}")
        print(f"memory: {planned:,} planned, {call}: {peak:.0f} MB", flush=True)


def without_network(folder: Path) -> None:
    """Fetch with a stub for the network that knows half of the images, all one picture, and for the disk."""
    body = photograph()

    def known(self: download.Workers, address: str) -> bytes:
        if int(address.split("/")[-2]) % 2:
            raise download.Failure("missing at the source (404)")
        return body

    download.Workers._download = known
    download.check_whole = lambda body: ("JPEG", 650, 488)
    download.replacing = lambda path: contextlib.nullcontext(io.BytesIO())
    print(fetch(folder, session=polite_session(per_second=0), progress=False))


def main() -> None:
    """Measure what is named, or everything."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("parts", nargs="*", default=["speed", "rate", "memory"], help="speed, rate, memory")
    parser.add_argument("--images", type=int, default=400, help="images of speed and rate (default 400)")
    parser.add_argument("--planned", type=int, nargs="+", default=PLANNED, help="sizes of plans for memory")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        if {"speed", "rate"} & set(options.parts):
            base = "http://127.0.0.1:{1}".format(*serve().server_address)
            for part in (speed, rate):
                if part.__name__ in options.parts:
                    part(base, Path(folder), options.images)
        if "memory" in options.parts and measurable():
            for planned in options.planned:
                memory(Path(folder), planned)


if __name__ == "__main__":
    main()
