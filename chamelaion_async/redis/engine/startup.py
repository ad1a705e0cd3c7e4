"""The checks at the start: an engine that cannot work is an error of configuration, and said at once."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import (
    AuthenticationError,
    BusyLoadingError,
    ClusterDownError,
    MovedError,
    NoPermissionError,
    ReadOnlyError,
    RedisError,
    ResponseError,
)

from ...errors import ConfigurationError

__all__ = ["check_engine"]

START_LIMIT: Final = 5.0
"""Seconds for the first answers, with name resolution and TLS."""

_LEAST_REDIS: Final = (7, 0)
_LEAST_VALKEY: Final = (7, 2)

_RIGHTS: Final = (
    "; its user needs ~{chamelaion:* &{chamelaion:* and +@read +@write +@scripting +@pubsub +@connection +time +info"
)
_LACKS_RIGHTS: Final = re.compile("user executing the script|ACL failure")  # Redis 7.0; Valkey, and Redis from 7.2 on

# Each command that the package uses, on a key and a channel such as those that it uses. A connection that may publish
# to no such channel fails here and not silently later.
_TRIAL: Final = """
redis.call('SET', KEYS[1], ARGV[1], 'NX', 'PX', 1000)
redis.call('GET', KEYS[1])
redis.call('PEXPIRE', KEYS[1], 1000)
redis.call('PTTL', KEYS[1])
redis.call('TYPE', KEYS[1])
redis.call('DEL', KEYS[1])
redis.call('HSET', KEYS[1], 'a', '1')
redis.call('HGETALL', KEYS[1])
redis.call('HDEL', KEYS[1], 'a')
redis.call('ZADD', KEYS[1], 1, 'a')
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', 0)
redis.call('ZCARD', KEYS[1])
redis.call('ZREM', KEYS[1], 'a')
redis.call('PUBLISH', KEYS[1], '')
return redis.call('TIME')
"""
_TRIAL_KEY: Final = "{chamelaion:trial}"


async def check_engine(redis: Redis, shown: str) -> None:
    """Raise unless an engine can be used.

    Args:
        redis: Its client.
        shown: What to call it in messages.

    Raises:
        ConfigurationError: It cannot be reached or refuses the credentials; it is a replica, a node of a cluster or
            too old; or the user has no right to the keys and channels that begin with ``{chamelaion:``.
    """
    try:
        async with asyncio.timeout(START_LIMIT):
            await _check_version(redis, shown)
            await _try_commands(redis, shown)
    except TimeoutError:
        raise ConfigurationError(
            f"{shown} did not answer in {START_LIMIT:.0f} s; check the URL of RedisShared and that the server runs"
        ) from None
    except BusyLoadingError as error:
        raise ConfigurationError(f"{shown} still loads its data; start again once it has") from error
    except (RedisError, OSError) as error:
        # On a Unix socket, redis-py 8.1 raises a plain error of the connection from this one.
        if isinstance(error, AuthenticationError) or isinstance(error.__cause__, AuthenticationError):
            raise ConfigurationError(
                f"{shown} refused the credentials ({error}); check user and password in the URL of RedisShared"
            ) from error
        raise ConfigurationError(
            f"{shown} cannot be used ({error}); check the URL of RedisShared and that the server runs"
        ) from error


async def _check_version(redis: Redis, shown: str) -> None:
    try:
        told: dict[str, Any] = await redis.info()
    except NoPermissionError:
        return  # INFO says nothing that using the commands does not show as well, only more plainly
    if told.get("cluster_enabled"):
        raise _in_cluster(shown)
    if told.get("role") == "slave":
        raise _is_replica(shown)
    name, least = ("valkey", _LEAST_VALKEY) if "valkey_version" in told else ("redis", _LEAST_REDIS)
    version = str(told.get(f"{name}_version", ""))
    if _numbers(version) < least:
        raise ConfigurationError(
            f"{shown} runs {name.title()} {version or 'of an unknown version'}; RedisShared needs Redis 7.0 or "
            "Valkey 7.2, or newer"
        )


async def _try_commands(redis: Redis, shown: str) -> None:
    execute: Callable[..., Awaitable[Any]] = redis.execute_command
    try:
        await execute("EVAL", _TRIAL, 1, _TRIAL_KEY, "")
    except ReadOnlyError as error:
        raise _is_replica(shown) from error
    except (MovedError, ClusterDownError) as error:
        raise _in_cluster(shown) from error
    except ResponseError as error:
        advice = _RIGHTS if isinstance(error, NoPermissionError) or _LACKS_RIGHTS.search(str(error)) else ""
        raise ConfigurationError(f"{shown} refuses what RedisShared needs: {error}{advice}") from error


def _numbers(version: str) -> tuple[int, ...]:
    parts = version.split(".")[:2]
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _is_replica(shown: str) -> ConfigurationError:
    return ConfigurationError(f"{shown} is a replica, which is only read; give RedisShared the URL of the primary")


def _in_cluster(shown: str) -> ConfigurationError:
    return ConfigurationError(
        f"{shown} is a node of a cluster, where keys belong to several nodes; give RedisShared the URL of a server "
        "that is in no cluster"
    )
