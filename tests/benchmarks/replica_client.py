"""One replica: waits for its part of the jobs, and reports when it learned of each end.

At the start it is given the ``url`` of the engine that it shares through, or None, the ``max_rate`` of all replicas,
or None, and the part of messages that get ``lost`` on their way to it. It says when it is ready, is sent ``base_url``
and ``ids``, and answers with a line for each end, and at last with the seconds of CPU that all of it took.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from random import Random

from child import arguments, messages, tell

from chamelaion_async import AsyncClient, Pace


def _lose(part: float) -> None:
    """Lose a part of the messages, as a network may."""
    from chamelaion_async.redis.replica import Replica

    random, receive = Random(1), Replica.on_message

    def on_message(replica: Replica, data: bytes) -> None:
        if random.random() >= part:
            receive(replica, data)

    Replica.on_message = on_message  # type: ignore[assignment] # there is no public way


async def main(*, url: str | None, max_rate: float | None, lost: float) -> None:
    async with AsyncExitStack() as stack:
        shared = None
        if url is not None:
            # Imported here, since replicas that share nothing do without.
            from chamelaion_async.redis import RedisShared

            if lost:
                _lose(lost)
            shared = await stack.enter_async_context(RedisShared(url))
        tell("ready")
        async for message in messages():
            began = time.process_time()
            pace = Pace(max_rate=max_rate)
            async with AsyncClient("key", base_url=message["base_url"], shared=shared, pace=pace) as client:
                async for outcome in client.lipsync.requests.as_finished(message["ids"]):
                    finished_at = outcome.unwrap().finished_at
                    assert finished_at is not None
                    tell({"id": outcome.id, "delay": time.time() - finished_at.timestamp()})
            tell({"cpu": time.process_time() - began})


if __name__ == "__main__":
    asyncio.run(main(**arguments()))
