"""Sessions for development and CI. `nox` alone runs what CI runs, and `nox -l` lists the rest."""

from __future__ import annotations

import hashlib
import json
import os
import re
import runpy
import shutil
from collections.abc import Sequence
from pathlib import Path

import nox

nox.needs_version = ">=2025.5.1"
nox.options.default_venv_backend = "virtualenv"
nox.options.error_on_missing_interpreters = False
nox.options.sessions = ["lint", "tests", "docs", "demo"]

MINORS = range(11, 15)
PYTHONS = [f"3.{minor}" for minor in MINORS]
# One process more than there are cores: tests wait for servers, browsers and programs almost half of the time.
PYTEST = ["pytest", f"--numprocesses={(os.cpu_count() or 1) + 1}", "--dist=worksteal"]
WITHOUT_LIMIT = ["-o", "faulthandler_timeout=0"]  # for long forms, in which one test may take an hour
SERVERS = {
    "redis-server": ["redis-server"],
    "postgresql": ["initdb"],
    "chromium": ["chromium", "chromium-browser", "google-chrome"],
    "tmux": ["tmux"],
}
"""Debian's packages, and the programs of which one has to be there."""
LOCK = Path(".ci/lock.txt")
LOWEST = Path(".ci/lowest.txt")
# The sources of each set of packages. An entry in the lock names the sets that need it.
SETS = {
    "runtime": ["pyproject.toml", "--all-extras"],
    "test": ["pyproject.toml", "--extra=cli", "--extra=redis", "--group=test"],
    "bench": ["pyproject.toml", "--extra=redis", "--group=bench"],
    "fuzz": ["pyproject.toml", "--group=fuzz"],
    "mutation": ["pyproject.toml", "--group=mutation"],
    "lint": ["pyproject.toml", "--extra=cli", "--extra=redis", "--group=lint", "--group=test"],
    "docs": ["pyproject.toml", "--extra=redis", "--group=docs"],
    "site": ["pyproject.toml", "--extra=redis", "--group=docs", "--group=site"],
    "audit": ["--group=audit"],
    "build": ["--group=build"],
    "lock": ["--group=lock"],
    "nox": ["--group=nox"],
    "release": ["--group=release"],
    "sbom": ["--group=sbom"],
}
LOWEST_SET = ["pyproject.toml", "--all-extras", "--group=core"]
# The locks have no hashes of wheels for other machines; that halves them.
MACHINES = [
    "sys_platform == 'linux' and platform_machine == 'x86_64'",
    "sys_platform == 'linux' and platform_machine == 'aarch64'",
    "sys_platform == 'darwin'",
    "sys_platform == 'win32'",
]


def hashed(file: Path) -> list[str]:
    """Return the arguments with which pip installs a file of pins. Wheels only: a build would need more tools."""
    return ["--require-hashes", "--only-binary=:all:", "--requirement", str(file)]


def locked(session: nox.Session, name: str) -> list[str]:
    """Write one set of the lock to a file, and return the arguments with which pip installs it."""
    part: str = runpy.run_path(".ci/locked.py")["part"](LOCK.read_text("utf-8"), name)
    file = Path(session.create_tmp()).resolve() / f"{name}.txt"
    file.write_text(part, "utf-8")
    return hashed(file)


def build_into(session: nox.Session, folder: Path, *kinds: str) -> Path:
    """Build with the locked backend, which is not installed into the environment, and return the wheel."""
    tools = Path(session.create_tmp()).resolve() / "backend"
    for old in (tools, folder):
        shutil.rmtree(old, ignore_errors=True)
    session.install(*locked(session, "build"), "--target", str(tools))
    command = ["python", "-m", "build", "--no-isolation", *kinds, "--outdir", str(folder)]
    session.run(*command, env={"PYTHONPATH": str(tools)}, silent=True)
    (wheel,) = folder.glob("*.whl")
    return wheel


def install_wheel(session: nox.Session, *extras: str, with_lock: Sequence[str] = ()) -> None:
    """Build the wheel and install it, so that the tests run on what users get and not on this folder.

    With a lock, pip has no index: the lock must hold all that the wheel needs, within its ranges. Without a lock, pip
    chooses from the ranges, as it does for users.
    """
    wheel = build_into(session, Path(session.create_tmp()) / "wheel", "--wheel")
    if with_lock:
        session.install(*with_lock)
    session.install(*(["--no-index"] if with_lock else []), f"{wheel}[{','.join(extras)}]" if extras else str(wheel))
    # Keeps this folder off sys.path, in subprocesses too.
    session.env["PYTHONSAFEPATH"] = "1"
    session.run("python", "-c", "import chamelaion_async as c; assert 'site-packages' in c.__file__, c.__file__")


def install_servers(session: nox.Session) -> None:
    """Install the servers and the browser that tests run, on Debian; elsewhere, those tests say what is missing."""
    missing = [package for package, programs in SERVERS.items() if not any(map(found, programs))]
    if not missing or shutil.which("apt-get") is None:
        return
    as_root = [] if os.geteuid() == 0 else ["sudo", "--non-interactive"]
    # The packages would start their servers, which the tests do on their own.
    environment = {"DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
    for command in (["update", "--quiet"], ["install", "--quiet", "--yes", "--no-install-recommends", *missing]):
        session.run(
            *as_root, "apt-get", *command, external=True, silent=True, env=environment, success_codes=[0, 1, 100]
        )


def found(program: str) -> bool:
    """Return whether a program is installed; Debian keeps PostgreSQL's outside of the path."""
    return shutil.which(program) is not None or any(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))


@nox.session(python=PYTHONS)
def tests(session: nox.Session) -> None:
    """Run the test suite against the built wheel, with branch coverage."""
    install_servers(session)
    install_wheel(session, "cli", "redis", with_lock=locked(session, "test"))
    data = Path(session.create_tmp()) / ".coverage"
    session.env["COVERAGE_FILE"] = str(data)
    session.run("coverage", "erase")
    session.run("coverage", "run", "-m", *PYTEST, *session.posargs)
    session.run("coverage", "combine", "--quiet")
    session.run("coverage", "report", *(["--fail-under=0"] if session.posargs else []))


@nox.session(python=PYTHONS[0])
def tests_lowest(session: nox.Session) -> None:
    """Run the tests against the lowest versions that pyproject.toml allows, without the packages of other groups."""
    install_servers(session)
    install_wheel(session, "cli", "otel", "redis", "speed", "testing", with_lock=hashed(LOWEST))
    others = [f"--ignore=tests/{name}" for name in ("compatibility", "contract", "durable", "examples", "typing")]
    session.run(*PYTEST, *others, *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Check style, format, types and workflows."""
    session.install(*locked(session, "lint"))
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("mypy")
    session.run("basedpyright", "--project", "tests/typing/pyrightconfig.json")
    session.run("zizmor", "--offline", "--pedantic", "--strict-collection", ".github")


@nox.session
def docs(session: nox.Session) -> None:
    """Build the documentation; a warning is an error. Then read it in a browser; `-- -k search` for a part."""
    install_servers(session)
    install_wheel(session, "redis", with_lock=locked(session, "site"))
    site = build_docs(session, Path("docs"))
    session.run(*PYTEST, "tests/site", *session.posargs, env={"CHAMELAION_SITE": str(site)})


def build_docs(session: nox.Session, pages: Path) -> Path:
    """Build a folder of pages, and return where; a warning is an error."""
    target = Path(session.create_tmp()).resolve() / "html"
    options = ["--fail-on-warning", "--keep-going", "--fresh-env", "-b", "html"]
    session.run("sphinx-build", *options, str(pages), str(target))
    return target


@nox.session
def demo(session: nox.Session) -> None:
    """Run the demo as a new user would, with the newest versions that the ranges allow."""
    install_wheel(session, "cli")
    session.run("chamelaion-async", "demo")


@nox.session
def bench(session: nox.Session) -> None:
    """Measure this package, aiohttp by hand and the vendor's client; write tables, benchmarks.json and charts."""
    install_wheel(session, "redis", with_lock=locked(session, "bench"))
    session.env["PYTHONPATH"] = "tests/benchmarks"
    session.run("python", "tests/benchmarks/run.py", *session.posargs)


@nox.session
def soak(session: nox.Session) -> None:
    """Wait for jobs of a service that fails all the time: `nox -s soak -- --seconds 3600 --jobs 20000`."""
    install_wheel(session, with_lock=locked(session, "runtime"))
    session.run("python", "tests/soak/soak.py", *session.posargs)


@nox.session
def simulate(session: nox.Session) -> None:
    """Run random worlds of each kind: `nox -s simulate -- --seeds 0 10000`. The tests run the first few of each."""
    install_wheel(session, with_lock=locked(session, "test"))
    # Started from a folder that is on the path, so that `tests` is found and the package is the installed one.
    session.env["PYTHONPATH"] = str(Path("tests").resolve())
    session.run("python", "-m", "simulation", *session.posargs)


@nox.session
def kills(session: nox.Session) -> None:
    """Kill a batch at random moments: `nox -s kills -- --rows 300 --kills 20`. The tests run a short form."""
    install_wheel(session, "cli", with_lock=locked(session, "test"))
    session.env["PYTHONPATH"] = str(Path("tests").resolve())  # as for `simulate`
    session.run("python", "-m", "cli.batch.kills", *session.posargs)


@nox.session
def faults(session: nox.Session) -> None:
    """Run every cell of the table of faults. The tests run a third of each line."""
    install_wheel(session, "cli", "redis", with_lock=locked(session, "test"))
    session.run(*PYTEST, "tests/faults", *session.posargs, env={"CHAMELAION_ALL_FAULTS": "1"})


@nox.session(python=PYTHONS)
def cancellations(session: nox.Session) -> None:
    """Cancel every operation at each of its awaits, on every loop; from 3.12 on with eager tasks too."""
    install_wheel(session, "cli", "redis", with_lock=locked(session, "test"))
    session.run(
        *PYTEST, *WITHOUT_LIMIT, "tests/cancellation", *session.posargs, env={"CHAMELAION_ALL_CANCELLATIONS": "1"}
    )


@nox.session
def fuzz(session: nox.Session) -> None:
    """Fuzz all parsers and builders: `nox -s fuzz -- --bodies 10000000`. Failures are written to build/fuzz."""
    install_wheel(session, with_lock=locked(session, "fuzz"))
    session.run("python", "tests/fuzz/run.py", "--atheris", *session.posargs)


@nox.session
def leaks(session: nox.Session) -> None:
    """Poll 100,000 times in each way, and search every error of every call for the key; takes an hour."""
    install_wheel(session, "cli", "redis", with_lock=locked(session, "test"))
    everything = {"CHAMELAION_POLLS": "100000", "CHAMELAION_ALL_LEAKS": "1"}
    session.run(*PYTEST, *WITHOUT_LIMIT, "tests/leaks", *session.posargs, env={**everything, **session.env})


@nox.session(python=PYTHONS[0])
def mutation(session: nox.Session) -> None:
    """Change the wire, the pace, the retries and the polling in some 3,000 ways; the tests must fail. Takes hours.

    Results stay in mutants/. `nox -s mutation -- --max-children 2 "chamelaion_async._http.*"` tries a part.
    """
    session.install(*locked(session, "mutation"))
    session.run("mutmut", "run", *session.posargs)
    session.run("python", "-m", "tests.mutation.check")


def resolve(session: nox.Session, output: Path, *arguments: str) -> list[str]:
    """Choose versions for all machines, keep the pins of `output` that fit, and return the new pins."""
    command = ["uv", "pip", "compile", "--no-config", "--quiet", "--universal", f"--python-version={PYTHONS[0]}"]
    session.run(*command, "--no-build", "--no-header", "--no-annotate", *arguments, f"--output-file={output}")
    return output.read_text("utf-8").splitlines()


def with_hashes(session: nox.Session, pins: list[str], pythons: str) -> dict[str, str]:
    """Return the pins, each with its entry in a lock, by `name==version`.

    Only for a project does uv leave out the wheels for other machines and Pythons, so the pins become a project.
    """
    project = Path(session.create_tmp()).resolve() / "project"
    shutil.rmtree(project, ignore_errors=True)
    project.mkdir()
    about = {"name": "pins", "version": "0", "requires-python": pythons, "dependencies": pins}
    lines = [f"{key} = {json.dumps(value)}" for key, value in about.items()]
    lines = ["[project]", *lines, "[tool.uv]", f"environments = {json.dumps(MACHINES)}", ""]
    (project / "pyproject.toml").write_text("\n".join(lines), "utf-8")
    exported = project / "exported.txt"
    command = ["uv", "export", "--no-config", "--quiet", "--no-build", "--no-emit-project", f"--project={project}"]
    session.run(*command, "--no-header", "--no-annotate", f"--output-file={exported}", silent=True)
    hashes = dict(re.findall(r"^(\S+==\S+).*\n((?: +--hash=.*\n)+)", exported.read_text("utf-8"), re.MULTILINE))
    # The markers of the export repeat MACHINES in each line; those of the pins say the same without it.
    return {key: f"{pin} \\\n{hashes[key]}" for pin in pins for key in pin.split(" ")[:1]}


@nox.session
def lock(session: nox.Session) -> None:
    """Write both locks. Pins that still fit are kept; `nox -s lock -- --upgrade` renews them."""
    session.install(*locked(session, "lock"))
    folder = Path(session.create_tmp()).resolve()

    chosen = Path(shutil.copy(LOCK, folder / "chosen.txt"))
    groups = sorted({source for sources in SETS.values() for source in sources if source.startswith("--group=")})
    pins = resolve(session, chosen, "pyproject.toml", "--all-extras", *groups, *session.posargs)
    text = "# Written by `nox -s lock`. `python .ci/locked.py SET` prints what is for one set of packages.\n"
    # Each set is resolved once more, in these versions, to see which packages it needs.
    needed = {
        name: {pin.split(" ")[0] for pin in resolve(session, folder / name, f"--constraint={chosen}", *sources)}
        for name, sources in SETS.items()
    }
    for key, entry in with_hashes(session, pins, f">=3.{MINORS.start},<3.{MINORS.stop}").items():
        text += f"{entry}    # for {' '.join(sorted(name for name in SETS if key in needed[name]))}\n"
    LOCK.write_text(text, "utf-8")

    lowest = Path(shutil.copy(LOWEST, folder / "lowest.txt"))
    pins = resolve(session, lowest, "--resolution=lowest-direct", *LOWEST_SET, *session.posargs)
    entries = with_hashes(session, pins, f"=={PYTHONS[0]}.*")
    LOWEST.write_text("# Written by `nox -s lock`.\n" + "".join(entries.values()), "utf-8")


@nox.session
def audit(session: nox.Session) -> None:
    """Check the lock for known vulnerabilities, and the workflows for weaknesses."""
    session.install(*locked(session, "audit"))
    session.run("zizmor", "--pedantic", "--strict-collection", ".github")
    # The lowest versions are left out: they are tested, but no release is built with them.
    options = ["--strict", "--require-hashes", "--disable-pip", "--progress-spinner=off"]
    session.run("pip-audit", *options, "--requirement", str(LOCK))


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
    session.run(*pip, *locked(session, "runtime"))
    session.run(*pip, "--no-index", f"{wheel}[cli,speed]")

    session.install(*locked(session, "sbom"))
    target = Path("build/sbom.cdx.json")
    target.parent.mkdir(exist_ok=True)
    session.run(
        *("cyclonedx-py", "environment", "--pyproject", "pyproject.toml", "--mc-type", "library"),
        *("--output-reproducible", "--output-file", str(target), str(environment)),
    )
    bom = json.loads(target.read_text("utf-8"))
    # The generator reads pyproject.toml, which has the name but not the version.
    version = wheel.name.split("-")[1]
    bom["metadata"]["component"] |= {
        "version": version,
        "purl": f"pkg:pypi/chamelaion-async@{version}",
        "hashes": [{"alg": "SHA-256", "content": hashlib.sha256(wheel.read_bytes()).hexdigest()}],
    }
    target.write_text(json.dumps(bom, indent=2, sort_keys=True) + "\n", "utf-8")


def top_entry(version: str) -> str:
    """Return what the newest entry of the changelog is headed with, as a regular expression."""
    return "Unreleased" if ".dev" in version else rf"{re.escape(version)} - \d{{4}}-\d\d-\d\d"


@nox.session(requires=["build"])
def release_check(session: nox.Session) -> None:
    """Check what would be released: changelog, metadata, contents, the demo from each distribution, the docs."""
    (source,) = Path("dist").glob("*.tar.gz")
    (wheel,) = Path("dist").glob("*.whl")
    version = wheel.name.split("-")[1]
    (entry,) = re.findall(r"^## (.+)$", Path("CHANGELOG.md").read_text("utf-8"), re.MULTILINE)[:1]
    if not re.fullmatch(top_entry(version), entry):
        session.error(f"the version is {version}, and the newest entry of CHANGELOG.md is headed {entry!r}")

    session.install(*locked(session, "release"))
    session.run("twine", "check", "--strict", str(source), str(wheel))
    session.run("check-wheel-contents", str(wheel))

    folder = Path(session.create_tmp()).resolve()
    for kind, file in (("wheel", wheel), ("source", source)):
        # An environment that holds nothing else, and no index of ours: pip chooses and builds as it does for users.
        environment = folder / kind
        session.run("python", "-m", "venv", "--clear", "--without-pip", str(environment))
        session.run("python", "-m", "pip", "--python", str(environment), "install", "--quiet", f"{file}[cli]")
        command = environment / ("Scripts" if os.name == "nt" else "bin") / "chamelaion-async"
        session.run(str(command), "demo", external=True)

    unpacked = folder / "unpacked"
    shutil.rmtree(unpacked, ignore_errors=True)
    shutil.unpack_archive(source, unpacked, filter="data")
    session.install(*locked(session, "docs"))
    session.install("--no-index", f"{wheel}[redis]")
    build_docs(session, unpacked / source.name.removesuffix(".tar.gz") / "docs")
