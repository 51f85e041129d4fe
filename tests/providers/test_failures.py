"""Every recorded error body becomes one of our errors, with a hint; no key is ever repeated."""

import json
import socket
import ssl
from datetime import UTC, datetime

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.errors import (
    BadRequest,
    ContextOverflow,
    KeyRefused,
    ModelUnknown,
    Overloaded,
    ProviderError,
    RateLimited,
    Refused,
    StreamBroken,
    Unreachable,
)
from chinwag.providers import failures
from chinwag.providers.failures import Where
from support import shared

WHERE = Where("openai", "api.openai.com", "gpt-5-mini", secret="sk-secret-1234")
NOW = datetime(2026, 11, 26, 12, 0, 0, tzinfo=UTC)


def judged(status, body, headers=None, where=WHERE):
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    return failures.from_status(status, headers or {}, raw, where, NOW)


def test_the_recorded_bodies():
    rows = shared.load("provider-errors.json")
    assert len(rows) == 25
    for row in rows:
        body = row["body"]
        raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
        error = judged(row["status"], raw)
        text = json.dumps(body)
        if "nonexistent" in text or "model_not_found" in text or row["status"] == 404:
            kind = ModelUnknown
        elif row["status"] == 429:
            kind = RateLimited
        else:
            kind = BadRequest
        assert type(error) is kind, (row["url"], error)
        assert error.hint
        assert error.status == row["status"]
        if kind is BadRequest:
            inner = json.loads(raw)["error"]["message"]
            assert inner in error.message
        if isinstance(body, dict) and "request_id" in body:
            assert error.request_id == body["request_id"]
    openrouter = next(r for r in rows if r["status"] == 429)
    assert "temporarily rate-limited upstream" in judged(429, openrouter["body"]).message


OVERFLOWS = [
    (
        400,
        {
            "error": {
                "code": "context_length_exceeded",
                "type": "invalid_request_error",
                "message": "This model's maximum context length is 8192 tokens. However, your "
                "messages resulted in 9001 tokens. Please reduce the length of the messages.",
            }
        },
        (9001, 8192),
    ),
    (
        400,
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "prompt is too long: 210,000 tokens > 200000 maximum",
            },
        },
        (210000, 200000),
    ),
    (
        400,
        {
            "error": {
                "code": 400,
                "message": "The input token count (1100000) exceeds the maximum number of tokens "
                "allowed (1048576).",
                "status": "INVALID_ARGUMENT",
            }
        },
        (1100000, 1048576),
    ),
    (
        400,
        {
            "error": {
                "code": 400,
                "type": "exceed_context_size_error",
                "message": "the request exceeds the available context size",
                "n_prompt_tokens": 5000,
                "n_ctx": 4096,
            }
        },
        (5000, 4096),
    ),
    (
        400,
        {"object": "error", "message": "This model's maximum context length is 4096 tokens."},
        (0, 4096),
    ),
]


@pytest.mark.parametrize(("status", "body", "counts"), OVERFLOWS)
def test_overflow(status, body, counts):
    error = judged(status, body)
    assert type(error) is ContextOverflow
    assert (error.asked, error.limit) == counts
    assert "/compact" in error.hint


@pytest.mark.parametrize(
    ("status", "body", "kind"),
    [
        (401, {"error": {"message": "Incorrect API key", "code": "invalid_api_key"}}, KeyRefused),
        (403, b"", KeyRefused),
        (
            400,
            {
                "error": {
                    "code": 400,
                    "message": "API key not valid.",
                    "details": [{"reason": "API_KEY_INVALID"}],
                }
            },
            KeyRefused,
        ),
        # W37: words alone do not make a bad key.
        (400, {"error": {"message": "invalid key 'foo' in metadata, code 401"}}, BadRequest),
        (500, {"error": {"message": "401 invalid key"}}, Overloaded),
        (404, {"error": "model 'qwen9' not found"}, ModelUnknown),
        (404, {"detail": "Not Found"}, BadRequest),
        (404, b"404 page not found", BadRequest),
        (400, {"error": {"code": "content_policy_violation", "message": "no"}}, Refused),
        (413, b"", BadRequest),
        (422, {"detail": [{"msg": "field required"}]}, BadRequest),
        (408, b"", Overloaded),
        (409, b"", Overloaded),
        (425, b"", Overloaded),
        (500, b"<html><title>Oops</title></html>", Overloaded),
        (503, {"error": {"message": "Loading model", "type": "unavailable_error"}}, Overloaded),
        (529, {"type": "error", "error": {"type": "overloaded_error"}}, Overloaded),
        (429, {"error": {"type": "rate_limit_error", "message": "slow"}}, RateLimited),
        (302, b"", BadRequest),
    ],
)
def test_kinds(status, body, kind):
    error = judged(status, body)
    assert type(error) is kind
    assert error.hint
    assert error.endpoint == "api.openai.com"


@pytest.mark.parametrize("status", [408, 409, 425, 429, 500, 502, 503, 504, 529])
def test_statuses_tried_again(status):
    assert judged(status, b"").may_retry


@pytest.mark.parametrize("status", [400, 401, 403, 404, 413, 422, 501])
def test_statuses_not_tried_again(status):
    assert not judged(status, b"").may_retry


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (429, {"error": {"code": "insufficient_quota", "type": "insufficient_quota"}}),
        (402, {"error": {"message": "Insufficient credits", "code": 402}}),
        (400, {"error": {"message": "Your credit balance is too low to access the API"}}),
    ],
)
def test_no_credit_is_not_tried_again(status, body):
    error = judged(status, body)
    assert type(error) is RateLimited
    assert error.out_of_credit
    assert not error.may_retry


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "12"}, 12.0),
        ({"retry-after": "0.5"}, 0.5),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after": "Thu, 26 Nov 2026 12:00:30 GMT"}, 30.0),
        ({"retry-after": "Thu, 26 Nov 2026 11:00:00 GMT"}, 0.0),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-4"}, None),
        ({"retry-after": "nan"}, None),
        ({}, None),
    ],
)
def test_retry_after(headers, seconds):
    error = judged(429, b"", headers)
    assert isinstance(error, RateLimited)
    assert error.wait == seconds


@pytest.mark.parametrize(
    ("body", "seconds"),
    [
        ({"error": {"message": "Please try again in 7.66s."}}, 7.66),
        ({"error": {"message": "Please try again in 2m3.5s."}}, 123.5),
        ({"error": {"message": "Please try again in 320ms."}}, 0.32),
        ({"error": {"message": "slow", "details": [{"retryDelay": "32s"}]}}, 32.0),
    ],
)
def test_waits_written_in_the_body(body, seconds):
    error = judged(429, body)
    assert isinstance(error, RateLimited)
    assert error.wait == pytest.approx(seconds)


def test_near_names_where_a_list_is_known():
    where = Where("openai", "api.openai.com", "gpt-5-mni", models=("gpt-5-mini", "gpt-5", "o3"))
    error = judged(404, {"error": {"code": "model_not_found"}}, where=where)
    assert isinstance(error, ModelUnknown)
    assert error.near[0] == "gpt-5-mini"
    assert "gpt-5-mini" in error.hint


def test_the_key_is_never_repeated():
    body = {"error": {"message": "Incorrect key sk-secret-1234 given", "code": "invalid_api_key"}}
    error = judged(401, body, {"x-request-id": "r-sk-secret-1234"})
    assert "sk-secret-1234" not in f"{error.message} {error.hint} {error.request_id} {error!r}"
    assert "sk-secret-1234" not in repr(WHERE)


@pytest.mark.parametrize(
    ("secret", "text", "told"),
    [
        ("ollama", "ollama has no model named x", "ollama has no model named x"),
        ("none", "none of these", "none of these"),
        ("x", "an extra x", "an extra x"),
        ("hunter2", "the key hunter2 is wrong, not hunter21", "the key … is wrong, not hunter21"),
        ("sk-1234", "got sk-1234.", "got …."),
        ("abcdefghijkl", "got xabcdefghijklx", "got x…x"),
        ("sk-proj-0123456789", "the key is sk-proj-012", "the key is …"),
    ],
)
def test_a_word_put_in_the_place_of_a_key_stays_readable(secret, text, told):
    where = msgspec.structs.replace(WHERE, secret=secret)
    assert judged(400, {"error": {"message": text}}, where=where).message.endswith(told)


def test_a_redirect_is_said_in_words_without_its_query():
    error = judged(307, b"", {"location": "https://elsewhere.example/v1?token=1"})
    assert "https://elsewhere.example/v1" in error.message
    assert "token" not in error.message


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        ({"error": {"type": "overloaded_error", "message": "Overloaded"}}, Overloaded),
        ({"error": {"code": 429, "message": "x"}}, RateLimited),
        ({"error": {"code": "503", "message": "x"}}, Overloaded),
        ({"error": "something broke"}, StreamBroken),
        ({"error": {"message": "odd"}}, StreamBroken),
        ("plain", StreamBroken),
        (None, StreamBroken),
        ([{"error": {"code": 400, "message": "first"}}], BadRequest),
    ],
)
def test_errors_inside_a_stream(error, kind):
    assert type(failures.from_object(error, WHERE)) is kind


def made(name, cause=None, base=OSError):
    error = type(name, (Exception,), {})("words")
    error.__cause__ = cause
    return error


@pytest.mark.parametrize(
    ("error", "words", "again"),
    [
        (made("ConnectError", ConnectionRefusedError(111, "x")), "refuses connections", True),
        (made("ConnectError", socket.gaierror(-2, "x")), "no address is known", True),
        (made("ConnectError", ssl.SSLCertVerificationError("x")), "is not trusted", False),
        (
            made("ConnectError", ExceptionGroup("all", [ConnectionRefusedError()])),
            "refuses connections",
            True,
        ),
        (made("ConnectTimeout"), "does not take connections", True),
        (made("RemoteProtocolError"), "hung up", True),
        (made("ReadTimeout"), "took too long", False),
        (made("ProxyError"), "proxy", False),
        (made("Strange"), "cannot be reached: words", True),
    ],
)
def test_transport_errors(error, words, again):
    ours = failures.from_exception(error, WHERE)
    assert isinstance(ours, Unreachable)
    assert words in ours.message
    assert ours.hint
    assert ours.may_retry is again


def test_a_break_after_the_beginning_is_a_cut():
    assert isinstance(failures.from_exception(made("ReadError"), WHERE, begun=True), StreamBroken)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["error", "message", "type", "code", "status", "details", "metadata", "raw", "x"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(status=st.integers(201, 599), value=json_values)
def test_any_body_becomes_an_error(status, value):
    error = judged(status, value)
    assert isinstance(error, ProviderError)
    assert error.message
    assert error.hint
    assert isinstance(failures.from_object(value, WHERE), ProviderError)


@given(status=st.integers(201, 599), body=st.binary(max_size=60))
def test_any_bytes_become_an_error(status, body):
    assert judged(status, body).message
