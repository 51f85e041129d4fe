"""The floor of asking: seconds from `stream()` to the question at the server, one a line."""

import asyncio
import sys
import time

# Its command line, which an `import httpx` drags in where click and rich are, is left out here too.
sys.modules["httpx._main"] = None
import httpx  # noqa: E402

question = {"stream": True, "messages": [{"role": "user", "content": "tokens=3"}]}


async def main(address: str, later: int) -> None:
    async with httpx.AsyncClient(timeout=60) as client, httpx.AsyncClient(timeout=60) as other:
        for _ in range(1 + later):
            began = time.monotonic()
            url = address + "/v1/chat/completions"
            async with client.stream("POST", url, json=question) as answer:
                await answer.aread()
            print((await other.get(address + "/arrived")).json()["arrived"] - began)
            await asyncio.sleep(0.05)


asyncio.run(main(sys.argv[1], int(sys.argv[2])))
