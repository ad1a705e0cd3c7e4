"""``shell``: statements from a pipe and from a terminal."""

from __future__ import annotations

import os
import signal
import subprocess

import pytest

from .conftest import Serve
from .running import COMMAND, COMPLETED, NOWHERE, Cli, OpenTerminal, Result

ME = "GET /v1/users/me"
PROMPT = ">>> "


def shell(script: str, *options: str, **environment: str) -> Result:
    """Run the lines of a script."""
    command, env = [*COMMAND, "shell", *options], {**os.environ, **environment}
    done = subprocess.run(command, input=script, env=env, capture_output=True, text=True, timeout=60, check=False)
    return Result(done.returncode, done.stdout, done.stderr)


STATEMENTS = [
    ("await client.health.check()", "Health(status='ok')"),
    (f"(await client.lipsync.requests.get({COMPLETED!r})).is_completed", "True"),
    ("x = 3\nx + 1", "4"),
    ("for i in range(2):\n    await asyncio.sleep(0)\n    print(i)\n", "0\n1"),
    ("RetryPolicy().attempts, issubclass(WaitTimeoutError, TimeoutError)", "(3, True)"),
    ("task = asyncio.create_task(asyncio.sleep(0, 'late'))\nawait task", "'late'"),
    ("from contextvars import ContextVar\nv = ContextVar('v')\n_ = v.set(1)\nawait asyncio.sleep(0, v.get())", "1"),
    ("async with AsyncClient() as mine:\n    print((await mine.health.check()).status)", "ok"),  # ends with the input
]


def test_statements_print_their_values() -> None:
    result = shell("\n".join(script for script, _ in STATEMENTS))
    assert (result.code, result.err) == (0, "")
    assert result.out == "".join(f"{out}\n" for _, out in STATEMENTS)


def test_a_script_costs_nothing_where_a_key_is_set(connect: Serve) -> None:
    real = connect()
    script = "await client.users.me()\nasync with AsyncClient() as mine:\n    print(await mine.users.me())\n"
    settings = {"CHAMELAION_API_KEY": "sk-real", "CHAMELAION_BEARER_TOKEN": "real", "CHAMELAION_BASE_URL": real.url}
    result = shell(script, **settings)
    assert (result.code, result.err, real.requests()) == (0, "", [])


def test_live_calls_the_service_of_the_options(connect: Serve) -> None:
    real = connect(keys=["sk-mine"])
    result = shell("await client.users.me()\n", "--live", "--api-key", "sk-mine", "--base-url", real.url)
    assert (result.code, len(real.received(ME))) == (0, 1)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--base-url", NOWHERE], "to call a service, add --live"),
        (["--api-key", "k"], "to call a service, add --live"),
        (["--live"], "no API key"),
    ],
)
def test_settings_that_make_no_sense_open_no_shell(
    cli: Cli, monkeypatch: pytest.MonkeyPatch, options: list[str], says: str
) -> None:
    for name in ("CHAMELAION_API_KEY", "CHAMELAION_BEARER_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    result = cli("shell", *options)
    assert (result.code, result.out) == (2, "")
    assert says in result.err


def test_an_exception_prints_its_traceback_and_the_next_statement_runs() -> None:
    tracebacks = {
        "1 / 0": '  File "<stdin>", line 1, in <module>\nZeroDivisionError: division by zero\n',
        "await client.lipsync.requests.get('nope')": "NotFoundError: ",
        "raise asyncio.CancelledError": "asyncio.exceptions.CancelledError\n",
        "1 +": "SyntaxError: invalid syntax\n",
    }
    result = shell("".join(f"{statement}\nprint('on')\n" for statement in tracebacks))
    assert (result.code, result.out) == (0, "on\n" * len(tracebacks))
    assert all(traceback in result.err for traceback in tracebacks.values())
    assert "console.py" not in result.err


@pytest.mark.parametrize(
    ("script", "code", "err"),
    [
        ("exit()\nprint('after')\n", 0, ""),
        ("exit(7)\n", 7, ""),
        ("raise SystemExit('enough')\n", 1, "enough\n"),
        ("print((1,\n", 1, "the input ends in the middle of a statement\n"),
    ],
)
def test_the_script_chooses_the_exit_code(script: str, code: int, err: str) -> None:
    assert shell(script) == Result(code, "", err)


def test_a_reader_that_is_gone_ends_the_shell() -> None:
    command = f"{' '.join(COMMAND)} shell | head -1"
    lines = "print('one')\n" * 50 + "await asyncio.sleep(100)\n"
    done = subprocess.run(
        ["bash", "-c", f"{command}; exit ${{PIPESTATUS[0]}}"],
        input=lines,
        text=True,
        timeout=60,
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (141, "one\n", "")


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_a_signal_ends_a_script_in_the_middle_of_a_statement(number: signal.Signals, code: int) -> None:
    script = "try:\n    print('begun'); await asyncio.sleep(1000)\nfinally:\n    print('cleaned up')\n\n"
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
    with subprocess.Popen([*COMMAND, "shell"], text=True, **pipes) as process:  # type: ignore[call-overload]
        process.stdin.write(script)
        process.stdin.flush()
        assert process.stdout.readline() == "begun\n"
        process.send_signal(number)
        assert process.stdout.read() == "cleaned up\n"
        assert (process.stderr.read(), process.wait(30)) == ("", code)


def test_a_terminal_gets_a_prompt_and_ctrl_d_ends_it(terminal: OpenTerminal) -> None:
    prompt = terminal("shell")
    prompt.read_until(PROMPT)
    assert "It calls a sandbox: no cost." in prompt.seen
    prompt.type("await client.health.check()\n")
    prompt.read_until("Health(status='ok')")
    prompt.read_until(PROMPT, times=2)
    prompt.type("\x04")
    assert prompt.wait() == 0


@pytest.mark.parametrize(
    ("statement", "begun"),
    [
        ("print('be' 'gun'); await asyncio.sleep(1000)\n", "begun"),
        ("import time; print('be' 'gun'); time.sleep(1000)\n", "begun"),
        ("", PROMPT),
    ],
)
def test_ctrl_c_ends_the_statement_and_not_the_shell(terminal: OpenTerminal, statement: str, begun: str) -> None:
    prompt = terminal("shell")
    prompt.read_until(PROMPT)
    prompt.type(statement)
    prompt.read_until(begun)
    prompt.send(signal.SIGINT)
    prompt.read_until("KeyboardInterrupt")
    prompt.read_until(PROMPT, times=2)
    prompt.type("print('still' ' here')\n")
    prompt.read_until("still here")
    prompt.type("exit()\n")
    assert prompt.wait() == 0


def test_sigterm_ends_the_prompt(terminal: OpenTerminal) -> None:
    prompt = terminal("shell")
    prompt.read_until(PROMPT)
    prompt.send(signal.SIGTERM)
    assert prompt.wait() == 143
    assert prompt.echoes()


def test_a_task_goes_on_at_the_prompt(terminal: OpenTerminal) -> None:
    prompt = terminal("shell")
    prompt.read_until(PROMPT)
    prompt.type("task = asyncio.create_task(client.health.check())\n")
    prompt.type("_ = task.add_done_callback(lambda task: print('has', 'ended'))\n")
    prompt.read_until("has ended")
    prompt.read_until(PROMPT, times=3)
    prompt.type("\x04")
    assert prompt.wait() == 0
