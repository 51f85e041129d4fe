"""A program that writes one session in Redis beside others, without a lease. See test_redis_hard.

    python redis_writer.py URL SESSION NAME WINS      prints the numbers it was told are its own

It writes where it believes the end to be; refused, it looks again.
"""

from __future__ import annotations

import json
import sys

from chinwag.errors import SessionConflict
from chinwag.stores.redis import RedisStore
from chinwag.talk.entry import UserSaid
from chinwag.talk.message import Text
from chinwag.talk.session import Birth, Headline


def main(url: str, session_id: str, name: str, wins: int) -> None:
    born = Birth(id=session_id, created="2026-11-20T09:00:00.000Z")
    won: list[int] = []
    refused = at = 0
    print("ready", flush=True)
    sys.stdin.readline()
    with RedisStore(url, lease=0) as store:
        while len(won) < wins:
            entry = UserSaid(id=f"{name}-{at + 1}", parts=(Text(f"{name} says {at + 1}"),))
            try:
                at = store.append(born, (entry,), at=at, headline=Headline(title=name))
                won.append(at)
            except SessionConflict as conflict:
                refused += 1
                at = conflict.found
    print(json.dumps({"won": won, "refused": refused}), flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
