import json
import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen_simulator.effects import HttpRequest, Respond, Transmit
from lastseen_simulator.gateway.bench import WALL_MS, Bench
from lastseen_simulator.gateway.core import DEMO_KEY, Gateway, GatewayOptions, KeyGrant
from lastseen_simulator.gateway.endpoints import ENDPOINTS
from lastseen_simulator.gateway.journal import Journal, parse_entry_id
from lastseen_simulator.profiles import profile


def a_run(seed: int) -> tuple[list[Any], str]:
    bench = Bench(GatewayOptions(rate=40), seed=seed)
    for name in ("flaky", "hostile", "release"):
        for fault in profile(name):
            bench.gateway.place(fault)
    for number in range(15):
        cursor = {"scores": f"{WALL_MS + 100}-1"} if number % 2 else {}
        bench.login(
            serverEpoch=bench.gateway.epoch,
            lastSeenId=cursor,
            receiveType="binary" if number % 3 else "json",
        )
        bench.get("/fixtures", sportId=10)
        bench.advance(2)
    return bench.effects, bench.gateway.truth.to_jsonl()


def test_the_same_seed_gives_the_same_run_byte_for_byte() -> None:
    first, second, other = a_run(7), a_run(7), a_run(8)

    assert first == second
    assert first[1] != other[1]


def test_the_market_ticks_at_about_its_rate() -> None:
    bench = Bench(GatewayOptions(rate=50))

    bench.advance(20)

    assert 900 < len(bench.gateway.truth.entries()) < 1150


def test_a_paused_market_rests_and_publish_still_works() -> None:
    bench = Bench(GatewayOptions(rate=50))
    bench.gateway.pause(now=bench.now)
    bench.advance(5)
    assert bench.gateway.truth.entries() == ()
    bench.publish("odds")
    assert len(bench.gateway.truth.entries()) == 1

    bench.gateway.resume(now=bench.now)
    bench.gateway.resume(now=bench.now)
    bench.advance(5)

    assert 150 < len(bench.gateway.truth.entries()) < 350


def test_a_driver_that_was_away_for_long_is_not_drowned() -> None:
    bench = Bench(GatewayOptions(rate=100))

    bench.gateway.handle_deadline(now=3600.0)

    assert len(bench.gateway.truth.entries()) < 1500
    deadline = bench.gateway.poll_deadline()
    assert deadline is not None
    assert 3600 < deadline[0] < 3601


def test_an_early_or_repeated_deadline_does_nothing() -> None:
    bench = Bench(GatewayOptions(rate=1))
    bench.connect()
    deadline = bench.gateway.poll_deadline()
    assert deadline is not None
    written = bench.gateway.truth.written

    for moment in (0.0, deadline[0] / 2, deadline[0] - 1e-6):
        bench.gateway.handle_deadline(now=moment)

    assert bench.gateway.truth.written == written
    assert bench.gateway.poll_deadline() == deadline


def test_a_gateway_that_nobody_touched_wants_to_be_opened() -> None:
    gateway = Gateway(GatewayOptions(rate=0), rng=random.Random(0), wall_ms_at_zero=WALL_MS)

    assert gateway.poll_deadline() == (0.0, "opening")
    assert gateway.epoch is None
    gateway.handle_deadline(now=123.0)
    assert gateway.poll_deadline() is None
    assert gateway.truth.records[0]["kind"] == "base"


def test_ids_carry_the_wall_clock_whatever_the_monotonic_clock_says() -> None:
    bench = Bench(GatewayOptions(rate=0), now=50.0)
    connection = bench.login()
    bench.advance(1.234)

    entry_id = bench.publish("scores")

    assert entry_id == f"{WALL_MS + 51_234}-1"
    (update,) = bench.updates(connection)
    assert update["ts"] == WALL_MS + 51_234
    assert (update["type"], update["channel"]) == ("UPDATE", "scores")


def test_channels_that_are_not_served_cannot_be_published_on() -> None:
    with pytest.raises(ValueError, match="no such channel: weather"):
        Bench().publish("weather")


def test_a_scripted_payload_reaches_client_rest_and_truth() -> None:
    bench = Bench(GatewayOptions(rate=0))
    connection = bench.login()
    key = next(iter(bench.gateway.truth.state(channels=["scores"])))
    fixture_id = key.split("/")[1]
    score = {"period": "result", "participant1Score": 7, "participant2Score": 9, "updatedAt": "x"}
    payload = {"fixtureId": fixture_id, "scores": {"result": score}}

    bench.publish("scores", payload)
    payload["scores"] = {}

    assert bench.updates(connection)[0]["payload"]["scores"]["result"] == score
    assert bench.gateway.truth.state()[f"scores/{fixture_id}/result"] == score
    assert b'"participant2Score":9' in bench.get("/fixtures", fixtureIds=fixture_id).body


# Filters.


def received(bench: Bench, connection: int) -> list[dict[str, Any]]:
    for channel in ("fixtures", "scores", "odds", "bookmakers"):
        for _ in range(40):
            bench.publish(channel)
    return bench.updates(connection)


def test_channels_are_filtered() -> None:
    bench = Bench(GatewayOptions(rate=0))

    updates = received(bench, bench.login(channels=["scores"]))

    assert {each["channel"] for each in updates} == {"scores"}
    assert len(updates) == 40


def test_sports_tournaments_and_fixtures_narrow_together() -> None:
    bench = Bench(GatewayOptions(rate=0))
    fixtures = [value for key, value in bench.gateway.truth.state(channels=["fixtures"]).items()]
    soccer = [each for each in fixtures if each["sport"]["sportId"] == 10]
    one = soccer[0]
    by_sport = bench.login(sportIds=[10])
    by_all = bench.login(
        sportIds=[10],
        tournamentIds=[one["tournament"]["tournamentId"]],
        fixtureIds=[each["fixtureId"] for each in fixtures],
    )
    by_contradiction = bench.login(sportIds=[11], fixtureIds=[one["fixtureId"]])
    by_nothing = bench.login(sportIds=[])
    received(bench, by_sport)

    def seen(connection: int) -> set[str]:
        return {each["payload"]["fixtureId"] for each in bench.updates(connection)}

    assert seen(by_sport) == {each["fixtureId"] for each in soccer}
    assert seen(by_all) == {
        each["fixtureId"]
        for each in soccer
        if each["tournament"]["tournamentId"] == one["tournament"]["tournamentId"]
    }
    assert seen(by_contradiction) == seen(by_nothing) == set()
    assert [each["type"] for each in bench.controls(by_nothing)] == ["login_ok"]


def test_messages_of_gated_channels_are_split_by_bookmaker() -> None:
    bench = Bench(GatewayOptions(rate=0))
    connection = bench.login(bookmakers=["stake"], channels=["odds", "scores"])
    fixture_id = next(iter(bench.gateway.truth.state(channels=["fixtures"]))).split("/")[1]
    row = {"bookmaker": "x", "outcomeId": 101, "playerId": 0, "price": 2.5, "active": True}

    both = bench.publish(
        "odds", {"fixtureId": fixture_id, "odds": {"stake": {"a": row}, "pinnacle": {"b": row}}}
    )
    bench.publish("odds", {"fixtureId": fixture_id, "odds": {"pinnacle": {"b": row}}})

    (update,) = bench.updates(connection)
    assert update["entryId"] == both
    assert update["payload"]["odds"] == {"stake": {"a": row}}


def test_the_sports_of_a_key_bind_its_stream() -> None:
    keys = (KeyGrant(key="a" * 32, sport_ids=(11,)),)
    bench = Bench(GatewayOptions(rate=0, keys=keys))
    connection = bench.login(apiKey="a" * 32)

    updates = received(bench, connection)

    assert bench.controls(connection)[0]["sportIds"] == [11]
    assert updates
    assert all(each["payload"]["fixtureId"].startswith("id11") for each in updates)


def test_connections_of_one_subscription_share_what_was_encoded() -> None:
    bench = Bench(GatewayOptions(rate=0))
    bench.login()
    bench.login()
    bench.publish("odds")

    first, second = [each for each in bench.effects if isinstance(each, Transmit)][-2:]

    assert first.data is second.data


# Numbers.


@pytest.mark.parametrize(
    ("text", "halves"),
    [
        ("1790000000120-48811", (1790000000120, 48811)),
        ("0-0", (0, 0)),
        ("1-", None),
        ("-1", None),
        ("1-2-3", None),
        ("+1-2", None),
        ("1_0-2", None),
        ("1-2\n", None),
        (" 1-2", None),
        ("\u0661-2", None),
        ("1" * 20 + "-1", None),
    ],
)
def test_entry_ids_are_two_plain_numbers(text: str, halves: tuple[int, int] | None) -> None:
    assert parse_entry_id(text) == halves


@given(st.lists(st.integers(min_value=0, max_value=5), min_size=1, max_size=40), st.data())
def test_a_journal_replays_exactly_what_follows_a_cursor(
    steps: list[int], data: st.DataObject
) -> None:
    journal = Journal(channel="scores", rule="epoch", window_ms=10**6, entries_max=1000)
    wall_ms = WALL_MS
    entries = []
    for step in steps:
        wall_ms += step
        entries.append(journal.append({}, wall_ms=wall_ms, coalesced=step % 2))
    index = data.draw(st.integers(min_value=0, max_value=len(entries) - 1))
    cursor = entries[index].entry_id

    plain = journal.after(cursor, wall_ms=wall_ms, inclusive=False)
    inclusive = journal.after(cursor, wall_ms=wall_ms, inclusive=True)

    assert plain == tuple(entries[index + 1 :])
    assert inclusive == tuple(entries[index:])


def test_a_journal_keeps_no_more_than_its_window() -> None:
    journal = Journal(channel="scores", rule="epoch", window_ms=100, entries_max=1000)
    entries = [journal.append({}, wall_ms=WALL_MS + number * 10) for number in range(50)]
    now_ms = WALL_MS + 490

    def after(index: int) -> Any:
        return journal.after(entries[index].entry_id, wall_ms=now_ms, inclusive=False)

    assert after(38) == "too_old"
    assert after(39) == tuple(entries[40:])
    # Even a clock that steps back finds the old ones gone.
    assert journal.after(entries[0].entry_id, wall_ms=WALL_MS, inclusive=True) == tuple(
        entries[39:]
    )


# Anything at all.

FRAMES = st.one_of(
    st.text(max_size=30),
    st.binary(max_size=30),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["login", "log", 1])},
        optional={
            "apiKey": st.sampled_from([DEMO_KEY, "x", 1, None]),
            "channels": st.lists(st.sampled_from(["odds", "scores", "weather"])) | st.none(),
            "sportIds": st.lists(st.integers() | st.text(max_size=2)),
            "lastSeenId": st.dictionaries(
                st.sampled_from(["scores", "odds", "x"]),
                st.sampled_from(["1-1", "", 7, None, f"{WALL_MS}-1"]),
            )
            | st.integers(),
            "serverEpoch": st.text(max_size=4) | st.integers() | st.none(),
        },
    ).map(json.dumps),
)


@settings(max_examples=150, deadline=None)
@given(st.lists(FRAMES, max_size=6))
def test_no_frame_makes_the_gateway_raise(frames: list[str | bytes]) -> None:
    bench = Bench(GatewayOptions(rate=0, fixtures=1))
    for frame in frames:
        bench.send(bench.connect(), frame)

    bench.publish("scores")

    assert all(each.stage in ("live", "refused") for each in bench.gateway.connections())


PARAMETERS = [
    "sportId", "fixtureId", "fixtureIds", "futureId", "futureIds", "since", "bookmakers",
    "currency", "mainLine", "mainLines", "includeFuture", "x",
]  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.sampled_from(sorted(ENDPOINTS)).map(lambda path: f"/de{path}"),
    st.lists(
        st.tuples(
            st.sampled_from(PARAMETERS),
            st.text(max_size=6) | st.sampled_from(["10", "-1", "stake", "9" * 30]),
        ),
        max_size=5,
    ),
)
def test_no_request_makes_the_gateway_raise(path: str, query: list[tuple[str, str]]) -> None:
    bench = Bench(GatewayOptions(rate=0, fixtures=1))
    http = HttpRequest(method="GET", path=path, query=(("apiKey", DEMO_KEY), *query))

    bench.gateway.handle_request(5, http, now=0.0)

    (answer,) = bench.gateway.poll_effects()
    assert isinstance(answer, Respond)
    assert answer.request == 5
    assert answer.response.status in (200, 400, 403, 404, 422)


@pytest.mark.parametrize(
    ("knob", "value"),
    [
        ("rate", -1.0),
        ("rate", float("nan")),
        ("coalesce", 1.5),
        ("fixtures", 0),
        ("replay_channels", ("weather",)),
        ("channels", ("odds", "weather")),
        ("futures", -1),
        ("bookmakers", ()),
        ("main_fixtures_max", 0),
    ],
)
def test_knobs_out_of_range_are_refused_by_name(knob: str, value: Any) -> None:
    with pytest.raises(ValueError, match=knob):
        GatewayOptions(**{knob: value})
