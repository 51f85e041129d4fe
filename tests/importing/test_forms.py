"""Each form other programs write is known by its content and keeps what was said in it."""

from __future__ import annotations

import base64
import io
import json
import sqlite3
import zipfile

import pytest

from chinwag.commands import export
from chinwag.errors import UsageError
from chinwag.stores.importing.base import Skipped, Talk
from chinwag.stores.importing.reading import read
from chinwag.talk.entry import (
    AssistantSaid,
    Rewound,
    Status,
    SystemSet,
    Titled,
    ToolReturned,
    UserSaid,
)
from chinwag.talk.message import Call, File, Image, Result, Text, Thinking
from chinwag.talk.session import Session, begin, fold_all
from support.shared import DATA, need

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\nabc").decode()


def found(value):
    raw = value if isinstance(value, bytes) else json.dumps(value).encode()
    return list(read(raw))


def one(value):
    (talk,) = found(value)
    assert isinstance(talk, Talk)
    return talk


def folded(talk):
    return fold_all(begin(), talk.entries)


def words(talk):
    return [(type(e).__name__, e.text) for _, e in folded(talk).said()]


def calls(talk):
    return [
        p
        for e in talk.entries
        if isinstance(e, AssistantSaid)
        for p in e.parts
        if isinstance(p, Call)
    ]


def given(name):
    return need(DATA / "conversations" / name).read_bytes()


# -- ChatGPT ---------------------------------------------------------------------------------------


def node(key, parent, role="user", text="", **more):
    content = more.pop("content", {"content_type": "text", "parts": [text]})
    message = {"id": key, "author": {"role": role}, "content": content, **more}
    return {"id": key, "parent": parent, "message": message if role else None}


def chat(*nodes, current, **more):
    return [
        {"title": "T", "create_time": 1700000000, "current_node": current, **more}
        | {"mapping": {n["id"]: n for n in nodes}, "conversation_id": "c1"}
    ]


def test_chatgpt_keeps_branches_and_ends_on_the_one_that_was_shown():
    talk = one(
        chat(
            node("r", None, role=""),
            node("q", "r", text="question"),
            node("a1", "q", "assistant", "first", metadata={"model_slug": "gpt-4o"}),
            node("more", "a1", text="more"),
            node("a2", "q", "assistant", "second"),
            current="a1",
        )
    )
    session = folded(talk)
    assert [e.text for _, e in session.said()] == ["question", "first"]
    assert {e.text for e in session.entries if isinstance(e, AssistantSaid)} == {"first", "second"}
    assert any(isinstance(e, Rewound) for e in session.entries)
    assert session.title == "T"
    assert talk.created == "2023-11-14T22:13:20.000Z"
    (first,) = [e for e in session.entries if getattr(e, "text", "") == "first"]
    assert (first.provider, first.model) == ("openai", "gpt-4o")
    assert len(session.variants(session.said()[1][0])) == 2


def test_chatgpt_thoughts_code_and_output():
    thoughts = {"content_type": "thoughts", "thoughts": [{"content": "hm"}]}
    code = {"content_type": "code", "text": "print(1)"}
    output = {"content_type": "execution_output", "text": "1"}
    talk = one(
        chat(
            node("q", None, text="one?"),
            node("t", "q", "assistant", content=thoughts),
            node("k", "t", "assistant", content=code, recipient="python"),
            node("o", "k", "tool", content=output),
            node("a", "o", "assistant", "It is 1.", status="in_progress"),
            current="a",
        )
    )
    said = [e for _, e in folded(talk).said()]
    assert said[1].parts == (Thinking(text="hm"), Call("k", "python", '{"code":"print(1)"}'))
    assert said[2].result == Result("k", "python", "1")
    assert said[3].status is Status.PARTIAL
    assert "in progress" in said[3].error


def test_chatgpt_circles_and_lost_parents_end():
    talk = one(
        chat(
            node("a", "b", text="x"),
            node("b", "a", text="y"),
            node("c", "gone", text="z"),
            current="c",
        )
    )
    assert {e.text for e in talk.entries if isinstance(e, UserSaid)} == {"x", "y", "z"}
    assert words(talk)[-1] == ("UserSaid", "z")


def test_chatgpt_a_very_deep_conversation():
    nodes = [node(f"n{i}", f"n{i - 1}" if i else None, text=str(i)) for i in range(20_000)]
    assert len(words(one(chat(*nodes, current="n19999")))) == 20_000


def test_chatgpt_pictures_come_from_the_archive_or_by_name():
    parts = [
        {"content_type": "image_asset_pointer", "asset_pointer": "file-service://file-A"},
        "what?",
    ]
    about = {"attachments": [{"id": "file-A", "name": "cat.png", "mimeType": "image/png"}]}
    content = {"content_type": "multimodal_text", "parts": parts}
    value = chat(node("q", None, content=content, metadata=about), current="q")
    talk = one(value)
    assert talk.entries[-1].parts == (Image(mime="image/png", name="cat.png"), Text("what?"))
    assert "only its name" in talk.losses[0]
    packed = archive({"conversations.json": json.dumps(value), "file-A-cat.png": b"\x89PNGabc"})
    (talk,) = found(packed)
    assert base64.b64decode(talk.entries[-1].parts[0].data) == b"\x89PNGabc"
    assert talk.losses == ()


def test_the_real_form_of_chatgpts_export():
    raw = given("chatgpt-export-conversations.json")
    talks = found(raw)
    skipped = [t for t in talks if isinstance(t, Skipped)]
    assert [s.what for s in skipped] == ["item 61 (A broken entry)"]
    assert len(talks) == 61
    source = [c for c in json.loads(raw) if "mapping" in c]
    for talk, conversation in zip(talks, source, strict=False):
        shown = _path(conversation)
        told = [e.text for _, e in folded(talk).said()]
        assert [t for t in shown if t not in told] == []
        assert folded(talk).title_set == " ".join((conversation["title"] or "").split())


def _path(conversation):
    """The plain texts on the way to the current node."""
    texts, key = [], conversation["current_node"]
    while key:
        message = conversation["mapping"][key]["message"]
        if message and message["content"]["content_type"] == "text" and message["weight"]:
            texts.append("\n".join(message["content"]["parts"]))
        key = conversation["mapping"][key]["parent"]
    return texts[::-1]


# -- Claude ----------------------------------------------------------------------------------------


def test_claude_thinking_tools_and_attachments():
    talk = one(
        [
            {
                "uuid": "u1",
                "name": "Talk",
                "created_at": "2025-03-01T10:00:00Z",
                "chat_messages": [
                    {
                        "uuid": "m1",
                        "sender": "human",
                        "content": [{"type": "text", "text": "read it"}],
                        "attachments": [{"file_name": "n.txt", "extracted_content": "notes"}],
                        "files": [{"file_name": "p.png"}],
                    },
                    {
                        "uuid": "m2",
                        "sender": "assistant",
                        "created_at": "2025-03-01T10:01:00.5Z",
                        "content": [
                            {"type": "thinking", "thinking": "hm"},
                            {"type": "tool_use", "name": "look", "input": {"a": 1}},
                            {
                                "type": "tool_result",
                                "name": "look",
                                "content": [{"type": "text", "text": "OK"}],
                            },
                            {"type": "text", "text": "done"},
                        ],
                    },
                ],
            }
        ]
    )
    asked, called, result, told = [e for _, e in folded(talk).said()]
    assert asked.parts[1:] == (
        File(name="n.txt", mime="text/plain", text="notes"),
        File(name="p.png"),
    )
    assert called.parts[0] == Thinking(text="hm")
    assert called.parts[1].arguments == '{"a":1}'
    assert result.result.id == called.parts[1].id
    assert (told.text, told.at) == ("done", "2025-03-01T10:01:00.500Z")
    assert talk.entries[0] == Titled(title="Talk", at=talk.created, id=talk.entries[0].id)


def test_claude_branches_by_parents():
    def message(key, parent, sender, text):
        return {"uuid": key, "parent_message_uuid": parent, "sender": sender, "text": text}

    messages = [
        message("a", "00000000-0000-4000-8000-000000000000", "human", "q"),
        message("b", "a", "assistant", "first"),
        message("c", "a", "assistant", "second"),
    ]
    value = {"uuid": "u", "chat_messages": messages, "current_leaf_message_uuid": "b"}
    assert [w for _, w in words(one(value))] == ["q", "first"]
    assert len([e for e in one(value).entries if isinstance(e, AssistantSaid)]) == 2


def test_the_real_form_of_claudes_export():
    raw = given("claude-export-conversations.json")
    talks = found(raw)
    assert len(talks) == 40
    for talk, conversation in zip(talks, json.loads(raw), strict=True):
        told = "\n".join(w for _, w in words(talk))
        assert all(m["text"] in told for m in conversation["chat_messages"])
        assert not any("left out" in loss for loss in talk.losses)


# -- llm -------------------------------------------------------------------------------------------


def test_the_real_database_of_llm():
    talks = found(given("llm-0.36-logs.db"))
    assert [folded(t).title for t in talks] == [
        "Ahoj světe 🐎",
        "which version [[tool]]",
        "hello from chat",
    ]
    first, tool, _ = talks
    assert folded(first).system == "Be terse"
    assert [k for k, _ in words(first)] == ["UserSaid", "AssistantSaid"] * 3
    (call,) = calls(tool)
    assert (call.name, call.arguments) == ("llm_version", "{}")
    (result,) = [e.result for e in tool.entries if isinstance(e, ToolReturned)]
    assert (result.id, result.content) == (call.id, "0.36")
    answer = folded(first).last_answer
    assert (answer.model, answer.usage.input, answer.usage.output) == ("lab", 136, 34)
    assert all(e.at for e in first.entries if isinstance(e, UserSaid | AssistantSaid))


def old_log():
    base = sqlite3.connect(":memory:")
    base.executescript(
        """
        CREATE TABLE conversations (id TEXT PRIMARY KEY, name TEXT, model TEXT);
        CREATE TABLE responses (id TEXT PRIMARY KEY, model TEXT, prompt TEXT, system TEXT,
            response TEXT, conversation_id TEXT, duration_ms INTEGER, datetime_utc TEXT,
            input_tokens INTEGER, output_tokens INTEGER);
        CREATE TABLE attachments (id TEXT, type TEXT, path TEXT, url TEXT, content BLOB);
        CREATE TABLE prompt_attachments (response_id TEXT, attachment_id TEXT, "order" INTEGER);
        CREATE TABLE tool_calls (id INTEGER, response_id TEXT, name TEXT, arguments TEXT,
            tool_call_id TEXT);
        CREATE TABLE tool_results (id INTEGER, response_id TEXT, name TEXT, output TEXT,
            tool_call_id TEXT);
        CREATE TABLE fragments (id INTEGER, content TEXT);
        CREATE TABLE prompt_fragments (response_id TEXT, fragment_id INTEGER, "order" INTEGER);
        INSERT INTO conversations VALUES ('c', 'Named', 'm');
        INSERT INTO conversations VALUES ('empty', 'Nobody', 'm');
        INSERT INTO responses VALUES ('r2','m','','', 'Noon.','c',5,'2024-01-01T10:01:00',3,4);
        INSERT INTO responses
            VALUES ('r1','m','time?','Be kind.','','c',50,'2024-01-01T10:00:00',1,2);
        INSERT INTO tool_calls VALUES (1,'r1','now','{}','t1');
        INSERT INTO tool_results VALUES (1,'r2','now','noon','t1');
        INSERT INTO attachments VALUES ('a','image/png','/home/x/cat.png',NULL,x'89504e47');
        INSERT INTO attachments VALUES ('b','application/pdf','/home/x/doc.pdf',NULL,NULL);
        INSERT INTO prompt_attachments VALUES ('r1','b',1), ('r1','a',0);
        INSERT INTO fragments VALUES (1,'a fragment');
        INSERT INTO prompt_fragments VALUES ('r1',1,0);
        """
    )
    base.commit()
    return base.serialize()


def test_llms_older_tables():
    talk, nobody = found(old_log())
    assert isinstance(nobody, Skipped)
    session = folded(talk)
    asked, called, result, told = [e for _, e in session.said()]
    assert session.system == "Be kind."
    assert asked.parts[0] == Image(mime="image/png", name="cat.png", data="iVBORw==")
    assert asked.parts[1].name == "doc.pdf"
    assert asked.text == "a fragment\ntime?"
    assert called.parts == (Call("t1", "now"),)
    assert result.text == "noon"
    assert (told.text, told.usage.input, told.seconds) == ("Noon.", 3, 0.005)
    assert talk.created == "2024-01-01T10:00:00.000Z"


def test_a_log_in_wal_mode_is_read():
    raw = old_log()
    assert len(found(raw[:18] + b"\x02\x02" + raw[20:])) == 2


# -- lists of messages -----------------------------------------------------------------------------

TOOLS = [
    {"role": "developer", "content": "Be odd."},
    {
        "role": "user",
        "content": [
            {"type": "text", "text": "look"},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{PNG}"}},
            {"type": "image_url", "image_url": {"url": "https://example.org/x.png"}},
            {"type": "image_url", "image_url": {"url": "file:///etc/passwd"}},
        ],
    },
    {
        "role": "assistant",
        "content": None,
        "reasoning_content": "hm",
        "tool_calls": [
            {"id": "c1", "type": "function", "function": {"name": "now", "arguments": "{}"}}
        ],
    },
    {"role": "tool", "tool_call_id": "c1", "content": "noon"},
    {"role": "assistant", "content": "It is noon."},
]


def test_openais_form_with_tools_and_pictures():
    talk = one({"messages": TOOLS, "tools": [{"type": "function"}], "model": "m"})
    asked, called, result, told = [e for _, e in folded(talk).said()]
    assert folded(talk).system == "Be odd."
    assert asked.parts[1] == Image(mime="image/png", data=PNG)
    assert asked.parts[2] == Image(url="https://example.org/x.png")
    assert "passwd" not in str(asked)
    assert called.parts == (Thinking(text="hm"), Call("c1", "now"))
    assert result.result == Result("c1", "now", "noon")
    assert (told.text, told.model) == ("It is noon.", "m")
    assert talk.form == "openai"
    assert "tool definitions" in talk.losses[0]


def test_a_bare_list_and_lines_are_the_same_messages():
    whole = one({"messages": TOOLS})
    assert words(one(TOOLS)) == words(whole)
    lines = "\n".join(json.dumps(m) for m in TOOLS)
    assert words(one(lines.encode())) == words(whole)
    each = found("\n".join(json.dumps({"messages": TOOLS[i:]}) for i in (0, 1)).encode())
    assert [len(words(t)) for t in each] == [4, 4]


def test_old_functions_and_anthropics_blocks():
    talk = one(
        [
            {"role": "user", "content": "x"},
            {"role": "assistant", "content": "", "function_call": {"name": "f", "arguments": "{}"}},
            {"role": "function", "name": "f", "content": "y"},
            {
                "role": "assistant",
                "content": [{"type": "tool_use", "id": "t", "name": "g", "input": {}}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "tool_result", "tool_use_id": "t", "content": "z"},
                    {"type": "text", "text": "and?"},
                ],
            },
        ]
    )
    results = [e.result for e in talk.entries if isinstance(e, ToolReturned)]
    assert [(r.id, r.name, r.content) for r in results] == [
        (calls(talk)[0].id, "f", "y"),
        ("t", "g", "z"),
    ]
    assert words(talk)[-1] == ("UserSaid", "and?")


def test_what_we_export_comes_back_as_the_same_messages():
    session = fold_all(
        begin(),
        (
            SystemSet(id="s", text="Be kind."),
            UserSaid(id="u", parts=(Text("see"), Image(mime="image/png", data=PNG))),
            AssistantSaid(id="a", parts=(Text("ok"), Call("c1", "now", '{"a": 1}'))),
            ToolReturned(id="t", result=Result("c1", "now", "noon")),
            AssistantSaid(id="b", parts=(Text("Noon."),)),
        ),
    )
    talk = one(export.to_openai(session).encode())
    again = folded(talk)
    assert again.system == session.system
    assert [e.parts if hasattr(e, "parts") else e.result for _, e in again.said()] == [
        e.parts if hasattr(e, "parts") else e.result for _, e in session.said()
    ]
    assert export.to_openai(again) == export.to_openai(session)


def test_our_own_document_comes_back_entry_by_entry():
    session = fold_all(begin(), one({"messages": TOOLS}).entries)
    text = export.to_json(session)
    talk = one(text.encode())
    assert (talk.form, talk.entries) == ("chinwag", tuple(session.entries))
    assert one(json.dumps(json.loads(text), indent=2).encode()).entries == talk.entries
    cut = text.encode()[: text.index("Noon") if "Noon" in text else -80]
    assert one(cut).entries == talk.entries[: len(one(cut).entries)]


def test_forgellms_flat_calls_and_blocks():
    talk = one(
        [
            {
                "role": "user",
                "content": [{"type": "image", "base64": PNG, "media_type": "image/png"}],
            },
            {
                "role": "assistant",
                "content": "",
                "tool_calls": [{"id": "1", "name": "f", "arguments": {"x": 2}}],
            },
            {"role": "tool", "tool_call_id": "1", "content": "4"},
        ]
    )
    assert talk.form == "forgellm"
    assert talk.entries[0].parts == (Image(mime="image/png", data=PNG),)
    assert calls(talk) == [Call("1", "f", '{"x":2}')]


def test_llm_fusions_steps_become_what_they_mean():
    step = {
        "thought": "look",
        "action": {"tool": "shell", "input": {"command": "ls"}},
        "is_final": False,
    }
    final = {"thought": "done", "is_final": True, "final_answer": "two files"}
    talk = one(
        [
            {"role": "system", "content": "You are ReAct."},
            {"role": "user", "content": "list"},
            {"role": "assistant", "content": json.dumps(step)},
            {"role": "user", "content": "Observation: a b"},
            {"role": "assistant", "content": json.dumps(final)},
        ]
    )
    assert talk.form == "llm-fusion"
    _, called, result, told = [e for _, e in folded(talk).said()]
    assert called.parts[0] == Thinking(text="look")
    assert (called.parts[1].name, called.parts[1].arguments) == ("shell", '{"command":"ls"}')
    assert (result.result.id, result.text) == (called.parts[1].id, "a b")
    assert told.text == "two files"


def test_abstractllms_sessions():
    value = {
        "id": "s1",
        "created_at": "2025-01-02T03:04:05.123456",
        "last_updated": "2025-01-02T04:00:00",
        "system_prompt": "Be exact.",
        "metadata": {"session_name": "Sums", "user_id": "7"},
        "messages": [
            {
                "id": "0",
                "role": "system",
                "content": "Be exact.",
                "timestamp": "2025-01-02T03:04:05",
            },
            {"id": "1", "role": "user", "content": "2+2?", "timestamp": "2025-01-02T03:04:06"},
            {
                "id": "2",
                "role": "assistant",
                "content": "wait",
                "timestamp": "2025-01-02T03:04:07",
                "tool_results": [
                    {"call_id": "k", "name": "add", "arguments": {"a": 2}, "output": 4}
                ],
            },
            {"id": "3", "role": "assistant", "content": "4", "metadata": {}},
        ],
        "provider_state": {
            "provider_name": "OpenAI",
            "model_name": "gpt",
            "provider_config": {"api_key": "sk-no"},
        },
    }
    talk = one(value)
    session = folded(talk)
    assert (talk.form, session.title, session.system) == ("abstractllm", "Sums", "Be exact.")
    assert len([e for e in talk.entries if isinstance(e, SystemSet)]) == 1
    assert talk.created == "2025-01-02T03:04:05.123Z"
    assert words(talk)[1:] == [
        ("AssistantSaid", "wait"),
        ("ToolReturned", "4"),
        ("AssistantSaid", "4"),
    ]
    assert (session.last_answer.provider, session.last_answer.model) == ("openai", "gpt")
    assert "sk-no" not in str(talk.entries)


def test_the_archive_of_abstractllms_successor():
    value = {
        "schema_version": "session-archive/v1",
        "session": {
            "id": "s",
            "created_at": "2025-01-02T03:04:05",
            "provider": "ollama",
            "model": "q",
        },
        "messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "yo"}],
    }
    talk = one(value)
    assert (talk.form, folded(talk).last_answer.model) == ("abstractllm", "q")


def test_sharegpts_conversations():
    talks = found(given("sharegpt-fastchat-dummy.json"))
    assert len(talks) == 500
    assert len({t.mark for t in talks}) == 500
    assert words(talks[0])[0] == ("UserSaid", "Who are you?")


# -- archives, and what is none --------------------------------------------------------------------


def archive(files):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as packed:
        for name, data in files.items():
            packed.writestr(name, data)
    return buffer.getvalue()


def test_an_export_is_read_from_its_archive_whatever_its_files_are_called():
    value = chat(node("q", None, text="hi"), node("a", "q", "assistant", "yo"), current="a")
    packed = archive(
        {
            "user.json": '{"id": "user", "email": "x"}',
            "feedback.json": '[{"id": 1, "rating": "up"}]',
            "chat.html": "<html>",
            "deep/er/whatever": json.dumps(value),
        }
    )
    assert [w for _, w in words(one(packed))] == ["hi", "yo"]


def test_bombs_and_broken_archives_are_refused(monkeypatch):
    from chinwag.stores.importing import reading

    monkeypatch.setattr(reading, "LIMIT", 100_000)
    with pytest.raises(UsageError, match=r"unpacks|no conversation"):
        found(archive({"a.json": "[" + " " * 5_000_000}))
    whole = archive(
        {"conversations.json": json.dumps(chat(node("q", None, text="hi"), current="q"))}
    )
    for at in range(4, len(whole), 7):
        with pytest.raises(UsageError):
            found(whole[:at])


@pytest.mark.parametrize(
    ("raw", "told"),
    [
        (b"", "empty"),
        (b"  \n ", "blanks"),
        (b"hello there", "hello there"),
        (b"%PDF-1.7", "PDF"),
        (b"\x1f\x8b\x08", "gzip"),
        (b"\x80\x04\x95", "pickle"),
        (b"<html>", "HTML"),
        (b"\x00\x01\x02", "binary"),
        (b"[]", "no conversation"),
        (b"{}", "no messages"),
        (b"[1,2]", "numbers"),
        (b'["a"]', "text"),
        (b'{"a":1}', "only a"),
        (b'{"messages":[]}', "nobody"),
        (b'{"messages":[{"role":"wizard"}]}', "wizard"),
        (b'{"messages":[1]}', "message 1"),
        (b'{"mapping":{}}', "no messages"),
        (b'{"chat_messages":[]}', "no messages"),
        (b'{"format":99,"id":"x","messages":[]}', "newer"),
        (b"[" * 100_000, "nested|sound"),
        (b'{"a":' * 100_000, "sound|nested"),
        (b'{"messages":[{"role":"user","content":' + b"[" * 200 + b"]" * 200 + b"}]}", "nested"),
        (b'{"messages":[{"role":"user","content":NaN}]}', "sound"),
        (b'{"messages":[{"role":"user"', "sound"),
        (b"SQLite format 3\x00" + b"\xff" * 200, "SQLite"),
        (b"PK\x03\x04" + b"\xff" * 50, "archive"),
    ],
)
def test_what_is_none_is_named(raw, told):
    with pytest.raises(UsageError, match=told) as caught:
        found(raw)
    assert "known are" in caught.value.hint


def test_a_database_of_something_else_is_named():
    base = sqlite3.connect(":memory:")
    base.execute("CREATE TABLE cookies (a)")
    with pytest.raises(UsageError, match="cookies"):
        found(base.serialize())


def test_windows_text_is_read():
    text = json.dumps({"messages": [{"role": "user", "content": "žluť"}]})
    assert words(one(text.encode("utf-16"))) == [("UserSaid", "žluť")]
    assert words(one(text.encode("utf-8-sig"))) == [("UserSaid", "žluť")]


def test_a_session_keeps_its_fold_equal_after_a_round_trip():
    talk = one({"messages": TOOLS})
    session = fold_all(begin(), talk.entries)
    assert fold_all(Session(session.birth), session.entries) == session
