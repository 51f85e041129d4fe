"""The model facts that travel with the program, made from LiteLLM's list: see `make models`.

Keeps chat models of services that a `[providers]` table can reach, and only the fields we read.
A flag the list does not set is unknown, not false: `-` in its row's letters is "no".
"""

from __future__ import annotations

import argparse
import hashlib
import json
import re
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

OUT = Path(__file__).parents[2] / "src" / "chinwag" / "providers"

#: LiteLLM's name of a service, and ours.
SERVICES = {
    "openai": "openai",
    "anthropic": "anthropic",
    "gemini": "gemini",
    "groq": "groq",
    "mistral": "mistral",
    "deepseek": "deepseek",
    "xai": "xai",
    "together_ai": "together",
    "fireworks_ai": "fireworks",
    "azure": "azure-openai",
    "snowflake": "snowflake",
    "zai": "zai",
    "moonshot": "moonshot",
    "cerebras": "cerebras",
    "perplexity": "perplexity",
    "deepinfra": "deepinfra",
    "nebius": "nebius",
    "sambanova": "sambanova",
    "cohere_chat": "cohere",
    "dashscope": "dashscope",
    "novita": "novita",
    "minimax": "minimax",
    "hyperbolic": "hyperbolic",
}
FLAGS = {"v": "supports_vision", "r": "supports_reasoning", "t": "supports_function_calling"}
PRICES = (
    "input_cost_per_token",
    "output_cost_per_token",
    "cache_read_input_token_cost",
    "cache_creation_input_token_cost",
)
#: What a date at the end of a name looks like; the same name without it means the newest.
DATE = re.compile(r"[-@]20\d\d-?[01]\d-?[0-3]\d$")
ABOVE = re.compile(r"input_cost_per_token_above_(\d+)k_tokens$")

Row = list[Any]


def trimmed(models: dict[str, dict[str, Any]]) -> dict[str, dict[str, Row]]:
    """Service to model to row; a row ends with its last known field."""
    found: dict[str, dict[str, Row]] = {name: {} for name in SERVICES.values()}
    for key, facts in models.items():
        service = SERVICES.get(str(facts.get("litellm_provider")))
        if service and facts.get("mode") in {"chat", "responses"} and (row := _row(facts)):
            name = key.removeprefix(f"{facts['litellm_provider']}/").removeprefix(f"{service}/")
            if "/" in name and service == "azure-openai":
                continue  # prices of one region: what a deployment is in, nobody tells
            found[service][name] = row
    return {name: dict(sorted(_undated(rows).items())) for name, rows in sorted(found.items())}


def _row(facts: dict[str, Any]) -> Row:
    row = [
        _count(facts.get("max_input_tokens")),
        _count(facts.get("max_output_tokens")),
        "".join(_flags(facts)) or None,
        *(_per_million(facts.get(name)) for name in PRICES),
        *_long_prompt(facts),
    ]
    while row and row[-1] is None:
        row.pop()
    return row


def _flags(facts: dict[str, Any]) -> Iterator[str]:
    seen = {**facts}
    listed = facts.get("supported_modalities")
    if isinstance(listed, list) and "supports_vision" not in facts:
        seen["supports_vision"] = "image" in listed
    for letter, name in FLAGS.items():
        if isinstance(seen.get(name), bool):
            yield letter if seen[name] else f"-{letter}"


def _long_prompt(facts: dict[str, Any]) -> Iterator[Any]:
    """The size above which a prompt costs more, all of it, and what it costs then."""
    sizes = sorted(int(m[1]) for name in facts if (m := ABOVE.match(name)))
    if sizes:
        yield sizes[0] * 1000
        for name in PRICES:
            yield _per_million(facts.get(f"{name}_above_{sizes[0]}k_tokens"))


def _count(value: Any) -> int | None:
    whole = isinstance(value, int | float) and not isinstance(value, bool) and value > 0
    return int(value) if whole else None


def _per_million(value: Any) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    price = round(value * 1_000_000, 6)
    return int(price) if price == int(price) else price


def _undated(rows: dict[str, Row]) -> dict[str, Row]:
    """The rows, with the newest of each dated family under the name without a date, too."""
    newest = {DATE.sub("", name): rows[name] for name in sorted(rows)}
    return {**newest, **rows}


ORIGIN = """# Where `facts.json.z` comes from

Windows, prices and abilities of chat models, made by `make models` (tests/support/make_models.py)
from LiteLLM's list. What a server or the configuration says wins over it.

| | |
|---|---|
| package | litellm {version} on PyPI, file `{file}` |
| licence | MIT, copyright (c) 2023 Berri AI |
| sha256 of that file | `{digest}` |
| as of | {as_of} |
| kept | {count:,} chat models of {services} services |
| stored | zlib over JSON, {size:,} bytes |
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("file", type=Path, help="LiteLLM's list, as in its package")
    parser.add_argument("--version", required=True)
    parser.add_argument("--as-of", required=True, help="YYYY-MM-DD: the day the list is true for")
    parser.add_argument("--sha256", required=True, help="what the list's digest must be")
    parser.add_argument("--out", type=Path, default=OUT)
    asked = parser.parse_args()
    data = asked.file.read_bytes()
    digest = hashlib.sha256(data).hexdigest()
    if digest != asked.sha256:
        raise SystemExit(f"{asked.file.name} is not the list that was pinned: sha256 {digest}")
    services = trimmed(json.loads(data))
    document = {"as_of": asked.as_of, "source": f"litellm {asked.version}", "services": services}
    packed = zlib.compress(json.dumps(document, separators=(",", ":")).encode(), 9)
    (asked.out / "facts.json.z").write_bytes(packed)
    origin = ORIGIN.format(
        version=asked.version,
        file=f"litellm/{asked.file.name}",
        digest=digest,
        as_of=asked.as_of,
        count=sum(map(len, services.values())),
        services=len(services),
        size=len(packed),
    )
    (asked.out / "facts.ORIGIN.md").write_text(origin)
    print(f"{len(packed):,} bytes, {sum(map(len, services.values())):,} models, {asked.as_of}")


if __name__ == "__main__":
    main()
