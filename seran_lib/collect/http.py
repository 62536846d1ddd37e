"""One way to talk to a web service: few connections, a rate limit for each host, and retries that wait their turn.

Everything here is assembled from libraries: requests for HTTP, urllib3's ``Retry`` for what to try again and when
(it honours ``Retry-After``), requests-ratelimiter for the pace. Ours is only that a retry counts against the pace too,
and that a host name can be led to another address, which is how the demo atlas is reached under a name of its own.
"""

import math
from collections.abc import Mapping
from urllib.parse import urlsplit, urlunsplit

import requests
from pyrate_limiter import Limiter, Rate
from requests import PreparedRequest, Response, Session
from requests.adapters import HTTPAdapter
from requests_ratelimiter import HostBucketFactory, LimiterAdapter
from urllib3.util import Retry

USER_AGENT = "seran_lib/0.1 (data set of a research book)"
BUSY = (403, 429, 500, 502, 503, 504)  # biocache-service answers 403 where it means "slower"
TIMEOUT = (10.0, 30.0)  # seconds to connect, and between two pieces of an answer
TRIES = 5
MOST_REDIRECTS = 5


class _PoliteRetry(Retry):
    """A `Retry` whose every further attempt takes its turn at the pace of its host."""

    limiter: Limiter | None = None
    host = ""

    def increment(self, *args: object, _pool: object = None, **kwargs: object) -> "_PoliteRetry":
        following = super().increment(*args, _pool=_pool, **kwargs)
        following.limiter, following.host = self.limiter, f"{_pool.host}:{_pool.port}" if _pool else ""
        return following

    def sleep(self, response: object = None) -> None:
        super().sleep(response)
        if self.limiter is not None and self.host:
            self.limiter.try_acquire(self.host)


class PoliteAdapter(LimiterAdapter):
    """A transport with pace, patience and, for the hosts named in `reroute`, another address."""

    def __init__(self, per_second: float, connections: int, tries: int, reroute: Mapping[str, str]) -> None:
        # One request an interval, not a burst a second: the same mean without peaks at the other end.
        interval = max(1, round(1000 / per_second)) if per_second else 1
        limiter = Limiter(HostBucketFactory(rates=[Rate(1, interval)]), buffer_ms=0)
        retry = _PoliteRetry(
            total=tries - 1,
            status_forcelist=BUSY,
            allowed_methods=None,  # the only POST asks for metadata and changes nothing
            backoff_factor=0.5,
            backoff_max=60,
            backoff_jitter=1.0,
            retry_after_max=600,
            raise_on_status=False,
        )
        retry.limiter = limiter if per_second else None
        self._paced = bool(per_second)
        self._reroute = {urlsplit(name).netloc: urlsplit(address) for name, address in reroute.items()}
        super().__init__(limiter=limiter, limit_statuses=(), max_retries=retry, pool_maxsize=connections)

    def _bucket_name(self, request: PreparedRequest) -> str:
        """The host as urllib3 names it, so that a retry waits in the same line as everyone else."""
        url = urlsplit(request.url)
        return f"{url.hostname}:{url.port or {'http': 80, 'https': 443}[url.scheme]}"

    def send(self, request: PreparedRequest, **kwargs: object) -> Response:
        named = urlsplit(request.url)
        if address := self._reroute.get(named.netloc):
            request = request.copy()
            request.url = urlunsplit(named._replace(scheme=address.scheme, netloc=address.netloc))
            request.headers["Host"] = named.netloc
        response = super().send(request, **kwargs) if self._paced else HTTPAdapter.send(self, request, **kwargs)
        response.url = urlunsplit(named)  # relative redirects and messages keep the name
        return response


def polite_session(
    session: Session | None = None,
    *,
    per_second: float = 5.0,
    connections: int = 4,
    tries: int = TRIES,
    reroute: Mapping[str, str] | None = None,
) -> Session:
    """A session that sends at most `per_second` requests to any one host (0: no limit), retries included.

    A request is tried up to `tries` times when the connection fails or the answer is 403, 429 or 5xx, after a growing
    and partly random pause or the ``Retry-After`` the server asks for. The last answer is returned whatever its status;
    a connection that keeps failing raises `requests.RequestException`. `reroute` maps a base address as written in URLs
    to the one to connect to. `connections` threads may share the session. Pass ``timeout=TIMEOUT`` with each request.
    Another `session`, such as one that remembers answers, is given these manners.
    """
    if not 0 <= per_second < math.inf:
        raise ValueError(f"{per_second:g} requests a second: give a positive number, or 0 for no limit")
    if connections < 1 or tries < 1:
        raise ValueError(f"{connections} connections and {tries} tries: there must be one of each at least")
    session = requests.Session() if session is None else session
    session.headers["User-Agent"] = USER_AGENT
    session.max_redirects = MOST_REDIRECTS
    adapter = PoliteAdapter(per_second, connections, tries, reroute or {})
    session.mount("https://", adapter)
    session.mount("http://", adapter)
    return session
