"""Sessions for development and CI. `nox` alone runs what CI runs; `nox -l` lists the rest."""

from __future__ import annotations

from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "tests", "docs", "demo"]

PROJECT = nox.project.load_toml("pyproject.toml")
PYTHONS = [f"3.{minor}" for minor in range(11, 15)]


def install_group(session: nox.Session, *groups: str) -> None:
    session.install(*nox.project.dependency_groups(PROJECT, *groups))


def install_wheel(session: nox.Session, *extras: str) -> None:
    """Build the wheel and install it, so that what is tested is what users get and not this folder."""
    folder = Path(session.create_tmp())
    for old in folder.glob("*.whl"):
        old.unlink()
    session.run("python", "-m", "pip", "wheel", "--quiet", "--no-deps", "--wheel-dir", str(folder), ".")
    (wheel,) = folder.glob("*.whl")
    session.install("--force-reinstall", "--no-deps", str(wheel))
    session.install(f"{wheel}[{','.join(extras)}]" if extras else str(wheel))
    # Keeps this folder off sys.path, in subprocesses too.
    session.env["PYTHONSAFEPATH"] = "1"
    session.run("python", "-c", "import chamelaion_async as c; assert 'site-packages' in c.__file__, c.__file__")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite against the built wheel, with branch coverage."""
    install_group(session, "test")
    install_wheel(session, "cli")
    data = Path(session.create_tmp()) / ".coverage"
    session.env["COVERAGE_FILE"] = str(data)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", "pytest", *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *(["--fail-under=0"] if session.posargs else []))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format and types."""
    install_group(session, "lint", "test")
    session.install("nox", ".[cli]")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    install_group(session, "docs")
    install_wheel(session)
    target = Path(session.create_tmp()) / "html"
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", "--fresh-env", "-b", "html", "docs", str(target))


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo as a newcomer would."""
    install_wheel(session, "cli")
    session.run("chamelaion-async", "demo")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure against aiohttp by hand; prints a table and writes benchmarks.json."""
    install_wheel(session)
    session.env["PYTHONPATH"] = "tests/benchmarks"
    session.run("python", "tests/benchmarks/run.py", *session.posargs)
