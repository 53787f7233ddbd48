"""Who may have a stream: bearer tokens, scopes, participants, limits, and bodies that are wrong."""

import base64
import json
from typing import Any

import pytest
from polymarket_us_play import ORDERS, quiet, shape

from lastseen_simulator.effects import HttpRequest, HttpResponse, RefuseUpgrade
from lastseen_simulator.polymarket_us.bench import WALL_MS, Bench
from lastseen_simulator.polymarket_us.channels import CHANNELS, TOKEN_PATH
from lastseen_simulator.polymarket_us.options import DEMO_KEY, KeyGrant, PolymarketUSOptions

SECRET = "s3cr3t-of-a-narrow-client"
NARROW = KeyGrant(
    key=SECRET,
    client="client-narrow",
    firm="firm-demo",
    accounts=("acct-two",),
    scopes=("read:orders", "read:marketdata"),
)
REVOKED = KeyGrant(key="revoked", client="client-gone", active=False)
OTHER = KeyGrant(key="other", client="client-other", firm="firm-demo")

SECOND = WALL_MS // 1000
CLAIMS = {"iss": "client-demo", "sub": "client-demo", "exp": SECOND + 300, "jti": "once"}


def answered(bench: Bench, path: str, body: Any = b"", method: str = "POST") -> tuple[int, Any]:
    answer = bench.ask(path, body, method=method)
    assert isinstance(answer, HttpResponse)
    return answer.status, json.loads(answer.body)


def assertion(**claims: Any) -> str:
    parts = [json.dumps(each).encode() for each in ({"alg": "RS256"}, {**CLAIMS, **claims})]
    return ".".join([*(base64.urlsafe_b64encode(each).decode().rstrip("=") for each in parts), "x"])


# Bearer tokens.


def test_without_a_header_a_stream_opens_and_a_wrong_one_never_does() -> None:
    bench = quiet()

    bench.open()
    for wrong in ("Bearer nope", "Basic abc", "Bearer", ""):
        assert bench.refused("orders", ("Authorization", wrong)) == {
            "status": 401,
            "code": 16,
            "message": "the bearer token is wrong",
            "details": [],
        }


def test_a_fresh_bearer_token_opens_and_an_old_one_does_not_but_its_stream_goes_on() -> None:
    bench = quiet(auth="required", heartbeat_s=None)
    assert bench.refused()["status"] == 401
    header = bench.bearer()
    connection = bench.open("orders", header)

    bench.advance(179.9)
    bench.leave(bench.open("orders", header))
    bench.advance(0.1)

    assert bench.refused("orders", header)["message"] == "the bearer token has expired"
    bench.publish("orders")
    assert "update" in shape(bench, connection)
    bench.open("orders", bench.bearer())


@pytest.mark.parametrize("encode", [json.dumps, lambda form: "&".join(map("=".join, form.items()))])
def test_the_token_endpoint_takes_json_and_forms(encode: Any) -> None:
    bench = quiet(token_lives_s=60.0)
    form = {"grant_type": "client_credentials", "client_id": "client-demo"}

    status, issued = answered(
        bench, TOKEN_PATH, encode({**form, "client_secret": DEMO_KEY}).encode()
    )

    assert status == 200
    assert (issued["token_type"], issued["expires_in"]) == ("Bearer", 60)
    bench.open("orders", ("authorization", f"bearer {issued['access_token']}"))


@pytest.mark.parametrize(
    ("form", "status", "error"),
    [
        ({}, 400, "unsupported_grant_type"),
        ({"grant_type": "password"}, 400, "unsupported_grant_type"),
        ({"client_secret": "nope"}, 401, "invalid_client"),
        ({"client_secret": REVOKED.key}, 401, "invalid_client"),
        ({"client_secret": DEMO_KEY, "client_id": "client-other"}, 401, "invalid_client"),
        ({"client_assertion": "a.b"}, 401, "invalid_client"),
        ({"client_assertion": "a.!.c"}, 401, "invalid_client"),
        ({"client_assertion": assertion(sub="client-other")}, 401, "invalid_client"),
        ({"client_assertion": assertion(exp=SECOND)}, 401, "invalid_client"),
        ({"client_assertion": assertion(exp=SECOND + 301)}, 401, "invalid_client"),
        ({"client_assertion": assertion(exp=str(SECOND + 9))}, 401, "invalid_client"),
        ({"client_assertion": assertion(jti=7)}, 401, "invalid_client"),
        ({"client_assertion": assertion(iss="x", sub="x")}, 401, "invalid_client"),
        ({"client_assertion": assertion(), "client_assertion_type": "x"}, 401, "invalid_client"),
    ],
)
def test_whoever_is_nobody_gets_no_token(form: dict[str, str], status: int, error: str) -> None:
    bench = quiet(keys=(KeyGrant(key=DEMO_KEY), OTHER, REVOKED))
    grant = {"grant_type": "client_credentials"} if len(form) and "grant_type" not in form else {}

    assert answered(bench, TOKEN_PATH, {**grant, **form}) == (status, {"error": error})


def test_an_assertion_whose_claims_fit_is_good_once() -> None:
    bench = quiet()
    form = {"grant_type": "client_credentials", "client_assertion": assertion()}

    assert answered(bench, TOKEN_PATH, form)[0] == 200
    assert answered(bench, TOKEN_PATH, form)[0] == 401
    assert answered(bench, TOKEN_PATH, {**form, "client_assertion": DEMO_KEY})[0] == 200


def test_no_secret_and_no_token_is_in_any_record_or_repr() -> None:
    bench = quiet(keys=(NARROW,))
    header = bench.bearer(SECRET)
    token = bench.results(bench.open("orders", header))[0]["resumeToken"]
    bench.open("orders", header, resumeToken=token)

    told = bench.gateway.truth.to_jsonl() + repr(bench.options)
    for secret in (SECRET, header[1].removeprefix("Bearer "), token):
        assert secret not in told


# What a client may see.


def test_a_scope_that_is_missing_is_403() -> None:
    bench = quiet(keys=(NARROW,))
    header = bench.bearer(SECRET)

    bench.open("market_data", header)
    refused = bench.refused("positions", header)

    assert (refused["status"], refused["code"]) == (403, 7)
    assert "read:positions" in refused["message"]


def test_a_client_sees_its_own_accounts_only() -> None:
    bench = quiet(keys=(NARROW,), orders=20)
    header = bench.bearer(SECRET)

    assert bench.refused("orders", header, accountId="acct-demo")["status"] == 403
    assert bench.refused("orders", header, ("x-participant-id", "acct-demo"))["status"] == 403
    connection = bench.open("orders", header, ("x-participant-id", "acct-two"))
    bench.publish("orders", order={"account": "acct-demo"})

    (snapshot,) = bench.results(connection)
    assert {each["account"] for each in snapshot["snapshot"]["orders"]} == {"acct-two"}


def test_a_participant_can_be_required_of_streams_of_an_account() -> None:
    bench = quiet(participant="required")

    assert bench.refused()["status"] == 403
    bench.open("orders", ("X-Participant-Id", "acct-demo"))
    bench.open("market_data")
    bench.open("instruments")


# Limits.


def test_the_oldest_page_allows_twenty_requests_in_a_second_and_ten_streams() -> None:
    bench = quiet()
    for _ in range(10):
        bench.open()
    for _ in range(10):
        assert bench.refused() == {
            "status": 429,
            "code": 8,
            "message": "too many concurrent streams",
            "details": [],
        }

    assert bench.refused()["message"] == "rate limit exceeded"
    bench.advance(1)
    assert bench.refused()["message"] == "too many concurrent streams"


def test_later_pages_count_for_a_firm_over_a_minute() -> None:
    bench = quiet(page="b", keys=(KeyGrant(key=DEMO_KEY), OTHER), messages=30)
    one, other = bench.bearer(), bench.bearer(OTHER.key)
    for header in (one, other) * 10:
        bench.open("market_data", header)

    assert bench.refused("orders", other)["message"] == "too many concurrent streams"
    for _ in range(9):
        bench.refused("orders", one)
    assert bench.refused("orders", other)["message"] == "rate limit exceeded"
    bench.advance(59)
    assert bench.refused("orders", other)["message"] == "rate limit exceeded"
    bench.advance(1)
    assert bench.refused("orders", one)["message"] == "too many concurrent streams"


def test_on_the_oldest_page_two_clients_of_a_firm_have_a_limit_each() -> None:
    bench = quiet(streams=1, keys=(KeyGrant(key=DEMO_KEY), OTHER))
    bench.open("orders", bench.bearer())
    bench.open("orders", bench.bearer(OTHER.key))

    assert bench.refused("orders", bench.bearer())["status"] == 429


# Requests that are wrong.


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, 3),
        (b"[]", 400, 3),
        (b"\xff", 400, 3),
        (b"[" * 5000, 400, 3),
        (b'{"accountId":7}', 400, 3),
        (b'{"accounts":"acct-demo"}', 400, 3),
        (b'{"symbols":[1]}', 400, 3),
        (b'{"depth":"5"}', 400, 3),
        (b'{"depth":-1}', 400, 3),
        (b'{"snapshotOnly":1}', 400, 3),
        (b'{"dataType":"trades"}', 400, 3),
        (b'{"resumeToken":5}', 400, 3),
        (b'{"resumeTime":"yesterday"}', 400, 3),
        (b'{"resumeTime":"2026-11-20T00:00:00"}', 400, 3),
        (b'{"x":"' + b"x" * 70_000 + b'"}', 413, 8),
    ],
)
def test_a_body_that_is_wrong_is_refused_in_the_one_shape(
    body: bytes, status: int, code: int
) -> None:
    answer = quiet().ask(ORDERS, body)

    assert isinstance(answer, HttpResponse)
    assert answer.status == status
    assert json.loads(answer.body).keys() == {"code", "message", "details"}
    assert json.loads(answer.body)["code"] == code


@pytest.mark.parametrize("body", [b"", b"  ", b"{}", b'{"resumeToken":"","accounts":null,"y":1}'])
def test_what_a_body_leaves_out_or_adds_is_no_harm(body: bytes) -> None:
    assert isinstance(quiet().ask(ORDERS, body), int)


@pytest.mark.parametrize("body", [b"", b"\x01\0\0\0\x02{}", b"\0\0\0\0\x09{}", b"\0\0\0"])
def test_a_body_that_should_be_an_envelope_and_is_none(body: bytes) -> None:
    answer = quiet().ask(ORDERS, body, ("Content-Type", "application/connect+json"))

    assert isinstance(answer, HttpResponse)
    assert answer.status == 400


def test_a_thousand_symbols_are_enough_for_market_data() -> None:
    bench = quiet()
    names = [f"demo-{number}" for number in range(1001)]

    bench.open("market_data", symbols=names[:1000])
    bench.open("orders", symbols=names)
    refused = bench.refused("market_data", instruments=names)

    assert (refused["status"], refused["code"]) == (400, 3)


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", ORDERS, 405, 12),
        ("DELETE", ORDERS, 405, 12),
        ("GET", TOKEN_PATH, 405, 12),
        ("POST", "/v1/health", 405, 12),
        ("POST", "/v1/weather/subscribe", 404, 5),
        ("GET", "/", 404, 5),
    ],
)
def test_unknown_paths_and_methods_are_told_apart(
    method: str, path: str, status: int, code: int
) -> None:
    bench = quiet()
    answer = bench.ask(path, method=method)

    assert isinstance(answer, HttpResponse)
    assert answer.status == status
    assert json.loads(answer.body)["code"] == code
    assert ("Allow" in dict(answer.headers)) is (status == 405)


def test_a_websocket_is_not_to_be_had_and_does_no_harm() -> None:
    bench = quiet()
    http = HttpRequest(method="GET", path="/ws")

    bench.gateway.handle_upgrade(99, http, now=bench.now)
    bench.settle()

    (refused,) = [each for each in bench.effects if isinstance(each, RefuseUpgrade)]
    assert refused.response.status == 404
    bench.open()


def test_every_request_is_in_the_truth() -> None:
    bench = quiet()
    connection = bench.open("positions")
    bench.refused("orders", ("Authorization", "Bearer nope"))
    bench.ask("/v1/health", method="GET")

    granted, refused = bench.told("asked")
    assert (granted["connection"], granted["channel"]) == (connection, "positions")
    assert (granted["verdict"], granted["path"]) == ("granted", CHANNELS["positions"].path)
    assert (refused["channel"], refused["verdict"]) == ("orders", 401)
    assert [each["status"] for each in bench.told("request")] == [200]
    assert PolymarketUSOptions().keys[0].key not in bench.gateway.truth.to_jsonl()
