"""Plays a world, as it is or with each wait alone, and returns what was seen."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import random
import sys
import warnings
from collections import Counter
from collections.abc import AsyncGenerator, Collection, Iterable, Iterator, Sequence
from contextlib import aclosing
from typing import Any, Final

import attrs

from chamelaion_async import AsyncClient, ChamelaionError, Pace, PollPolicy
from tests.support.api import Requests, Response, answering, requests_of
from tests.support.shared import MemoryShared

from .loop import SimulatedLoop, StuckError
from .references import places_of_names
from .service import SimulatedApi
from .trace import Call, Result, Submission, Trace
from .world import ACCOUNT, User, World

_SETTLES: Final = 0.05  # seconds after the last call, within which the client has to finish all it does
_APIS: dict[str, SimulatedApi] = {}


async def _request(method: str, url: Any, **options: Any) -> Response:
    return await _APIS[url.host].request(method, url, **options)


@contextlib.contextmanager
def _no_busy_threads() -> Iterator[None]:
    """Keep lanes from comparing the processor's time with that of a loop that jumps."""
    clocks = {
        name: module.thread_time
        for name, module in sys.modules.items()
        if name.startswith("chamelaion_async") and "thread_time" in vars(module)
    }
    for name in clocks:
        sys.modules[name].thread_time = lambda: 0.0  # type: ignore[attr-defined] # the modules that have one
    try:
        yield
    finally:
        for name, clock in clocks.items():
            sys.modules[name].thread_time = clock  # type: ignore[attr-defined] # as above


def _client(world: World, host: str, api: SimulatedApi, shared: MemoryShared | None = None) -> AsyncClient:
    settings = world.settings
    _APIS[host] = api
    polling = PollPolicy(
        **{name: getattr(settings, name) for name in ("min_interval", "max_interval", "request_timeout")},
        outage_budget=settings.outage_budget,
        learn=False,  # the bounds on how late an end is known follow from the spacing by age
    )
    pace = Pace(max_rate=settings.max_rate, max_concurrency=settings.max_concurrency)
    return AsyncClient("sk-test-key", base_url=f"https://{host}/api", polling=polling, pace=pace, shared=shared)


async def _call(call: Call, requests: Requests, loop: SimulatedLoop) -> None:
    user, name = call.user, call.names[0]
    try:
        if user.call == "wait":
            request = await requests.wait_until_finished(name, timeout=user.timeout)
            call.results.append(Result(at=loop.elapsed, id=name, request=request))
        elif user.call == "get_many":
            _note(call, (await requests.get_many(call.names)).values(), loop)
        elif user.call == "wait_all":
            _note(call, (await requests.wait_all(call.names, timeout=user.timeout)).values(), loop)
        elif user.call == "as_finished":
            async with aclosing(requests.as_finished(call.names, timeout=user.timeout)) as outcomes:
                async for outcome in outcomes:
                    _note(call, [outcome], loop)
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


def _note(call: Call, outcomes: Iterable[Any], loop: SimulatedLoop) -> None:
    at = loop.elapsed
    call.results += [Result(at=at, id=each.id, request=each.request, error=each.error) for each in outcomes]


async def _run_call(call: Call, requests: Requests, loop: SimulatedLoop, waiting: Counter[int], known: int) -> None:
    """Make a call when its time comes, and cancel it when its user does."""
    user = call.user
    await asyncio.sleep(user.at)
    call.began = loop.elapsed
    targets = {target if target < known else -2 for target in user.targets}
    waiting.update([ACCOUNT, *targets])
    task = asyncio.current_task()
    assert task is not None
    timer = None if user.cancelled_at is None else loop.call_later(max(user.cancelled_at - user.at, 0.0), task.cancel)
    try:
        await _call(call, requests, loop)
    except asyncio.CancelledError:
        call.was_cancelled = True
    except Exception as error:  # noqa: BLE001 - whatever it is, an invariant reports it
        call.raised = error
    finally:
        if timer is not None:
            timer.cancel()
        call.ended = loop.elapsed
        waiting.subtract([ACCOUNT, *targets])


def _calls_of(world: World, users: Iterable[User]) -> list[Call]:
    return [
        Call(user=user, names=tuple(world.name(target, user.by_reference) for target in user.targets))
        for user in users
    ]


def play(world: World) -> Trace:
    """Play a world as it is, on a loop of its own."""
    trace = Trace(calls=_calls_of(world, world.users))
    things = sum(len(user.targets) for user in world.users) + len(world.submits)
    loop = SimulatedLoop(world.settings.timers, things=things, seed=world.seed)
    waiting: Counter[int] = Counter()
    api = SimulatedApi(world=world, loop=loop, is_awaited=lambda target: bool(world.submits) or waiting[target] > 0)
    trace.received, trace.started = api.received, api.started
    with _running(loop, world.seed, trace):
        playing = _submit_all if world.submits else _call_all
        loop.run_until_complete(playing(world, trace, api, loop, waiting))
    if trace.stuck is not None:
        del loop, api
        _collect()
    return trace


async def _call_all(
    world: World, trace: Trace, api: SimulatedApi, loop: SimulatedLoop, waiting: Counter[int]
) -> None:
    clients = _replicas(world, api, loop)
    client, requests = clients[0], [requests_of(each, world.settings.family) for each in clients]
    for number, nudge in enumerate(world.nudges):
        reached = requests[number % (len(requests) - len(world.replicas.deaths))]
        loop.call_later(nudge.at, reached.nudge, world.name(nudge.target, nudge.by_reference))
    tasks = [
        loop.create_task(_run_call(call, requests[call.user.client % len(requests)], loop, waiting, len(world.jobs)))
        for call in trace.calls
    ]
    if world.kind == "crowds":
        last = max((user.at for user in world.users), default=0.0) + 1.0
        for part in (0.25, 0.5, 0.75, 1.0):
            loop.call_later(last * part, _count_held_names, world, client, waiting, trace, loop)
    if tasks:
        await asyncio.wait(tasks, timeout=world.horizon)
    if all(task.done() for task in tasks):
        await asyncio.sleep(_SETTLES)
        _note_leftovers(trace, api, loop)
        _count_held_names(world, client, waiting, trace, loop)
    await _end(tasks, clients)


def _replicas(world: World, api: SimulatedApi, loop: SimulatedLoop) -> list[AsyncClient]:
    """Return the clients of a world; more than one share their polls through an engine in memory."""
    replicas = world.replicas
    if replicas.count == 1:
        return [_client(world, "shared0.example.com", api)]
    chance = random.Random(world.seed)
    shared = MemoryShared(
        latency=replicas.latency,
        max_rate=world.settings.max_rate,
        drops=lambda _: chance.random() < replicas.lost,
    )
    clients = [_client(world, f"shared{number}.example.com", api, shared) for number in range(replicas.count)]
    for begins, ends in replicas.outages:
        loop.call_later(begins, shared.fail)
        loop.call_later(ends, shared.come_back)
    for number, at in replicas.deaths:
        loop.call_later(at, shared.members[number].die)
    return clients


async def _end(tasks: Sequence[asyncio.Task[None]], clients: Iterable[AsyncClient]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.sleep(0)
    for client in clients:
        await client.aclose()


def _note_leftovers(trace: Trace, api: SimulatedApi, loop: SimulatedLoop) -> None:
    others = [task for task in asyncio.all_tasks() if task is not asyncio.current_task()]
    trace.leftovers += [f"the task {task.get_name()} of {task.get_coro()}" for task in others]
    scheduled: list[asyncio.TimerHandle] = loop._scheduled  # type: ignore[attr-defined] # there is no public way
    timers = [handle for handle in scheduled if not handle.cancelled() and not _is_of_the_play(handle)]
    trace.leftovers += [f"the timer {handle!r}" for handle in timers]
    if api.under_way:
        trace.leftovers.append(f"{api.under_way} requests under way")


def _is_of_the_play(handle: asyncio.TimerHandle) -> bool:
    name = getattr(handle._callback, "__name__", "")  # type: ignore[attr-defined] # likewise
    return name in {"nudge", _count_held_names.__name__, "fail", "come_back", "die"}


def _count_held_names(
    world: World, client: AsyncClient, waiting: Counter[int], trace: Trace, loop: SimulatedLoop
) -> None:
    """Note in how many places the client holds names, and for how many jobs a call waits."""
    names = {name: job.number for job in world.jobs for name in (job.id, job.reference) if name is not None}
    wanted = sum(count > 0 for number, count in waiting.items() if number != ACCOUNT)
    calls = sum(len(call.names) for call in trace.calls if call.began <= loop.elapsed < call.ended)
    places = places_of_names(client, names)
    trace.held_names.append((places.total(), wanted + calls))
    trace.held_names += [(count, 1 + waiting[names[name]]) for name, count in places.most_common(1)]


async def _submit_all(world: World, trace: Trace, api: SimulatedApi, loop: SimulatedLoop, _: object) -> None:
    numbers = sorted({submit.client for submit in world.submits})
    clients = {number: _client(world, f"client{number}.example.com", api) for number in numbers}
    trace.submissions = [Submission(submit=submit, number=number) for number, submit in enumerate(world.submits)]
    tasks = [loop.create_task(_submit(each, clients[each.submit.client], loop)) for each in trace.submissions]
    await asyncio.wait(tasks, timeout=world.horizon)
    await _end(tasks, clients.values())


async def _submit(submission: Submission, client: AsyncClient, loop: SimulatedLoop) -> None:
    submit, video = submission.submit, f"https://example.com/{submission.number}.mp4"
    await asyncio.sleep(submit.at)
    submission.began = loop.elapsed
    try:
        accepted = await client.lipsync.generate(
            video=video, audio="https://example.com/a.wav", reference_id=submit.reference
        )
        submission.request_id = accepted.request_id
    except Exception as error:  # noqa: BLE001 - whatever it is, an invariant reports it
        submission.error = error
    submission.ended = loop.elapsed


def play_alone(world: World, users: Collection[User]) -> list[Call]:
    """Play each of ``users`` with a client and a service of its own, whose pages are empty.

    They share a loop, and nothing else. Their calls come back in the order of ``users``.
    """
    calls = _calls_of(world, users)
    loop = SimulatedLoop("exact", things=len(calls), seed=world.seed)  # early or late timers excuse nothing
    trace = Trace()
    with _running(loop, world.seed, trace):
        loop.run_until_complete(_play_alone(world, calls, loop))
    if trace.stuck is not None:
        del loop
        _collect()
    return calls


async def _play_alone(world: World, calls: list[Call], loop: SimulatedLoop) -> None:
    waiting: Counter[int] = Counter()
    clients, tasks = [], []
    for number, call in enumerate(calls):
        api = SimulatedApi(world=world, loop=loop, only_gets=True)
        clients.append(_client(world, f"alone{number}.example.com", api))
        requests = requests_of(clients[-1], world.settings.family)
        tasks.append(loop.create_task(_run_call(call, requests, loop, waiting, len(world.jobs))))
    if tasks:
        await asyncio.wait(tasks, timeout=world.horizon)
    await _end(tasks, clients)


@contextlib.contextmanager
def _running(loop: SimulatedLoop, seed: int, trace: Trace) -> Iterator[None]:
    """Run on a loop that is thrown away afterwards, however it ends."""
    state = random.getstate()
    random.seed(seed)
    unhandled: list[dict[str, Any]] = []
    loop.set_exception_handler(lambda _, context: unhandled.append(context))
    with answering(_request), _no_busy_threads():
        try:
            yield
        except StuckError as error:
            trace.stuck = str(error)
            loop.is_stuck = True  # also where an alarm of the runner has ended it
        finally:
            _APIS.clear()
            if loop.is_stuck:
                with warnings.catch_warnings():
                    warnings.simplefilter("ignore")  # coroutines that never began
                    _discard(loop)
            else:
                loop.run_until_complete(loop.shutdown_asyncgens())
                loop.close()
            random.setstate(state)
    trace.leftovers += [f"an error that was not handled: {context}" for context in unhandled if trace.stuck is None]


def _discard(loop: SimulatedLoop) -> None:
    """Close a loop that is stuck; ``_collect`` has to follow."""
    for task in asyncio.all_tasks(loop):
        task._log_destroy_pending = False  # type: ignore[attr-defined] # there is no public way
    loop._ready.clear()  # type: ignore[attr-defined] # likewise
    loop._scheduled.clear()  # type: ignore[attr-defined] # likewise
    loop.close()


def _collect() -> None:
    """Free what a loop that was stuck has left, without its complaints.

    Only once no frame refers to the error that ended it: what is freed later would complain during another test.
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
