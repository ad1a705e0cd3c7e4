"""Plays a world, as it is or with each wait alone, and notes what was seen."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import sys
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import aiohttp
import attrs

from chamelaion_async import AsyncClient, ChamelaionError, Pace, PollPolicy
from chamelaion_async.resources.requests import RequestsResource

from .kept import places_of_names
from .loop import HeldError, SimulatedLoop
from .service import Service
from .trace import Call, Result, Submission, Trace
from .world import ACCOUNT, User, World

__all__ = ["alone", "play", "play_alone"]

_SETTLES: Final = 0.05  # seconds after the last call within which nothing may be left
_SERVICES: dict[str, Service] = {}


async def _request(_: aiohttp.ClientSession, method: str, url: Any, **options: Any) -> Any:
    return await _SERVICES[url.host].request(method, url, options)


@contextlib.contextmanager
def _imitated() -> Iterator[None]:
    """Let the services answer in place of aiohttp, and no thread be busy."""
    original, clocks = aiohttp.ClientSession._request, {}
    aiohttp.ClientSession._request = _request  # type: ignore[assignment,method-assign] # the one seam
    for name, module in list(sys.modules.items()):
        if name.startswith("chamelaion_async") and "thread_time" in vars(module):
            clocks[name] = module.thread_time
            module.thread_time = _no_time  # type: ignore[attr-defined] # else a width compares it with virtual time
    try:
        yield
    finally:
        aiohttp.ClientSession._request = original  # type: ignore[method-assign] # as above
        for name, clock in clocks.items():
            sys.modules[name].thread_time = clock  # type: ignore[attr-defined] # as above
        _SERVICES.clear()


def _no_time() -> float:
    return 0.0


def _client(world: World, host: str, service: Service) -> AsyncClient:
    habits = world.habits
    _SERVICES[host] = service
    return AsyncClient(
        "sk-test-key",
        base_url=f"https://{host}/api",
        polling=PollPolicy(
            min_interval=habits.least,
            max_interval=habits.most,
            request_timeout=habits.request_timeout,
            outage_budget=habits.outage_budget,
        ),
        pace=Pace(max_rate=habits.max_rate, max_concurrency=habits.max_concurrency),
    )


def _requests(client: AsyncClient, world: World) -> RequestsResource[Any]:
    return client.lipsync.requests if world.habits.family == "lipsync" else client.video_translate.requests


# One user


async def _make(call: Call, requests: RequestsResource[Any], loop: SimulatedLoop) -> None:
    user = call.user
    name = call.names[0]
    try:
        if user.call == "wait":
            request = await requests.wait_until_finished(name, timeout=user.timeout)
            call.results.append(Result(at=loop.elapsed, id=name, request=request))
        elif user.call == "get_many":
            for outcome in (await requests.get_many(call.names)).values():
                _note(call, outcome, loop)
        elif user.call == "wait_all":
            for outcome in (await requests.wait_all(call.names, timeout=user.timeout)).values():
                _note(call, outcome, loop)
        elif user.call == "as_finished":
            async with aclosing(requests.as_finished(call.names, timeout=user.timeout)) as outcomes:
                async for outcome in outcomes:
                    _note(call, outcome, loop)
        else:
            await _watch(call, requests.watch(name, timeout=user.timeout), loop)
    except ChamelaionError as error:
        if user.call in {"wait", "watch"}:
            call.results.append(Result(at=loop.elapsed, id=name, error=error))
        else:
            call.raised = error


async def _watch(call: Call, requests: AsyncGenerator[Any, None], loop: SimulatedLoop) -> None:
    async with aclosing(requests):
        async for request in requests:
            call.results.append(Result(at=loop.elapsed, id=call.names[0], request=request))


def _note(call: Call, outcome: Any, loop: SimulatedLoop) -> None:
    call.results.append(Result(at=loop.elapsed, id=outcome.id, request=outcome.request, error=outcome.error))


async def _live(
    call: Call, requests: RequestsResource[Any], loop: SimulatedLoop, waiting: Counter[int], known: int
) -> None:
    """Make a call when its time comes, and end it when the user leaves."""
    user = call.user
    await asyncio.sleep(user.at)
    call.began = loop.elapsed
    targets = {target if target < known else -2 for target in user.targets}
    waiting.update([ACCOUNT, *targets])
    task = asyncio.current_task()
    assert task is not None
    timer = None if user.leaves is None else loop.call_later(max(user.leaves - user.at, 0.0), task.cancel)
    try:
        await _make(call, requests, loop)
    except asyncio.CancelledError:
        call.was_left = True
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be told of
        call.raised = error
    finally:
        if timer is not None:
            timer.cancel()
        call.ended = loop.elapsed
        waiting.subtract([ACCOUNT, *targets])


def _calls_of(world: World, users: Sequence[User]) -> list[Call]:
    return [
        Call(user=user, names=tuple(world.name(target, user.by_reference) for target in user.targets))
        for user in users
    ]


# A world


def play(world: World) -> Trace:
    """Play a world as it is, on a loop of its own."""
    trace = Trace(calls=_calls_of(world, world.users))
    things = sum(len(user.targets) for user in world.users) + len(world.submits)
    loop = SimulatedLoop(world.habits.timers, things=things, seed=world.seed)
    waiting: Counter[int] = Counter()
    service = Service(world=world, loop=loop, is_wanted=lambda target: bool(world.submits) or waiting[target] > 0)
    trace.asks, trace.started = service.asks, service.started
    with _running(loop, world.seed, trace):
        loop.run_until_complete(_play(world, trace, service, loop, waiting))
    if trace.held is not None:
        del loop, service
        _bury()
    return trace


async def _play(world: World, trace: Trace, service: Service, loop: SimulatedLoop, waiting: Counter[int]) -> None:
    if world.submits:
        await _play_submits(world, trace, service, loop)
        return
    client = _client(world, "shared.example.com", service)
    requests = _requests(client, world)
    for nudge in world.nudges:
        loop.call_later(nudge.at, requests.nudge, world.name(nudge.target, nudge.by_reference))
    tasks = [loop.create_task(_live(call, requests, loop, waiting, len(world.jobs))) for call in trace.calls]
    if world.kind == "crowds":
        last = max((user.at for user in world.users), default=0.0) + 1.0
        for part in (0.25, 0.5, 0.75, 1.0):
            loop.call_later(last * part, _weigh, world, client, waiting, trace, loop)
    if tasks:
        await asyncio.wait(tasks, timeout=world.horizon)
    if all(task.done() for task in tasks):
        await asyncio.sleep(_SETTLES)
        _look_for_leftovers(trace, service, loop)
        _weigh(world, client, waiting, trace, loop)
    for task in tasks:
        task.cancel()
    await client.aclose()


def _look_for_leftovers(trace: Trace, service: Service, loop: SimulatedLoop) -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    trace.left_over += [f"the task {task.get_name()} of {task.get_coro()}" for task in others]
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined] # there is no public way
    timers = [handle for handle in scheduled if not handle.cancelled() and not _is_nudge(handle)]
    trace.left_over += [f"the timer {handle!r}" for handle in timers]
    if service.under_way:
        trace.left_over.append(f"{service.under_way} requests under way")


def _is_nudge(handle: asyncio.TimerHandle) -> bool:
    name = getattr(handle._callback, "__name__", "")  # type: ignore[attr-defined] # likewise
    return name in {"nudge", "_weigh"}


def _weigh(world: World, client: AsyncClient, waiting: Counter[int], trace: Trace, loop: SimulatedLoop) -> None:
    """Note in how many places the client holds names, and for how many jobs anyone waits."""
    names = {name: job.number for job in world.jobs for name in (job.id, job.reference) if name is not None}
    wanted = sum(count > 0 for number, count in waiting.items() if number != ACCOUNT)
    calls = sum(len(call.names) for call in trace.calls if call.began <= loop.elapsed < call.ended)
    places = places_of_names(client, names)
    trace.kept.append((places.total(), wanted + calls))
    for name, count in places.most_common(1):
        trace.kept.append((count, 1 + waiting[names[name]]))


async def _play_submits(world: World, trace: Trace, service: Service, loop: SimulatedLoop) -> None:
    hosts = sorted({submit.client for submit in world.submits})
    clients = {number: _client(world, f"client{number}.example.com", service) for number in hosts}
    trace.submissions = [Submission(submit=submit, number=number) for number, submit in enumerate(world.submits)]
    tasks = [loop.create_task(_submit(each, clients[each.submit.client], loop)) for each in trace.submissions]
    await asyncio.wait(tasks, timeout=world.horizon)
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    for client in clients.values():
        await client.aclose()


async def _submit(submission: Submission, client: AsyncClient, loop: SimulatedLoop) -> None:
    submit = submission.submit
    await asyncio.sleep(submit.at)
    submission.began = loop.elapsed
    try:
        accepted = await client.lipsync.generate(
            video=f"https://example.com/{submission.number}.mp4",
            audio="https://example.com/a.wav",
            reference_id=submit.reference,
        )
        submission.request_id = accepted.request_id
    except Exception as error:  # noqa: BLE001 - whatever it is, it is to be told of
        submission.error = error
    submission.ended = loop.elapsed


def play_alone(world: World, users: Collection[User]) -> list[Call]:
    """Play each of ``users`` with a client and a service of its own, whose pages are empty.

    They share a loop, and nothing else. Their calls come back in the order of ``users``.
    """
    calls = _calls_of(world, [*users])
    loop = SimulatedLoop("exact", things=len(calls), seed=world.seed)  # what timers round is not to be excused
    trace = Trace()
    with _running(loop, world.seed, trace):
        loop.run_until_complete(_play_alone(world, calls, loop))
    if trace.held is not None:
        del loop
        _bury()
    return calls


async def _play_alone(world: World, calls: list[Call], loop: SimulatedLoop) -> None:
    waiting: Counter[int] = Counter()
    clients, tasks = [], []
    for number, call in enumerate(calls):
        service = Service(world=world, loop=loop, only_gets=True)
        client = _client(world, f"alone{number}.example.com", service)
        clients.append(client)
        tasks.append(loop.create_task(_live(call, _requests(client, world), loop, waiting, len(world.jobs))))
    if tasks:
        await asyncio.wait(tasks, timeout=world.horizon)
    for task in tasks:
        task.cancel()
    for client in clients:
        await client.aclose()


@contextlib.contextmanager
def _running(loop: SimulatedLoop, seed: int, trace: Trace) -> Iterator[None]:
    """Run on a loop that is thrown away afterwards, whatever became of it."""
    state = random.getstate()
    random.seed(seed)
    unheard: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unheard.append(context))
    with _imitated():
        try:
            yield
        except HeldError as error:
            trace.held = str(error)
            loop.held = True  # also where an alarm of the runner has said so
        finally:
            if loop.held:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # coroutines that never began
                    _abandon(loop)
            else:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()
            random.setstate(state)
    trace.left_over += [f"an error that none heard of: {context}" for context in unheard if trace.held is None]


def _abandon(loop: SimulatedLoop) -> None:
    """Stop a loop that is stuck; ``_bury`` has to follow."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined] # there is no public way
    loop._ready.clear()  # type: ignore[attr-defined] # likewise
    loop._scheduled.clear()  # type: ignore[attr-defined] # likewise
    loop.close()


def _bury() -> None:
    """Free what a loop that was stuck has left, without a word from it.

    Only once no frame holds the error that ended it: what is freed later would complain in the midst of others.
    """
    hook, sys.unraisablehook = sys.unraisablehook, lambda _: None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            gc.collect()
    finally:
        sys.unraisablehook = hook


def alone(user: User, target: int) -> User:
    """Return the same call for one of its targets."""
    return attrs.evolve(user, targets=(target,))
