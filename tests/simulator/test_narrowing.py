"""What of each channel a subscription gets, judged a second time from the state and the filters."""

from collections.abc import Iterator
from typing import Any

import pytest
from bench_play import quiet, told
from hypothesis import given, settings
from hypothesis import strategies as st
from second_opinion import FIXTURE_CHANNELS, FUTURE_CHANNELS, GATED, LIVE_ONLY

from lastseen_simulator.gateway.bench import Bench
from lastseen_simulator.gateway.options import SERVED_CHANNELS, GatewayOptions

BOOKS = ("pinnacle", "stake", "bet365")


def everything(bench: Bench, count: int = 25) -> list[dict[str, Any]]:
    """Publishes on every channel and returns what somebody without filters receives."""
    witness = bench.login()
    for channel in SERVED_CHANNELS:
        for _ in range(count):
            bench.publish(channel)
    return bench.updates(witness)


def expected(bench: Bench, update: dict[str, Any], filters: dict[str, Any]) -> Any:
    """The payload as these filters leave it, None when they leave nothing."""
    channel, payload = update["channel"], update["payload"]
    if channel == "currencies":
        return payload
    root, member = (
        ("fixtures", "fixtureId") if channel in FIXTURE_CHANNELS else ("futures", "futureId")
    )
    entity = payload[member]
    subject = bench.gateway.truth.state(channels=[root])[f"{root}/{entity}"]
    if entity not in filters.get(f"{member}s", [entity]):
        return None
    for about in ("sport", "tournament"):
        number = subject[about][f"{about}Id"]
        if number not in filters.get(f"{about}Ids", [number]):
            return None
    if channel not in GATED:
        return payload
    section = channel if channel == "oddsFutures" else channel.removesuffix("Futures")
    books = {slug: part for slug, part in payload[section].items() if slug in filters["bookmakers"]}
    return {**payload, section: books} if books else None


def entities(bench: Bench, root: str) -> list[str]:
    return [key.partition("/")[2] for key in bench.gateway.truth.state(channels=[root])]


def filters_for(bench: Bench) -> Iterator[dict[str, Any]]:
    fixture, future = entities(bench, "fixtures")[0], entities(bench, "futures")[0]
    yield {}
    yield {"sportIds": [10]}
    yield {"sportIds": [11, 12]}
    yield {"sportIds": [99]}
    yield {"tournamentIds": [421]}
    yield {"tournamentIds": [530], "sportIds": [10]}
    yield {"fixtureIds": [fixture]}
    yield {"futureIds": [future]}
    yield {"fixtureIds": [fixture], "futureIds": ["nobody"]}
    yield {"bookmakers": ["stake"]}
    yield {"bookmakers": ["bet365", "pinnacle"], "sportIds": [10], "futureIds": [future]}


def test_every_filter_narrows_the_channels_it_is_for() -> None:
    bench = quiet(futures=4, connection_limit=50)
    logins = [(filters, bench.login(**filters)) for filters in filters_for(bench)]

    published = everything(bench)

    assert {each["channel"] for each in published} == set(SERVED_CHANNELS)
    for filters, connection in logins:
        full = {"bookmakers": BOOKS, **filters}
        wanted = [
            {**update, "payload": payload}
            for update in published
            if (payload := expected(bench, update, full)) is not None
        ]
        assert bench.updates(connection) == wanted
        assert {"currencies"} <= {each["channel"] for each in wanted}


@settings(max_examples=40, deadline=None)
@given(
    st.fixed_dictionaries(
        {"channels": st.lists(st.sampled_from(SERVED_CHANNELS), min_size=1, unique=True)},
        optional={
            "sportIds": st.lists(st.sampled_from([10, 11, 12]), min_size=1),
            "tournamentIds": st.lists(st.sampled_from([420, 421, 530, 640]), min_size=1),
            "bookmakers": st.lists(st.sampled_from(BOOKS), min_size=1),
        },
    ),
    st.integers(0, 1000),
)
def test_any_filters_leave_what_they_should(filters: dict[str, Any], seed: int) -> None:
    bench = Bench(GatewayOptions(rate=0, futures=3), seed=seed)
    connection = bench.login(**filters)

    published = everything(bench, count=4)

    full = {"bookmakers": BOOKS, **filters}
    assert bench.updates(connection) == [
        {**update, "payload": payload}
        for update in published
        if update["channel"] in filters["channels"]
        and (payload := expected(bench, update, full)) is not None
    ]


def test_a_login_without_channels_gets_all_thirteen() -> None:
    bench = quiet()

    first = told(bench, bench.login())

    assert first["channels"] == list(SERVED_CHANNELS) == sorted(SERVED_CHANNELS)
    assert set(SERVED_CHANNELS) == {*FIXTURE_CHANNELS, *FUTURE_CHANNELS, *LIVE_ONLY, "currencies"}
    assert len(SERVED_CHANNELS) == 13


ODD: list[Any] = [None, 3, "x", [], {}, {"stake": None}, {"stake": {"row": [1]}}]


@pytest.mark.parametrize("channel", SERVED_CHANNELS)
def test_whatever_is_scripted_goes_out_and_stops_nobody(channel: str) -> None:
    bench = quiet()
    everybody = bench.login()
    holed = bench.login()
    fault = bench.place("gap", "every 2 data", connection=holed, times=0)
    narrow = bench.login(sportIds=[10], bookmakers=["stake"], fixtureIds=["x"], futureIds=["x"])
    members = ("fixtureId", "futureId", "rates", channel, "bookmakers", "clock")
    payloads = [dict.fromkeys(members, value) for value in ODD]
    payloads += [{**payload, "fixtureId": "x", "futureId": "x"} for payload in payloads]

    for payload in payloads:
        bench.publish(channel, payload)
        for path in ("/fixtures", "/futures"):
            bench.get(path, fixtureIds="x", futureIds="x")
            bench.get(f"{path}/odds", fixtureId="x", futureId="x")
        assert bench.get("/currencies").status == 200
        bench.gateway.truth.state(sport_ids=[10], bookmakers=["stake"])

    sent = [update["payload"] for update in bench.updates(everybody, channel)]
    assert all(payload in sent for payload in payloads)
    assert {connection.stage for connection in bench.gateway.connections()} == {"live"}
    assert len(bench.updates(narrow)) <= len(sent)
    # What was superseded for the one with holes has been published once more for all.
    assert len(sent) == len(payloads) + bench.receipt(fault).fired
    assert bench.receipt(fault).fired


def test_a_payload_too_deep_to_be_copied_is_refused() -> None:
    payload: dict[str, Any] = {}
    for _ in range(5000):
        payload = {"x": payload}

    with pytest.raises(ValueError, match="nested too deeply"):
        quiet().publish("events", payload)


def test_a_channel_that_is_not_served_here_cannot_be_published_on() -> None:
    bench = quiet(channels=("odds", "scores"))

    with pytest.raises(ValueError, match="no such channel: clocks"):
        bench.publish("clocks")
    assert bench.publish("scores")
