"""llama.cpp's server: OpenAI's dialect, and what it says of itself at ``/props``.

Invariant: the window is what a slot of the running server holds, not what the model was trained
for; a server without ``/props`` says nothing.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from chinwag.providers.base import Profile
from chinwag.providers.dialects.base import Endpoint, HttpCall, read
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


class LlamaCpp(OpenAI):
    """The dialect. Stateless."""

    name = "llamacpp"

    def profile_call(self, model: str, endpoint: Endpoint) -> HttpCall | None:  # noqa: ARG002
        return HttpCall("GET", "//props")

    def read_profile(self, body: bytes, endpoint: Endpoint, model: str) -> Profile:  # noqa: ARG002
        props = read(PROPS, Props, body, endpoint.host)
        vision = (props.modalities or {}).get("vision")
        return Profile(window=props.window, sees=vision if isinstance(vision, bool) else None)
