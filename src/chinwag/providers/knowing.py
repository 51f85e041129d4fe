"""What is known of any provider's models, whoever said it: configuration, the server, the snapshot.

Invariants: in this order of trust, answer by answer. A server on this machine is asked and never
guessed at: how large its window is depends on how it was started, and it costs nothing. At another
address than the vendor's own, somebody else sets the prices.
"""

from __future__ import annotations

from typing import Final

from chinwag.errors import ConfigError
from chinwag.providers.base import Profile, Terms
from chinwag.providers.catalog import ROWS, Catalog, Row

_OWN_ADDRESS: Final = {row.name: row.base_url for row in ROWS}
_ANY_ADDRESS: Final = frozenset({"azure-openai", "snowflake"})
"""Providers that are the vendor's own at whatever address."""

_GATEWAYS: Final = frozenset({"litellm"})
"""Providers that stand for others, who are far away though they themselves may be near."""

_FREE: Final = Terms(local=True)
_FILES: Final = {
    "anthropic": ("application/pdf",),
    "gemini": ("image/", "audio/", "video/", "text/", "application/pdf"),
    "ollama": (),
    "openai": ("application/pdf",),
    "llamacpp": (),
}
"""Media types of files that a dialect sends as they are; any where it is not named."""
_IDS: Final = {
    "anthropic": r"[A-Za-z0-9_-]{1,64}",
    "openai": r"[\x21-\x7e]{1,40}",
    "responses": r"[\x21-\x7e]{1,64}",
    "llamacpp": r"[\x21-\x7e]{1,40}",
}
_PREFILL: Final = {
    # Those before 4.6; their successors refuse a talk that does not end with the user.
    "anthropic": r"(?:.*/)?claude-(?:[123][-.].*|[a-z]+-4(?:-[0-5](?!\d).*|[-@]20\d{6}.*)?)",
    "llamacpp": r".*",
}
_MISTRAL_IDS: Final = r"[A-Za-z0-9]{9}"


class Knowing:
    """Answers from the catalog's rows; nothing is asked of any server here."""

    def __init__(self, catalog: Catalog) -> None:
        self._catalog = catalog

    def profile(self, provider: str, model: str, told: Profile) -> Profile:
        """What is known of a model, where its server itself said ``told``."""
        row = self._row(provider)
        if row is None:
            return told
        mine = row.facts.get(model, Profile())
        mine = mine.filled(Profile(window=row.window, max_output=row.max_output))
        known = mine.filled(told)
        return known if _is_here(row) else known.filled(_snapshot(row, model))

    def terms(self, provider: str) -> Terms:
        """What the provider's dialect takes; a stranger is taken to be in this process."""
        row = self._row(provider)
        if row is None:
            return _FREE
        mistral = "api.mistral.ai" in row.base_url
        return Terms(
            local=_is_here(row),
            files=_FILES.get(row.dialect, ("",)),
            ids=_MISTRAL_IDS if mistral else _IDS.get(row.dialect, ""),
            widen=_widen(row),
            prefill=r".*" if mistral or row.name == "vllm" else _PREFILL.get(row.dialect, ""),
        )

    def _row(self, provider: str) -> Row | None:
        try:
            return self._catalog.row(provider)
        except ConfigError:
            return None


def _is_here(row: Row) -> bool:
    from urllib.parse import urlsplit

    from chinwag.providers.dialects.base import is_loopback

    if row.name in _GATEWAYS:
        return False
    return row.local or is_loopback(urlsplit(row.base_url).hostname or "")


def _snapshot(row: Row, model: str) -> Profile:
    from chinwag.providers.facts import facts

    own = row.name in _ANY_ADDRESS or row.base_url == _OWN_ADDRESS.get(row.name, row.base_url)
    return facts(row.name if own else "", model)


def _widen(row: Row) -> str:
    match row.dialect:
        case "ollama":
            return f"set `window` in [providers.{row.name}], which is sent as num_ctx"
        case "llamacpp":
            return "start the server with a larger --ctx-size"
        case _:
            return "load the model with a larger context size"
