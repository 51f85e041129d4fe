"""Models as the servers of OpenAI's family list them, each in fields of its own.

Invariant: what a server does not say stays unknown; prices are dollars per million tokens.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chinwag.providers.base import ModelInfo, Profile
from chinwag.providers.dialects.base import Endpoint


class Row(msgspec.Struct):
    """One model as the many servers list it; each field is somebody's."""

    id: str = ""
    name: str | None = None
    owned_by: str | None = None
    context_length: int | None = None  # OpenRouter, Together
    context_window: int | None = None  # Groq
    max_context_length: int | None = None  # Mistral, LM Studio
    max_model_len: int | None = None  # vLLM
    max_completion_tokens: int | None = None
    architecture: Any = None
    pricing: Any = None
    meta: Any = None  # llama.cpp: what the model was trained for, which is not its window


class List(msgspec.Struct):
    data: list[Row] | None = None
    models: list[Row] | None = None


LISTS: Final = msgspec.json.Decoder(List)


def info(row: Row, endpoint: Endpoint) -> ModelInfo:
    window = row.context_length or row.context_window or row.max_context_length or row.max_model_len
    shape = row.architecture if isinstance(row.architecture, dict) else {}
    sees = shape.get("input_modalities")
    price = row.pricing if isinstance(row.pricing, dict) else {}
    return ModelInfo(
        provider=endpoint.name,
        # Google lists its models with the folder in front, and takes them without.
        name=(row.id or row.name or "").removeprefix("models/"),
        profile=Profile(
            window=window,
            max_output=row.max_completion_tokens,
            sees="image" in sees if isinstance(sees, list) else None,
            price_input=_per_million(price.get("prompt")),
            price_output=_per_million(price.get("completion")),
            price_cached=_per_million(price.get("input_cache_read")),
        ),
        detail=row.owned_by or "",
    )


def _per_million(price: Any) -> float | None:
    try:
        value = float(price)
    except (TypeError, ValueError):
        return None
    return round(value * 1e6, 6) if value >= 0 else None
