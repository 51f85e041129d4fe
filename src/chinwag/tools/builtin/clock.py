"""What time it is, in whichever place is asked for. A place that is not known is an error."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Any, Final

from chinwag.errors import ToolFailed
from chinwag.talk.tool import Risk, ToolSpec
from chinwag.tools.base import Output, Scene, Tool

_OFFSET: Final = re.compile(r"(?:UTC|GMT)?([+-])(\d{1,2})(?::?(\d{2}))?", re.IGNORECASE)


def _now() -> datetime:
    return datetime.now(UTC)


class Clock(Tool):
    def __init__(self, now: Callable[[], datetime] = _now) -> None:
        """``now`` gives the moment, with its time zone."""
        self._now = now
        zone = {
            "type": "string",
            "description": 'an IANA name ("Europe/Lisbon") or an offset ("UTC+2"); here if missing',
        }
        schema = {"type": "object", "properties": {"zone": zone}, "additionalProperties": False}
        says = "Tells the date, the weekday and the time, here or in another time zone."
        self.spec = ToolSpec("clock", says, schema, Risk.READ, parallel=True)

    async def run(self, arguments: dict[str, Any], scene: Scene) -> Output:  # noqa: ARG002  # of the contract
        name = arguments.get("zone", "")
        moment = self._now().astimezone(_zone(name) if name else None)
        where = f" ({name})" if name else f" ({moment.tzname()})"
        return Output(f"{moment:%A} {moment.isoformat(timespec='seconds')}{where}")


def _zone(name: str) -> tzinfo:
    if name.upper() in {"UTC", "GMT", "Z"}:
        return UTC
    if found := _OFFSET.fullmatch(name):
        offset = timedelta(hours=int(found[2]), minutes=int(found[3] or 0))
        if offset < timedelta(hours=24):
            return timezone(offset if found[1] == "+" else -offset)
    return _named(name)


def _named(name: str) -> tzinfo:
    import zoneinfo

    try:
        return zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        said = f"no time zone is called {name!r}"
        raise ToolFailed(said, hint="use a name such as Europe/Lisbon, or UTC+2") from None
