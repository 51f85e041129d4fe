"""A llama.cpp that keeps what it has read in slots, and writes that to files: words are tokens.

It can be told to misbehave: to restore and read everything anew all the same (``reuses`` False), to
run without --slot-save-path (``saves`` False), to lose its files or to be another build.
"""

from __future__ import annotations

from urllib.parse import parse_qs, urlsplit

from support.servers import Loopback, Reply, finish, json_reply, said, sse


class Slots:
    """State and answers; `server` listens."""

    def __init__(self, count=2):
        self.held = {n: [] for n in range(count)}
        self.files = {}
        self.reuses = self.saves = self.shows = True
        self.counts = True
        self.restored = set()
        self.build = "b1"
        self.bodies = []
        self.server = Loopback(self.answer)

    def __enter__(self):
        self.server.__enter__()
        return self

    def __exit__(self, *why):
        self.server.__exit__(*why)

    @property
    def url(self):
        return f"{self.server.url}/v1"

    def restart(self):
        """Memory is empty, the disk is not."""
        self.held = {slot: [] for slot in self.held}

    def paths(self, part):
        return [a.path for a in self.server.asked if part in a.path]

    def answer(self, asked):
        url = urlsplit(asked.path)
        if url.path == "/props":
            return json_reply(
                {
                    "default_generation_settings": {"n_ctx": 4096},
                    "model_path": "/models/tiny.gguf",
                    "build_info": self.build,
                    "chat_template": "{{ messages }}",
                    "modalities": {"vision": False},
                }
            )
        if url.path == "/slots":
            return self._listed()
        if url.path.startswith("/slots/"):
            action = parse_qs(url.query)["action"][0]
            return self._acted(int(url.path.rpartition("/")[2]), action, asked.json)
        if url.path.endswith("/chat/completions"):
            return self._said(asked.json)
        return json_reply({"error": {"code": 404, "message": "Not Found"}}, 404)

    def _listed(self):
        if not self.shows:
            return json_reply({"error": {"code": 501, "message": "start it with --slots"}}, 501)
        rows = [
            {"id": n, "n_ctx": 4096, "is_processing": False, "n_prompt_tokens": len(held)}
            for n, held in self.held.items()
        ]
        return json_reply(rows)

    def _acted(self, slot, action, body):
        if not self.saves:
            told = "This server does not support slots action. Start it with `--slot-save-path`"
            return json_reply({"error": {"code": 501, "message": told}}, 501)
        if action == "erase":
            count, self.held[slot] = len(self.held[slot]), []
            return json_reply({"id_slot": slot, "n_erased": count})
        name = body["filename"]
        if action == "save":
            held = self.files[name] = list(self.held[slot])
            told = {"n_saved": len(held), "n_written": 40 + len(held) * 1000}
            return json_reply({"id_slot": slot, "timings": {"save_ms": 2.0}} | told)
        if name not in self.files:
            return json_reply({"error": {"code": 400, "message": "Unable to restore slot"}}, 400)
        held = self.held[slot] = list(self.files[name])
        self.restored.add(slot)
        told = {"n_restored": len(held), "n_read": 40 + len(held) * 1000}
        return json_reply({"id_slot": slot, "timings": {"restore_ms": 250.0}} | told)

    def _said(self, body):
        self.bodies.append(body)
        slot = body.get("id_slot", 0)
        words = [w for m in body["messages"] for w in (m["role"], *str(m["content"]).split())]
        before = self.held[slot]
        cached = next(
            (n for n, (a, b) in enumerate(zip(before, words, strict=False)) if a != b),
            min(len(before), len(words)),
        )
        if slot in self.restored and not self.reuses:
            cached = 0
        self.restored.discard(slot)
        self.held[slot] = words
        prompt = {"prompt_tokens_details": {"cached_tokens": cached}} if self.counts else {}
        usage = {"prompt_tokens": len(words), "completion_tokens": 2, **prompt}
        timings = {"timings": {"cache_n": cached}} if self.counts else {}
        last = finish() | {"usage": usage} | timings
        return Reply(parts=sse(said("very well"), last))
