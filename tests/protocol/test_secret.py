"""A string that never shows itself."""

import copy
import logging
import pickle
import traceback

import attrs
import pytest

from lastseen import OddsPapi, Position, Request, Secret, Send, Subscription

KEY = "00112233445566778899aabbccddeeff"


def test_no_way_of_showing_it_shows_it() -> None:
    """HZ-K5."""
    secret = Secret(KEY)
    dialect = OddsPapi(subscription=Subscription(), key=secret)
    shown = [
        repr(secret), str(secret), f"{secret}", f"{secret!r}", "%s" % secret, repr([secret]),  # noqa: UP031
        repr(dialect), repr(dialect.login(Position())), repr(Send(connection=1, text=secret)),
        repr(Request(path="/", query=(("apiKey", secret),))), repr(attrs.asdict(dialect)),
    ]  # fmt: skip

    assert not [text for text in shown if KEY in text]
    assert not hasattr(secret, "__dict__")


def test_a_log_and_a_traceback_do_not_show_it(caplog: pytest.LogCaptureFixture) -> None:
    secret = Secret(KEY)
    logging.getLogger("x").error("sending %s", secret)
    try:
        raise ValueError(secret)
    except ValueError:
        text = traceback.format_exc()

    assert KEY not in caplog.text + text


def test_it_is_not_stored() -> None:
    with pytest.raises(TypeError, match="not stored"):
        pickle.dumps(Secret(KEY))
    with pytest.raises(TypeError, match="not stored"):
        copy.copy(Secret(KEY))


def test_only_reveal_gives_it_out_and_equality_is_by_text() -> None:
    assert Secret(KEY).reveal() == KEY
    assert Secret(KEY) == Secret(KEY)
    assert hash(Secret(KEY)) == hash(Secret(KEY))
    assert Secret(KEY) != Secret("x")
    assert Secret(KEY) != KEY
