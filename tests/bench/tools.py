"""A turn with one call of a tool that does nothing, beside two plain turns: the same two requests.

Both go through a desk as the program builds it: a real store on the disk, a server on loopback.
"""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

from table import Table, median, ms

from chinwag import wiring
from chinwag.desk import Desk
from support import servers
from support.world import World

ROUNDS = 40


def tools(table: Table, folder: Path, quick: bool) -> None:
    world = World(folder / "tools")
    with servers.ollama() as server:
        world.use(server.url, dialect="ollama", model=servers.OLLAMA_MODELS[0])
        plain, called = asyncio.run(_measured(world, 10 if quick else ROUNDS))
    table.title("tools (a turn with one no-op call, two plain turns; a store on the disk)")
    table.note("two plain turns", ms(plain))
    table.note("a turn with a call", ms(called))
    table.ratio("a turn with a call, to two plain turns", median(called) / median(plain), 1.5)


async def _measured(world: World, rounds: int) -> tuple[list[float], list[float]]:
    flags = {"tools.offer": "clock", "tools.approve": "clock"}
    config = str(world.home / "config" / "chinwag" / "config.toml")
    house = wiring.settle_in({"data_dir": str(world.data), **flags}, config, world.env)
    desk = house.desk()
    try:
        await desk.start(lambda _: None, stay=False)
        plain: list[float] = []
        called: list[float] = []
        for n in range(rounds + 3):
            two = await _took(desk, f"say {n}", f"say {n} more")
            one = await _took(desk, "call clock {}")
            if n >= 3:  # the first ones import, connect and ask what the model can do
                plain.append(two)
                called.append(one)
            await desk.handle("/clear", lambda _: None)
    finally:
        await desk.close()
    return plain, called


async def _took(desk: Desk, *lines: str) -> float:
    began = time.monotonic()
    for line in lines:
        await desk.talk(line, lambda _: None)
    return time.monotonic() - began
