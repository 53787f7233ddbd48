"""What is asked, and what an end means."""

import json
from typing import Any

import pytest

from lastseen.dialect import End
from lastseen.dialects.polymarket_us import PolymarketUS, Stream, Subscription
from lastseen.errors import ConfigurationError
from lastseen.events import Failure
from lastseen.secret import Secret
from lastseen.stream_dialect import Base, StreamDialect
from lastseen.stream_messages import PeerError


def asked(token: str | None = None, **given: Any) -> tuple[str, dict[str, Any], dict[str, Any]]:
    dialect = PolymarketUS(subscription=Subscription(**given))
    secret = None if token is None else Secret(token)
    request = dialect.request(token=secret, bearer=Secret("bearer"))
    headers = {
        name: value.reveal() if isinstance(value, Secret) else value
        for name, value in request.headers
    }
    return request.path, headers, json.loads(request.body.reveal())


def test_it_is_a_dialect_of_such_feeds() -> None:
    assert isinstance(PolymarketUS(), StreamDialect)


def test_orders_are_asked_for_as_the_oldest_page_does() -> None:
    path, headers, body = asked("dG9rMTI=", account="acct-demo")

    assert (path, body) == (
        "/v1/orders/subscribe", {"accountId": "acct-demo", "resumeToken": "dG9rMTI="},
    )  # fmt: skip
    assert headers["x-participant-id"] == "acct-demo"
    assert headers["Authorization"] == "Bearer bearer"


def test_books_are_asked_for_by_symbol_and_those_are_what_is_to_come() -> None:
    path, headers, body = asked(stream=Stream.MARKET_DATA, symbols=("a", "b"), depth=5)

    assert path == "/v1/marketdata/subscribe"
    assert body == {"instruments": ["a", "b"], "dataType": "orderbook", "depth": 5}
    assert "x-participant-id" not in headers
    dialect = PolymarketUS(subscription=Subscription(stream=Stream.MARKET_DATA, symbols=("a",)))
    assert (dialect.base, dialect.units_asked) == (Base.UNITS, frozenset({"market_data/a"}))
    assert PolymarketUS(subscription=Subscription(stream=Stream.INSTRUMENTS)).units_asked is None


@pytest.mark.parametrize("stream", Stream)
def test_nothing_is_asked_that_was_not_wanted_and_the_key_stays_out_of_sight(
    stream: Stream,
) -> None:
    dialect = PolymarketUS(subscription=Subscription(stream=stream))
    request = dialect.request(token=Secret("token-token"), bearer=Secret("bearer-bearer"))

    assert "token-token" not in repr(request)
    assert "bearer-bearer" not in repr(request)
    assert len(request.body.reveal()) < 80
    assert (
        dialect.identity
        != PolymarketUS(subscription=Subscription(stream=stream, symbols=("a",))).identity
    )


@pytest.mark.parametrize(
    "given",
    [
        {"stream": "orders"}, {"symbols": "abc"}, {"symbols": ("a", "a")}, {"symbols": ("",)},
        {"account": ""}, {"account": 7}, {"depth": 5}, {"firms": ("f",)},
        {"stream": Stream.MARKET_DATA, "account": "a"}, {"stream": Stream.MARKET_DATA, "depth": 0},
        {"stream": Stream.MARKET_DATA, "symbols": tuple(map(str, range(1001)))},
    ],
)  # fmt: skip
def test_what_cannot_be_asked_is_refused(given: dict[str, Any]) -> None:
    with pytest.raises(ConfigurationError):
        Subscription(**given)


@pytest.mark.parametrize(
    ("end", "sent", "failure"),
    [
        (End(http_status=401), False, Failure.UNAUTHENTICATED),
        (End(http_status=403), False, Failure.REJECTED),
        (End(http_status=429), False, Failure.LIMIT),
        (End(http_status=400), False, Failure.REJECTED),
        (End(http_status=400), True, Failure.RESUME_REFUSED),
        (End(http_status=503), True, Failure.TRANSIENT),
        (End(http_status=302), False, Failure.NOT_A_FEED),
        (End(), True, Failure.TRANSIENT),
        (PeerError(code=16, message=""), False, Failure.UNAUTHENTICATED),
        (PeerError(code="resource_exhausted", message=""), False, Failure.LIMIT),
        (PeerError(code=3, message=""), False, Failure.REJECTED),
        (PeerError(code="out_of_range", message=""), True, Failure.RESUME_REFUSED),
        (PeerError(code=14, message=""), True, Failure.TRANSIENT),
        (PeerError(code=None, message=""), False, Failure.TRANSIENT),
        (PeerError(code=99, message=""), False, Failure.TRANSIENT),
    ],
)
def test_every_end_has_a_meaning(end: End | PeerError, sent: bool, failure: Failure) -> None:
    assert PolymarketUS().classify(end, token_sent=sent) is failure
