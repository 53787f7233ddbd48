"""The memory of identities, against a naive model that keeps everything."""

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lastseen.errors import ConfigurationError
from lastseen.identities import Identities, Verdict

NEW, REPEATED, AMENDED = Verdict

KEYS = st.sampled_from([("a",), ("b",), ("a", "b"), ("c",), ()])
BODIES = st.sampled_from([b"1", b"2", b"3"])


class Naive:
    """Keeps bodies whole, in the order of first sight."""

    def __init__(self, items_max: int) -> None:
        self.items_max = items_max
        self.known: list[tuple[tuple[str, ...], list[bytes]]] = []

    def admit(self, key: tuple[str, ...], body: bytes) -> Verdict:
        bodies = next((bodies for name, bodies in self.known if name == key), None)
        if key == ():
            return NEW
        if bodies is None:
            self.known = [*self.known, (key, [body])][-self.items_max :]
            return NEW
        if body in bodies:
            return REPEATED
        bodies.append(body)
        return AMENDED if len(bodies) > 1 else NEW

    def forget(self, key: tuple[str, ...]) -> None:
        for name, bodies in self.known:
            if name == key:
                bodies.clear()


@settings(max_examples=300)
@given(
    st.integers(1, 4), st.lists(st.tuples(KEYS, BODIES) | st.tuples(KEYS, st.none()), max_size=40)
)
def test_it_judges_as_the_naive_rule_does(
    items_max: int, plan: list[tuple[tuple[str, ...], bytes | None]]
) -> None:
    ours, naive = Identities(items_max), Naive(items_max)
    for key, body in plan:
        if body is None:
            ours.forget(key)
            naive.forget(key)
        else:
            assert ours.admit(key, body) is naive.admit(key, body)
        assert len(ours) == len(naive.known)


def test_an_old_snapshot_takes_back_no_amendment() -> None:
    """The body that came first is repeated by every history, after it was amended as before."""
    identities = Identities()
    bodies = [b"first", b"enriched", b"first", b"enriched", b"first"]

    assert [identities.admit(("tx",), body) for body in bodies] == [
        NEW, AMENDED, REPEATED, REPEATED, REPEATED,
    ]  # fmt: skip


def test_what_has_no_identity_is_never_a_duplicate() -> None:
    """HZ-F2."""
    identities = Identities()

    assert [identities.admit((), b"same") for _ in range(3)] == [NEW] * 3
    assert len(identities) == 0


def test_two_feeds_do_not_know_each_other() -> None:
    """HZ-F9."""
    assert [Identities().admit(("tx",), b"1") for _ in range(2)] == [NEW, NEW]


def test_the_memory_is_bounded_in_identities_and_in_bodies_of_one() -> None:
    """HZ-F1."""
    identities = Identities(100)
    for number in range(1000):
        identities.admit((str(number),), b"")
        identities.admit(("steady",), str(number).encode())

    assert len(identities) <= 100
    marks = identities._marks  # pyright: ignore[reportPrivateUsage]
    assert len(marks) <= 100
    assert all(type(mark) is int or len(mark) <= 8 for mark in marks.values())  # type: ignore[arg-type]


def test_an_undecoded_body_is_judged_like_its_bytes() -> None:
    identities = Identities()
    raw = msgspec.json.decode('{"data":{"a":1}}', type=dict[str, msgspec.Raw])["data"]

    assert identities.admit(("tx",), raw) is NEW
    assert identities.admit(("tx",), b'{"a":1}') is REPEATED
    assert identities.admit(("tx",), b'{"a":2}') is AMENDED


def test_a_forgotten_identity_keeps_its_place_and_is_not_there_twice() -> None:
    identities = Identities(2)
    identities.admit(("a",), b"1")
    identities.forget(("a",))
    identities.admit(("a",), b"1")
    identities.admit(("b",), b"1")

    assert len(identities) == 2
    assert identities.admit(("a",), b"1") is REPEATED
    identities.forget(("never",))
    assert len(identities) == 2


def test_a_memory_without_room_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="items_max must be above 0"):
        Identities(0)
