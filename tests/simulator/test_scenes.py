"""The demo's table of scenes: every fault in it can be placed, and it promises what it does."""

import pytest

from lastseen_simulator.demo import ACTS as ACTS_BY_DIALECT
from lastseen_simulator.demo import Act
from lastseen_simulator.demo.scenes import Scene, fault_of
from lastseen_simulator.faults import KINDS, FaultError, check_dialect
from lastseen_simulator.gateway.options import SERVED_CHANNELS, GatewayOptions
from lastseen_simulator.polymarket_us.channels import CHANNELS

ACTS = [act for acts in ACTS_BY_DIALECT.values() for act in acts]
SCENES = [(act, scene) for act in ACTS for scene in act.scenes]
ENDS_A_CONNECTION = ("drop", "restart", "reconnect", "bomb", "half_open")
ENDS_A_STREAM = ("raw", "error")
CONNECTIONS = {"polymarket-us": 3}
"""How many a client has, where it is more than one."""

each_scene = pytest.mark.parametrize(
    ("act", "scene"), SCENES, ids=lambda each: each.name if isinstance(each, Scene) else ""
)


def test_every_scene_has_a_name_of_its_own() -> None:
    assert len({scene.name for _, scene in SCENES}) == len(SCENES)


def test_no_act_has_more_scenes_than_there_are_letters_to_mark_them() -> None:
    assert all(0 < len(act.scenes) <= 26 for act in ACTS)


def test_acts_are_played_by_the_dialect_they_are_listed_under() -> None:
    for dialect, acts in ACTS_BY_DIALECT.items():
        assert {act.cast.dialect for act in acts} == {dialect}


def test_one_act_has_snapshots_that_say_how_old_they_are() -> None:
    options = [act.cast.options(act.knobs) for act in ACTS_BY_DIALECT["oddspapi"]]

    assert [each.as_of for each in options if isinstance(each, GatewayOptions)] == [False, True]


@each_scene
def test_every_fault_of_a_scene_can_be_placed(act: Act, scene: Scene) -> None:
    tables = [table for step in scene.steps for table in step]

    assert tables
    for table in tables:
        fault = fault_of(table, now=12.5)
        assert fault.kind in KINDS
        assert fault.times > 0
        check_dialect(fault, act.cast.dialect)


@each_scene
def test_a_scene_expects_a_login_for_every_connection_it_ends(act: Act, scene: Scene) -> None:
    ends = [table for step in scene.steps for table in step if table["kind"] in ENDS_A_CONNECTION]

    streams = [t for step in scene.steps for t in step if t["kind"] in ENDS_A_STREAM]
    each = CONNECTIONS.get(act.cast.dialect, 1)
    assert scene.logins == len(ends + (streams if each > 1 else [])) * each


@each_scene
def test_a_scene_names_only_channels_that_can_do_what_it_expects(act: Act, scene: Scene) -> None:
    served = CHANNELS if act.cast.dialect == "polymarket-us" else SERVED_CHANNELS
    assert set(scene.publish) <= set(served)
    assert set(scene.resumes) <= set(GatewayOptions().replay_channels)
    assert not scene.resumes or scene.logins


def test_soon_is_a_moment_after_placing_and_other_positions_stay() -> None:
    soon = fault_of({"kind": "drop", "at": "soon"}, now=12.5)
    later = fault_of({"kind": "drop", "at": "after data 7"}, now=12.5)

    assert 12.5 < soon.position.moment_s < 13.5
    assert later.at == "after data 7"


def test_a_table_that_is_no_fault_is_refused() -> None:
    with pytest.raises(FaultError, match="unknown kind"):
        fault_of({"kind": "surprise", "at": "soon"}, now=0.0)
