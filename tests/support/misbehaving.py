"""Services that answer as a test tells them to: on this machine, damaged on the way, or without a network."""

import json
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self
from urllib.parse import parse_qs, urlsplit

import requests
from requests.adapters import BaseAdapter


class Asked(NamedTuple):
    """A request: its path with the query, the host it was sent to, and when, in seconds of a clock of its own."""

    path: str
    host: str
    time: float


@dataclass
class Reply:
    """An answer. `damage` is what happens to it on the wire:

    "cut" no answer at all; "truncate" the connection ends in the middle; "chunks" a correct answer without a length;
    "cut_chunks" the same, ended in the middle; "drip" a byte at a time, 20 ms apart.
    """

    body: bytes = b"ok"
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    damage: str = ""


class Server:
    """Serves while it is open, as a context, at `base`. `answer` is called with each request, in a thread of its own.

    `asked` lists the requests, `connections` counts the connections; an answer may wait for `hang`.
    """

    def __init__(self, answer: Callable[[Asked], Reply] = lambda asked: Reply()) -> None:
        self.answer, self.asked, self.connections, self.hang = answer, [], 0, threading.Event()
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.ours = self
        self.base = f"http://127.0.0.1:{self._server.server_port}"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self.hang.set()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, *_: object) -> None:  # clients that went away
        pass


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def setup(self) -> None:
        self.server.ours.connections += 1
        super().setup()

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        asked = Asked(self.path, self.headers["Host"], time.monotonic())
        self.server.ours.asked.append(asked)
        self._send(self.server.ours.answer(asked))

    do_POST = do_GET

    def _send(self, reply: Reply) -> None:
        body = reply.body
        head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.status} .\r\n{head}".encode()
        sized = head + f"Content-Length: {len(body)}\r\n\r\n".encode()
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
        on_the_wire = {
            "cut": [],
            "truncate": [sized + body[: len(body) // 2]],
            "chunks": [chunked + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n"],
            "cut_chunks": [chunked + b"10\r\n" + body[:16] + b"\r\n"],
            "drip": [sized, *(bytes([byte]) for byte in body)],
        }
        self.close_connection |= reply.damage in ("cut", "truncate", "cut_chunks")
        for part in on_the_wire.get(reply.damage, [sized + body]):
            self.wfile.write(part)
            time.sleep(0.02 if reply.damage == "drip" else 0)


def answering(answer: Callable) -> tuple[requests.Session, list[tuple[str, dict]]]:
    """A session for HTTPS that goes nowhere, and the path and parameters of each request made through it.

    `answer(path, parameters, request)` returns content for JSON, a text, or (status, either).
    """
    asked = []

    class Adapter(BaseAdapter):
        def send(self, request, **kwargs):
            split = urlsplit(request.url)
            asked.append((split.path, parse_qs(split.query)))
            body = answer(*asked[-1], request)
            status, body = body if isinstance(body, tuple) else (200, body)
            response = requests.Response()
            response.status_code, response.url, response.request = status, request.url, request
            response._content = (body if isinstance(body, str) else json.dumps(body)).encode()
            return response

        def close(self):
            pass

    session = requests.Session()
    session.mount("https://", Adapter())
    return session, asked
