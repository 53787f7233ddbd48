import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen_simulator.fault_kinds import DIALECTS
from lastseen_simulator.faults import (
    KINDS,
    Fault,
    FaultError,
    FaultFileError,
    fault_from,
    load_faults,
)
from lastseen_simulator.positions import Position, PositionError, parse_position


@pytest.mark.parametrize(
    ("text", "position"),
    [
        ("on open", Position(scene="open")),
        ("on login", Position(scene="login")),
        ("on subscribe", Position(scene="subscribe")),
        ("on subscribe 3", Position(scene="subscribe", number=3)),
        ("every 2 subscribes", Position(scene="subscribe", number=2, every=True)),
        ("before subscribed", Position(scene="frame", side="before", what="subscribed")),
        ("after heartbeat 2", Position(scene="frame", what="heartbeat", number=2)),
        (
            "every 3 live of status_update",
            Position(scene="frame", what="live", number=3, every=True, channel="status_update"),
        ),
        ("after login_ok", Position(scene="frame", what="login_ok")),
        ("before reconnect 2", Position(scene="frame", side="before", what="reconnect", number=2)),
        ("  after   data  7 ", Position(scene="frame", what="data", number=7)),
        ("before replayed 1", Position(scene="frame", side="before", what="replayed")),
        ("after live 3 of odds", Position(scene="frame", what="live", number=3, channel="odds")),
        (
            "inside data 7 byte 3",
            Position(scene="frame", side="inside", what="data", number=7, byte=3),
        ),
        (
            "inside login_ok byte 0",
            Position(scene="frame", side="inside", what="login_ok"),
        ),
        ("every 200 data", Position(scene="frame", what="data", number=200, every=True)),
        ("on request /fixtures 2", Position(scene="request", what="/fixtures", number=2)),
        ("on request *", Position(scene="request", what="*")),
        ("every 5 requests", Position(scene="request", what="*", number=5, every=True)),
        ("after entry 120", Position(scene="entry", number=120)),
        ("every 500 entries", Position(scene="entry", number=500, every=True)),
        ("at 12.5", Position(scene="time", moment_s=12.5)),
        ("every 30 s", Position(scene="time", moment_s=30.0, every=True)),
    ],
)
def test_a_position_is_read(text: str, position: Position) -> None:
    assert parse_position(text) == position


@pytest.mark.parametrize(
    "text",
    [
        "",
        "after",
        "after data",
        "after data 0",
        "after data -1",
        "after data seven",
        "inside data 7",
        "after data 7 byte 3",
        "on request fixtures",
        "every 0 s",
        "at noon",
        "at -1",
        "in the middle",
    ],
)
def test_what_names_no_position_is_told_so_in_one_line(text: str) -> None:
    with pytest.raises(PositionError) as caught:
        parse_position(text)

    assert "\n" not in str(caught.value)


@given(st.text(max_size=40))
def test_any_text_is_a_position_or_a_position_error(text: str) -> None:
    try:
        position = parse_position("after " + text)
    except PositionError:
        return
    assert position.number >= 1


@pytest.mark.parametrize(
    ("members", "message", "key"),
    [
        ({"kind": "explode", "at": "at 1"}, "unknown kind: explode", "kind"),
        ({"kind": "drop"}, "a fault needs at", None),
        ({"at": "at 1"}, "a fault needs kind", None),
        ({"kind": "drop", "at": "now"}, "no such position", "at"),
        ({"kind": "drop", "at": "at 1", "colour": 1}, "unknown key: colour", "colour"),
        ({"kind": "drop", "at": "at 1", "code": 1000}, "drop takes no code", "code"),
        ({"kind": "drop", "at": "at 1", "times": True}, "times must be a whole number", "times"),
        ({"kind": "drop", "at": "at 1", "times": -1}, "times must not be negative", "times"),
        ({"kind": "drop", "at": "at 1", "connection": 0}, "counts from 1", "connection"),
        ({"kind": "drop", "at": 1}, "at must be a text", "at"),
        ({"kind": "close", "at": "at 1"}, "close needs code", None),
        ({"kind": "close", "at": "at 1", "code": 1006}, "cannot be sent", "code"),
        ({"kind": "close", "at": "at 1", "code": "1000"}, "cannot be sent", "code"),
        ({"kind": "gap", "at": "at 1"}, "needs a data, replayed or live frame", "at"),
        ({"kind": "gap", "at": "after login_ok"}, "needs a data, replayed or live frame", "at"),
        ({"kind": "gap", "at": "after data 1", "loss": "some"}, "must be one of", "loss"),
        ({"kind": "close", "at": "inside data 1 byte 1", "code": 1000}, "only drop", "at"),
        ({"kind": "status", "at": "at 1", "status": 503}, "it needs a request", "at"),
        ({"kind": "status", "at": "on request *", "status": 200}, "between 400 and", "status"),
        ({"kind": "send", "at": "at 1"}, "either text or data_hex", None),
        ({"kind": "send", "at": "at 1", "data_hex": "xyz"}, "pairs of hex digits", "data_hex"),
        ({"kind": "raw", "at": "at 1", "violation": "rude"}, "must be one of", "violation"),
        ({"kind": "stall", "at": "at 1", "seconds": "3"}, "must be a number", "seconds"),
        ({"kind": "stall", "at": "at 1", "seconds": float("nan")}, "must lie between", "seconds"),
        ({"kind": "drip", "at": "after data 1", "bytes_per_s": 0}, "positive", "bytes_per_s"),
        ({"kind": "oversize", "at": "at 1", "size_bytes": 1 << 40}, "between", "size_bytes"),
        ({"kind": "backpressure", "at": "at 1", "channels": "odds"}, "list of texts", "channels"),
        ({"kind": "reconnect_after_login", "at": "at 1"}, "needs after login_ok", "at"),
    ],
)
def test_a_fault_that_cannot_be_names_the_member_to_blame(
    members: dict[str, object], message: str, key: str | None
) -> None:
    with pytest.raises(FaultError, match=message) as caught:
        fault_from(members)

    assert caught.value.key == key
    assert "\n" not in str(caught.value)


def test_a_fault_file_gives_faults_in_order() -> None:
    faults = load_faults(
        """
        [[fault]]
        kind = "gap"
        at = "after data 7"
        loss = "lost"

        [[fault]]
        kind = "backpressure"
        at = "at 2"
        channels = ["odds"]
        times = 0
        """
    )

    assert faults == (
        Fault(kind="gap", at="after data 7", loss="lost"),
        Fault(kind="backpressure", at="at 2", channels=("odds",), times=0),
    )
    assert load_faults("") == ()


GOOD = '[[fault]]\nkind = "drop"\nat = "at 1"\n'


@pytest.mark.parametrize(
    ("text", "line", "reason"),
    [
        (GOOD + '\n[[fault]]\nkind = "explode"\nat = "at 1"\n', 6, "unknown kind: explode"),
        (GOOD + '\n[[fault]]\nkind = "drop"\nat = "soon"\n', 7, "no such position: 'soon'"),
        (GOOD + '\n[[fault]]\nkind = "drop"\n', 5, "a fault needs at"),
        (GOOD + "colour = 1\n", 4, "unknown key: colour"),
        (GOOD + "times = -1\n", 4, "times must not be negative"),
        (GOOD + "times = \n", 4, "not TOML: "),
        (GOOD + '\n[[fault]]\nkind = "drop', 6, "not TOML: "),
        ("# a comment\n[faults]\nkind = 1\n", 2, "unknown key: faults"),
        ("\nfault = 3\n", 2, r"faults are \[\[fault\]\] tables"),
        ("\n[fault]\nkind = 'drop'\n", 2, r"faults are \[\[fault\]\] tables"),
        ("\nfault = [3]\n", 2, r"faults are \[\[fault\]\] tables"),
    ],
)
def test_a_wrong_fault_file_names_its_line(text: str, line: int, reason: str) -> None:
    with pytest.raises(FaultFileError, match=reason) as caught:
        load_faults(text)

    assert caught.value.line == line
    assert str(caught.value).startswith(f"{line}: ")
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("text", "dialects"),
    [
        ("on open", "oddspapi polynode polymarket-us"),
        ("on login", "oddspapi"),
        ("on subscribe 2", "polynode"),
        ("after login_ok", "oddspapi"),
        ("before snapshot", "polynode polymarket-us"),
        ("after heartbeat 2", "polynode polymarket-us"),
        ("after pong", "polynode"),
        ("after error", "oddspapi polynode polymarket-us"),
        ("every 5 frame", "oddspapi polynode polymarket-us"),
        ("after replayed 3", "oddspapi polymarket-us"),
        ("after live 3 of trade", "oddspapi polynode polymarket-us"),
        ("on request /ws", "oddspapi polynode polymarket-us"),
        ("at 3", "oddspapi polynode polymarket-us"),
    ],
)
def test_a_position_is_in_the_dialects_that_get_there(text: str, dialects: str) -> None:
    position = parse_position(text)

    assert [each for each in DIALECTS if position.is_in(each)] == dialects.split()


@pytest.mark.parametrize(
    ("table", "dialect", "fine_on", "trouble"),
    [
        (
            'kind = "bomb"\nat = "after live 1"',
            "oddspapi",
            "polynode",
            "2: bomb is no fault of oddspapi",
        ),
        (
            'kind = "stale"\nat = "on request *"',
            "polynode",
            "oddspapi",
            "2: stale is no fault of polynode",
        ),
        (
            'at = "on login"\nkind = "drop"',
            "polynode",
            "oddspapi",
            "2: polynode has no such position: 'on ",
        ),
        (
            'kind = "restart"\nat = "at 3"\ngrace_s = 2',
            "polynode",
            "oddspapi",
            "4: restart takes no grace_s on polynode",
        ),
        (
            'kind = "close"\nat = "at 3"\ncode = 1000',
            "polymarket-us",
            "polynode",
            "2: close is no fault of polymarket-us",
        ),
        (
            'kind = "end"\nat = "inside data 1 byte 3"',
            "polynode",
            "polymarket-us",
            "2: end is no fault of polynode",
        ),
        (
            'kind = "raw"\nat = "at 3"\nviolation = "masked"',
            "polymarket-us",
            "oddspapi",
            "4: violation must be one of: bad_chunk_size, ",
        ),
        (
            'kind = "raw"\nat = "at 3"\nviolation = "bad_chunk_size"',
            "oddspapi",
            "polymarket-us",
            "4: violation must be one of: reserved_bits, ",
        ),
    ],
)
def test_a_file_with_a_fault_of_another_dialect_names_the_line(
    table: str, dialect: str, fine_on: str, trouble: str
) -> None:
    text = f"[[fault]]\n{table}\n"

    assert len(load_faults(text)) == 1
    assert len(load_faults(text, fine_on)) == 1
    with pytest.raises(FaultFileError) as wrong:
        load_faults(text, dialect)
    assert str(wrong.value).startswith(trouble)


def test_every_kind_says_what_it_does() -> None:
    assert all(kind.does for kind in KINDS.values())
    assert all(set(kind.needs) <= set(kind.takes) for kind in KINDS.values())
