"""Sessions for development and CI. `nox` alone runs what CI runs; `nox -l` lists the rest."""

from __future__ import annotations

import hashlib
import json
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "tests", "docs", "demo"]

PYTHONS = [f"3.{minor}" for minor in range(11, 15)]
PYTEST = ["pytest", "--numprocesses=auto", "--dist=worksteal"]
WITHOUT_LIMIT = ["-o", "faulthandler_timeout=0"]  # for long forms, where one test may take an hour
REQUIREMENTS = Path(".ci/requirements")
LOCKS = {
    "runtime": ["pyproject.toml", "--all-extras"],
    "lowest": ["pyproject.toml", "--all-extras", "--group=core", "--resolution=lowest-direct"],
    "test": ["pyproject.toml", "--extra=cli", "--group=test"],
    "bench": ["pyproject.toml", "--group=bench"],
    "fuzz": ["pyproject.toml", "--group=fuzz"],
    "mutation": ["pyproject.toml", "--group=mutation"],
    "lint": ["pyproject.toml", "--extra=cli", "--group=lint", "--group=test"],
    "docs": ["pyproject.toml", "--group=docs"],
    "audit": ["--group=audit"],
    "build": ["--group=build"],
    "lock": ["--group=lock"],
    "nox": ["--group=nox"],
    "sbom": ["--group=sbom"],
}


def locked(name: str) -> list[str]:
    """Return what makes pip install a lock. No sdist: to build one, pip would get tools that no lock knows."""
    return ["--require-hashes", "--only-binary=:all:", "--requirement", str(REQUIREMENTS / f"{name}.txt")]


def build_into(session: nox.Session, folder: Path, *kinds: str) -> Path:
    """Build with the locked backend, which stays out of the environment, and return the wheel."""
    tools = Path(session.create_tmp()).resolve() / "backend"
    for old in (tools, folder):
        shutil.rmtree(old, ignore_errors=True)
    session.install(*locked("build"), "--target", str(tools))
    command = ["python", "-m", "build", "--no-isolation", *kinds, "--outdir", str(folder)]
    session.run(*command, env={"PYTHONPATH": str(tools)}, silent=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(session: nox.Session, *extras: str, with_lock: str = "") -> None:
    """Build the wheel and install it, so that what is tested is what users get and not this folder.

    What a lock has installed must be all that the wheel asks for, in its ranges: pip is given no index to add to it.
    Without a lock, pip picks from the ranges, as it does for users.
    """
    wheel = build_into(session, Path(session.create_tmp()) / "wheel", "--wheel")
    if with_lock:
        session.install(*locked(with_lock))
    session.install(*(["--no-index"] if with_lock else []), f"{wheel}[{','.join(extras)}]" if extras else str(wheel))
    # Keeps this folder off sys.path, in subprocesses too.
    session.env["PYTHONSAFEPATH"] = "1"
    session.run("python", "-c", "import chamelaion_async as c; assert 'site-packages' in c.__file__, c.__file__")


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite against the built wheel, with branch coverage."""
    install_wheel(session, "cli", with_lock="test")
    data = Path(session.create_tmp()) / ".coverage"
    session.env["COVERAGE_FILE"] = str(data)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", *PYTEST, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *(["--fail-under=0"] if session.posargs else []))


@nox.session(python=PYTHONS[0])
def tests_lowest(session: nox.Session) -> None:
    """Run the tests against the lowest versions that pyproject.toml allows, without the packages of other groups."""
    install_wheel(session, "cli", "speed", with_lock="lowest")
    session.run(*PYTEST, "--ignore=tests/contract", "--ignore=tests/compatibility", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, types and workflows."""
    session.install(*locked("lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("zizmor", "--offline", "--pedantic", "--strict-collection", ".github")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error."""
    install_wheel(session, with_lock="docs")
    target = Path(session.create_tmp()) / "html"
    session.run("sphinx-build", "--fail-on-warning", "--keep-going", "--fresh-env", "-b", "html", "docs", str(target))


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo as a newcomer would, with the newest versions that the ranges allow."""
    install_wheel(session, "cli")
    session.run("chamelaion-async", "demo")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure beside aiohttp by hand and the vendor's client: prints tables, writes benchmarks.json, draws charts."""
    install_wheel(session, with_lock="bench")
    session.env["PYTHONPATH"] = "tests/benchmarks"
    session.run("python", "tests/benchmarks/run.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Wait for jobs of a service that breaks all the time: `nox -s soak -- --seconds 3600 --jobs 20000`."""
    install_wheel(session, with_lock="runtime")
    session.run("python", "tests/soak/soak.py", *session.posargs)


@nox.session
def simulate(session: nox.Session) -> None:
    """Play random worlds of each kind: `nox -s simulate -- --seeds 0 10000`; the tests play the first few of each."""
    install_wheel(session, with_lock="test")
    # Started from a folder that is on the path, so that `tests` is found and the package is the installed one.
    session.env["PYTHONPATH"] = str(Path("tests").resolve())
    session.run("python", "-m", "simulation", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Play every cell of the table of faults; the tests play a third of each line."""
    install_wheel(session, "cli", with_lock="test")
    session.run(*PYTEST, "tests/faults", *session.posargs, env={"CHAMELAION_ALL_FAULTS": "1"})


@nox.session(python=PYTHONS)
def cancellations(session: nox.Session) -> None:
    """Cancel every operation at each of its awaits, on every loop; from 3.12 on with eager tasks too."""
    install_wheel(session, "cli", with_lock="test")
    session.run(
        *PYTEST, *WITHOUT_LIMIT, "tests/cancellation", *session.posargs, env={"CHAMELAION_ALL_CANCELLATIONS": "1"}
    )


@nox.session
def fuzz(session: nox.Session) -> None:
    """Throw a million bodies at all that reads and builds: `nox -s fuzz -- --bodies 10000000`; finds: build/fuzz."""
    install_wheel(session, with_lock="fuzz")
    session.run("python", "tests/fuzz/run.py", "--atheris", *session.posargs)


@nox.session
def leaks(session: nox.Session) -> None:
    """Poll 100,000 times in each way, and search every error of every call for the key; takes an hour."""
    install_wheel(session, "cli", with_lock="test")
    everything = {"CHAMELAION_POLLS": "100000", "CHAMELAION_ALL_LEAKS": "1"}
    session.run(*PYTEST, *WITHOUT_LIMIT, "tests/leaks", *session.posargs, env={**everything, **session.env})


@nox.session(python=PYTHONS[0])
def mutation(session: nox.Session) -> None:
    """Change the wire, the pace, the retries and the polling in some 3,000 ways; the tests must notice. Takes hours.

    What was tried is kept in mutants/; `nox -s mutation -- --max-children 2 "chamelaion_async._http.*"` tries a part.
    """
    session.install(*locked("mutation"))
    session.run("mutmut", "run", *session.posargs)
    session.run("python", "-m", "tests.mutation.check")


@nox.session
def lock(session: nox.Session) -> None:
    """Write the locks. Pins that still fit are kept; `nox -s lock -- --upgrade` renews them."""
    session.install(*locked("lock"))
    for name, sources in LOCKS.items():
        session.run(
            *("uv", "pip", "compile", "--no-config", "--quiet", "--universal", f"--python-version={PYTHONS[0]}"),
            *("--generate-hashes", "--no-build", "--custom-compile-command=nox -s lock", *sources, *session.posargs),
            *("--output-file", str(REQUIREMENTS / f"{name}.txt")),
        )


@nox.session
def audit(session: nox.Session) -> None:
    """Look for known vulnerabilities in what is locked, and for weaknesses in the workflows."""
    session.install(*locked("audit"))
    session.run("zizmor", "--pedantic", "--strict-collection", ".github")
    # `lowest` is what must still work, not what anyone is advised to install.
    files = [str(REQUIREMENTS / f"{name}.txt") for name in LOCKS if name != "lowest"]
    options = ["--strict", "--require-hashes", "--disable-pip", "--progress-spinner=off"]
    session.run("pip-audit", *options, *(part for file in files for part in ("--requirement", file)))


@nox.session
def build(session: nox.Session) -> None:
    """Build the source distribution, and the wheel from it, into dist/."""
    build_into(session, Path("dist"))


@nox.session(requires=["build"])
def sbom(session: nox.Session) -> None:
    """Describe the wheel in dist/ and what it needs, extras included, in build/sbom.cdx.json (CycloneDX)."""
    (wheel,) = Path("dist").glob("*.whl")
    environment = Path(session.create_tmp()) / "environment"
    session.run("python", "-m", "venv", "--clear", "--without-pip", str(environment))
    pip = ["python", "-m", "pip", "--python", str(environment), "install", "--quiet"]
    session.run(*pip, *locked("runtime"))
    session.run(*pip, "--no-index", f"{wheel}[cli,speed]")

    session.install(*locked("sbom"))
    target = Path("build/sbom.cdx.json")
    target.parent.mkdir(exist_ok=True)
    session.run(
        *("cyclonedx-py", "environment", "--pyproject", "pyproject.toml", "--mc-type", "library"),
        *("--output-reproducible", "--output-file", str(target), str(environment)),
    )
    bom = json.loads(target.read_text("utf-8"))
    # The generator reads the name from pyproject.toml, where the version is not.
    version = wheel.name.split("-")[1]
    bom["metadata"]["component"] |= {
        "version": version,
        "purl": f"pkg:pypi/chamelaion-async@{version}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
    }
    target.write_text(json.dumps(bom, indent=2, sort_keys=True) + "\n", "utf-8")
