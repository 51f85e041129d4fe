"""llama.cpp's server: OpenAI's dialect, what it says of itself at ``/props``, and how it counts.

Invariant: the window is what a slot of the running server holds, not what the model was trained
for; a server without ``/props`` says nothing. A request is counted as it would be read: written
down by the model's own template, then cut up by its own vocabulary.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec
from msgspec.structs import replace

from chinwag.providers.base import Profile, Request
from chinwag.providers.dialects.base import NO_PROFILE, Endpoint, HttpCall, encoded, in_words, read
from chinwag.providers.dialects.openai import OpenAI
from chinwag.talk.message import File, Text


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


def _named(request: Request) -> Request:
    if not any(isinstance(part, File) for m in request.messages for part in m.parts):
        return request
    messages = (
        replace(m, parts=tuple(Text(in_words(p)) if isinstance(p, File) else p for p in m.parts))
        for m in request.messages
    )
    return replace(request, messages=tuple(messages))


_WRITTEN: Final = msgspec.json.Decoder(_Written)
_TOKENS: Final = msgspec.json.Decoder(_Tokens)


class LlamaCpp(OpenAI):
    """The dialect. Stateless."""

    name = "llamacpp"

    def encode(
        self, request: Request, endpoint: Endpoint, profile: Profile = NO_PROFILE
    ) -> HttpCall:
        """Its server knows text and pictures: any other file goes by its name."""
        return super().encode(_named(request), endpoint, profile)

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
