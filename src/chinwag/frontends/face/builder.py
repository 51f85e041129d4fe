"""Settings one after the other, for those who like it so (F002)."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Generic, Self, TypeVar

from chinwag.errors import UsageError, nearest
from chinwag.frontends.face.plan import Settings

C = TypeVar("C")


class Builder(Generic[C]):
    """Each setting of `Chat` is a method: `.system("…").temperature(0.7).tools(a, b).build()`."""

    def __init__(self, make: Callable[..., C], model: str | None = None) -> None:
        self._make = make
        self._model = model
        self._settings: dict[str, Any] = {}

    def model(self, name: str) -> Self:
        self._model = name
        return self

    def tools(self, *functions: Any) -> Self:
        self._settings["tools"] = functions
        return self

    def metadata(self, **values: Any) -> Self:
        self._settings["metadata"] = values
        return self

    def __getattr__(self, name: str) -> Callable[[Any], Builder[C]]:
        if name.startswith("__"):
            raise AttributeError(name)
        if name not in Settings.__annotations__:
            near = nearest(name, Settings.__annotations__)
            raise UsageError(
                f"a chat has no setting {name!r}",
                hint=f"did you mean {' or '.join(near)}?" if near else "see docs/python.md",
            )

        def put(value: Any) -> Builder[C]:
            self._settings[name] = value
            return self

        return put

    def build(self) -> C:
        """The chat. Raises what `Chat` raises."""
        return self._make(self._model, **self._settings)
