"""What a gateway tells its user, taken from the truth log."""

from typing import Any

import pytest

from lastseen_simulator.command.happenings import happening, human_line, json_line


def record(kind: str, **members: Any) -> dict[str, Any]:
    return {"n": 5, "at": 1.23456, "kind": kind, **members}


@pytest.mark.parametrize(
    "quiet",
    [
        record("entry", epoch="e", channel="odds", entryId="1-1", payload={}),
        record("sent", connection=1, channel="odds", entryId="1-1", how="live"),
        record("request", request=1, method="GET", path="/en/fixtures", query=[], status=200),
        record("epoch", epoch="e", cause="start"),
        record("upgrade", connection=1, path="/ws", query=[], status=101),
    ],
    ids=["entry", "sent", "good-request", "first-epoch", "granted-upgrade"],
)
def test_what_goes_as_it_should_is_no_happening(quiet: dict[str, Any]) -> None:
    assert happening(quiet) is None


@pytest.mark.parametrize(
    ("told", "event", "line"),
    [
        (
            record("opened", connection=2, ordinal=2),
            "connected",
            "    1.235  connection 2 opened",
        ),
        (
            record(
                "login", connection=2, login={"channels": ["odds", "scores"]}, verdict="login_ok"
            ),
            "login",
            "    1.235  connection 2 login: login_ok (odds,scores)",
        ),
        (
            record("login", connection=2, login={"lastSeenId": {"odds": "1-1"}}, verdict="x"),
            "login",
            "    1.235  connection 2 login: x (all, resuming)",
        ),
        (
            record("login", connection=2, login={"undecodable": True, "size": 4}, verdict="x"),
            "login",
            "    1.235  connection 2 login: x (all)",
        ),
        (
            record("closed", connection=2, by="server", code=4003, reason="too many"),
            "closed",
            "    1.235  connection 2 closed by server with 4003 too many",
        ),
        (
            record("closed", connection=2, by="client", code=None, reason=""),
            "closed",
            "    1.235  connection 2 closed by client",
        ),
        (
            record("fault", fault=3, fault_kind="drop", detail="FIN"),
            "fault",
            "    1.235  fault 3 fired: drop FIN",
        ),
        (
            record("epoch", epoch="0123456789abcdef", cause="crash"),
            "restart",
            "    1.235  epoch 01234567 (crash)",
        ),
        (
            record("restart", cause="crash"),
            "restart",
            "    1.235  restart (crash)",
        ),
        (
            record("upgrade", connection=3, path="/ws", query=[["key", "***"]], status=403),
            "upgrade_refused",
            "    1.235  upgrade refused with 403",
        ),
        (
            record(
                "subscribe",
                connection=2,
                type="trades",
                filters={"side": "BUY", "since": 5},
                verdict="subscribed",
                subscription="conn-2:0",
            ),
            "subscribe",
            "    1.235  connection 2 subscribe: subscribed (trades with side, since)",
        ),
        (
            record(
                "subscribe",
                connection=2,
                type=None,
                filters={},
                verdict="invalid_message",
                subscription=None,
            ),
            "subscribe",
            "    1.235  connection 2 subscribe: invalid_message (settlements)",
        ),
        (
            record("unsubscribe", connection=2, subscription=None, verdict="unsubscribed"),
            "unsubscribe",
            "    1.235  connection 2 unsubscribe: unsubscribed",
        ),
        (
            record("request", request=1, method="GET", path="/en/x", query=[], status=404),
            "request_error",
            "    1.235  GET /en/x answered 404",
        ),
    ],
)
def test_a_happening_is_one_line_for_people_and_an_object_for_programs(
    told: dict[str, Any], event: str, line: str
) -> None:
    said = happening(told)

    assert said is not None
    assert said["event"] == event
    assert said["at"] == 1.235
    assert {"n", "kind"}.isdisjoint(said)
    assert human_line(said) == line
    assert json_line(said).startswith(f'{{"event":"{event}","at":1.235,')
