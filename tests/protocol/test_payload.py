"""Payloads: exact numbers, and a refusal of everything else."""

import contextlib
import json
from decimal import Decimal
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lastseen.errors import PayloadError
from lastseen.payload import Encoding, decode_json, decode_payload

JSON, MSGPACK = Encoding.JSON, Encoding.MSGPACK

values = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**64 - 1) | st.text()
    | st.floats(allow_nan=False, allow_infinity=False),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=10,
)  # fmt: skip


@pytest.mark.parametrize("text", ["0.1", "1.90", "1e-9", "12345678901234567.5", "-0.0", "2.50E3"])
def test_numbers_with_a_fraction_keep_their_text(text: str) -> None:
    """HZ-J16."""
    value = decode_payload(f'{{"price":{text}}}'.encode(), JSON)["price"]

    assert type(value) is Decimal
    assert value.as_tuple() == Decimal(text).as_tuple()


@pytest.mark.parametrize(
    "number", ["NaN", "Infinity", "-Infinity", "1e400", "-1e400", "1" * 5000, "1" * 400 + ".5",
               "0x10", "01", "1_0", "+1"],
)  # fmt: skip
def test_numbers_that_are_none_are_refused(number: str) -> None:
    """HZ-J4, HZ-J5."""
    with pytest.raises(PayloadError):
        decode_payload(f'{{"price":{number}}}'.encode(), JSON)


@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf")])
@pytest.mark.parametrize(
    "before", [b"\x81\xa1a", b"\x81\xa1a\x91", b"\x81\xa1a\x81\xa1b"], ids=["a", "[a]", "{b: a}"]
)
def test_messagepack_numbers_that_are_none_are_refused(value: float, before: bytes) -> None:
    """HZ-J11."""
    with pytest.raises(PayloadError):
        decode_payload(before + msgspec.msgpack.encode(value), MSGPACK)


@given(st.dictionaries(st.text(), values, max_size=4))
def test_the_messagepack_twin_reads_the_same(payload: dict[str, Any]) -> None:
    """HZ-J11, design 5a: a float's decimal text is `repr`'s."""
    # `-0` has no float form in JSON text of integers; json.dumps writes repr for floats.
    one = decode_payload(json.dumps(payload).encode(), JSON)
    other = decode_payload(msgspec.msgpack.encode(payload), MSGPACK)

    assert one == other
    assert repr(one) == repr(other)


@pytest.mark.parametrize("raw", [b"[]", b"null", b"7", b'"x"', b"", b"{", b'{"a":1}x', b"{1:2}"])
def test_only_an_object_is_a_payload(raw: bytes) -> None:
    with pytest.raises(PayloadError):
        decode_payload(raw, JSON)


@pytest.mark.parametrize(
    "raw",
    [msgspec.msgpack.encode([1]), b"\xc0", b"", b"\x81", b"\x81\x01\x01", b"\x81\xc4\x01a\x01",
     msgspec.msgpack.encode({"a": b"bytes"}), b"\x81\xa1a\xd6\xff\x00\x00\x00\x01",
     msgspec.msgpack.encode({"a": 1}) + b"\x00", b"\x81\xa1\xff\x01",
     b"\x81\xa1a\xdd\xff\xff\xff\xff", b"\x81\x80\x01", b"\x81\xa1a" * 100_000],
)  # fmt: skip
def test_messagepack_that_has_no_json_twin_is_refused(raw: bytes) -> None:
    """HZ-J3, HZ-J11."""
    with pytest.raises(PayloadError):
        decode_payload(raw, MSGPACK)


@pytest.mark.parametrize("raw", [b'{"a":"\\ud800"}', b'{"a":"\xff"}', b'{"a":' + b"[" * 100_000])
def test_text_that_is_none_is_refused(raw: bytes) -> None:
    """HZ-J3, HZ-J7, HZ-J8."""
    with pytest.raises(PayloadError):
        decode_payload(raw, JSON)
    with pytest.raises(PayloadError):
        decode_json(raw)


@given(st.binary(max_size=40))
def test_any_bytes_are_an_object_or_a_payload_error(raw: bytes) -> None:
    for encoding in Encoding:
        with contextlib.suppress(PayloadError):
            assert isinstance(decode_payload(raw, encoding), dict)
