"""A web server on this machine that answers as a test tells it to, damages answers on their way, and keeps a log."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import NamedTuple, Self


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
        body, write = reply.body, self.wfile.write
        head = "".join(f"{name}: {value}\r\n" for name, value in reply.headers.items())
        head = f"HTTP/1.1 {reply.status} .\r\n{head}".encode()
        sized = head + f"Content-Length: {len(body)}\r\n\r\n".encode()
        chunked = head + b"Transfer-Encoding: chunked\r\n\r\n"
        self.close_connection |= reply.damage in ("cut", "truncate", "cut_chunks")
        match reply.damage:
            case "cut":
                pass
            case "truncate":
                write(sized + body[: len(body) // 2])
            case "cut_chunks":
                write(chunked + b"10\r\n" + body[:16] + b"\r\n")
            case "chunks":
                write(chunked + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")
            case "drip":
                write(sized)
                for byte in body:
                    write(bytes([byte]))
                    time.sleep(0.02)
            case _:
                write(sized + body)
