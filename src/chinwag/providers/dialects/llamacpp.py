"""llama.cpp's server: OpenAI's dialect, what it says of itself at ``/props``, and how it counts.

Invariant: the window is what a slot of the running server holds, not what the model was trained
for; a server without ``/props`` says nothing. A request is counted as it would be read: written
down by the model's own template, then cut up by its own vocabulary.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chinwag.providers.base import Profile, Request
from chinwag.providers.dialects.base import Endpoint, HttpCall, encoded, read
from chinwag.providers.dialects.openai import OpenAI


class _Settings(msgspec.Struct):
    n_ctx: int | None = None


class Props(msgspec.Struct):
    """What of ``/props`` is of use here."""

    default_generation_settings: _Settings | None = None
    n_ctx: int | None = None
    modalities: dict[str, Any] | None = None

    @property
    def window(self) -> int | None:
        settings = self.default_generation_settings
        return (settings.n_ctx if settings else None) or self.n_ctx


PROPS: Final = msgspec.json.Decoder(Props)


class _Written(msgspec.Struct):
    prompt: str


class _Tokens(msgspec.Struct):
    tokens: list[Any]


_WRITTEN: Final = msgspec.json.Decoder(_Written)
_TOKENS: Final = msgspec.json.Decoder(_Tokens)


class LlamaCpp(OpenAI):
    """The dialect. Stateless."""

    name = "llamacpp"

    def profile_call(self, model: str, endpoint: Endpoint) -> HttpCall | None:  # noqa: ARG002
        return HttpCall("GET", "//props")

    def read_profile(self, body: bytes, endpoint: Endpoint, model: str) -> Profile:  # noqa: ARG002
        props = read(PROPS, Props, body, endpoint.host)
        vision = (props.modalities or {}).get("vision")
        return Profile(window=props.window, sees=vision if isinstance(vision, bool) else None)

    def template_call(self, request: Request, endpoint: Endpoint) -> HttpCall:
        return HttpCall("POST", "//apply-template", {}, self.encode(request, endpoint).body)

    def read_template(self, body: bytes, endpoint: Endpoint) -> str:
        return read(_WRITTEN, _Written, body, endpoint.host).prompt

    def tokens_call(self, text: str) -> HttpCall:
        asked = {"content": text, "add_special": True, "parse_special": True}
        return HttpCall("POST", "//tokenize", {}, encoded(asked))

    def read_tokens(self, body: bytes, endpoint: Endpoint) -> int:
        return len(read(_TOKENS, _Tokens, body, endpoint.host).tokens)
