"""The polite session: never faster than the pace, patient with a busy server, and the names of hosts are kept."""

import time
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest
import requests
from misbehaving import Reply, Server

from seran_lib.collect.http import TIMEOUT, polite_session


@pytest.fixture
def server():
    """Answers by path: /busy/N is 429 N times and then well; /moved leads to /here; others are well."""
    refused = []

    def answer(asked):
        if asked.path.startswith("/busy/") and len(refused) < int(asked.path[6:]):
            refused.append(asked)
            return Reply(status=429, headers={"Retry-After": "1"})
        leads = {"/moved": "/here", "/round": "/round"}
        if asked.path in leads:
            return Reply(status=302, headers={"Location": leads[asked.path]})
        return Reply(status=500 if asked.path == "/broken" else 200)

    with Server(answer) as running:
        yield running


def times(server):
    return sorted(asked.time for asked in server.asked)


def get(session, url):
    return session.get(url, timeout=TIMEOUT)


def test_many_threads_together_keep_the_pace(server):
    session = polite_session(per_second=20, connections=8)
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda _: get(session, server.base), range(12)))
    asked = times(server)
    assert asked[-1] - asked[0] > 0.9 * 11 / 20
    assert min(b - a for a, b in pairwise(asked)) > 0.02


def test_without_a_limit_nobody_waits(server):
    session = polite_session(per_second=0)
    before = time.monotonic()
    for _ in range(30):
        get(session, server.base)
    assert time.monotonic() - before < 3  # at any pace below 10 a second it would be more


def test_retries_wait_as_told_and_take_their_turn(server):
    session = polite_session(per_second=50, tries=4)
    assert get(session, server.base + "/busy/2").status_code == 200
    pauses = [b - a for a, b in pairwise(times(server))]
    assert len(pauses) == 2
    assert all(0.95 < pause < 5 for pause in pauses)


@pytest.mark.parametrize("tries", [1, 4])
def test_the_pace_holds_for_retries_too_and_the_last_answer_is_reported(server, monkeypatch, tries):
    session = polite_session(per_second=4, tries=tries)
    monkeypatch.setattr("urllib3.util.retry.Retry._sleep_backoff", lambda self: None)
    assert get(session, server.base + "/broken").status_code == 500
    assert len(times(server)) == tries
    assert all(b - a > 0.2 for a, b in pairwise(times(server)))


@pytest.mark.parametrize("jump", [-7_200, 7_200])
def test_a_jump_of_the_clock_stops_nothing(server, monkeypatch, jump):
    session = polite_session(per_second=50)
    get(session, server.base)
    real = time.time
    monkeypatch.setattr(time, "time", lambda: real() + jump)
    before = time.monotonic()
    for _ in range(3):
        assert get(session, server.base + "/busy/1").ok
    assert time.monotonic() - before < 10


def test_a_host_is_led_to_another_address_and_keeps_its_name(server):
    session = polite_session(per_second=0, reroute={"http://atlas.example": server.base})
    response = get(session, "http://atlas.example/moved")
    assert response.url == "http://atlas.example/here"
    assert {asked.host for asked in server.asked} == {"atlas.example"}


def test_a_redirect_loop_ends(server):
    with pytest.raises(requests.TooManyRedirects):
        get(polite_session(per_second=0), server.base + "/round")
    assert len(times(server)) < 10


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
