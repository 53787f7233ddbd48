"""Each of R1 to R14 by a schedule on the wire: kept, nothing is wrong; broken, the judge sees it.

The judge is the miniature gateway's own fold of what was published, and what the wire showed; it
shares nothing with the session.
"""

import json
from collections.abc import Callable

import attrs
import pytest
from driving import ABNORMAL, Driver, Violation, frame, payload_of

from lastseen import SessionOptions
from lastseen.dialect import End, HttpResponse
from lastseen.lifecycle import ItemState
from lastseen.mechanisms import Mechanisms
from lastseen.position import Position
from lastseen.states import ScopeState
from lastseen_simulator.broken import WITHOUT

E1, E2 = "e1", "e2"


class Wire(Driver):
    """A peer by hand, and a truth that is folded as it is published."""

    truth: dict[str, int]
    issued: dict[str, str]
    delivered: dict[str, str]

    @classmethod
    def start(
        cls,
        mechanisms: Mechanisms,
        *channels: str,
        options: SessionOptions | None = None,
        stored: Position | None = None,
    ) -> "Wire":
        wire = cls(
            channels=channels or ("scores",),
            options=options or SessionOptions(),
            mechanisms=mechanisms,
        )
        wire.truth, wire.issued, wire.delivered = {}, {}, {}
        wire.begin(stored)
        return wire

    def change(self, channel: str, version: int, *, key: str = "a", fixture: str = "f1") -> str:
        """Publishes one entry, whose id is `100-<version>`; returns its frame."""
        unit = {"scores": f"scores/{fixture}/{key}", "odds": f"odds/{fixture}/book/{key}"}[channel]
        self.truth[unit] = max(version, self.truth.get(unit, 0))
        payload = payload_of(channel, fixture, key, version)
        return frame(channel=channel, type="UPDATE", entryId=f"100-{version}", payload=payload)

    def log_in(
        self,
        epoch: str = E1,
        *,
        heads: dict[str, int] | None = None,
        replayable: tuple[str, ...] = ("scores",),
    ) -> int:
        """Accepts the connection and its login; returns its number."""
        socket = self.latest("open")
        if self.latest("connecting") is not None:
            socket = self.open()
        assert socket is not None
        login = socket.login
        assert login is not None
        for channel, text in login.cursors.items():
            if self.issued.get(f"{channel} {text}") not in (None, login.epoch):
                raise Violation(f"S4: {channel} {text} was not issued in {login.epoch}")
        resume = {
            "serverEpoch": epoch,
            "replayChannels": list(replayable),
            "serverEntryIds": {name: f"100-{head}" for name, head in (heads or {}).items()},
        }
        channels = list(self.channels)
        self.give(socket.number, [frame(type="login_ok", channels=channels, resume=resume)])
        return socket.number

    def send(self, *frames: str, on: int | None = None, epoch: str = E1) -> None:
        """Frames arrive; the ids in them are noted as issued in the epoch."""
        for text in frames:
            value = json.loads(text)
            if "channel" in value:
                self.issued[f"{value['channel']} {value['entryId']}"] = epoch
        self.give(on if on is not None else self.owner().number, list(frames))

    def complete(self, epoch: str = E1) -> None:
        self.send(frame(type="resume_complete", serverEpoch=epoch))

    def demand(self, *channels: str, epoch: str = E1) -> None:
        self.send(
            frame(
                type="snapshot_required",
                reason="resume_window_exceeded",
                channels=list(channels),
                serverEpoch=epoch,
            )
        )

    def read(self) -> dict[str, int]:
        """What the REST side sees now."""
        return dict(self.truth)

    def serve(self, seen: dict[str, int], *, as_of: str | None = None, path: str = "") -> None:
        """Answers the oldest fetch of a path with what was read."""
        fetch = next(f for f in self.fetches.values() if f.path.endswith(path or f.path))
        fixtures = sorted({unit.split("/")[1] for unit in seen} | {"f1"})
        body: object
        if fetch.path == "/fixtures":
            body = [
                {
                    "fixtureId": fixture,
                    "sport": {"sportId": 10},
                    "n": 0,
                    "status": {"statusId": 1},
                    "scores": self._rows(seen, f"scores/{fixture}/", "scores"),
                }
                for fixture in fixtures
            ]
        else:
            fixture = fetch.fixture or ""
            odds = self._rows(seen, f"odds/{fixture}/book/", "odds")
            body = {"fixtureId": fixture, "odds": {"book": odds}, "bookmakers": {}}
        headers = [("content-type", "application/json")]
        if as_of is not None:
            headers.append(("x-as-of", as_of))
        answer = HttpResponse(status=200, headers=tuple(headers), body=json.dumps(body).encode())
        self.respond(fetch, (answer,))

    def _rows(self, seen: dict[str, int], prefix: str, channel: str) -> dict[str, object]:
        rows: dict[str, object] = {}
        for unit, version in seen.items():
            if unit.startswith(prefix):
                fixture, key = unit.split("/")[1], unit.split("/")[-1]
                inner = payload_of(channel, fixture, key, version)[channel]
                rows[key] = inner["book"][key] if channel == "odds" else inner[key]
        return rows

    def settle(self) -> None:
        """Every fetch is answered with the truth of this moment, every event is finished."""
        self.pass_time(1.0)
        while self.fetches:
            self.serve(self.read())
            self.pass_time(0.1)
        self.finish_all()

    def reconnect(self, end: End = ABNORMAL) -> None:
        """The connection is lost and the next one is opened."""
        self.drop(end=end)
        while self.latest("connecting") is None:
            self.pass_time(0.25)

    def judge(self, channel: str) -> None:
        """A claim of `synced` must be true."""
        self.finish_all()
        if self.channel_state(channel) is not ScopeState.SYNCED:
            raise Violation(f"L1: {channel} is {self.channel_state(channel)}")
        shown = {u: n for u, n in self.state().items() if u.startswith(channel)}
        wanted = {u: n for u, n in self.truth.items() if u.startswith(channel)}
        if shown != wanted:
            raise Violation(f"S10: synced with {shown}, the truth is {wanted}")


def synced(mechanisms: Mechanisms, *channels: str, replayable: tuple[str, ...] = ()) -> Wire:
    """A wire whose session has processed entry 10 of each channel in E1."""
    wire = Wire.start(mechanisms, *channels)
    names = channels or ("scores",)
    for name in names:
        wire.change(name, 5)
    wire.log_in(heads=dict.fromkeys(names, 5), replayable=replayable or names)
    wire.settle()
    for name in names:
        wire.send(wire.change(name, 10))
    wire.finish_all()
    for name in names:
        wire.judge(name)
        assert wire.cursors[name] == "100-10"
    return wire


def new_epoch_beside_old_cursors(mechanisms: Mechanisms) -> None:
    """HZ-A1: restart, an entry is lost, and the verdict does not get through."""
    wire = synced(mechanisms)
    wire.change("scores", 11)
    wire.reconnect()
    wire.log_in(E2)
    wire.reconnect()
    wire.log_in(E2)
    wire.complete(E2)
    wire.settle()
    wire.judge("scores")


def cursor_while_a_base_is_missing(mechanisms: Mechanisms) -> None:
    """HZ-A2: one fixture streams while another still waits for its base."""
    wire = Wire.start(mechanisms, "odds")
    wire.change("odds", 5, fixture="f1")
    wire.change("odds", 6, fixture="f2")
    wire.log_in(heads={"odds": 6}, replayable=("odds",))
    wire.pass_time(1.0)
    wire.serve(wire.read())
    wire.pass_time(0.1)
    wire.serve(wire.read(), path="/odds")
    wire.finish_all()
    wire.send(wire.change("odds", 50, fixture="f1"))
    wire.finish_all()
    wire.reconnect()
    wire.log_in(heads={"odds": 50}, replayable=("odds",))
    if wire.logins[-1].cursors:
        raise Violation("S1: a cursor of a channel with a fixture that has no base")
    wire.settle()
    wire.judge("odds")


def live_between_replayed(mechanisms: Mechanisms) -> None:
    """HZ-B1: a live entry overtakes the replay."""
    wire = synced(mechanisms)
    eleven, twelve = wire.change("scores", 11, key="b"), wire.change("scores", 12, key="c")
    wire.reconnect()
    wire.log_in(heads={"scores": 12})
    wire.send(wire.change("scores", 13), eleven, twelve)
    wire.complete()
    wire.judge("scores")


def snapshot_from_before_the_demand(mechanisms: Mechanisms) -> None:
    """HZ-B6, R4: the answer under way was read before continuity was lost."""
    wire = Wire.start(mechanisms)
    wire.change("scores", 5)
    wire.log_in(heads={"scores": 5})
    wire.pass_time(1.0)
    before = wire.read()
    wire.change("scores", 6)
    wire.demand("scores")
    wire.serve(before)
    wire.settle()
    wire.judge("scores")


def live_before_the_base(mechanisms: Mechanisms) -> None:
    """HZ-C2: the snapshot was read before the entry that came meanwhile."""
    wire = Wire.start(mechanisms)
    wire.change("scores", 5)
    wire.log_in(heads={"scores": 5})
    wire.pass_time(1.0)
    before = wire.read()
    wire.send(wire.change("scores", 6))
    wire.finish_all()
    wire.serve(before)
    wire.judge("scores")


def commit_of_what_is_processed(mechanisms: Mechanisms) -> None:
    """HZ-E1: power is lost after a commit, with an entry received and not processed."""
    wire = synced(mechanisms)
    for _ in range(3):
        wire.pass_time(1.0)
        wire.commit_done()
    wire.send(wire.change("scores", 11))
    wire.take()
    durable = dict(wire.session.status().durable.cursors)["scores"]
    processed = wire.state()["scores/f1/a"]
    if int(durable.partition("-")[2]) > processed:
        raise Violation(f"S2: durable at {durable}, processed {processed}")


def subscribe_then_fetch(mechanisms: Mechanisms) -> None:
    """HZ-C1: a snapshot from before the subscription says nothing about the gap between."""
    wire = Wire.start(mechanisms)
    wire.pass_time(1.0)
    if wire.requests:
        raise Violation("S8: asked for a snapshot before a login was accepted")
    wire.change("scores", 6)
    wire.log_in(heads={"scores": 6})
    wire.settle()
    wire.judge("scores")


def resume_of_some_channels(mechanisms: Mechanisms) -> None:
    """HZ-A11: odds cannot be replayed, and changed during the gap."""
    wire = synced(mechanisms, "scores", "odds", replayable=("scores",))
    wire.change("odds", 21)
    wire.reconnect()
    wire.log_in(heads={"scores": 10, "odds": 21})
    wire.complete()
    wire.settle()
    wire.judge("scores")
    wire.judge("odds")


def stored_cursor_without_state(mechanisms: Mechanisms) -> None:
    """HZ-A4: the cursor survived a restart, the state did not."""
    wire = Wire.start(mechanisms, stored=Position("e1", (("scores", "100-10"),)))
    wire.change("scores", 10)
    eleven = wire.change("scores", 11, key="b")
    wire.log_in(heads={"scores": 11})
    if wire.logins[-1].cursors:
        wire.send(eleven)
        wire.complete()
    wire.settle()
    wire.judge("scores")


def old_socket_in_its_grace(mechanisms: Mechanisms) -> None:
    """HZ-D4: the old socket streams on after the new one has logged in."""
    wire = synced(mechanisms)
    old = wire.owner().number
    wire.send(frame(type="reconnect", reason="server_upgrade"))
    wire.pass_time(1.5)
    wire.change("scores", 13)
    wire.log_in(E2, heads={"scores": 3})
    wire.send(wire.change("scores", 12), on=old)
    wire.pass_time(1.0)
    wire.serve(wire.read(), as_of=f"{E2};scores=100-3")
    wire.judge("scores")


def snapshot_older_than_the_head(mechanisms: Mechanisms) -> None:
    """HZ-C5: a cache answers with the state before entry 11, and says so."""
    wire = Wire.start(mechanisms)
    wire.change("scores", 10)
    old = wire.read()
    wire.change("scores", 11)
    wire.log_in(heads={"scores": 11})
    wire.pass_time(1.0)
    wire.serve(old, as_of=f"{E1};scores=100-10")
    wire.finish_all()
    wire.pass_time(2.0)
    while wire.fetches:
        wire.serve(wire.read(), as_of=f"{E1};scores=100-11")
    wire.judge("scores")


def closed_right_after_login(mechanisms: Mechanisms) -> None:
    """HZ-H2: every login is accepted, and closed cleanly at once."""
    wire = Wire.start(mechanisms)
    start = wire.now
    while wire.now < start + 60:
        if wire.latest("connecting") is None:
            wire.pass_time(0.05)
            continue
        wire.log_in()
        wire.drop(end=End(code=1000))
    # Delays of at least 0.5, 1, 2, 4, 8 and then 15 s leave room for this many in a minute.
    if len(wire.connects) > 9:
        raise Violation(f"S14: {len(wire.connects)} connects in a minute")


def resume_that_leads_nowhere(mechanisms: Mechanisms) -> None:
    """HZ-H5: every login with a cursor is answered with a close."""
    wire = synced(mechanisms)
    for _ in range(6):
        wire.reconnect()
        if not wire.open().login.cursors:  # type: ignore[union-attr]
            break
    else:
        raise Violation("L4: the same cursor six times")
    assert sum(bool(login.cursors) for login in wire.logins) == 3
    wire.log_in(heads={"scores": 10})
    wire.settle()
    wire.judge("scores")


def more_than_can_be_held(mechanisms: Mechanisms) -> None:
    """HZ-I7: three entries come while the snapshot is on its way, and two can be held."""
    wire = Wire.start(mechanisms, options=SessionOptions(hold_items_max=2))
    wire.change("scores", 5)
    wire.log_in(heads={"scores": 5})
    wire.pass_time(1.0)
    before = wire.read()
    for version, key in ((6, "x"), (7, "y"), (8, "z")):
        wire.send(wire.change("scores", version, key=key))
    wire.serve(before)
    wire.settle()
    wire.judge("scores")


def confirmation_before_its_settlement(mechanisms: Mechanisms) -> None:
    """HZ-G2, HZ-G6: and a history that still calls it pending."""
    lifecycle = mechanisms.lifecycle()
    lifecycle.update("tx", now=0.0)
    for now in (1.0, 2.0):
        lifecycle.pending(("tx", "item"), now=now)
        if lifecycle.state(("tx", "item")) is not ItemState.CONFIRMED:
            raise Violation("S12: an item of a confirmed transaction is not confirmed")


SCHEDULES: dict[str, Callable[[Mechanisms], None]] = {
    "R1": new_epoch_beside_old_cursors,
    "R2": cursor_while_a_base_is_missing,
    "R3": live_between_replayed,
    "R4": snapshot_from_before_the_demand,
    "R5": live_before_the_base,
    "R6": commit_of_what_is_processed,
    "R7": subscribe_then_fetch,
    "R8": resume_of_some_channels,
    "R9": stored_cursor_without_state,
    "R10": old_socket_in_its_grace,
    "R11": snapshot_older_than_the_head,
    "R12": closed_right_after_login,
    "R13": resume_that_leads_nowhere,
    "R14": more_than_can_be_held,
    "R15": confirmation_before_its_settlement,
}


def test_there_is_a_schedule_and_a_broken_mechanism_for_every_rule() -> None:
    rules = [f"R{number}" for number in range(1, 16)]

    assert list(SCHEDULES) == rules
    assert list(WITHOUT) == rules


@pytest.mark.parametrize("rule", SCHEDULES)
def test_with_every_rule_kept_the_schedule_ends_well(rule: str) -> None:
    SCHEDULES[rule](Mechanisms())


@pytest.mark.parametrize("rule", SCHEDULES)
def test_with_the_rule_broken_the_same_schedule_ends_in_a_violation(rule: str) -> None:
    with pytest.raises(Violation):
        SCHEDULES[rule](WITHOUT[rule])


@pytest.mark.parametrize("rule", SCHEDULES)
def test_a_broken_set_differs_from_the_kept_one_in_one_member(rule: str) -> None:
    kept, broken = Mechanisms(), WITHOUT[rule]
    members = [field.name for field in attrs.fields(Mechanisms)]

    different = [name for name in members if getattr(kept, name) is not getattr(broken, name)]

    assert len(different) == 1
