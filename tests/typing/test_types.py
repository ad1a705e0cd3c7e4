"""Types as users see them: of the public names, of what calls return, and in the examples of the documentation."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

import chamelaion_async
from tests.test_docs import TEXTS, blocks, files

ROOT = Path(chamelaion_async.__file__).parents[1]
FILE = Path(__file__).with_name("public_types.py")
PYRIGHT = Path(sys.executable).with_name("basedpyright")
SOURCES = "" if "site-packages" in ROOT.parts else str(ROOT)  # mypy finds what is installed by itself
ENVIRONMENT = {**os.environ, "MYPYPATH": SOURCES, "PATH": f"{PYRIGHT.parent}{os.pathsep}{os.environ['PATH']}"}
MYPY = [sys.executable, "-m", "mypy", "--no-error-summary", "--hide-error-context"]
EXAMPLES = [
    "--config-file=",
    "--check-untyped-defs",
    "--allow-redefinition",
    "--disable-error-code=no-redef",
    "--disable-error-code=var-annotated",
    "--ignore-missing-imports",
    "--follow-imports=silent",
]
"""Examples have no annotations, and a page may define a name again."""


def run(command: list[str], folder: Path) -> str:
    """Return what a checker prints, which is nothing if all is well."""
    done = subprocess.run(
        command, cwd=folder, env=ENVIRONMENT, capture_output=True, text=True, timeout=110, check=False
    )
    return done.stdout + done.stderr if done.returncode else ""


def module_of(text: str) -> str:
    """Return the examples of a page as a module: one coroutine function, each line where the page has it."""
    lines = ["async def page() -> None:"]
    for block in blocks(text):
        if block.is_run and block.file is None:
            lines += [""] * (block.line - 1 - len(lines))
            lines += textwrap.indent(block.code, "    ").splitlines()
    return "\n".join([*lines, "    pass", ""])


def write_examples(folder: Path) -> None:
    for page, text in TEXTS.items():
        name = re.sub(r"\W", "_", page.removesuffix(".md"))
        (folder / f"{name}.py").write_text(module_of(text), "utf-8")
        for file, code in files(text).items():
            (folder / f"{name}_{file}").write_text(code, "utf-8")


def test_mypy_sees_the_types_that_are_promised(tmp_path: Path) -> None:
    assert run([*MYPY, "--config-file=", "--strict", f"--cache-dir={tmp_path}", str(FILE)], tmp_path) == ""


def test_pyright_sees_the_types_that_are_promised(tmp_path: Path) -> None:
    assert run([str(PYRIGHT), "--project", str(FILE.with_name("pyrightconfig.json"))], tmp_path) == ""


def test_the_types_of_all_that_users_can_reach_are_known(tmp_path: Path) -> None:
    """Where a type is left to be inferred, two type checkers may infer two types."""
    command = [str(PYRIGHT), "--verifytypes", "chamelaion_async", "--ignoreexternal"]
    environment = {**ENVIRONMENT, "PYTHONPATH": SOURCES}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True, timeout=110, check=False
    )
    assert "Type completeness score: 100%" in done.stdout, done.stdout


def test_examples_pass_the_type_check(tmp_path: Path) -> None:
    folder = tmp_path / "examples"
    folder.mkdir()
    write_examples(folder)
    assert run([*MYPY, *EXAMPLES, f"--cache-dir={tmp_path}", str(folder)], folder) == ""


@pytest.mark.parametrize("page", TEXTS)
def test_the_module_of_a_page_can_be_parsed(page: str) -> None:
    ast.parse(module_of(TEXTS[page]))
