"""Google's Gemini: real recordings, its ways of ending, and every option on the wire."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chinwag.errors import Overloaded, Refused, StreamBroken
from chinwag.providers.base import Options, Profile, Request
from chinwag.providers.dialects.base import Endpoint
from chinwag.providers.dialects.gemini import Gemini, cleaned
from chinwag.talk.delta import Ended, Stop
from chinwag.talk.message import Call, File, Image, Message, Role, Text, Thinking
from chinwag.talk.tool import ToolSpec
from chinwag.talk.usage import Usage
from support import recording, shared
from support.recording import calls, drafted, heard, said

NAMES = shared.names("gemini")
GOOGLE = Endpoint(name="gemini", base_url="https://generativelanguage.googleapis.com")
CLOCK = ToolSpec("clock", "Tells the time.", {"type": "object", "properties": {"zone": {}}})
UNSIGNED = "skip_thought_signature_validator"


def chunk(*parts, reason=None, **more):
    candidate = {"content": {"role": "model", "parts": list(parts)}, "index": 0}
    if reason:
        candidate["finishReason"] = reason
    return {"candidates": [candidate], "modelVersion": "gemini-x", "responseId": "r", **more}


def called(name="clock", **args):
    return {"functionCall": {"name": name, "args": args}}


def body(request, endpoint=GOOGLE, profile=None):
    return json.loads(Gemini().encode(request, endpoint, profile or Profile()).body)


def asked(*messages, model="gemini-2.5-pro", **more):
    options = {k: more.pop(k) for k in list(more) if k in Options.__struct_fields__}
    return Request(model, messages or (Message.user("hi"),), options=Options(**options), **more)


@pytest.mark.parametrize("name", NAMES)
def test_agrees_with_the_official_client(name):
    expected = shared.load("wire/EXPECTED.json")[name]
    deltas, reading = heard(Gemini(), [shared.wire(name)])
    draft = drafted(deltas)
    assert draft.text == expected["text"]
    assert draft.thinking == expected["thinking"]
    assert calls(draft) == recording.read_calls(expected["calls"])
    assert draft.ended.raw == expected["finish"]
    usage = expected["usage"]
    thought = usage.get("thoughts_token_count")
    told = draft.usage
    assert told.input == usage["prompt_token_count"] + usage.get("tool_use_prompt_token_count", 0)
    assert told.output == usage["candidates_token_count"] + (thought or 0)
    assert told.reasoning == thought
    assert told.total == usage["total_token_count"]
    assert reading.ended
    assert [d for d in deltas if isinstance(d, Ended)] == deltas[-1:]


@pytest.mark.parametrize("name", NAMES)
def test_pieces_change_nothing(name):
    recording.tried_in_pieces(Gemini(), shared.wire(name), name)


@pytest.mark.parametrize("name", NAMES)
def test_a_cut_anywhere_is_seen(name):
    recording.tried_cut(Gemini(), shared.wire(name), b'"finishReason"')


@pytest.mark.parametrize("name", NAMES)
def test_what_was_said_goes_back_as_it_came(name):
    """Every part that carries a signature, or words, in the same order; code that ran is not."""
    came = [
        part
        for line in shared.wire(name).splitlines()
        if line.startswith(b"data: ")
        for part in json.loads(line[6:])["candidates"][0]["content"]["parts"]
        if "text" in part or "functionCall" in part
    ]
    parts = drafted(heard(Gemini(), [shared.wire(name)])[0]).parts("gemini/gemini-2.5-pro")
    sent = body(asked(Message.user("a"), Message(Role.ASSISTANT, parts)))["contents"][1]["parts"]
    for thought in (True, None):
        words = ["".join(p.get("text", "") for p in x if p.get("thought") is thought)
                 for x in (came, sent)]  # fmt: skip
        assert words[0] == words[1]
    signed = [[p["thoughtSignature"] for p in x if "thoughtSignature" in p] for x in (came, sent)]
    assert signed[0] == signed[1]
    bearers = [["functionCall" in p for p in x if "thoughtSignature" in p] for x in (came, sent)]
    assert bearers[0] == bearers[1]


def test_a_signature_stays_with_the_text_it_came_with():
    draft, _ = said(
        Gemini(),
        chunk({"text": "hm", "thought": True}),
        chunk({"text": "A", "thoughtSignature": "s1"}),
        chunk({"text": "B"}),
        chunk({"text": "C", "thoughtSignature": "s2"}),
        chunk({"text": "", "thoughtSignature": "s3"}),
        chunk({"text": "", "thoughtSignature": "s4"}),
        chunk({**called(), "thoughtSignature": "s5"}, called(), reason="STOP"),
    )
    assert (draft.text, draft.thinking) == ("ABC", "hm")
    parts = draft.parts("gemini/m")
    sent = body(asked(Message.user("a"), Message(Role.ASSISTANT, parts)))["contents"][1]["parts"]
    call = {"id": "r-0", "name": "clock", "args": {}}
    assert sent == [
        {"text": "hm", "thought": True},
        {"text": "AB", "thoughtSignature": "s1"},
        {"text": "C", "thoughtSignature": "s2"},
        {"text": "", "thoughtSignature": "s3"},
        {"text": "", "thoughtSignature": "s4"},
        {"functionCall": call, "thoughtSignature": "s5"},
        {"functionCall": {**call, "id": "r-1"}},
    ]


def test_calls_keep_the_ids_they_have_and_get_stable_ones_where_they_have_none():
    named = {"functionCall": {"name": "rain", "args": {"b": 2}, "id": "g7"}}
    stream = [chunk(called(a=1), named), chunk(called("wind"), reason="STOP")]
    for _ in range(2):
        draft, _ = said(Gemini(), *stream)
        assert [p.id for p in draft.parts()] == ["r-0", "g7", "r-2"]
    assert calls(draft) == [["clock", {"a": 1}], ["rain", {"b": 2}], ["wind", {}]]
    assert draft.ended.stop is Stop.TOOLS


@pytest.mark.parametrize(
    ("reason", "stop"),
    [
        ("STOP", "end"), ("MAX_TOKENS", "length"), ("SAFETY", "filter"), ("RECITATION", "filter"),
        ("BLOCKLIST", "filter"), ("PROHIBITED_CONTENT", "filter"), ("SPII", "filter"),
        ("LANGUAGE", "filter"), ("IMAGE_SAFETY", "filter"), ("FUNCTION_CALL", "tools"),
        ("CONTINUATION", "length"), ("MODEL_ARMOR", "filter"), ("ESCALATION", "filter"),
    ],
)  # fmt: skip
def test_ends(reason, stop):
    draft, reading = said(Gemini(), chunk({"text": "Hel"}), chunk(reason=reason))
    assert reading.ended
    assert (draft.text, draft.ended) == ("Hel", Ended(Stop(stop), reason))


@pytest.mark.parametrize(
    "reason", ["MALFORMED_FUNCTION_CALL", "OTHER", "MISSING_THOUGHT_SIGNATURE"]
)
def test_an_answer_given_up_is_not_complete(reason):
    gone = chunk(reason=reason)
    gone["candidates"][0]["finishMessage"] = "Odd."
    draft, reading = said(Gemini(), chunk({"text": "Hel"}), gone)
    assert draft.text == "Hel"
    assert not reading.ended
    assert isinstance(reading.failure, StreamBroken)
    assert reason in reading.failure.message
    assert "Odd." in reading.failure.message
    draft, reading = said(Gemini(), chunk({"text": "Hel"}, reason=reason))
    assert draft.text == "Hel"
    assert isinstance(reading.failure, StreamBroken)
    draft, reading = said(Gemini(), chunk({"text": "Hel"}, reason=reason), chunk({"text": "lo"}))
    assert draft.text == "Hel"
    assert reason in reading.failure.message


def test_a_reason_with_every_chunk_is_no_end_by_itself():
    draft, reading = said(
        Gemini(), chunk({"text": "Hel"}, reason="STOP"), chunk({"text": "lo"}, reason="STOP")
    )
    assert (draft.text, reading.ended) == ("Hello", True)


def test_a_blocked_prompt_is_refused():
    feedback = {"blockReason": "PROHIBITED_CONTENT", "blockReasonMessage": "Not this."}
    _, reading = said(Gemini(), {"promptFeedback": feedback, "usageMetadata": {}})
    assert isinstance(reading.failure, Refused)
    assert "PROHIBITED_CONTENT" in reading.failure.message
    assert "Not this." in reading.failure.message
    draft, reading = said(
        Gemini(), {"promptFeedback": {"safetyRatings": []}}, chunk({"text": "ok"}, reason="STOP")
    )
    assert (draft.text, reading.ended) == ("ok", True)


def test_errors_inside_the_stream():
    error = {"code": 503, "message": "The model is overloaded.", "status": "UNAVAILABLE"}
    draft, reading = said(Gemini(), chunk({"text": "Hel"}), {"error": error})
    assert draft.text == "Hel"
    assert isinstance(reading.failure, Overloaded)


def test_usage_counts_the_whole_prompt_and_all_that_was_made():
    told = {"promptTokenCount": 9, "cachedContentTokenCount": 4, "candidatesTokenCount": 3}
    told |= {"thoughtsTokenCount": 2, "toolUsePromptTokenCount": 1}
    draft, _ = said(
        Gemini(),
        chunk({"text": "a"}, usageMetadata={"promptTokenCount": 9}),
        chunk(reason="STOP", usageMetadata=told),
    )
    assert draft.usage == Usage(input=10, output=5, cached=4, reasoning=2)


def test_second_answers_and_server_s_own_tools_are_nobody_s():
    draft, reading = said(
        Gemini(),
        {"candidates": [{"index": 1, "content": {"parts": [{"text": "no"}]}}]},
        chunk({"executableCode": {"code": "1"}, "thoughtSignature": "x"}, {"inlineData": {}}),
        {"candidates": [{"content": {}}]},
        chunk({"text": "yes"}, reason="STOP"),
    )
    assert (draft.text, reading.ended, len(draft.parts())) == ("yes", True, 1)


def test_a_whole_answer():
    deltas, reading = heard(Gemini(), [json.dumps(chunk({"text": "Hi"}, reason="STOP")).encode()])
    assert (drafted(deltas).text, reading.ended) == ("Hi", True)
    _, reading = heard(Gemini(), [json.dumps(chunk({"text": "Hi"})).encode()])
    assert isinstance(reading.failure, StreamBroken)


TALK = (
    Message.user("What time is it?"),
    Message.assistant(
        "",
        Thinking("Hmm.", "sig", "gemini/gemini-3-pro"),
        Text("I look."),
        Call("c1", "clock", '{"zone": "utc"}', "sig2", "gemini/gemini-3-pro"),
        Call("c2", "clock", ""),
    ),
    Message.tool("c1", "12:00", name="clock"),
    Message.tool("c2", "no zone", is_error=True),
    Message.user("Thanks."),
)


def test_a_request():
    request = Request("gemini-3-pro", TALK, "Be brief.", (CLOCK,), session="s1")
    call = Gemini().encode(request, GOOGLE)
    path = "/v1beta/models/gemini-3-pro:streamGenerateContent?alt=sse"
    assert (call.method, call.path, call.headers) == ("POST", path, {})
    first = {"id": "c1", "name": "clock"}
    second = {"id": "c2", "name": "clock"}
    assert json.loads(call.body) == {
        "tools": [
            {
                "functionDeclarations": [
                    {
                        "name": "clock",
                        "description": "Tells the time.",
                        "parametersJsonSchema": {"type": "object", "properties": {"zone": {}}},
                    }
                ]
            }
        ],
        "systemInstruction": {"parts": [{"text": "Be brief."}]},
        "contents": [
            {"role": "user", "parts": [{"text": "What time is it?"}]},
            {
                "role": "model",
                "parts": [
                    {"text": "Hmm.", "thought": True},
                    {"text": "I look.", "thoughtSignature": "sig"},
                    {
                        "functionCall": {**first, "args": {"zone": "utc"}},
                        "thoughtSignature": "sig2",
                    },
                    {"functionCall": {**second, "args": {}}},
                ],
            },
            {
                "role": "user",
                "parts": [
                    {"functionResponse": {**first, "response": {"output": "12:00"}}},
                    {"functionResponse": {**second, "response": {"error": "no zone"}}},
                ],
            },
            {"role": "user", "parts": [{"text": "Thanks."}]},
        ],
    }


def test_options():
    schema = {"type": "object", "properties": {"a": {"const": 1}}}
    request = asked(
        temperature=0.5, top_p=0.9, top_k=3, max_tokens=7, stop=("x",), seed=4, schema=schema,
        extra={"generationConfig": {"candidateCount": 1, "seed": 5}, "safetySettings": []},
    )  # fmt: skip
    sent = body(request)
    assert sent["generationConfig"] == {
        "temperature": 0.5,
        "topP": 0.9,
        "topK": 3,
        "maxOutputTokens": 7,
        "stopSequences": ["x"],
        "seed": 5,
        "candidateCount": 1,
        "responseMimeType": "application/json",
        "responseJsonSchema": {
            "type": "object",
            "properties": {"a": {"enum": [1], "type": "integer"}},
        },
    }
    assert sent["safetySettings"] == []
    assert "generationConfig" not in body(asked())


@pytest.mark.parametrize(
    ("model", "effort", "config"),
    [
        ("gemini-2.5-flash", "low", {"includeThoughts": True, "thinkingBudget": 1024}),
        ("gemini-2.5-flash", "off", {"thinkingBudget": 0}),
        ("gemini-2.5-pro", "off", {"thinkingBudget": 128}),
        ("gemini-3-pro-preview", "high", {"includeThoughts": True, "thinkingLevel": "HIGH"}),
        ("gemini-3-pro-preview", "off", {"thinkingLevel": "LOW"}),
        ("gemini-3.5-flash", "off", {"thinkingLevel": "MINIMAL"}),
    ],
)
def test_thinking(model, effort, config):
    sent = body(asked(model=model, reasoning=effort))
    assert sent["generationConfig"] == {"thinkingConfig": config}


def test_thoughts_are_shown_where_the_model_is_known_to_have_some():
    assert "generationConfig" not in body(asked())
    sent = body(asked(), profile=Profile(thinks=True))
    assert sent["generationConfig"] == {"thinkingConfig": {"includeThoughts": True}}
    assert "generationConfig" not in body(asked(), profile=Profile(thinks=False))


def test_what_others_thought_and_signed_stays_with_them():
    for source in ("openrouter/g", "anthropic/c"):
        parts = (Thinking("secret", "sig", source), Text("x"), Call("c", "t", "{}", "sig2", source))
        talk = (Message.user("a"), Message(Role.ASSISTANT, parts), Message.tool("c", "1"))
        for model in ("gemini-2.5-pro", "gemini-3-pro"):
            sent = Gemini().encode(asked(*talk, model=model), GOOGLE).body
            assert b"secret" not in sent
            assert b'"sig' not in sent


def test_calls_of_others_are_excused_where_a_signature_is_demanded():
    talk = (
        Message.user("a"),
        Message.assistant("", Call("c1", "t"), Call("c2", "t")),
        Message.tool("c1", "1", name="t"),
        Message.tool("c2", "2", name="t"),
    )
    parts = body(asked(*talk, model="gemini-3-flash"))["contents"][1]["parts"]
    assert [p.get("thoughtSignature") for p in parts] == [UNSIGNED, None]
    parts = body(asked(*talk, model="gemini-2.5-flash"))["contents"][1]["parts"]
    assert [p.get("thoughtSignature") for p in parts] == [None, None]


def test_results_are_named_even_where_the_result_does_not_say():
    sent = body(asked(*TALK))["contents"][2]["parts"]
    assert [p["functionResponse"]["name"] for p in sent] == ["clock", "clock"]


def test_an_answer_that_says_nothing_is_left_out():
    thought = Message(Role.ASSISTANT, (Thinking("hm", "", "gemini/m"),))
    foreign = Message(Role.ASSISTANT, (Thinking("hm", "", "other/m"),))
    for silent in (thought, foreign):
        sent = body(asked(Message.user("a"), silent))["contents"]
        assert [c["role"] for c in sent] == ["user"]


def test_pictures_and_files():
    message = Message.user(
        "See:",
        Image(mime="image/png", data="aGk="),
        Image(mime="image/png", url="https://x/y.png"),
        Image(name="c.png", blob="00"),
        File(mime="application/pdf", name="p.pdf", data="aGk="),
        File(mime="application/zip", name="z.zip", data="aGk="),
        File(mime="text/plain", name="a.txt", text="line"),
    )
    assert body(asked(message))["contents"][0]["parts"] == [
        {"text": "See:"},
        {"inlineData": {"mimeType": "image/png", "data": "aGk="}},
        {"fileData": {"mimeType": "image/png", "fileUri": "https://x/y.png"}},
        {"text": "[picture c.png]"},
        {"inlineData": {"mimeType": "application/pdf", "data": "aGk="}},
        {"text": "[file z.zip]"},
        {"text": '<file name="a.txt">\nline\n</file>'},
    ]


def test_tools_without_arguments_have_no_schema():
    sent = body(asked(tools=(ToolSpec("now", "d"), ToolSpec("t", "d", {"type": "object"}))))
    for tool in sent["tools"][0]["functionDeclarations"]:
        assert set(tool) == {"name", "description"}


def test_schemas_hold_only_what_is_known_there():
    schema = {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "pattern": {"type": "string", "pattern": "^a", "minLength": 1, "default": "a"},
            "kind": {"const": "x", "examples": ["x"]},
            "n": {"type": "integer", "minimum": 1, "exclusiveMaximum": 9, "multipleOf": 2},
            "list": {"type": "array", "items": {"$ref": "#/definitions/T", "title": "t"}},
            "one": {"allOf": [{"$ref": "#/$defs/T"}], "description": "d"},
            "any": {"anyOf": [{"type": "string", "pattern": "x"}, {"type": "null"}]},
            "old": {"type": "string", "nullable": True},
        },
        "required": ["pattern"],
        "definitions": {"T": {"type": "object", "patternProperties": {}, "properties": {}}},
        "if": {},
    }
    before = json.dumps(schema)
    assert cleaned(schema) == {
        "type": "object",
        "additionalProperties": False,
        "properties": {
            "pattern": {"type": "string"},
            "kind": {"enum": ["x"], "type": "string"},
            "n": {"type": "integer", "minimum": 1},
            "list": {"type": "array", "items": {"$ref": "#/$defs/T"}},
            "one": {"$ref": "#/$defs/T"},
            "any": {"anyOf": [{"type": "string"}, {"type": "null"}]},
            "old": {"type": ["string", "null"]},
        },
        "required": ["pattern"],
        "$defs": {"T": {"type": "object", "properties": {}}},
    }
    assert json.dumps(schema) == before


def test_addresses():
    for url, path in [
        ("https://x", "/v1beta/models/m:streamGenerateContent?alt=sse"),
        ("https://x/v1beta/", "/models/m:streamGenerateContent?alt=sse"),
        ("https://x/v1beta/openai/", "//v1beta/models/m:streamGenerateContent?alt=sse"),
        ("https://x/gemini", "/v1beta/models/m:streamGenerateContent?alt=sse"),
    ]:
        endpoint = Endpoint(name="g", base_url=url)
        assert Gemini().encode(asked(model="m"), endpoint).path == path
    tuned = Gemini().encode(asked(model="tunedModels/a?b"), GOOGLE).path
    assert tuned.startswith("/v1beta/tunedModels/a%3Fb:")


def test_models():
    rows = [
        {
            "name": "models/gemini-2.5-pro",
            "displayName": "Gemini 2.5 Pro",
            "inputTokenLimit": 1048576,
            "outputTokenLimit": 65536,
            "supportedGenerationMethods": ["generateContent", "countTokens"],
            "thinking": True,
        },
        {"name": "models/embedding-001", "supportedGenerationMethods": ["embedContent"]},
    ]
    (found,) = Gemini().read_models(json.dumps({"models": rows}).encode(), GOOGLE)
    assert (found.name, found.detail) == ("gemini-2.5-pro", "Gemini 2.5 Pro")
    profile = Profile(window=1048576, max_output=65536, thinks=True)
    assert found.profile == profile
    assert Gemini().read_profile(json.dumps(rows[0]).encode(), GOOGLE, "m") == profile
    assert Gemini().profile_call("gemini-2.5-pro", GOOGLE).path == "/v1beta/models/gemini-2.5-pro"
    assert Gemini().auth("k") == {"x-goog-api-key": "k"}


texts = st.text(min_size=1, max_size=8).filter(str.strip)


@given(st.lists(st.tuples(texts, texts), min_size=1, max_size=4))
def test_a_turn_only_appends(pairs):
    talk = [m for a, b in pairs for m in (Message.user(a), Message.assistant(b))]
    first = Request("m", tuple(talk[:-1]), "system", (CLOCK,))
    second = Request("m", (*talk, Message.user("more")), "system", (CLOCK,))
    one, two = (Gemini().encode(r, GOOGLE).body for r in (first, second))
    assert one.endswith(b"]}")
    assert two.startswith(one[:-2])
