"""The demo's table of scenes: every fault in it can be placed, and it promises what it does."""

import pytest

from lastseen_simulator.faults import KINDS, FaultError
from lastseen_simulator.gateway.options import SERVED_CHANNELS, GatewayOptions
from lastseen_simulator.scenes import ACTS, Scene, fault_of

SCENES = [scene for act in ACTS for scene in act.scenes]
ENDS_A_CONNECTION = ("drop", "restart", "reconnect")

each_scene = pytest.mark.parametrize("scene", SCENES, ids=lambda scene: scene.name)


def test_there_are_eight_scenes_with_names_of_their_own() -> None:
    assert len({scene.name for scene in SCENES}) == len(SCENES) == 8


def test_no_act_has_more_scenes_than_there_are_letters_to_mark_them() -> None:
    assert all(0 < len(act.scenes) <= 26 for act in ACTS)


def test_one_act_has_snapshots_that_say_how_old_they_are() -> None:
    assert [act.as_of for act in ACTS] == [False, True]


@each_scene
def test_every_fault_of_a_scene_can_be_placed(scene: Scene) -> None:
    tables = [table for step in scene.steps for table in step]

    assert tables
    for table in tables:
        fault = fault_of(table, now=12.5)
        assert fault.kind in KINDS
        assert fault.times > 0


@each_scene
def test_a_scene_expects_a_login_for_every_connection_it_ends(scene: Scene) -> None:
    ends = [table for step in scene.steps for table in step if table["kind"] in ENDS_A_CONNECTION]

    assert scene.logins == len(ends)


@each_scene
def test_a_scene_names_only_channels_that_can_do_what_it_expects(scene: Scene) -> None:
    assert set(scene.publish) <= set(SERVED_CHANNELS)
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
