import msgspec
import pytest

from lastseen_simulator.effects import Abort, CloseConnection, Transmit
from lastseen_simulator.gateway.bench import Bench
from lastseen_simulator.gateway.core import DEMO_KEY, GatewayOptions, KeyGrant
from lastseen_simulator.gateway.options import SERVED_CHANNELS

QUIET = GatewayOptions(rate=0)
LIMITED = GatewayOptions(
    rate=0,
    keys=(
        KeyGrant(
            key="a" * 32,
            channels=("fixtures", "odds"),
            bookmakers=("stake",),
            sport_ids=(10,),
        ),
        KeyGrant(key="b" * 32, revoked=True),
    ),
)


def test_a_login_without_filters_gets_everything_the_key_may_see() -> None:
    bench = Bench(QUIET)

    (login_ok,) = bench.frames[bench.login(clientName="desk", lang="de")]

    assert login_ok["type"] == "login_ok"
    assert login_ok["channels"] == list(SERVED_CHANNELS)
    assert login_ok["bookmakers"] == ["pinnacle", "stake", "bet365"]
    assert login_ok["sportIds"] is None
    assert (login_ok["clientName"], login_ok["lang"]) == ("desk", "de")
    assert login_ok["receiveType"] == "json"
    assert login_ok["resume"]["serverEpoch"] == bench.gateway.epoch
    assert login_ok["resume"]["resumeWindowMs"] == 60_000
    assert login_ok["resume"]["replayChannels"] == ["fixtures", "scores"]


def test_denied_items_are_stripped_from_the_effective_subscription() -> None:
    bench = Bench(LIMITED)

    (login_ok,) = bench.frames[
        bench.login(
            apiKey="a" * 32,
            channels=["odds", "scores", "weather"],
            bookmakers=["stake", "pinnacle", "nobody"],
            sportIds=[10, 11],
        )
    ]

    assert login_ok["channels"] == ["odds"]
    assert login_ok["bookmakers"] == ["stake"]
    assert login_ok["sportIds"] == [10]


@pytest.mark.parametrize(
    ("requested", "effective"),
    [("binary", "binary"), ("json", "json"), ("zstd", "json"), ("zstd-dict", "json")],
)
def test_the_echo_names_the_mode_in_force(requested: str, effective: str) -> None:
    bench = Bench(QUIET)

    (login_ok,) = bench.frames[bench.login(receiveType=requested)]

    assert login_ok["receiveType"] == effective


def test_binary_concerns_data_frames_only() -> None:
    bench = Bench(QUIET)
    connection = bench.login(receiveType="binary")

    bench.publish("odds")

    control, data = [each.data for each in bench.effects if isinstance(each, Transmit)]
    assert isinstance(control, str)
    assert isinstance(data, bytes)
    assert msgspec.msgpack.decode(data)["channel"] == "odds"
    assert len(bench.updates(connection)) == 1


@pytest.mark.parametrize(
    ("members", "error", "code"),
    [
        ({"apiKey": "c" * 32}, "login_failed", 4000),
        ({"apiKey": None}, "login_failed", 4000),
        ({"apiKey": "b" * 32}, "login_failed", 4001),
        ({"apiKey": "a" * 32, "channels": ["scores"]}, "login_failed", 4000),
        ({"apiKey": "a" * 32, "channels": []}, "login_failed", 4000),
        ({"apiKey": "a" * 32, "bookmakers": ["pinnacle"]}, "login_failed", 4000),
        ({"apiKey": "a" * 32, "bookmakers": []}, "login_failed", 4000),
        ({"apiKey": "a" * 32, "sportIds": [11]}, "login_failed", 4000),
        ({"apiKey": "a" * 32, "sportIds": "10"}, "login_failed", 4000),
        ({"type": "subscribe"}, "first message must be login", 4000),
    ],
)
def test_a_login_that_cannot_be_granted_is_told_so_and_closed(
    members: dict[str, object], error: str, code: int
) -> None:
    bench = Bench(LIMITED)

    connection = bench.login(**members)

    (frame,) = bench.frames[connection]
    assert (frame["type"], frame["error"]) == ("error", error)
    ending = bench.endings[connection]
    assert isinstance(ending, CloseConnection)
    assert ending.code == code


@pytest.mark.parametrize("data", ["", "{", "[]", "null", '"login"', b'{"type":"login"}', "\ud800"])
def test_a_first_frame_that_is_no_login_closes_with_4000(data: str | bytes) -> None:
    bench = Bench(QUIET)
    connection = bench.connect()

    bench.send(connection, data)

    assert bench.controls(connection)[0]["error"] == "first message must be login"
    assert bench.endings[connection].code == 4000  # type: ignore[union-attr] # a close, or fail


@pytest.mark.parametrize(("live", "pregame"), [(True, False), (False, True)])
def test_a_key_without_a_class_of_fixtures_and_futures_gets_none_of_it(
    live: bool, pregame: bool
) -> None:
    bench = Bench(GatewayOptions(rate=0, keys=(KeyGrant(key="k", live=live, pregame=pregame),)))
    subjects = bench.gateway.truth.state(channels=("fixtures", "futures")).values()
    connection = bench.login(apiKey="k", live=True, pregame=True)

    for subject in subjects:
        bench.publish("futures" if "futureId" in subject else "fixtures", subject)

    seen = [frame["payload"]["status"]["live"] for frame in bench.updates(connection)]
    assert bench.controls(connection)[0]["access"] == {"live": live, "pregame": pregame}
    assert set(seen) == {live}
    assert len(seen) == sum(subject["status"]["live"] is live for subject in subjects)


def test_gated_channels_need_a_bookmaker_and_others_do_not() -> None:
    bench = Bench(LIMITED)

    connection = bench.login(apiKey="a" * 32, channels=["fixtures"], bookmakers=["nobody"])

    assert bench.controls(connection)[0]["type"] == "login_ok"


def test_silence_for_ten_seconds_closes_with_4000_and_not_a_moment_earlier() -> None:
    bench = Bench(QUIET)
    silent, speaking = bench.connect(), bench.login()

    bench.advance(9.999)
    assert silent not in bench.endings
    bench.advance(0.001)

    assert bench.endings[silent].code == 4000  # type: ignore[union-attr] # a close, or fail
    assert speaking not in bench.endings


def test_the_sixth_connection_of_a_key_is_one_too_many() -> None:
    bench = Bench(QUIET)
    five = [bench.login() for _ in range(5)]

    sixth = bench.login()

    assert bench.controls(sixth)[0]["error"] == "too_many_connections"
    assert bench.endings[sixth].code == 4003  # type: ignore[union-attr] # a close, or fail
    bench.leave(five[0])
    assert bench.controls(bench.login())[0]["type"] == "login_ok"


def test_a_half_open_connection_is_nobody_for_the_limit() -> None:
    bench = Bench(QUIET)
    bench.place("half_open", "after login_ok", connection=1)
    for _ in range(5):
        bench.login()

    assert bench.controls(bench.login())[0]["type"] == "login_ok"


def test_frames_after_the_login_are_counted_and_change_nothing() -> None:
    bench = Bench(QUIET)
    connection = bench.login()

    bench.send(connection, '{"type":"subscribe","channels":["odds"]}')

    assert len(bench.frames[connection]) == 1
    assert [each["kind"] for each in bench.gateway.truth.records][-1] == "ignored"


def test_no_key_reaches_the_truth_log_or_a_repr() -> None:
    bench = Bench(QUIET)
    bench.login()
    bench.login(apiKey="hunter2-hunter2")
    bench.login(api_key="hunter2-hunter2", nested=[{"X-API-Key": "hunter2-hunter2"}])
    bench.send(bench.connect(), '{"apiKey":"hunter2-hunter2"')
    bench.get("/fixtures", sportId=10)
    bench.get("/fixtures", key="hunter2-hunter2", sportId=10)

    log = bench.gateway.truth.to_jsonl()

    assert DEMO_KEY not in log
    assert "hunter2" not in log
    assert DEMO_KEY not in repr(bench.options)


def test_what_the_gateway_does_for_an_unknown_connection_is_nothing() -> None:
    bench = Bench(QUIET)

    bench.gateway.handle_frame(99, "{}", now=1.0)
    bench.gateway.handle_backlog(99, 10**9, now=1.0)
    bench.gateway.handle_disconnected(99, now=1.0)

    assert bench.gateway.poll_effects() == []
    with pytest.raises(LookupError, match="no such connection: 99"):
        bench.gateway.drop(99, reset=True, now=1.0)


def test_drop_ends_one_connection_or_all() -> None:
    bench = Bench(QUIET)
    first, second, third = bench.login(), bench.login(), bench.connect()

    bench.gateway.drop(second, reset=True, now=bench.now)
    bench.settle()
    assert bench.endings == {second: Abort(connection=second, reset=True)}
    bench.gateway.drop(None, reset=False, now=bench.now)
    bench.settle()

    assert {first, second, third} == set(bench.endings)
    assert bench.gateway.connections() == ()
