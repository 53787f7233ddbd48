from pathlib import Path
from typing import Any

import pytest

from lastseen_simulator.faults import Fault
from lastseen_simulator.gateway.options import DEMO_KEY, GatewayOptions, KeyGrant
from lastseen_simulator.polynode.options import KeyGrant as PolyNodeGrant
from lastseen_simulator.polynode.options import PolyNodeOptions
from lastseen_simulator.profiles import POLYNODE_PROFILES, PROFILES
from lastseen_simulator.settings import (
    GatewaySettings,
    SettingError,
    faults_from,
    one_fault,
    settings_from,
)

GRANTS = "keys takes a list of KeyGrant, of lastseen_simulator.gateway.options"
DROP = Fault(kind="drop", at="after data 7")
DROP_TOML = '[[fault]]\nkind = "drop"\nat = "after data 7"\n'


def settings(**given: Any) -> GatewaySettings:
    return settings_from(given, folder=Path())


def test_without_keywords_the_market_rests_and_all_else_is_the_vendors() -> None:
    assert settings() == GatewaySettings()
    assert settings().options.rate == 0
    assert settings().options == GatewayOptions(rate=0.0)


def test_every_knob_is_a_keyword_and_takes_a_python_value() -> None:
    options: Any = settings(
        rate=0.125,
        resume_window_ms=3000,
        as_of=True,
        replay_order="interleaved",
        login_failed_close_code=None,
        replay_channels=["scores"],
        bookmakers=("stake",),
    ).options

    assert (options.rate, options.resume_window_ms, options.as_of) == (0.125, 3000, True)
    assert (options.replay_order, options.login_failed_close_code) == ("interleaved", None)
    assert (options.replay_channels, options.bookmakers) == (("scores",), ("stake",))


@pytest.mark.parametrize(
    ("given", "said"),
    [
        (
            {"dialect": "morse"},
            "no such dialect: morse (dialects: oddspapi, polynode, polymarket-us)",
        ),
        ({"resume_window": 1}, "no such setting: resume_window, perhaps resume_window_ms? ("),
        ({"zzz": 1}, "no such setting: zzz (settings: dialect, seed, faults, must_fire, port,"),
        ({"replay_order": "random"}, "takes before_live | interleaved, not 'random'"),
        ({"rate": "fast"}, "rate takes entries a second, not 'fast'"),
        ({"rate": -1}, "rate must not be negative: -1"),
        ({"fixtures": 2.5}, "fixtures takes"),
        ({"fixtures": True}, "fixtures takes"),
        ({"as_of": 1}, "as_of takes true | false, not '1'"),
        ({"seed": "7"}, "seed takes a whole number, not '7'"),
        ({"seed": True}, "seed takes a whole number, not True"),
        ({"port": None}, "port takes a whole number, not None"),
        (
            {"keys": "secret"},
            GRANTS,
        ),
        ({"keys": []}, GRANTS),
        (
            {"keys": [KeyGrant(key="k"), "secret"]},
            GRANTS,
        ),
        ({"faults": 3}, "faults takes a profile, a file, or a list of faults, not 3"),
        ({"faults": "wild"}, "'wild' is neither a profile (calm, flaky, hostile, release) nor"),
        ({"faults": [{"kind": "drop"}]}, "a fault needs at"),
        ({"faults": [3]}, "a fault is a Fault, its members or TOML text, not 3"),
        ({"faults": "[[fault]]\nkind = 1"}, "faults:2: kind must be a text"),
    ],
)
def test_what_cannot_be_is_said_in_one_line_that_names_what_could(
    given: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingError) as caught:
        settings(**given)

    assert said in str(caught.value)
    assert "\n" not in str(caught.value)
    assert "secret" not in str(caught.value)


def test_keys_are_grants() -> None:
    grant = KeyGrant(key="00112233445566778899aabbccddeeff", live=False)

    assert settings().options.keys == (KeyGrant(key=DEMO_KEY),)
    assert settings(keys=[grant]).options.keys == (grant,)


@pytest.mark.parametrize(
    "source",
    [
        DROP,
        {"kind": "drop", "at": "after data 7"},
        [DROP],
        [{"kind": "drop", "at": "after data 7"}],
        [DROP_TOML],
        DROP_TOML,
        "drop.toml",
        Path("drop.toml"),
    ],
    ids=["fault", "members", "list", "list of members", "list of toml", "toml", "name", "path"],
)
def test_faults_come_in_many_forms(source: object, tmp_path: Path) -> None:
    (tmp_path / "drop.toml").write_text(DROP_TOML)

    assert faults_from(source, folder=tmp_path) == (DROP,)


def test_a_file_of_faults_that_cannot_be_read_is_told_with_its_name(tmp_path: Path) -> None:
    (tmp_path / "latin.toml").write_bytes(b"\xff")
    (tmp_path / "wrong.toml").write_text('[[fault]]\nkind = "drop"\nat = "someday"\n')

    with pytest.raises(SettingError, match=r"^latin\.toml: not UTF-8$"):
        faults_from("latin.toml", folder=tmp_path)
    with pytest.raises(SettingError, match=r"^wrong\.toml:3: no such position: 'someday'"):
        faults_from("wrong.toml", folder=tmp_path)
    with pytest.raises(SettingError, match=r"^\.: Is a directory$"):
        faults_from(".", folder=tmp_path)


def test_a_fault_of_another_dialect_is_refused() -> None:
    with pytest.raises(SettingError, match=r"^no_ack is no fault of oddspapi$"):
        settings(faults={"kind": "no_ack", "at": "on subscribe"})


def test_every_dialect_has_its_own_knobs_keys_and_profiles() -> None:
    given = settings(
        dialect="polynode", late=0.5, plan="growth", faults="flaky", keys=[PolyNodeGrant(key="k")]
    )

    assert given.options == PolyNodeOptions(
        rate=0.0, late=0.5, plan="growth", keys=(PolyNodeGrant(key="k"),)
    )
    assert given.faults == POLYNODE_PROFILES["flaky"]
    with pytest.raises(SettingError, match=r"^no such setting: resume_window_ms "):
        settings(dialect="polynode", resume_window_ms=1)
    with pytest.raises(SettingError, match=r"KeyGrant, of lastseen_simulator\.polynode\.options$"):
        settings(dialect="polynode", keys=[KeyGrant(key="k")])


def test_faults_that_are_named_one_by_one_are_judged_and_a_profile_is_not() -> None:
    assert settings(faults=[DROP]).judged
    assert not settings(faults=[DROP], must_fire=False).judged
    assert settings(faults="flaky").faults == PROFILES["flaky"]
    assert not settings(faults="flaky").judged


def test_one_fault_is_given_by_its_kind_and_members_or_whole() -> None:
    assert one_fault("drop", {"at": "after data 7"}) == DROP
    for whole in (DROP, {"kind": "drop", "at": "after data 7"}, DROP_TOML):
        assert one_fault(whole) == DROP


@pytest.mark.parametrize(
    ("source", "members", "said"),
    [
        ("drop", {}, "a fault needs at"),
        ("drip", {"at": "on login"}, "drip cannot stand at 'on login'"),
        ("explode", {"at": "on login"}, "unknown kind: explode"),
        (DROP, {"times": 2}, "a whole fault takes no more members: times"),
        (DROP_TOML * 2, {}, "one fault at a time, not 2"),
        (None, {}, "a fault is a Fault, its members or TOML text, not None"),
    ],
)
def test_one_fault_that_cannot_be_is_refused(
    source: object, members: dict[str, Any], said: str
) -> None:
    with pytest.raises(SettingError, match="^" + said):
        one_fault(source, members)
