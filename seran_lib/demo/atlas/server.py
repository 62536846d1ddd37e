"""An atlas of drawn insects on this machine, which answers as the Atlas of Living Australia does.

The web services have their names, parameters, replies and quirks from the public source of biocache-service 3 (facets,
search), image-service (UrlMappings.groovy, ImageService.groovy, WebServiceController.groovy) and ala-namematching; what
is in them is invented. So a client of the atlas can be run, and made to fail, without a network.

`seran demo` serves it until Ctrl-C.
"""

import datetime
import functools
import hashlib
import json
import re
import socket
import sys
import threading
import time
from dataclasses import dataclass, field
from email.utils import format_datetime
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlencode, urlsplit

import numpy as np
import pandas as pd

from seran_lib.demo.atlas.faults import Faults
from seran_lib.demo.atlas.index import Index, Params
from seran_lib.demo.atlas.pictures import LONGEST, Pictures, placeholder
from seran_lib.demo.atlas.records import ADDRESS, IMAGES, Records

__all__ = ["ADDRESS", "IMAGES", "NAMES", "OCCURRENCES", "DemoAtlas"]

OCCURRENCES = ADDRESS + "/occurrences"
NAMES = ADDRESS + "/namematching"

_SIGNED_FOR = 3600  # seconds
_IMAGE = re.compile(r"/images/image/(?:(?P<id>[\w-]+)/(?P<size>\w+)|proxyImage(?P<proxy>|Thumbnail|ThumbnailLarge))")
_PROXY_SIZES = {"": "original", "Thumbnail": "thumbnail", "ThumbnailLarge": "large"}


@dataclass
class Reply:
    status: int
    body: bytes
    mime: str
    headers: dict[str, str] = field(default_factory=dict)


def _json(content: object, status: int = 200) -> Reply:
    return Reply(status, json.dumps(content).encode(), "application/json;charset=UTF-8")


def _text(status: int, text: str) -> Reply:
    return Reply(status, text.encode(), "text/plain;charset=UTF-8")


@functools.lru_cache(maxsize=4)
def _holdings(species: int, images: int, side: int, seed: int) -> tuple[Records, Pictures]:
    """What atlases with equal arguments hold; kept, so that no picture is drawn twice."""
    records = Records(species, images, seed)
    return records, Pictures(records, side, seed)


class DemoAtlas:
    """The atlas as a context manager: it serves on 127.0.0.1, at a free port, in the background.

    It holds exactly `images` image ids of `species` species (and a few of a genus only and of no insect), drawn with a
    shorter side of `side` pixels. Equal arguments give equal records and bytes, in whatever order they are asked for.
    `page_depth_max` is the number of records after which searches come back empty; `latency` (seconds) is added to
    each answer with a picture. Raises ValueError for fewer than 3 species, 12 images a species or 32 pixels.

    All addresses it hands out begin with `ADDRESS`; `reroute`, for `polite_session`, says where that is. `faults` makes
    requests fail. `log` lists (monotonic time, method, path, status) of each request.
    """

    def __init__(
        self,
        *,
        species: int = 14,
        images: int = 300,
        side: int = 128,
        seed: int = 7,
        page_depth_max: int = 60,
        latency: float = 0.0,
    ) -> None:
        if side < 32:
            raise ValueError(f"side is {side}: an insect needs at least 32 pixels")
        self._records, self._pictures = _holdings(species, images, side, seed)
        self._index = Index(self._records, page_depth_max)
        self._latency, self._seed = latency, seed
        self._server: _Server | None = None
        self.faults = Faults()
        self.log: list[tuple[float, str, str, int]] = []
        self.reroute: dict[str, str] = {}

    def __enter__(self) -> "DemoAtlas":
        self._server = _Server(self)
        self.reroute = {ADDRESS: f"http://127.0.0.1:{self._server.server_port}"}
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.close()

    @functools.cached_property
    def truth(self) -> pd.DataFrame:
        """What each image really is, one row an `image_id`; all pictures are drawn for it.

        `label` as served ("" for a genus; the first by name where species compete, the others in `also_labels`);
        `true_species` ("" where none can be seen); `kind` (field, sheet, empty, tiny, broken, missing); `duplicate_of`
        (the id of the picture it repeats); `cluster` (pictures of one animal, which a split must keep together);
        `label_box` and `ruler_box` ("x0 y0 x1 y1", exclusive ends, pixels of the original); `width`, `height` (0 where
        nothing can be decoded). Absent is "".
        """
        return self._pictures.truth()

    def mask(self, image_id: str) -> np.ndarray:
        """1 where the insect is, uint8 (height, width) of the original. ValueError if nothing can be decoded."""
        return self._pictures.mask(image_id)

    # ---- answers ----------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, body: bytes) -> tuple[Reply, str]:
        """The reply to a request, and the fault with which to send it."""
        split = urlsplit(target)
        path, params = split.path, parse_qs(split.query, keep_blank_values=True)
        wanted = _IMAGE.fullmatch(path)
        if not wanted:
            reply, image_id = self._other(method, path, params, body), None
        else:
            image_id = wanted["id"] or params.get("imageId", [""])[-1]
            size = wanted["size"] or _PROXY_SIZES[wanted["proxy"] or ""]
            time.sleep(self._latency)
            reply = self._image(image_id, size, may_redirect="nr" not in params)
        fault = self.faults.take(image_id)
        if fault in ("cut", "truncate", "drip", "wrong_type") and reply.status == 302:
            reply = self._image(image_id, size, may_redirect=False)  # these need a body
        return self._spoil(fault, reply, target, image_id), fault

    def _other(self, method: str, path: str, params: Params, body: bytes) -> Reply:
        try:
            if path == "/images/ws/getImageInfoForIdList" and method == "POST":
                if not (image_ids := json.loads(body).get("imageIds")):
                    raise ValueError("imageIds are required")
                return _json(self._pictures.info_list(image_ids))
            for name, values in parse_qs(body.decode(), keep_blank_values=True).items():
                params[name] = params.get(name, []) + values
            if path == "/occurrences/occurrences/search":
                return _json(self._index.search(params))
            if path == "/occurrences/occurrences/facets":
                return _json(self._index.facets(params))
        except (ValueError, AttributeError) as error:
            return _json({"message": str(error), "errorType": "Bad request"}, 400)
        if path == "/namematching/api/search":
            return _json(self._index.name(params.get("q", [""])[-1]))
        if path.startswith("/images/ws/image/"):
            info = self._pictures.info(path.removeprefix("/images/ws/image/"))
            return _json(info) if info else _json({"success": False, "message": "image id not found"}, 404)
        if path.startswith("/signed/"):
            return self._signed(path.removeprefix("/signed/"), params)
        return _text(404, f"nothing is served at {path}")

    def _spoil(self, fault: str, reply: Reply, target: str, image_id: str | None) -> Reply:
        match fault:
            case "busy":
                reply = _text(429, "Too many requests")
                reply.headers["Retry-After"] = str(self.faults.retry_after)
            case "unavailable":
                reply = _text(503, "Service unavailable")
            case "html":
                reply = Reply(200, b"<!doctype html><title>Maintenance</title><p>Back soon.", "text/html;charset=UTF-8")
            case "redirect_loop":
                reply = Reply(302, b"", "text/plain", {"Location": ADDRESS + target})
            case "missing":
                reply = Reply(404, placeholder(), "image/png")
            case "changed":
                reply = Reply(200, self._pictures.other(image_id), "image/jpeg")
            case "wrong_type":
                reply.mime = "text/plain"
        return reply

    # ---- images -----------------------------------------------------------------------------------------------------

    def _image(self, image_id: str, size: str, *, may_redirect: bool) -> Reply:
        picture = self._records.pictures.get(image_id)
        if size not in LONGEST:
            return _text(404, f"there is no image type {size}")
        content = self._pictures.content(image_id, size) if picture else None
        if content is None:
            return Reply(404, placeholder(), "image/png")
        if picture.redirects and may_redirect:
            expires = str(int(time.time()) + _SIGNED_FOR)
            query = {"size": size, "expires": expires, "signature": self._signature(image_id, size, expires)}
            return Reply(302, b"", "text/plain", {"Location": f"{ADDRESS}/signed/{image_id}?{urlencode(query)}"})
        headers = {
            "ETag": f'"{hashlib.sha1(content, usedforsecurity=False).hexdigest()}"',
            "Last-Modified": format_datetime(picture.uploaded.replace(tzinfo=datetime.UTC), usegmt=True),
        }
        return Reply(200, content, "image/png" if content.startswith(b"\x89PNG") else "image/jpeg", headers)

    def _signature(self, image_id: str, size: str, expires: str) -> str:
        return hashlib.sha256(f"{self._seed}/{image_id}/{size}/{expires}".encode()).hexdigest()[:32]

    def _signed(self, image_id: str, params: Params) -> Reply:
        size, expires, signature = (params.get(name, [""])[-1] for name in ("size", "expires", "signature"))
        if signature != self._signature(image_id, size, expires) or int(expires) < time.time():
            return _text(403, "The signature is wrong or has expired")
        return self._image(image_id, size, may_redirect=False)


# ---- HTTP -----------------------------------------------------------------------------------------------------------


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: "_Server"

    def log_message(self, *_: object) -> None:
        """Quiet: `DemoAtlas.log` keeps what is needed."""

    def do_GET(self) -> None:
        atlas = self.server.atlas
        try:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            reply, fault = atlas.answer(self.command, self.path, body)
            atlas.log.append((time.monotonic(), self.command, self.path, reply.status))
            headers = {"Date": self.date_time_string(), "Content-Type": reply.mime, "Content-Length": len(reply.body)}
            lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
            lines += [f"{name}: {value}" for name, value in (headers | reply.headers).items()]
            head = ("\r\n".join(lines) + "\r\n\r\n").encode("latin-1")
            self.close_connection |= not atlas.faults.send(fault, self.connection, head, reply.body)
        except OSError:  # the client has gone, or the atlas is closing
            self.close_connection = True

    do_POST = do_GET


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 64

    def __init__(self, atlas: DemoAtlas) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.atlas = atlas
        self._connections: set[socket.socket] = set()

    def process_request(self, request: socket.socket, client_address: tuple) -> None:
        self._connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request: socket.socket) -> None:
        self._connections.discard(request)
        self.close_request(request)  # without a shutdown first, which would turn a reset into an orderly end

    def handle_error(self, request: socket.socket, client_address: tuple) -> None:
        """A client that went away is no error of the server's."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)

    def close(self) -> None:
        """Stop, and end connections that clients keep open: a server that is down answers nobody."""
        self.shutdown()
        self.server_close()
        for connection in list(self._connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:  # it has ended by itself
                continue
