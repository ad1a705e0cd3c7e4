"""The documentation keeps its word: its examples run, and it names what the package offers.

Every ``python`` block of README.md and of docs/ is run, page by page, in one namespace per page. ``await`` may stand
at the top level, as in ``python -m asyncio``. ``CHAMELAION_BASE_URL`` and ``CHAMELAION_API_KEY`` lead to a sandbox.
Time is virtual, for the client and for the sandbox, so that no example takes any. Relative paths lead to a folder
that is empty when a page begins.

- A ``text`` block right after it is what the block prints; ``...`` stands for anything.
- A block that begins with ``# conftest.py``, ``# app.py`` or ``# test_NAME.py`` is that file; pytest runs them.
- ``<!-- not run: REASON -->`` on the line before it leaves a block out.

A block that is no program, which ``asyncio.run`` would be in, can be pasted into a prompt. None takes long in real
time. A page that submits to whatever service the environment names says that its place is ``chamelaion-async shell``,
where that is a sandbox.
"""

from __future__ import annotations

import ast
import asyncio
import codeop
import contextlib
import doctest
import inspect
import io
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import attrs
import pytest

import chamelaion_async
from chamelaion_async import sandbox as sandbox_module
from chamelaion_async import testing as testing_module
from chamelaion_async import tracing as tracing_module
from chamelaion_async.cli import main
from chamelaion_async.cli.app import app, with_stdin_as_file
from chamelaion_async.sandbox import Sandbox
from chamelaion_async.testing import plugin

ROOT = Path(__file__).parents[1]
TOP = sorted(path for path in ROOT.glob("*.md") if path.stem.isupper())
DOCS = sorted(path for path in (ROOT / "docs").rglob("*.md") if "_build" not in path.parts)
TEXTS = {str(path.relative_to(ROOT)): path.read_text(encoding="utf-8") for path in [*TOP, *DOCS]}

_FENCE = re.compile(r"(?P<indent> *)(?P<fence>```+)(?P<language>\S*)")
_NOT_RUN = re.compile(r"<!-- not run: \S.* -->")
_FILE = re.compile(r"# (conftest|app|test_\w+)\.py")
_PLACE = re.compile(r"^\*\*Where it runs:\*\* ", re.MULTILINE)
SHELL = "**Where it runs:** in [`chamelaion-async shell`]"
LONG = 60.0  # seconds


PYTEST_INI = """\
[pytest]
asyncio_mode = auto
asyncio_default_fixture_loop_scope = function
filterwarnings = error
"""


@attrs.frozen(kw_only=True)
class Block:
    """One fenced block of a page."""

    language: str
    code: str
    line: int
    before: str
    """The last line that is not empty before the block."""

    @property
    def is_run(self) -> bool:
        return self.language == "python" and not _NOT_RUN.fullmatch(self.before)

    @property
    def file(self) -> str | None:
        first = self.code.partition("\n")[0]
        return first[2:] if _FILE.fullmatch(first) else None


def blocks(text: str) -> Iterator[Block]:
    """Yield the fenced blocks of a page, in order."""
    before, lines = "", iter(enumerate(text.splitlines(), start=1))
    for number, line in lines:
        if opening := _FENCE.match(line):
            inside: list[str] = []
            for _, each in lines:
                if each.strip() == opening["fence"]:
                    break
                inside.append(each.removeprefix(opening["indent"]))
            code = "".join(f"{each}\n" for each in inside)
            yield Block(language=opening["language"], code=code, line=number + 1, before=before)
            before = "```"
        elif line.strip():
            before = line


def files(text: str) -> dict[str, str]:
    """Return the blocks that are test files, by file name."""
    return {block.file: block.code for block in blocks(text) if block.is_run and block.file}


def outputs(text: str) -> Iterator[tuple[Block, str | None]]:
    """Yield the blocks that are run in place, each with what it should print if the page says so."""
    found = list(blocks(text))
    for block, after in zip(found, [*found, None][1:], strict=True):
        if block.is_run and block.file is None:
            says = after is not None and after.language == "text" and after.before == "```"
            yield block, after.code if says and after is not None else None


class _InARunningLoop(ast.NodeTransformer):
    """A script's ``asyncio.run(main())`` is awaited: the loop runs already."""

    def visit_Call(self, node: ast.Call) -> ast.expr:
        self.generic_visit(node)
        return ast.copy_location(ast.Await(node.args[0]), node) if ast.unparse(node.func) == "asyncio.run" else node


async def run(text: str, name: str = "page") -> None:
    """Run the examples of a page; what fails, takes long, or prints what the page does not say, is an error."""
    time = asyncio.get_running_loop().time
    namespace: dict[str, object] = {"__name__": "__main__"}
    for block, expected in outputs(text):
        # Empty lines before it let tracebacks point to the line of the page.
        tree = _InARunningLoop().visit(ast.parse("\n" * (block.line - 1) + block.code, name))
        code = compile(tree, name, "exec", ast.PyCF_ALLOW_TOP_LEVEL_AWAIT, dont_inherit=True)
        began = time()
        with contextlib.redirect_stdout(io.StringIO()) as printed:
            pending = eval(code, namespace)
            if inspect.isawaitable(pending):
                await pending
        if time() - began > LONG:
            pytest.fail(f"{name}:{block.line} takes {time() - began:.0f} s")
        if expected is not None and not _agree(expected, printed.getvalue()):
            pytest.fail(f"{name}:{block.line} prints\n{printed.getvalue()}and not, as the page says,\n{expected}")


def _agree(expected: str, printed: str) -> bool:
    return doctest.OutputChecker().check_output(expected, printed, doctest.ELLIPSIS)


def pasted(block: Block) -> str | None:
    """Paste a block into a prompt, line by line, with an empty line at its end; return the line that it refuses."""
    compiled = codeop.CommandCompiler()
    compiled.compiler.flags |= ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
    lines: list[str] = []
    for number, line in enumerate([*block.code.splitlines(), ""], start=block.line):
        lines.append(line)
        try:
            if compiled("\n".join(lines), "<stdin>", "single") is not None:
                lines = []
        except SyntaxError as error:
            return f"{number}: {line!r}, {error.msg}"
    return f"{block.line}: no end" if any(lines) else None


@pytest.fixture
async def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> AsyncIterator[Sandbox]:
    """Lead clients to a sandbox and files to an empty folder."""
    monkeypatch.chdir(tmp_path)
    async with Sandbox() as sandbox:
        monkeypatch.setenv("CHAMELAION_BASE_URL", sandbox.base_url)
        monkeypatch.setenv("CHAMELAION_API_KEY", "sk-sandbox")
        yield sandbox


@pytest.mark.virtual_time
@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if any(outputs(text))])
async def test_examples_run(page: str, served: Sandbox) -> None:
    await run(TEXTS[page], page)
    # With a real key, what the page submits would be paid for. The README's programs are meant to be.
    assert not served.jobs or SHELL in TEXTS[page] or page == "README.md"


@pytest.mark.virtual_time
async def test_the_second_example_of_the_readme_stands_alone(served: Sandbox) -> None:
    _, (program, says) = list(outputs(TEXTS["README.md"]))[:2]
    await run(f"```python\n{program.code}```\n\n```text\n{says}```\n")
    assert len(served.jobs) == 5


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if any(outputs(text))])
def test_examples_can_be_pasted_into_a_prompt(page: str) -> None:
    for block, _ in outputs(TEXTS[page]):
        assert "asyncio.run(" in block.code or pasted(block) is None, f"{page}:{pasted(block)}"


@pytest.mark.parametrize(
    "page", [page for page in TEXTS if page.startswith(str(Path("docs", "howto"))) and "index" not in page]
)
def test_a_guide_says_at_its_begin_where_its_examples_run(page: str) -> None:
    begin, _, rest = TEXTS[page].partition("\n## ")
    has_examples = any(block.language == "python" for block in blocks(TEXTS[page]))
    assert len(_PLACE.findall(begin)) == has_examples
    assert not _PLACE.search(rest)


@pytest.mark.parametrize("page", [page for page, text in TEXTS.items() if files(text)])
def test_examples_that_are_test_files_pass(page: str, tmp_path: Path) -> None:
    for name, code in files(TEXTS[page]).items():
        (tmp_path / name).write_text(code, encoding="utf-8")
    (tmp_path / "pytest.ini").write_text(PYTEST_INI, encoding="utf-8")
    path = os.pathsep.join([str(Path(chamelaion_async.__file__).parents[1]), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"],
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(
    ("text", "error"),
    [
        ("```python\n[][0]\n```\n", IndexError),
        ("```python\nimport asyncio\nawait asyncio.wait_for(asyncio.Event().wait(), 0)\n```\n", TimeoutError),
        ("```python\nimport asyncio\nasync def main(): [][0]\nasyncio.run(main())\n```\n", IndexError),
        ("```python\nprint(1)\n```\n\n```text\n2\n```\n", pytest.fail.Exception),
        ("```python\npass\n```\n```text\n2\n```\n", pytest.fail.Exception),
        ("```python\nprint(\n```\n", SyntaxError),
        ("```python\nclient\n```\n", NameError),
        ("```python\nimport asyncio\nawait asyncio.sleep(61)\n```\n", pytest.fail.Exception),
        ("1. Do this:\n\n   ```python\n   [][0]\n   ```\n", IndexError),
        ("<!-- not run: -->\n```python\n[][0]\n```\n", IndexError),
    ],
)
@pytest.mark.virtual_time
async def test_an_example_that_is_wrong_fails(text: str, error: type[BaseException]) -> None:
    with pytest.raises(error):
        await run(text)


@pytest.mark.parametrize(
    "text",
    [
        "```python\nx = 1\n```\nand then\n```python\nprint(x, 'more')\n```\n\n```text\n1 ...\n```\n",
        "```python\nprint(1)\n```\nThis is no output:\n```text\n2\n```\n",
        "<!-- not run: it shows a fragment -->\n```python\n[][0]\n```\n",
        "```shell\nexit 1\n```\n",
    ],
)
async def test_an_example_that_is_right_passes(text: str) -> None:
    await run(text)


@pytest.mark.parametrize(
    "code",
    ["if True:\n    x = 1\n\n    x = 2\n", "if True:\n    x = 1\nx = 2\n", "print(\n"],
    ids=["empty line inside", "no empty line after", "no end"],
)
def test_a_block_that_a_prompt_refuses_is_found(code: str) -> None:
    assert pasted(Block(language="python", code=code, line=1, before="")) is not None


def test_the_readme_begins_with_two_commands() -> None:
    shell = next(
        block for block in blocks(TEXTS["README.md"]) if block.language in {"shell", "sh", "bash", "console"}
    )
    lines = shell.code.splitlines()
    assert len(lines) == 2
    assert "demo" in lines[0]
    assert "nox" in lines[1]
    ci = ROOT / ".ci" / "run"
    if ci.exists():
        assert lines[1] in ci.read_text(encoding="utf-8").splitlines()


_DIRECTIVE = re.compile(r"\.\. (?:auto(?:class|exception|function|data)|py:data):: (?P<name>[\w.]+)")
_MODULE = re.compile(r"\.\. currentmodule:: (?P<name>[\w.]+)")


def documented(module: str) -> list[str]:
    """Return the names of a module that the reference describes."""
    names: list[str] = []
    for page in (ROOT / "docs" / "reference").glob("*.md"):
        current = ""
        for line in page.read_text(encoding="utf-8").splitlines():
            if found := _MODULE.match(line):
                current = found["name"]
            elif (found := _DIRECTIVE.match(line)) and "." not in found["name"] and current == module:
                names.append(found["name"])
    return sorted(names)


@pytest.mark.parametrize(
    "module", [chamelaion_async, sandbox_module, testing_module, tracing_module], ids=lambda module: module.__name__
)
def test_the_reference_describes_every_public_name_once(module: object) -> None:
    assert documented(module.__name__) == sorted(module.__all__)  # type: ignore[attr-defined]  # modules, both


def test_the_page_of_fixtures_names_every_fixture() -> None:
    page = TEXTS[str(Path("docs", "howto", "testing.md"))]
    fixtures = [name for name in vars(plugin) if name.startswith("chamelaion_")]
    assert sorted(re.findall(r"^\| `(chamelaion_\w+)` \|", page, re.MULTILINE)) == sorted(fixtures)


COMMANDS = [
    line
    for text in TEXTS.values()
    for block in blocks(text)
    if block.language == "shell"
    for line in block.code.splitlines()
    if line.startswith("chamelaion-async ")
]


@pytest.mark.parametrize("line", dict.fromkeys(COMMANDS))
def test_commands_in_the_documentation_are_commands(line: str) -> None:
    for command in line.split(" | "):
        app.parse_args(with_stdin_as_file(command.split()[1:]), exit_on_error=False, print_error=False)


def test_the_page_of_commands_names_every_command_and_option(capsys: pytest.CaptureFixture[str]) -> None:
    page = TEXTS[str(Path("docs", "reference", "commands.md"))]
    commands = [name for name in app if not name.startswith("-")]
    assert set(commands) <= set(re.findall(r"^## (.+)$", page, re.MULTILINE))
    main(["--help"])
    for command in commands:
        main([command, "--help"])
    options = set(re.findall(r"(?<=\s)--[a-z][a-z-]+(?=[\s:])", capsys.readouterr().out)) - {"--help", "--version"}
    assert options == set(re.findall(r"`(--[a-z][a-z-]+)", page)) - {"--help"}


_LINK = re.compile(r"\]\((?!https?:|mailto:)(?P<target>[^)#\s]*)(?:#(?P<anchor>[^)\s]+))?\)")


@pytest.mark.parametrize("page", TOP, ids=lambda page: page.name)
def test_links_of_the_pages_outside_docs_lead_somewhere(page: Path) -> None:
    """Sphinx checks those within docs/."""
    for link in _LINK.finditer(page.read_text(encoding="utf-8")):
        target = page.parent / link["target"] if link["target"] else page
        assert target.exists(), link[0]
        if link["anchor"]:
            assert link["anchor"] in anchors(target), link[0]


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings."""
    headings = re.findall(r"^#+ (.+)$", page.read_text(encoding="utf-8"), re.MULTILINE)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


CONTRIBUTING = TEXTS["CONTRIBUTING.md"]
PACKAGE = ROOT / "chamelaion_async"


def section(title: str) -> str:
    """Return a section of CONTRIBUTING.md."""
    return CONTRIBUTING.partition(f"\n## {title}\n")[2].partition("\n## ")[0]


def defined(names: ast.Module | ast.ClassDef) -> dict[str, ast.stmt]:
    return {
        node.name: node
        for node in names.body
        if isinstance(node, (ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef))
    }


def test_the_paths_that_contributors_are_sent_to_exist() -> None:
    paths = re.findall(r"`((?:chamelaion_async|tests|docs|findings|\.ci)/[\w./-]*)`", CONTRIBUTING)
    assert len(paths) > 20
    assert [path for path in paths if not (ROOT / path).exists()] == []


def test_the_map_from_a_wait_to_the_wire_names_what_the_modules_define() -> None:
    steps = section("From `wait_until_finished` to the wire")
    assert len(re.findall(r"^\d+\. ", steps, re.MULTILINE)) == 10
    trees = {path: ast.parse((PACKAGE / path).read_text("utf-8")) for path in re.findall(r"`([\w/]+\.py)`", steps)}
    known: dict[str, ast.stmt] = {}
    for tree in trees.values():
        known |= defined(tree)
    for name in re.findall(r"`([A-Z]\w+(?:\.\w+)?|[a-z]+(?:_[a-z]+)+)`", steps):
        owner, _, method = name.partition(".")
        assert owner in known, name
        if method:
            assert method in defined(known[owner]), name  # type: ignore[arg-type]  # names with a dot are methods


def test_a_contributor_finds_each_of_ten_changes_in_one_row() -> None:
    rows = re.findall(r"^\| (.+) \| (.+) \| (.+) \|$", section("Where to change what"), re.MULTILINE)[1:]
    assert len(rows) == 10
    for _, file, test in rows:
        assert "`chamelaion_async/" in file
        assert "`tests/" in test
