"""Faults that the demo atlas commits on demand, so that a client can be seen to survive them."""

import socket
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import repeat

KINDS = "busy unavailable html redirect_loop cut truncate drip missing wrong_type changed".split()


@dataclass
class Faults:
    """What goes wrong with an image. May be set at any time, from any thread.

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
    _images: dict[str, Iterator[str]] = field(default_factory=dict, repr=False)

    def set(self, image_id: str, kind: str, times: int = 0) -> None:
        """Answer requests for the bytes of an image in this way: `times` times, or until cleared (0)."""
        if kind not in KINDS:
            raise ValueError(f"fault {kind!r} is unknown; choose from {', '.join(KINDS)}")
        self._images[image_id] = repeat(kind, times) if times else repeat(kind)

    def clear(self) -> None:
        """Nothing goes wrong any more."""
        self._images.clear()

    def take(self, image_id: str | None) -> str:
        """The fault for a request for an image; "" if there is none, or (None) for any other request."""
        return next(self._images.get(image_id, iter(())), "")

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
