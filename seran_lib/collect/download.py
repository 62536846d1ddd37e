"""Threads that get pictures over HTTP, check them to the last row and store them whole.

The checks answer what atlases and networks do: a placeholder picture with status 404, a page of apology with status
200, a connection cut in the middle (most programs show half a photograph happily), a server that sends a byte now and
then for ever, an address that leads in a circle.
"""

import contextlib
import hashlib
import queue
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import requests
import urllib3
from requests import Response, Session

from seran_lib.collect.http import TIMEOUT
from seran_lib.collect.state import Picture, Task
from seran_lib.data.names import slug
from seran_lib.data.pictures import UnfitError, check_whole
from seran_lib.files import replacing

IMAGES = "images"  # the folder inside a collection
MOST_BYTES = 100_000_000  # of one picture
BODY_SECONDS = 120.0  # from the first byte of a picture to the last
GRACE = 2.0  # seconds that pictures under way get when the run is broken off

_MEGABYTE = 1_000_000
_CHUNK = 1 << 16
_EXTENSIONS = dict(JPEG=".jpg", MPO=".jpg", PNG=".png", WEBP=".webp", GIF=".gif", BMP=".bmp", TIFF=".tif")


class Failure(Exception):
    """Why an image cannot be had. `transient`: trying again in a while may help. `refused`: the service forbids it, and
    perhaps everything to us.
    """

    def __init__(self, reason: str, *, transient: bool = False, refused: bool = False) -> None:
        super().__init__(reason)
        self.transient, self.refused = transient, refused


class _Stopped(Exception):
    """The run was broken off while an image was under way."""


class Workers:
    """Threads that fetch; only the caller's thread touches the records.

    Daemon threads rather than an executor, whose threads Python waits for: one of them may sleep for minutes because a
    server asked it to, and Ctrl-C must not.
    """

    def __init__(self, folder: Path, session: Session, connections: int) -> None:
        self._folder, self._session = folder, session
        self._ahead = 2 * connections  # tasks handed out and not yet recorded: a million rows wait in the database
        self._tasks: queue.SimpleQueue[Task | None] = queue.SimpleQueue()
        self._outcomes: queue.SimpleQueue[tuple[Task, Picture | BaseException]] = queue.SimpleQueue()
        self._stopping = threading.Event()
        self._threads = [threading.Thread(target=self._work, daemon=True) for _ in range(connections)]
        for thread in self._threads:
            thread.start()

    def outcomes(self, tasks: Iterator[Task]) -> Iterator[tuple[Task, Picture | BaseException]]:
        """Hand out `tasks` and yield each with its result, in the order they end."""
        under_way = 0
        for task in tasks:
            self._tasks.put(task)
            under_way += 1
            if under_way == self._ahead:
                yield self._next()
                under_way -= 1
        for _ in range(under_way):
            yield self._next()

    def stop(self) -> Iterator[tuple[Task, Picture | BaseException]]:
        """End the threads, waiting `GRACE` seconds at most, and yield what they had finished."""
        self._stopping.set()
        for _ in self._threads:
            self._tasks.put(None)
        limit = time.monotonic() + GRACE
        for thread in self._threads:
            thread.join(max(0.0, limit - time.monotonic()))
        while not self._outcomes.empty():
            yield self._outcomes.get()

    def _next(self) -> tuple[Task, Picture | BaseException]:
        while True:
            with contextlib.suppress(queue.Empty):
                return self._outcomes.get(timeout=0.5)  # some systems deliver Ctrl-C only between two waits

    def _work(self) -> None:
        while task := self._tasks.get():
            try:
                outcome = self._obtain(task)
            except BaseException as error:
                outcome = error
            self._outcomes.put((task, outcome))

    def _obtain(self, task: Task) -> Picture:
        body = self._download(task.source_url)
        if task.source_md5 and hashlib.md5(body, usedforsecurity=False).hexdigest() != task.source_md5:
            raise Failure("its MD5 is not that of the plan")
        try:
            kind, width, height = check_whole(body)
        except UnfitError as error:
            raise Failure(str(error)) from None
        sha256 = hashlib.sha256(body).hexdigest()
        if task.sha256 and sha256 != task.sha256:
            raise Failure("changed at the source since it was first fetched")
        file = f"{IMAGES}/{slug(task.label)}/{slug(task.image_id)}{_EXTENSIONS[kind]}"
        self._check_running()
        with replacing(self._folder / file) as stored:
            stored.write(body)
        return Picture(file, sha256, len(body), width, height, kind)

    def _download(self, address: str) -> bytes:
        """The picture's bytes. Reasons never name an address: that of a redirect may be signed, which is a secret."""
        self._check_running()
        headers = {"Accept": "image/*", "Accept-Encoding": "identity"}  # packed bytes would hide a wrong length
        try:
            with self._session.get(address, stream=True, timeout=TIMEOUT, headers=headers) as response:
                check_head(response)
                return self._body(response)
        except (Failure, _Stopped):
            raise
        except requests.TooManyRedirects:
            raise Failure("redirected in a circle or too often") from None
        except (requests.Timeout, urllib3.exceptions.TimeoutError):
            raise Failure("no answer in time", transient=True) from None
        except ValueError:  # of requests, for what is not an address
            raise Failure("its source_url, or where that leads, is not a web address") from None
        except (OSError, urllib3.exceptions.HTTPError):  # all that requests raises is an OSError
            raise Failure("the connection failed or was cut", transient=True) from None
        except Exception as error:  # one odd answer must not end a night's work
            raise Failure(f"unexpected {type(error).__name__}") from None

    def _body(self, response: Response) -> bytes:
        """Piece by piece as they come in: a server that sends a byte now and then must not hold a thread for ever.

        urllib3 raises where fewer bytes come than were announced.
        """
        parts: list[bytes] = []
        size, limit = 0, time.monotonic() + BODY_SECONDS
        while part := response.raw.read1(_CHUNK, decode_content=True):
            self._check_running()
            parts.append(part)
            size += len(part)
            if size > MOST_BYTES:
                raise Failure(f"larger than {MOST_BYTES // _MEGABYTE} MB")
            if time.monotonic() > limit:
                raise Failure(f"not complete after {BODY_SECONDS:g} s", transient=True)
        return b"".join(parts)

    def _check_running(self) -> None:
        if self._stopping.is_set():
            raise _Stopped


def check_head(response: Response) -> None:
    """Raises `Failure` for an answer that is not a picture, before any of its body is read."""
    status = response.status_code
    if status == 404:  # often with a placeholder picture as its body
        raise Failure("missing at the source (404)")
    if status != 200:
        reason = f"answered with status {status}"
        raise Failure(reason, transient=status == 429 or status >= 500, refused=status == 403)
    kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
    if not kind.startswith("image/"):
        raise Failure(f"not an image but {kind[:60] or 'without a type'}")
