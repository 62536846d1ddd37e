"""The polite session: never faster than the pace, patient with a busy server, and the names of hosts are kept."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import pairwise

import pytest
import requests

from seran_lib.collect.http import TIMEOUT, polite_session


class Server(ThreadingHTTPServer):
    """Answers by path: /busy/N is 429 N times and then well; /moved leads to /here; others are well."""

    daemon_threads = True

    def __init__(self):
        super().__init__(("127.0.0.1", 0), Handler)
        self.times, self.hosts, self.refused = [], [], 0
        self.address = f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def do_GET(self):
        self.server.times.append(time.monotonic())
        self.server.hosts.append(self.headers["Host"])
        headers = {"Content-Length": "2"}
        status = 200
        if self.path.startswith("/busy/") and self.server.refused < int(self.path[6:]):
            self.server.refused += 1
            status, headers["Retry-After"] = 429, "1"
        elif self.path == "/moved":
            status, headers["Location"] = 302, "/here"
        elif self.path == "/round":
            status, headers["Location"] = 302, "/round"
        elif self.path == "/broken":
            status = 500
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(b"ok")


@pytest.fixture
def server():
    with Server() as running:
        threading.Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


def get(session, url):
    return session.get(url, timeout=TIMEOUT)


def test_many_threads_together_keep_the_pace(server):
    session = polite_session(per_second=20, connections=8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: get(session, server.address), range(12)))
    times = sorted(server.times)
    assert times[-1] - times[0] > 0.9 * 11 / 20
    assert min(b - a for a, b in pairwise(times)) > 0.02


def test_without_a_limit_nobody_waits(server):
    session = polite_session(per_second=0)
    before = time.monotonic()
    for _ in range(30):
        get(session, server.address)
    assert time.monotonic() - before < 3  # at any pace below 10 a second it would be more


def test_retries_wait_as_told_and_take_their_turn(server):
    session = polite_session(per_second=50, tries=4)
    assert get(session, server.address + "/busy/2").status_code == 200
    pauses = [b - a for a, b in pairwise(server.times)]
    assert len(pauses) == 2
    assert all(0.95 < pause < 5 for pause in pauses)


def test_the_pace_holds_for_retries_too(server, monkeypatch):
    session = polite_session(per_second=4, tries=4)
    monkeypatch.setattr("urllib3.util.retry.Retry._sleep_backoff", lambda self: None)
    assert get(session, server.address + "/broken").status_code == 500
    assert len(server.times) == 4
    assert all(b - a > 0.2 for a, b in pairwise(server.times))


def test_a_busy_server_is_reported_after_the_last_try(server):
    assert get(polite_session(per_second=0, tries=1), server.address + "/busy/9").status_code == 429
    assert len(server.times) == 1


@pytest.mark.parametrize("jump", [-7_200, 7_200])
def test_a_jump_of_the_clock_stops_nothing(server, monkeypatch, jump):
    session = polite_session(per_second=50)
    get(session, server.address)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    before = time.monotonic()
    for _ in range(3):
        assert get(session, server.address + "/busy/1").ok
    assert time.monotonic() - before < 10


def test_a_host_is_led_to_another_address_and_keeps_its_name(server):
    session = polite_session(per_second=0, reroute={"http://atlas.example": server.address})
    response = get(session, "http://atlas.example/moved")
    assert response.url == "http://atlas.example/here"
    assert set(server.hosts) == {"atlas.example"}


def test_a_redirect_loop_ends(server):
    with pytest.raises(requests.TooManyRedirects):
        get(polite_session(per_second=0), server.address + "/round")
    assert len(server.times) < 10


@pytest.mark.parametrize(
    ("url", "line"), [("https://a.example/x", "a.example:443"), ("http://A.example:81/", "a.example:81")]
)
def test_first_tries_and_retries_of_a_host_stand_in_one_line(url, line):
    adapter = polite_session().get_adapter(url)
    assert adapter._bucket_name(requests.Request("GET", url).prepare()) == line
    pool = adapter.poolmanager.connection_from_url(url)
    assert adapter.max_retries.increment(url="/", _pool=pool).host == line


def test_impossible_settings_are_refused():
    for wrong in ({"per_second": -1}, {"per_second": float("nan")}, {"connections": 0}, {"tries": 0}):
        with pytest.raises(ValueError, match=r"give a positive number|one of each at least"):
            polite_session(**wrong)
