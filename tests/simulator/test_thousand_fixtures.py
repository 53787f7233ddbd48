"""Very many fixtures with odds, REST at 10/s: the client is live on whatever is ready (OP-A7).

The gateway and the session are the real ones and time is virtual. A judge looks at every step:
an entry of a scope that is synced reaches the application in the step that brings it, an entry of
any other waits until that scope has its base, and nothing else waits or is lost.
"""

from collections import Counter, deque
from collections.abc import Sequence
from typing import Any

import attrs
import msgspec
import pytest
from driving import Violation
from venue import Venue

from lastseen.dialect import HttpResponse
from lastseen.events import AnomalyCode, Entry, Event, LoggedIn, StateSnapshot, StatusChanged
from lastseen.snapshots import WINDOW_MARGIN
from lastseen.states import ScopeState
from lastseen_simulator.gateway.options import GatewayOptions

CHANNELS = ("fixtures", "scores", "odds", "bookmakers")
BY_FIXTURE = ("odds", "bookmakers")

LIMIT = 10
"""Requests a second to the odds endpoint: what the gateway allows and the client plans on."""

PACE = LIMIT / WINDOW_MARGIN
"""Fixtures a second, as the client spends that limit."""

SLACK_S = 1.5
"""What a queue may be behind that pace: one window that has just been used up, and a round trip."""

ScopeName = tuple[str, str | None]


@attrs.define(eq=False, kw_only=True)
class Judged(Venue):
    """Sees that what is ready is live, that what is not is held, and that both are all there is."""

    at_once: Counter[str] = attrs.field(init=False, factory=Counter[str])
    """Entries that reached the application in the step that brought them, while others waited."""
    held_max: int = attrs.field(init=False, default=0)
    ready: list[tuple[float, str]] = attrs.field(init=False, factory=list[tuple[float, str]])
    """When each fixture's odds were synced since the last login."""
    listed: frozenset[str] = attrs.field(init=False, default=frozenset())
    """The fixtures of the last roster."""
    since: float = attrs.field(init=False, default=0.0)
    """The last login."""
    overlaid: int = attrs.field(init=False, default=0)
    """Entries that a verification was overlaid with."""
    _due: set[tuple[str, str]] = attrs.field(init=False, factory=set[tuple[str, str]])
    _waiting: dict[ScopeName, deque[str]] = attrs.field(
        init=False, factory=dict[ScopeName, deque[str]]
    )
    _since_base: dict[ScopeName, list[str]] = attrs.field(
        init=False, factory=dict[ScopeName, list[str]]
    )

    def synced(self, name: ScopeName) -> bool:
        return self.claims.get(name) is ScopeState.SYNCED

    @property
    def draining(self) -> bool:
        """Whether some fixture still waits for its first base."""
        return not self.session.status().synced

    def give(self, number: int, frames: Sequence[str | bytes]) -> None:
        for text in frames:
            value: dict[str, Any] = msgspec.json.decode(text)
            channel = value.get("channel")
            if channel is None:
                continue
            entity = value["payload"]["fixtureId"] if channel in BY_FIXTURE else None
            if self.synced((channel, entity)):
                self._due.add((channel, value["entryId"]))
            else:
                self._waiting.setdefault((channel, entity), deque()).append(value["entryId"])
        super().give(number, frames)

    def drop(self, number: int | None = None, *rest: Any) -> None:
        # What waits came over this connection, and counts no more (R10).
        self._waiting.clear()
        self.ready.clear()
        super().drop(number, *rest)

    def looked(self, event: Event) -> None:
        if isinstance(event, Entry):
            self._applied(event)
        elif isinstance(event, StateSnapshot):
            self.listed = event.entities or self.listed
            before = self._since_base.pop((event.channel, event.entity), [])
            if event.verification:
                # R11: the second base goes under all that was applied since the first.
                assert [entry.id for entry in event.overlay] == before
                self.overlaid += len(before)
        elif isinstance(event, LoggedIn):
            self.since = self.now
        elif isinstance(event, StatusChanged) and event.state is ScopeState.SYNCED:
            # R5: its base has come, and with it all that waited for it.
            assert not self._waiting.pop((event.channel, event.entity), ())
            if event.channel == "odds" and event.entity is not None:
                self.ready.append((self.now, event.entity))

    def _applied(self, entry: Entry) -> None:
        name = (entry.channel, entry.entity)
        assert entry.id is not None
        if self.synced(name):
            self._due.remove((entry.channel, entry.id))
            self.at_once[entry.channel] += self.draining
        else:
            assert self._waiting[name].popleft() == entry.id
        self._since_base.setdefault(name, []).append(entry.id)

    def seen(self) -> None:
        if self._due:
            raise Violation(f"not live: {self._due}")
        counters = self.session.counters()
        if not all(row.conserved for row in counters.values()):
            raise Violation(f"S21: {counters}")
        held = sum(row.held for row in counters.values())
        if held != sum(map(len, self._waiting.values())):
            raise Violation(f"{held} held, but {self._waiting} wait")
        self.held_max = max(self.held_max, held)

    def drain(self, patience_s: float) -> None:
        """Lets time pass until every scope is synced, which must be before patience ends."""
        end = self.now + patience_s
        while self.draining:
            assert self.now < end, self.session.status()
            self.pass_time(0.5)

    def publish(self, channel: str, payload: dict[str, Any]) -> None:
        """The gateway publishes something, and it arrives."""
        self.operate(lambda gateway: gateway.publish(channel, payload, now=self.now))
        self.pass_time(2 * self.path_s)

    def fixtures(self) -> list[str]:
        """The fixtures of the market, in the order of their ids."""
        state = self.bench.gateway.truth.state(channels=["fixtures"])
        return sorted(value["fixtureId"] for value in state.values())

    def fixture(self, name: str, **changes: Any) -> dict[str, Any]:
        """A fixture as the market has it, but for the changes."""
        state = self.bench.gateway.truth.state(channels=["fixtures"], fixture_ids=[name])
        return {**state[f"fixtures/{name}"], **changes}

    def restart(self) -> None:
        """The gateway crashes and comes back with another epoch."""
        self.operate(lambda gateway: gateway.restart(announce=False, now=self.now))
        self.pass_time(2 * self.path_s)

    def rest(self, seconds: float) -> None:
        """The market rests, and what is under way ends."""
        self.operate(lambda gateway: gateway.pause(now=self.now))
        self.pass_time(seconds)


def judge_requests(venue: Judged) -> list[str]:
    """The odds requests since the login: never too many, never a pause; returns their fixtures."""
    records = venue.requests_since(venue.since)
    moments = [record["at"] for record in records]

    assert {record["status"] for record in records} == {200}
    for first, later in zip(moments, moments[LIMIT:], strict=False):
        assert later - first > 1.0
    for number, moment in enumerate(moments):
        assert moment - moments[0] <= number / PACE + SLACK_S

    return [dict(record["query"])["fixtureId"] for record in records]


def judge_drain(venue: Judged) -> None:
    """One base after the other became ready, at the pace of the queue, none twice."""
    requests = venue.requests_since(venue.since)
    fixtures = [fixture for _, fixture in venue.ready]

    assert len(fixtures) == len(set(fixtures)) >= len(venue.listed)
    for number, (moment, _) in enumerate(venue.ready[: len(venue.listed)]):
        assert moment - requests[0]["at"] <= number / PACE + SLACK_S
    # First bases come first, also when verifications have long been due (R11).
    assert venue.listed <= set(before_a_repeat(judge_requests(venue)))


def before_a_repeat(fixtures: list[str]) -> list[str]:
    seen: dict[str, None] = {}
    for fixture in fixtures:
        if fixture in seen:
            break
        seen[fixture] = None
    return list(seen)


def judge_end(venue: Judged) -> None:
    status = venue.session.status()

    assert status.synced
    assert {channel.state for channel in status.channels} == {ScopeState.SYNCED}
    assert venue.differences() == {}


@pytest.mark.parametrize(
    "count", [1000, pytest.param(5000, marks=pytest.mark.soak)], ids=lambda count: f"{count}"
)
def test_the_client_is_live_on_what_is_ready_and_ends_equal_to_the_truth(count: int) -> None:
    """The schedule of OP-A7: first sync, a restart of the gateway, rest."""
    venue = Judged(gateway=GatewayOptions(fixtures=count, rate=10, odds_limit=LIMIT), seed=5)
    venue.begin()
    venue.drain(count / PACE + 5.0)

    judge_drain(venue)
    assert len(venue.listed) >= count
    assert venue.at_once["odds"] > 3 * count / PACE

    venue.pass_time(count / PACE / 3)
    live = venue.at_once.copy()
    venue.restart()
    assert venue.draining
    venue.drain(count / PACE + 10.0)

    judge_drain(venue)
    assert venue.at_once["odds"] - live["odds"] > 3 * count / PACE

    venue.rest(count / PACE + 30.0)

    # Each fixture once for its base, once for the verification.
    assert set(Counter(judge_requests(venue)).values()) == {2}
    assert venue.overlaid > count / 2
    assert venue.held_max < count
    # A fixture that has finished is served without odds, which is odd to see.
    assert {code for code, _ in venue.session.anomalies()} <= {AnomalyCode.SNAPSHOT_SHRUNK}
    judge_end(venue)


def odds(fixture: str, price: float) -> dict[str, Any]:
    """One row of a fixture's odds."""
    row = {"bookmaker": "stake", "outcomeId": 101, "playerId": 0, "marketId": 101}
    row |= {"price": price, "active": True, "changedAt": 1_790_000_000_000}
    return {"fixtureId": fixture, "odds": {"stake": {f"{fixture}:stake:101:0": row}}}


def test_requests_that_overtake_each_other_stay_within_the_limit() -> None:
    venue = Judged(
        gateway=GatewayOptions(fixtures=150, rate=5, odds_limit=LIMIT), spread_s=0.04, seed=2
    )
    venue.begin()
    venue.drain(150 / PACE + 5.0)

    judge_drain(venue)
    venue.rest(150 / PACE + 15.0)
    judge_requests(venue)
    judge_end(venue)


def test_fetches_that_fail_do_not_stall_the_others() -> None:
    """HZ-C13, INV-L3: for a while, for ever, and with a word on when to come back."""
    venue = Judged(gateway=GatewayOptions(fixtures=150, rate=20, odds_limit=LIMIT), seed=3)
    names = venue.fixtures()
    venue.bench.place("status", "on request /fixtures/odds 30", status=503)
    venue.bench.place("status", "on request /fixtures/odds 60", status=429, retry_after_s=3)
    venue.broken = {
        names[70]: HttpResponse(status=503, headers=(), body=b""),
        names[90]: HttpResponse(status=429, headers=(("retry-after", "2"),), body=b""),
    }
    venue.begin()
    venue.pass_time(150 / PACE + 3.0 + 2.0 + SLACK_S)

    ready = {fixture for _, fixture in venue.ready}
    assert set(names) - ready == set(venue.broken)
    assert venue.at_once["odds"] > 100
    records = venue.requests_since(0.0)
    (refused,) = (record["at"] for record in records if record["status"] == 429)
    # Whatever was not on its way already when the answer came.
    on_its_way = refused + venue.rest_s + venue.path_s + 0.001
    assert min(record["at"] for record in records if record["at"] > on_its_way) >= refused + 3.0

    venue.broken.clear()
    venue.drain(60.0)
    venue.rest(150 / PACE + 60.0)
    judge_end(venue)


def test_fixtures_that_appear_or_finish_meanwhile_hold_nothing_up() -> None:
    venue = Judged(gateway=GatewayOptions(fixtures=120, rate=5, odds_limit=LIMIT), seed=4)
    venue.begin()
    venue.pass_time(5.0)
    ready = [fixture for _, fixture in venue.ready]
    waiting = [fixture for fixture in venue.fixtures() if fixture not in ready]
    over = {"live": False, "statusId": 2, "statusName": "Finished"}
    born = "id1000042099999999"

    venue.publish("fixtures", venue.fixture(ready[0], status=over))
    venue.publish("fixtures", venue.fixture(waiting[-1], status=over))
    venue.publish("fixtures", venue.fixture(waiting[0], fixtureId=born))
    venue.publish("odds", odds(born, 1.5))
    venue.pass_time(2.0)

    # Something happens in it, so it does not wait for those in which nothing does.
    assert born in {fixture for _, fixture in venue.ready}
    assert venue.draining

    before = venue.at_once["odds"]
    venue.publish("odds", odds(born, 1.6))
    assert venue.at_once["odds"] == before + 1
    venue.drain(125 / PACE)
    venue.rest(125 / PACE + 15.0)

    # What one fetch restores is fetched once for all of it, also when it was met in the stream.
    asked = Counter(judge_requests(venue))
    assert asked[born] == 2
    judge_end(venue)


def test_fixtures_in_which_something_happens_go_first() -> None:
    venue = Judged(gateway=GatewayOptions(fixtures=200, rate=0, odds_limit=LIMIT), seed=6)
    venue.begin()
    venue.pass_time(3.0)
    ready = {fixture for _, fixture in venue.ready}
    busy = [fixture for fixture in venue.fixtures() if fixture not in ready][-5:]
    for fixture in busy:
        venue.publish("odds", odds(fixture, 2.5))
    venue.pass_time(5 / PACE + SLACK_S)

    assert set(busy) <= {fixture for _, fixture in venue.ready}
    assert len(venue.ready) < 100
    venue.drain(200 / PACE)
    judge_drain(venue)
