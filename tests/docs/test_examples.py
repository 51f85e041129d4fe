"""Every example of the documentation does what it says: against a script, and a real server."""

from __future__ import annotations

import ast
import asyncio
import builtins
import importlib.util
import re
import sys
import types
from pathlib import Path

import pytest

from chinwag.frontends.face import keeping
from chinwag.frontends.face.plan import Plan
from chinwag.providers.scripted import Scripted
from chinwag.talk.message import Call
from support import llama

DOCS = Path(__file__).parents[2] / "docs"
FILES = sorted((DOCS / "examples").glob("*.py"))
PLAYED = ("openai", "anthropic", "ollama", "server")
AGAINST_REAL = ("b_sending", "c_context", "d_messages", "e_sessions", "f_providers", "i_async")


def loaded(name):
    path = DOCS / "examples" / f"{name}.py"
    spec = importlib.util.spec_from_file_location(f"example_{name}", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def answer(request):
    """What a friendly model would say."""
    if request.options.schema is not None:
        return '{"name": "Lisbon", "people": 545796}'
    asked = request.messages[-1]
    if "weather" in asked.text:
        return Call("c1", "get_weather", '{"city": "Lisbon"}')
    if asked.text.startswith("The conversation:"):
        return "They spoke of boats."
    return f"You say: {asked.text[:40]}" if asked.text else "It is sunny."


@pytest.fixture(autouse=True)
def own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    keeping._shared.clear()
    yield
    keeping._shared.clear()


@pytest.fixture
def script(monkeypatch):
    """Whoever is named in the examples plays a script."""
    made = Plan._catalog

    def catalog(self, *rows):
        found = made(self, *rows)
        for name in PLAYED:
            found.register(name, lambda name=name: Scripted([answer], name=name), ("qwen3:8b",))
        return found

    monkeypatch.setattr(Plan, "_catalog", catalog)


@pytest.mark.parametrize("name", [p.stem for p in FILES])
def test_an_example_runs(script, monkeypatch, capsys, name):
    typed = iter(["mine", "", "/help", "hello", "/history", "/nonsense", "/undo", "/clear"])

    def said(prompt=""):
        try:
            return next(typed)
        except StopIteration:
            raise EOFError from None

    monkeypatch.setattr(builtins, "input", said)
    loaded(name).main()
    assert capsys.readouterr().out.strip()


def test_what_the_small_program_says(script, monkeypatch, capsys):
    typed = iter(["", "hello", "", "/histroy", "/exit"])
    monkeypatch.setattr(builtins, "input", lambda _="": next(typed))
    loaded("h_repl").main()
    assert capsys.readouterr().out.splitlines() == [
        "0 messages are here. /help for help.",
        "You say: hello",
        "(Total tokens: 22)",
        "/histroy is no command; /help lists them",
        "Goodbye.",
    ]


def test_an_answer_of_a_type(script):
    city = loaded("b_sending").structured()
    assert (city.name, city.people) == ("Lisbon", 545796)


def test_failing_says_what_to_do(capsys):
    """Nobody plays here: there is no key."""
    loaded("b_sending").when_it_fails()
    assert "GROQ_API_KEY" in capsys.readouterr().out


def test_tools_by_themselves_asked_and_by_hand(script, capsys):
    loaded("g_tools").main()
    out = capsys.readouterr().out
    assert out.count("It is sunny.") == 3
    assert "['get_weather'] ['sunny in Lisbon']" in out
    assert "to be run: get_weather" in out


def test_every_capability_has_its_twin():
    """F001 to F101 stand in the documentation, alone or in a range."""
    told = "\n".join(p.read_text() for p in [*FILES, *DOCS.glob("*.md")])
    found = {int(n) for n in re.findall(r"F(\d{3})", told)}
    for first, last in re.findall(r"F(\d{3}) to F(\d{3})", told):
        found |= set(range(int(first), int(last) + 1))
    assert set(range(1, 102)) - found == set()


def python_of(page):
    return re.findall(r"^```python\n(.*?)^```", page.read_text(), re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize("name", ["python.md", "context.md"])
def test_the_pages_code_runs(script, monkeypatch, name):
    """Block by block, each page as one program, as a reader would type it."""
    monkeypatch.setenv("OPENAI_API_KEY", "made-up")
    page = types.ModuleType("page")
    monkeypatch.setitem(sys.modules, "page", page)
    space = vars(page)
    blocks = python_of(DOCS / name)
    assert len(blocks) > 5
    for code in blocks:
        compiled = compile(code, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        run = eval(compiled, space)
        if run is not None:
            asyncio.run(run)
    for value in list(space.values()):
        if type(value).__name__ in {"Chat", "Store"}:
            value.close()


# -- the real server ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    from support import tiny_gguf

    model = tmp_path_factory.mktemp("llama") / "tiny.gguf"
    tiny_gguf.write(model)
    with llama.serving(model) as running:
        yield running


@pytest.mark.server
@pytest.mark.skipif(llama.may_skip(), reason=llama.missing() or "-")
@pytest.mark.parametrize("name", AGAINST_REAL)
def test_an_example_runs_against_llama_cpp(server, monkeypatch, capsys, name):
    """Two of its dialects under the names that the examples use."""
    monkeypatch.setenv("OPENAI_BASE_URL", server.address + "/v1")
    monkeypatch.setenv("ANTHROPIC_BASE_URL", server.address)
    monkeypatch.setenv("OPENAI_API_KEY", "made-up")
    monkeypatch.setenv("ANTHROPIC_API_KEY", "made-up")
    loaded(name).main()
    assert capsys.readouterr().out.strip()
