"""Names to providers: rows, aliases, environment, near names."""

import pytest

from chinwag.errors import ConfigError, KeyMissing, ModelUnknown
from chinwag.providers.base import Request
from chinwag.providers.catalog import ROWS, Catalog, Row, ollama_address
from chinwag.providers.scripted import Scripted
from chinwag.talk.message import Message

LAB = Row(
    name="lab",
    dialect="openai",
    base_url="http://127.0.0.1:9100/v1",
    key="env:LAB_KEY",
    models=("bench", "bench-2"),
)


def catalog(*rows, env=None, aliases=None, find_key=None):
    return Catalog(rows, env=env or {}, aliases=aliases, find_key=find_key)


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("openai/gpt-5-mini", ("openai", "gpt-5-mini")),
        ("OpenAI/gpt-5-mini", ("openai", "gpt-5-mini")),
        ("ollama/qwen3:8b", ("ollama", "qwen3:8b")),
        ("ollama:qwen3:8b", ("ollama", "qwen3:8b")),
        ("openrouter/anthropic/claude-sonnet-5", ("openrouter", "anthropic/claude-sonnet-5")),
        ("lab:bench", ("lab", "bench")),
        ("bench-2", ("lab", "bench-2")),
        ("lab", ("lab", "bench")),
        ("openai", ("openai", "gpt-5-mini")),
        ("gpt-9", ("openai", "gpt-9")),
        ("o3", ("openai", "o3")),
        ("claude-haiku-5", ("anthropic", "claude-haiku-5")),
        ("gemini-3-flash", ("gemini", "gemini-3-flash")),
        ("fast", ("groq", "llama-3.3-70b")),
        ("quick", ("groq", "llama-3.3-70b")),
        (" fast ", ("groq", "llama-3.3-70b")),
    ],
)
def test_find(text, found):
    aliases = {"fast": "groq/llama-3.3-70b", "quick": "fast"}
    assert catalog(LAB, aliases=aliases).find(text) == found


@pytest.mark.parametrize(
    ("text", "near"),
    [
        ("opnai/gpt-5", "openai/gpt-5"),
        ("benhc", "bench"),
        ("lab/bench", None),
        ("antropic", "anthropic"),
    ],
)
def test_near_names(text, near):
    if near is None:
        assert catalog(LAB).find(text) == ("lab", "bench")
        return
    with pytest.raises(ModelUnknown) as raised:
        catalog(LAB).find(text)
    assert near in raised.value.near
    assert near in raised.value.hint


def test_nothing_like_it():
    with pytest.raises(ModelUnknown) as raised:
        catalog().find("zzzzzzzz")
    assert raised.value.near == ()
    assert "provider/model" in raised.value.hint


def test_learnt_models_are_found_by_name_alone():
    there = catalog()
    there.learn("ollama", ["qwen3:8b"])
    assert there.find("qwen3:8b") == ("ollama", "qwen3:8b")
    assert there.find("ollama") == ("ollama", "qwen3:8b")


@pytest.mark.parametrize("text", ["ollama", ""])
def test_no_model_to_take(text):
    with pytest.raises(ConfigError) as raised:
        catalog().find(text)
    assert raised.value.hint


def test_an_alias_of_itself():
    with pytest.raises(ConfigError, match="means itself"):
        catalog(aliases={"a": "b", "b": "a"}).find("a")


def test_the_default_is_the_first_whose_key_is_there():
    assert catalog().default() is None
    env = {"GROQ_API_KEY": "k", "ANTHROPIC_API_KEY": "k"}
    assert catalog(env=env).default() == ("anthropic", "claude-sonnet-5")
    assert catalog(env={"GOOGLE_API_KEY": "k"}).default()[0] == "gemini"
    assert catalog(env={"HF_TOKEN": "k"}).default()[0] == "huggingface"
    assert catalog(LAB, env={"LAB_KEY": "k"}).default() == ("lab", "bench")
    assert catalog(env={"OPENAI_API_KEY": ""}).default() is None
    assert catalog(env={"OLLAMA_API_KEY": "k"}).default() is None


def test_addresses_by_the_usual_names():
    env = {
        "OPENAI_BASE_URL": "http://127.0.0.1:4000/v1/",
        "LLAMACPP_BASE_URL": "http://127.0.0.1:8081",
        "OLLAMA_HOST": "0.0.0.0:11500",
    }
    there = catalog(env=env)
    assert there.row("openai").base_url == "http://127.0.0.1:4000/v1"
    assert there.row("llamacpp").base_url == "http://127.0.0.1:8081/v1"
    assert there.row("ollama").base_url == "http://127.0.0.1:11500"
    configured = Row(name="openai", base_url="https://gateway.example/v1")
    assert catalog(configured, env=env).row("openai").base_url == "https://gateway.example/v1"


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("127.0.0.1", "http://127.0.0.1:11434"),
        ("box", "http://box:11434"),
        ("box:9", "http://box:9"),
        (":9", "http://127.0.0.1:9"),
        ("0.0.0.0", "http://127.0.0.1:11434"),
        ("http://box", "http://box:80"),
        ("https://box", "https://box:443"),
        ("https://box:9/ollama/", "https://box:9/ollama"),
        ("[::1]:9", "http://[::1]:9"),
        ("::1", "http://[::1]:11434"),
        (' "box" ', "http://box:11434"),
    ],
)
def test_ollama_host(text, address):
    assert ollama_address(text) == address


def test_the_built_in_addresses_are_what_they_say():
    there = catalog()
    for row in ROWS:
        if row.base_url:
            assert there.row(row.name).base_url == row.base_url


@pytest.mark.parametrize(
    "told",
    [
        "https://mine.openai.azure.com",
        "https://mine.openai.azure.com/",
        "https://mine.openai.azure.com/openai/",
        "https://mine.openai.azure.com/openai/v1",
    ],
)
def test_a_resource_at_azure_is_named_by_its_address(told):
    there = catalog(env={"AZURE_OPENAI_ENDPOINT": told})
    assert there.row("azure-openai").base_url == "https://mine.openai.azure.com/openai/v1"
    assert there.provider("azure-openai").endpoint.needs_key
    assert "azure-openai" in [row.name for row in there.rows()]


def test_an_account_at_snowflake_is_named_by_its_address():
    env = {"SNOWFLAKE_BASE_URL": "https://me.snowflakecomputing.com", "SNOWFLAKE_PAT": "k"}
    there = catalog(env=env)
    assert there.row("snowflake").base_url == "https://me.snowflakecomputing.com/api/v2/cortex/v1"
    assert there.provider("snowflake").endpoint.key() == "k"
    assert "snowflake" not in [row.name for row in catalog(env={}).rows()]


def test_a_gateway_on_this_machine_may_want_no_key():
    assert not catalog(env={}).provider("litellm").endpoint.needs_key
    there = catalog(env={"LITELLM_BASE_URL": "http://10.0.0.9:4000", "LITELLM_API_KEY": "k"})
    assert there.row("litellm").base_url == "http://10.0.0.9:4000/v1"
    assert there.provider("litellm").endpoint.key() == "k"
    assert catalog(env={"LITELLM_BASE_URL": "http://10.0.0.9:4000"}).default() is None


def test_without_its_address_azure_is_named_but_nowhere():
    there = catalog()
    assert "azure-openai" in there.names
    assert "azure-openai" not in [row.name for row in there.rows()]
    with pytest.raises(ConfigError, match="no address yet") as raised:
        there.provider("azure-openai")
    assert "AZURE_OPENAI_ENDPOINT" in raised.value.hint


def test_a_table_changes_only_what_it_says():
    row = catalog(Row(name="openai", key="keyring:work")).row("openai")
    assert row.base_url == "https://api.openai.com/v1"
    assert row.default == "gpt-5-mini"
    assert row.key == "keyring:work"


@pytest.mark.parametrize(
    ("row", "words"),
    [
        (Row(name="x"), "is no address"),
        (Row(name="x", base_url="lab:9100"), "is no address"),
        (Row(name="x", base_url="ftp://lab"), "is no address"),
        (Row(name="x", base_url="http://127.0.0.1", dialect="openia"), "no dialect"),
    ],
)
def test_rows_that_cannot_be_used(row, words):
    with pytest.raises(ConfigError, match=words) as raised:
        catalog(row).provider("x")
    assert raised.value.hint
    assert "[providers.x]" in raised.value.where


def test_an_unknown_provider():
    with pytest.raises(ConfigError) as raised:
        catalog().provider("olama")
    assert "ollama" in raised.value.hint


def test_providers_are_made_once_for_each_configuration():
    there = catalog(LAB)
    assert there.provider("lab") is there.provider("lab")
    assert there.provider("lab") is not there.provider("openai")
    other = catalog(Row(name="lab", base_url="http://127.0.0.1:9200/v1"))
    assert other.provider("lab").endpoint.base_url == "http://127.0.0.1:9200/v1"


@pytest.mark.parametrize("name", [row.name for row in ROWS])
def test_every_row_makes_a_provider(name):
    made = catalog(
        env={
            "AZURE_OPENAI_ENDPOINT": "https://mine.openai.azure.com",
            "SNOWFLAKE_BASE_URL": "https://me.snowflakecomputing.com",
        }
    ).provider(name)
    assert made.name == name
    assert made.dialect.name == next(r.dialect for r in ROWS if r.name == name)


async def refused(there, name):
    with pytest.raises(KeyMissing) as raised:
        await anext(there.provider(name).stream(Request("m", (Message.user("hi"),))))
    return raised.value


async def test_a_missing_key_is_said_when_it_is_needed():
    error = await refused(catalog(), "openai")
    assert "OPENAI_API_KEY" in error.hint
    assert "[providers.openai]" in error.hint
    assert "LAB_KEY" in (await refused(catalog(LAB), "lab")).hint


def test_where_keys_come_from():
    asked = []

    def find(spec):
        asked.append(spec)
        return f"found {spec}"

    def key(name, *rows, env=None):
        return catalog(*rows, env=env, find_key=find).provider(name).endpoint.key()

    assert key("openai", env={"OPENAI_API_KEY": "k"}) == "k"
    assert asked == []
    assert key("openai") == "found keyring:openai"
    assert key("lab", LAB) == "found env:LAB_KEY"
    assert key("x", Row(name="x", base_url="http://127.0.0.1", key="none")) is None
    assert asked == ["keyring:openai", "env:LAB_KEY"]
    assert catalog(LAB, env={"LAB_KEY": "k"}).provider("lab").endpoint.key() == "k"


def test_local_servers_and_gateways_want_no_key():
    assert not catalog().provider("ollama").endpoint.needs_key
    assert catalog().provider("openai").endpoint.needs_key
    gateway = catalog(env={"OPENAI_BASE_URL": "http://127.0.0.1:4000"})
    assert not gateway.provider("openai").endpoint.needs_key


async def test_registered_providers():
    made = []

    def factory():
        made.append(Scripted(name="guide"))
        return made[-1]

    there = catalog()
    there.register("guide", factory, ("help",))
    assert made == []
    assert there.find("guide") == ("guide", "help")
    assert there.provider("guide") is there.provider("guide")
    assert len(made) == 1
    assert "guide" in there.names
    await there.aclose()


def test_the_list_says_where_a_key_is_never_what():
    rows = catalog(LAB, env={"OPENAI_API_KEY": "sk-secret"}).rows()
    found = {row.name: row for row in rows}
    assert found["openai"].key == "env:OPENAI_API_KEY"
    assert found["lab"].key == "env:LAB_KEY"
    assert found["anthropic"].key == ""
    assert "sk-secret" not in repr(rows)
