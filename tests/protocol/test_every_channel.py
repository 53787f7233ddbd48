"""One session with every channel: what is fetched for them, and what the application then holds."""

import json
import random
from typing import Any

import attrs

from lastseen import (
    Connect,
    FetchSnapshot,
    HttpResponse,
    OddsPapi,
    Replica,
    ScopeState,
    Secret,
    Session,
    Subscription,
)
from lastseen.dialects.oddspapi import SNAPSHOT_CHANNELS
from lastseen.dialects.oddspapi.channels import CHANNELS

SPORT = {"sport": {"sportId": 10}}
ANSWERS: dict[str, Any] = {
    "/fixtures": [
        {"fixtureId": "A", **SPORT, "scores": {"p1": {"s": 1}}, "clock": {"currentTime": "01:00"}},
        {"fixtureId": "B", **SPORT, "status": {"statusId": 2}, "clock": None},
    ],
    "/fixtures/odds": {
        "fixtureId": "A",
        "odds": {"x": {"r": {"price": 1}}},
        "bookmakers": {"x": {"hasOdds": True}},
    },
    "/futures": [
        {"futureId": "F", **SPORT},
        {"futureId": "G", **SPORT, "status": {"statusId": 3}},
    ],
    "/futures/odds": {
        "futureId": "F",
        "bookmakers": {"x": {"hasOdds": True, "odds": [{"oddsId": "F:x:7", "price": 1}]}},
    },
    "/currencies": {"rates": {"EUR": 1}},
}  # fmt: skip

BASE: dict[str, Any] = {
    "fixtures/A": {"fixtureId": "A", **SPORT},
    "fixtures/B": {"fixtureId": "B", **SPORT, "status": {"statusId": 2}},
    "scores/A/p1": {"s": 1},
    "clocks/A": {"currentTime": "01:00"},
    "odds/A/x/r": {"price": 1},
    "bookmakers/A/x": {"hasOdds": True},
    "futures/F": {"futureId": "F", **SPORT},
    "futures/G": {"futureId": "G", **SPORT, "status": {"statusId": 3}},
    "oddsFutures/F/x/F:x:7": {"price": 1},
    "bookmakersFutures/F/x": {"hasOdds": True},
    "currencies/EUR": 1,
}


@attrs.define(eq=False)
class Play:
    """A session of every channel, logged in, whose fetches are answered as they are asked for."""

    session: Session = attrs.field(init=False)
    replica: Replica = attrs.field(init=False)
    asked: list[tuple[str, ...]] = attrs.field(init=False, factory=list[tuple[str, ...]])
    """Path and query of each request, without the key."""
    connection: int = attrs.field(init=False)
    entries: int = attrs.field(init=False, default=0)
    now: float = 0.0

    def __attrs_post_init__(self) -> None:
        dialect = OddsPapi(
            subscription=Subscription(channels=tuple(CHANNELS), sport_ids=(10,)), key=Secret("k")
        )
        self.session, self.replica = Session(dialect, random.Random(1)), Replica(dialect)
        self.session.handle_begin(now=self.now)
        (connect,) = self.session.poll_effects()
        assert isinstance(connect, Connect)
        self.connection = connect.connection
        self.session.handle_opened(self.connection, now=self.now)
        resume = {"serverEpoch": "E1", "resumeWindowMs": 60000, "replayChannels": []}
        self.frame({"type": "login_ok", "channels": list(CHANNELS), "resume": resume})

    def frame(self, members: dict[str, Any]) -> None:
        self.session.handle_frames(self.connection, [json.dumps(members)], now=self.now)
        self.drain()

    def update(self, channel: str, payload: dict[str, Any]) -> None:
        self.entries += 1
        self.frame({"channel": channel, "payload": payload, "entryId": f"1-{self.entries}"})

    def drain(self) -> None:
        while effects := list(self.session.poll_effects()):
            for effect in effects:
                if isinstance(effect, FetchSnapshot):
                    answers = tuple(map(self.answer, effect.requests))
                    self.session.handle_snapshot(effect.fetch, answers, now=self.now)
        for event in self.session.poll_events():
            self.replica.apply(event)
            self.session.handle_processed(event, now=self.now)

    def answer(self, request: Any) -> HttpResponse:
        self.asked.append((request.path, *(value for name, value in request.query[1:])))
        headers = (("content-type", "application/json"),)
        body = json.dumps(ANSWERS[request.path]).encode()
        return HttpResponse(status=200, headers=headers, body=body)

    def wait(self) -> None:
        """Until everything that is wanted of REST has been asked for once."""
        for _ in range(20):
            self.now += 0.1
            self.session.handle_deadline(now=self.now)
            self.drain()


def test_scopes_with_one_source_share_one_fetch() -> None:
    """Facts 5: three lists, and one request for each fixture and each future that is not over."""
    play = Play()
    play.wait()
    channels = {status.channel: status for status in play.session.status().channels}

    assert sorted(play.asked) == [
        ("/currencies",), ("/fixtures", "10"), ("/fixtures/odds", "A"),
        ("/futures", "10"), ("/futures/odds", "F"),
    ]  # fmt: skip
    assert {channels[name].state for name in SNAPSHOT_CHANNELS} == {ScopeState.SYNCED}
    assert {channels[name].state for name in set(CHANNELS) - set(SNAPSHOT_CHANNELS)} == {
        ScopeState.LIVE_ONLY
    }
    assert play.replica.state() == BASE


def test_an_update_of_each_channel_reaches_the_replica() -> None:
    play = Play()
    play.wait()
    play.update("fixtures", {"fixtureId": "A", **SPORT, "startTime": 2, "clock": None})
    play.update("scores", {"fixtureId": "A", "scores": {"p2": {"s": 2}}})
    play.update("clocks", {"fixtureId": "A", "clock": {"currentTime": "02:00"}})
    play.update("odds", {"fixtureId": "A", "odds": {"x": {"r": {"price": 2}}}})
    play.update("bookmakers", {"fixtureId": "A", "bookmakers": {"x": {"hasOdds": False}}})
    play.update("futures", {"futureId": "F", **SPORT, "endTime": 2})
    play.update("oddsFutures", {"futureId": "F", "oddsFutures": {"x": {"F:x:7": {"price": 2}}}})
    play.update("bookmakersFutures", {"futureId": "F", "bookmakers": {"y": {"hasOdds": True}}})
    play.update("currencies", {"JPY": {"currencyValue": 150}})
    for name in ("events", "stats", "injuries", "lineups"):
        play.update(name, {"fixtureId": "A", name: {}})

    assert play.replica.state() == {
        **BASE,
        "fixtures/A": {"fixtureId": "A", **SPORT, "startTime": 2},
        "scores/A/p2": {"s": 2},
        "clocks/A": {"currentTime": "02:00"},
        "odds/A/x/r": {"price": 2},
        "bookmakers/A/x": {"hasOdds": False},
        "futures/F": {"futureId": "F", **SPORT, "endTime": 2},
        "oddsFutures/F/x/F:x:7": {"price": 2},
        "bookmakersFutures/F/y": {"hasOdds": True},
        "currencies/JPY": {"currencyValue": 150},
    }
    assert sum(counters.applied for counters in play.session.counters().values()) == 13


def test_a_future_that_is_met_in_the_stream_gets_a_fetch_of_its_own() -> None:
    play = Play()
    play.wait()
    play.asked.clear()
    play.update("oddsFutures", {"futureId": "N", "oddsFutures": {"x": {"N:x:7": {"price": 2}}}})

    assert play.asked == [("/futures/odds", "N")]
    assert play.session.status().channel("oddsFutures").state is not ScopeState.SYNCED
    assert play.session.status().channel("odds").state is ScopeState.SYNCED
