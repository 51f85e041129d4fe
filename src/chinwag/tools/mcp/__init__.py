"""Tools that live in MCP servers.

Invariants: nothing of a server is started, asked or offered before a person has seen its whole
command or address and said yes; what was said yes to is kept word for word, and whatever differs
from it later is withheld until somebody has seen the difference. All of it, the SDK's import
included, happens in a thread of its own: whatever a server does, the talk goes on.

`spec` says what a server is, `listing` what it offers, `pins` what was approved (all pure); `pipe`
and `web` carry its messages under caps, `link` speaks the protocol through the SDK, `keeper` keeps
one server going, `servers` is the door that the rest of the program sees.
"""
