"""Chat and AsyncChat: the engine for programs. Public names stand in `chinwag` itself.

Invariants of this room: there is one engine, and it is asynchronous; `AsyncChat` runs it on the
caller's loop, `Chat` on a private one in a thread of its own, so that it works inside a running
loop too. Nothing is read from a configuration file. What goes wrong is raised as the engine's own
exception, after whatever was heard has been kept.
"""
