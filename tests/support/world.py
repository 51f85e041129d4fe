"""A person's world for one test: a home folder, settings, sessions on disk, and `chat` to run."""

from __future__ import annotations

import json
import subprocess
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.terminal import CHAT, Terminal, own_environment


@dataclass(frozen=True)
class Run:
    """How a run off the terminal ended. Text; ``bytes_out`` is stdout as it came."""

    code: int
    out: str
    err: str
    bytes_out: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def events(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.out.splitlines()]


class World:
    """``home`` holds everything the program may read or write."""

    def __init__(self, home: Path) -> None:
        home.mkdir(parents=True, exist_ok=True)
        self.home = home
        self.data = home / "chinwag"
        self.trace_file = home / "trace.jsonl"
        self._opened = 0
        self.env = own_environment(home, CHINWAG_TRACE=str(self.trace_file))

    # -- settings -----------------------------------------------------------------------------

    def configure(self, text: str) -> Path:
        """Write config.toml where the program looks for it."""
        path = self.home / "config" / "chinwag" / "config.toml"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def use(
        self, base_url: str, *, dialect: str = "openai", key: str = "none", model: str = "harbour"
    ) -> None:
        """The model of a server of the tests, as the provider `lab`, is what answers."""
        self.configure(
            f'model = "lab/{model}"\n[providers.lab]\ndialect = "{dialect}"\n'
            f'base_url = "{base_url}"\nkey = "{key}"\nmodels = ["{model}"]\n'
        )

    # -- running ------------------------------------------------------------------------------

    def chat(
        self,
        *args: str,
        given: str | bytes | None = None,
        seconds: float = 30,
        before: str = "",
        **env: str,
    ) -> Run:
        """Run it off the terminal. ``given`` is piped in; None means nothing to read.

        ``before`` is shell that comes first: limits and redirections.
        """
        data = given.encode() if isinstance(given, str) else given
        source = {"stdin": subprocess.DEVNULL} if data is None else {"input": data}
        done = subprocess.run(
            ["/bin/sh", "-c", f'{before} exec "$0" "$@"', CHAT, *args] if before else [CHAT, *args],
            **source,
            capture_output=True,
            env={**self.env, **env},
            timeout=seconds,
            cwd=self.home,
            check=False,
        )
        out, err = done.stdout.decode(), done.stderr.decode()
        assert "Traceback" not in err, f"{args} ended in a traceback:\n{err}"
        return Run(done.returncode, out, err, done.stdout)

    def open(self, *args: str, **more: Any) -> Terminal:
        """Run it at a terminal, with a trace of its own. What is in capitals is environment."""
        self._opened += 1
        own = {"CHINWAG_TRACE": str(self.home / f"trace-{self._opened}.jsonl")}
        own |= {name: str(more.pop(name)) for name in list(more) if name.isupper()}
        return Terminal([CHAT, *args], self.env | own, **more)

    def enter(self, *args: str, **more: Any) -> Terminal:
        """Open the full screen and wait until it is really there."""
        person = self.open(*args, **more)
        try:
            person.ready()
            person.wait_traced("painted")
        except BaseException:
            person.end()
            raise
        return person

    # -- what is on disk ----------------------------------------------------------------------

    def documents(self, data: Path | None = None) -> list[dict[str, Any]]:
        """Every session on disk, oldest first, by the standard library's own reader."""
        folder = (data or self.data) / "sessions"
        found = [json.loads(path.read_text()) for path in folder.glob("*.json")]
        return sorted(found, key=lambda each: each["created"])  # ids of one second are in no order

    def document(self) -> dict[str, Any]:
        """The only session there is."""
        found = self.documents()
        assert len(found) == 1, f"{len(found)} sessions instead of one"
        return found[0]

    def talk(self) -> list[tuple[str, str, str]]:
        """(role, text, status) of each message of the only session."""
        return [said(m) for m in self.document()["messages"] if m.get("role") in SPOKEN]

    def parts(self) -> list[Path]:
        return sorted((self.data / "sessions").glob("*.part"))


SPOKEN = ("user", "assistant")


def said(message: dict[str, Any]) -> tuple[str, str, str]:
    """(role, text, status) of a stored message; a whole answer has the status "complete"."""
    content = message["content"]
    if not isinstance(content, str):
        content = "".join(part.get("text", "") for part in content if part["type"] == "text")
    return message["role"], content, message.get("status", "complete")
