"""Faults that the demo atlas commits on demand, so that a client can be seen to survive them."""

import socket
import struct
import threading
import time
from collections import deque
from dataclasses import dataclass, field

# On any request; and on requests for the bytes of an image only.
ANYWHERE = ("busy", "unavailable", "html", "redirect_loop", "cut", "truncate", "drip")
ON_IMAGES = ("missing", "wrong_type", "changed")


@dataclass
class Faults:
    """What goes wrong next. May be set at any time, from any thread.

    | kind | the answer |
    |---|---|
    | busy | 429 with ``Retry-After: retry_after`` (seconds or an HTTP date) |
    | unavailable | 503 |
    | html | 200, a page of HTML |
    | redirect_loop | 302 to the same address |
    | cut | half of the body, then the connection is reset |
    | truncate | half of the body, then the connection is closed |
    | drip | one byte every `drip_pause` seconds |
    | missing | 404 and a small PNG |
    | wrong_type | the image as text/plain |
    | changed | another valid picture |
    """

    retry_after: int | str = 1
    drip_pause: float = 0.1
    _images: dict[str, tuple[str, int]] = field(default_factory=dict, repr=False)
    _next: deque[str] = field(default_factory=deque, repr=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def set(self, image_id: str, kind: str, times: int = 0) -> None:
        """Answer requests for the bytes of an image in this way: `times` times, or until cleared (0)."""
        _known(kind)
        with self._lock:
            self._images[image_id] = kind, times

    def next(self, kind: str, n: int = 1) -> None:
        """Answer the next `n` requests in this way; kinds that need a picture wait for requests for one."""
        _known(kind)
        with self._lock:
            self._next.extend([kind] * n)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        with self._lock:
            self._images.clear()
            self._next.clear()

    def take(self, image_id: str | None) -> str:
        """The fault for a request for an image, or (None) for anything else; "" if there is none."""
        with self._lock:
            if self._next and (image_id is not None or self._next[0] in ANYWHERE):
                return self._next.popleft()
            kind, times = self._images.get(image_id, ("", 0))
            if times == 1:
                del self._images[image_id]
            elif times > 1:
                self._images[image_id] = kind, times - 1
            return kind

    def send(self, kind: str, connection: socket.socket, head: bytes, body: bytes) -> bool:
        """Send an answer, badly if `kind` says so. Returns whether the connection may be used again."""
        if kind in ("cut", "truncate"):
            connection.sendall(head + body[: len(body) // 2])
            if kind == "cut":  # closing without lingering resets the connection
                time.sleep(0.05)  # or the reset would overtake what was sent
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            return False
        if kind == "drip":
            connection.sendall(head)
            for byte in body:
                connection.sendall(bytes((byte,)))
                time.sleep(self.drip_pause)
            return True
        connection.sendall(head + body)  # in one piece: two would wait for a delayed acknowledgement, 40 ms
        return True


def _known(kind: str) -> None:
    if kind not in ANYWHERE + ON_IMAGES:
        raise ValueError(f"fault {kind!r} is unknown; choose from {', '.join(ANYWHERE + ON_IMAGES)}")
