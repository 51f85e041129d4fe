"""What a chat can be asked without waiting: views of a session that never changes under one's feet.

Invariant: nothing here changes anything, so every thread may ask at any time, also while an answer
comes in.
"""

from __future__ import annotations

from collections.abc import Mapping
from decimal import Decimal
from types import MappingProxyType
from typing import Any

from chinwag.commands.export import to_json, to_markdown
from chinwag.engine.request import build
from chinwag.engine.sending import Context
from chinwag.frontends.face import views
from chinwag.frontends.face.core import Core
from chinwag.talk.message import Message
from chinwag.talk.session import Session
from chinwag.talk.usage import Usage


class Reading:
    """The questions `Chat` and `AsyncChat` answer alike."""

    _core: Core

    # -- who it is -------------------------------------------------------------------------------

    @property
    def id(self) -> str:
        """The session's id: generated, never made from a title (F010, W42)."""
        return self._core.session.id

    @property
    def title(self) -> str:
        """The name it was given, else the first words that were said."""
        return self._core.session.title

    @property
    def metadata(self) -> Mapping[str, Any]:
        """What the program keeps with the session (F011); `tag` changes it."""
        return MappingProxyType(dict(self._core.session.metadata))

    @property
    def resumed(self) -> bool:
        """Whether the session was there before (F066)."""
        return self._core.resumed

    @property
    def closed(self) -> bool:
        return self._core.closed

    @property
    def model(self) -> str:
        """`provider/model` that answers next; "" while that is still to be found out."""
        return "/".join(filter(None, self._core.conversation.choice))

    @property
    def system(self) -> str:
        """The system prompt in force; "" for none."""
        return self._core.system

    @property
    def session(self) -> Session:
        """The session itself: every entry that was ever settled, an immutable value."""
        return self._core.session

    # -- what was said ----------------------------------------------------------------------------

    @property
    def messages(self) -> list[Message]:
        """The system prompt (where there is one) and what was said since the last clear (F046).

        Whatever a policy leaves out of requests is still here: nothing is forgotten.
        """
        return views.messages(self._core.session, self._core.system)

    @property
    def sent(self) -> list[Message]:
        """The messages the next request would hold, the system prompt apart."""
        talk = self._core.conversation
        profile = talk.known(*talk.choice)
        request = build(talk.session, model=talk.choice[1], profile=profile, options=talk.options)
        return list(request.messages)

    @property
    def last(self) -> Message | None:
        """The newest message; None when nobody has said anything (F048)."""
        return views.last(self._core.session)

    @property
    def count(self) -> int:
        """How many messages were said, by whomever; the system prompt is none (F049)."""
        return len(views.said(self._core.session))

    @property
    def turns(self) -> int:
        """How many times the person spoke."""
        return self._core.session.tally.turns

    # -- how much ---------------------------------------------------------------------------------

    @property
    def total_tokens(self) -> int:
        """Tokens the next request would hold, system prompt and tools included (F030). O(1)."""
        return self._core.context().used

    @property
    def context(self) -> Context:
        """``used`` tokens of ``window``, and whether that is exact."""
        return self._core.context()

    @property
    def usage(self) -> Usage:
        """Tokens of every answer so far, as providers reported them."""
        return self._core.session.usage

    @property
    def cost(self) -> Decimal | None:
        """US dollars of every answer so far; None where no price is known."""
        return self._core.bill.of(self._core.session).amount

    def count_tokens(self, text: str) -> int:
        """Tokens of ``text`` for the model that answers next (F028, F031)."""
        return self._core.conversation.count(text)[0]

    # -- other forms ------------------------------------------------------------------------------

    def to_messages(self, form: str) -> list[dict[str, Any]]:
        """What would be sent now, as ``form`` has it: openai, responses, anthropic, gemini, ollama,
        llamacpp, or a provider's name (F079). Raises UsageError.

        Anthropic, Gemini and Responses have the system prompt elsewhere: see `to_request`.
        """
        core = self._core
        return views.messages_for(core.session, core.system, form, core.conversation.choice[1])

    def to_request(self, form: str) -> dict[str, Any]:
        """The whole body of that request."""
        core = self._core
        return views.body_for(core.session, core.system, form, core.conversation.choice[1])

    def to_dicts(self) -> list[dict[str, Any]]:
        """Messages as plain dicts, as OpenAI has them; `from_dicts` reads them back (F051)."""
        return views.to_dicts(self._core.session, self._core.system)

    def to_json(self) -> str:
        """The whole session document: what `save` writes (F075)."""
        return to_json(views.with_system(self._core.session, self._core.system))

    def to_markdown(self) -> str:
        """For people to read."""
        return to_markdown(self._core.session)

    def __len__(self) -> int:
        return self.count

    def __bool__(self) -> bool:
        return True  # an empty chat is a chat

    def __repr__(self) -> str:
        state = " closed" if self._core.closed else ""
        return f"<{type(self).__name__} {self.id} {self.model or 'no model yet'}{state}>"
