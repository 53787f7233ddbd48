"""Who may connect, and how a refusal is told."""

import re
from typing import Any

import msgspec
import pytest
from polynode_play import quiet

from lastseen_simulator.effects import Abort, CloseConnection, HttpRequest, HttpResponse
from lastseen_simulator.polynode.options import DEMO_KEY, KeyGrant

OTHER = "pn_live_other"


def refused(answer: int | HttpResponse) -> tuple[int, str]:
    assert isinstance(answer, HttpResponse)
    body = msgspec.json.decode(answer.body)
    assert list(body) == ["error"]
    return answer.status, body["error"]


@pytest.mark.parametrize(
    ("query", "status"),
    [
        ((), 401),
        ((("key", ""),), 401),
        ((("key", "pn_test_1"),), 401),
        ((("key", "pn_live_"),), 401),
        ((("key", "pn_live_a b"),), 401),
        ((("apiKey", DEMO_KEY),), 401),
        ((("key", OTHER),), 403),
        ((("key", "qm_live_legacy"),), 403),
    ],
)
def test_a_key_is_judged_before_anything_is_upgraded(
    query: tuple[tuple[str, str], ...], status: int
) -> None:
    bench = quiet()

    assert refused(bench.upgrade(*query))[0] == status
    assert bench.gateway.connections() == ()


def test_an_inactive_key_is_known_and_refused() -> None:
    bench = quiet(keys=(KeyGrant(key=OTHER, active=False),))

    assert refused(bench.upgrade(("key", OTHER)))[0] == 403


def test_a_key_of_ones_own_may_look_like_anything() -> None:
    bench = quiet(keys=(KeyGrant(key="secret"),))

    assert bench.connect(key="secret") == 1


def test_the_plan_of_a_key_decides_how_many_connections_it_has() -> None:
    bench = quiet(keys=(KeyGrant(key=DEMO_KEY, plan="free"), KeyGrant(key=OTHER)))
    first = bench.connect()

    status, text = refused(bench.upgrade(("key", DEMO_KEY)))

    assert status == 429
    assert bench.connect(key=OTHER)
    bench.leave(first)
    assert bench.connect()
    found = re.search(r"\b([0-9]{10})\b", text)
    assert found is not None
    assert int(found[1]) == bench.wall_ms // 1000 + 30


def test_a_half_open_connection_counts_until_it_is_noticed() -> None:
    bench = quiet(connection_limit=1)
    bench.place("half_open", "on open")
    bench.connect()
    bench.deaf.add(1)

    assert refused(bench.upgrade(("key", DEMO_KEY)))[0] == 429
    bench.advance(90)

    assert isinstance(bench.endings[1], Abort)
    assert bench.connect()


@pytest.mark.parametrize(("asked", "granted"), [("zlib", True), ("gzip", False), ("", False)])
def test_compression_is_granted_for_one_word(asked: str, granted: bool) -> None:
    bench = quiet()

    number = bench.upgrade(("key", DEMO_KEY), ("compress", asked))

    assert isinstance(number, int)
    (view,) = bench.gateway.connections()
    assert view.compressed is granted


def test_the_key_is_in_no_record_and_no_repr() -> None:
    bench = quiet()
    bench.connect()
    bench.upgrade(("key", OTHER), ("api_key", OTHER))
    bench.subscribe("settlements", on=1)

    log = bench.gateway.truth.to_jsonl()

    assert DEMO_KEY not in log
    assert OTHER not in log
    assert DEMO_KEY not in repr(bench.options)
    upgrades = [each for each in bench.gateway.truth.records if each["kind"] == "upgrade"]
    assert [each["status"] for each in upgrades] == [101, 403]
    assert upgrades[1]["query"] == [["key", "***"], ["api_key", "***"]]


def test_a_plain_request_finds_nothing() -> None:
    bench = quiet()

    response = bench.request(HttpRequest(method="GET", path="/v1/markets"))

    assert refused(response) == (404, "not found")


def test_refusals_can_be_told_by_closing() -> None:
    bench = quiet(refusal="close", connection_limit=1)
    connection = bench.connect()
    endings: list[Any] = []
    for key in (DEMO_KEY, OTHER, "nonsense"):
        number = bench.upgrade(("key", key))
        assert isinstance(number, int)
        endings.append(bench.endings[number])

    assert [each.code for each in endings] == [4429, 4401, 4401]
    assert all(isinstance(each, CloseConnection) for each in endings)
    assert "Retry at" in endings[0].reason
    assert len(bench.gateway.connections()) == 1
    assert connection not in bench.endings
