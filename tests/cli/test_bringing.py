"""``download`` and ``run``: outputs on disk."""

from __future__ import annotations

import json
import os
import re
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from chamelaion_async.sandbox import Fault

COMPLETED, FAILED = "dub-episode-42", "dub-episode-43"
FILES = ("video.mp4", "audio.wav")
OUTPUT = "GET /output/{name:path}"
GET = "GET /v1/lipsync/requests/{id}"

Cli = Callable[..., Any]


def test_an_output_is_named_after_its_url(cli: Cli, quick: Any) -> None:
    id = quick.add_job(output=b"the video").id
    result = cli("download", id)
    assert (result.code, result.out) == (0, f"{id}.mp4\n")
    assert result.err.startswith(f"downloaded {id}.mp4: 9 bytes in ")
    assert Path(f"{id}.mp4").read_bytes() == b"the video"


def test_an_output_goes_where_it_is_told(cli: Cli, quick: Any) -> None:
    Path("folder").mkdir()
    assert cli("download", COMPLETED, "-o", "it.mp4").out == "it.mp4\n"
    assert cli("download", COMPLETED, "--output", "folder").out == "folder/6f82a2d8.mp4\n"
    assert Path("it.mp4").read_bytes() == Path("folder/6f82a2d8.mp4").read_bytes()


def test_a_slash_at_the_end_names_a_folder(cli: Cli, quick: Any) -> None:
    assert cli("download", COMPLETED, "-o", "new/within/").out == "new/within/6f82a2d8.mp4\n"
    assert cli("download", COMPLETED, "-o", "new/within/").code == 2
    assert cli("download", COMPLETED, "-o", "new/within/", "--overwrite").code == 0
    assert [path.name for path in Path("new/within").iterdir()] == ["6f82a2d8.mp4"]


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_device_and_a_pipe_are_refused_and_stay(cli: Cli, quick: Any, options: list[str]) -> None:
    os.mkfifo("pipe")
    result = cli("download", COMPLETED, "-o", "pipe", *options)
    assert result.code == 2
    assert "it is a device, a pipe or a socket" in result.err
    assert cli("run", *FILES, "-o", "pipe", *options).code == 2
    assert cli("run", *FILES, "-o", "/dev/null", *options).code == 2
    assert quick.jobs() == []
    assert Path("pipe").is_fifo()
    assert Path("/dev/null").is_char_device()


def test_a_symlink_stays_and_what_it_leads_to_is_replaced(cli: Cli, quick: Any) -> None:
    Path("far.mp4").write_bytes(b"old")
    Path("link.mp4").symlink_to("far.mp4")
    assert cli("download", COMPLETED, "-o", "link.mp4").code == 2
    assert cli("download", COMPLETED, "-o", "link.mp4", "--overwrite").out == "link.mp4\n"
    assert Path("link.mp4").readlink() == Path("far.mp4")
    assert Path("far.mp4").read_bytes() != b"old"


def test_a_file_is_replaced_only_when_told_to(cli: Cli, quick: Any) -> None:
    Path("it.mp4").write_bytes(b"mine")
    result = cli("download", COMPLETED, "-o", "it.mp4")
    assert (result.code, result.out) == (2, "")
    assert result.err == ("chamelaion-async: it.mp4 exists; choose another name with --output, or pass --overwrite\n")
    assert Path("it.mp4").read_bytes() == b"mine"
    assert cli("download", COMPLETED, "-o", "it.mp4", "--overwrite").code == 0
    assert Path("it.mp4").read_bytes() != b"mine"


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        ([FAILED], 1, "RequestFailedError"),
        (["nobody-knows"], 1, "NotFoundError"),
        (["running"], 3, "DownloadError"),
        ([COMPLETED, "-o", "no/where.mp4"], 2, "ConfigurationError"),
        ([COMPLETED, "-o", "video.mp4"], 2, "ConfigurationError"),
        (["gone"], 3, "DownloadError"),
        (["empty"], 1, "RequestFailedError"),
    ],
)
def test_download_tells_by_its_exit_code(cli: Cli, quick: Any, arguments: list[str], code: int, error: str) -> None:
    quick.add_job(reference_id="running", job_seconds=1000)
    gone = quick.add_job(reference_id="gone")
    quick.inject(Fault.status(403), route=f"/output/{gone.id}.mp4")
    body = {"id": "x", "status": "completed", "created_at": "2026-04-07T12:00:00Z"}
    quick.inject(Fault.body(json.dumps(body).encode()), route="/v1/lipsync/requests/empty")
    result = cli("download", *arguments, "--json")
    assert result.code == code
    record = json.loads(result.out)
    assert (record["id"], record["error"]) == (arguments[0], error)
    assert result.err == f"chamelaion-async: {record['message']}\n"
    assert [path.name for path in Path().glob("*.mp4")] == ["video.mp4"]


def test_a_download_that_broke_off_is_resumed(cli: Cli, quick: Any) -> None:
    content = bytes(range(256)) * 8000
    id = quick.add_job(output=content).id
    quick.inject(Fault.truncate(1_000_000), route=OUTPUT, times=1)
    quick.inject(Fault.status(403), route=OUTPUT, times=1)
    broken = cli("download", id)
    assert (broken.code, broken.out) == (3, "")
    assert broken.err.count("\n") == 1
    assert not Path(f"{id}.mp4").exists()
    assert cli("download", id).code == 0
    assert Path(f"{id}.mp4").read_bytes() == content
    first = int(quick.received(OUTPUT)[-1].headers["Range"].removeprefix("bytes=").removesuffix("-"))
    assert 0 < first <= 1_000_000


def test_a_translation_goes_to_a_folder(cli: Cli, quick: Any) -> None:
    id = quick.add_job(family="video_translate", target_languages=["de", "fr"]).id
    result = cli("download", id, "--family", "translate", "--json")
    names = [f"{id}/{language}.{kind}" for language in ("de", "fr") for kind in ("mp4", "wav", "srt")]
    assert (result.code, json.loads(result.out)) == (0, {"id": id, "paths": names})
    assert all(Path(name).stat().st_size for name in names)


def test_a_translation_is_completed_file_by_file(cli: Cli, quick: Any) -> None:
    id = quick.add_job(family="video_translate", target_languages=["de"]).id
    quick.inject(Fault.status(404), route=f"/output/{id}/de/audio.wav", times=1)
    assert cli("download", id, "--family", "translate").code == 3
    result = cli("download", id, "--family", "translate")
    assert (result.code, result.out) == (0, f"{id}/de.mp4\n{id}/de.wav\n{id}/de.srt\n")
    assert result.err.startswith(f"kept {id}/de.mp4, which is complete\n")
    assert len(quick.received(OUTPUT)) == 4
    assert cli("download", id, "--family", "translate", "--overwrite").code == 0
    assert len(quick.received(OUTPUT)) == 7


def test_in_a_folder_of_your_own_nothing_is_taken_for_complete(cli: Cli, quick: Any) -> None:
    id = quick.add_job(family="video_translate", target_languages=["de"]).id
    Path("dubs").mkdir()
    Path("dubs/de.mp4").write_bytes(b"another one")
    result = cli("download", id, "--family", "translate", "-o", "dubs")
    assert result.code == 2
    assert "dubs/de.mp4 exists" in result.err


@pytest.mark.parametrize("id", ["../../x", "..", ".hidden", "\x1b[2J"])
def test_the_folder_of_a_translation_stays_where_it_belongs(cli: Cli, quick: Any, id: str, tmp_path: Path) -> None:
    job = quick.add_job(family="video_translate", target_languages=["de"], reference_id="t")
    answer = json.loads(cli("get", job.id, "--family", "translate", "--json").out) | {"id": id}
    route = f"/v1/video-translate/requests/{job.id}"
    quick.inject(Fault.body(json.dumps(answer).encode()), route=route)
    result = cli("download", job.id, "--family", "translate")
    assert result.code == 0
    for line in result.out.splitlines():
        assert line.isprintable()
        assert Path(line).resolve().parent.parent == tmp_path.resolve()
        assert not line.startswith(".")


def test_run_brings_the_file(cli: Cli, quick: Any) -> None:
    result = cli("run", *FILES, "-o", "out.mp4")
    assert result.code == 0
    first, change, last = result.out.splitlines()
    assert first == quick.jobs()[0].id
    assert f"  {first}  completed " in change
    assert last == "out.mp4"
    assert re.fullmatch(r"uploaded video.mp4, audio.wav: .*\ndownloaded out.mp4: .*\n", result.err)
    assert Path("out.mp4").read_bytes() == Path("video.mp4").read_bytes()


def test_run_answers_programs(cli: Cli, quick: Any) -> None:
    record = json.loads(cli("run", *FILES, "-o", "out.mp4", "--json", "--reference-id", "r").out)
    assert (record["reference_id"], record["status"], record["path"]) == ("r", "completed", "out.mp4")


def test_run_of_a_job_that_fails(cli: Cli, quick: Any) -> None:
    Path("video.mp4").rename("missing.mp4")
    plain = cli("run", "missing.mp4", "audio.wav", "-o", "out.mp4")
    assert plain.code == 1
    assert "video URL is not accessible" in plain.out
    assert "to go on" not in plain.err
    machine = cli("run", "missing.mp4", "audio.wav", "-o", "out.mp4", "--json")
    assert machine.code == 1
    assert json.loads(machine.out)["path"] is None
    assert not Path("out.mp4").exists()


@pytest.mark.parametrize("target", ["audio.wav", "no/where.mp4", ".", "new/"])
def test_run_pays_nothing_for_what_could_not_be_written(cli: Cli, quick: Any, target: str) -> None:
    result = cli("run", *FILES, "-o", target)
    assert (result.code, result.out, result.err.count("\n")) == (2, "", 1)
    assert quick.jobs() == []


def on(id: str) -> str:
    return f"to go on: chamelaion-async wait {id} && chamelaion-async download --output 'out 1.mp4' {id}\n"


def test_run_says_how_to_go_on_after_a_timeout(cli: Cli, service: Any) -> None:
    urls = ("https://x.example/v.mp4", "https://x.example/a.wav")
    for arguments in ([], ["--json"]):
        result = cli("run", *urls, "-o", "out 1.mp4", "--timeout", "0", *arguments)
        id = service.jobs()[-1].id
        assert result.code == 3
        named = f"submitted: {id}\n" if arguments else ""
        assert re.fullmatch(
            rf"{named}chamelaion-async: {id}: still queued after [^\n]*\n{re.escape(on(id))}", result.err
        )
    assert json.loads(result.out)["id"] == id


def test_run_says_how_to_go_on_after_a_broken_download(cli: Cli, quick: Any) -> None:
    quick.inject(Fault.status(404), route=OUTPUT, times=1)
    result = cli("run", *FILES, "-o", "out 1.mp4", "--json")
    id = quick.jobs()[0].id
    assert result.code == 3
    assert on(id) in result.err
    assert json.loads(result.out)["error"] == "DownloadError"
    assert cli("download", id, "-o", "out 1.mp4").code == 0
    assert Path("out 1.mp4").read_bytes() == Path("video.mp4").read_bytes()


def test_run_says_what_to_look_for_when_the_answer_got_lost(cli: Cli, quick: Any) -> None:
    quick.inject(Fault.reset(when="after"), route="POST /v1/lipsync/generate-with-media")
    result = cli("run", *FILES, "-o", "out.mp4")
    assert (result.code, result.out) == (3, "")
    assert "may or may not have been accepted" in result.err
    assert "chamelaion-async list" in result.err
    assert len(quick.jobs()) == 1


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_run_says_how_to_go_on_after_a_signal(
    terminal: Callable[..., Any], service: Any, tmp_path: Path, number: signal.Signals, code: int
) -> None:
    running = terminal(
        "run", "https://x.example/v", "https://x.example/a", "-o", "out.mp4", cwd=tmp_path, COLUMNS="200"
    )
    running.read_until("queued")
    running.send(number)
    assert running.wait() == code
    id = service.jobs()[0].id
    assert f"to go on: chamelaion-async wait {id} &&" in running.seen
    assert running.seen.rindex("\x1b[?25h") > running.seen.rindex("\x1b[?25l")
    assert "Traceback" not in running.seen


def test_run_shows_all_of_it_on_a_terminal(terminal: Callable[..., Any], quick: Any, tmp_path: Path) -> None:
    running = terminal("run", *FILES, "-o", "out.mp4", cwd=tmp_path)
    assert running.wait() == 0
    seen = running.seen
    assert seen.index("video.mp4, audio.wav") < seen.index("1 of 1 done") < seen.index("out.mp4")
    assert "1.0/1.0 MB" in seen.rpartition("1 of 1 done")[2]
    assert seen.rindex("\x1b[?25h") > seen.rindex("\x1b[?25l")
    assert (tmp_path / "out.mp4").read_bytes() == (tmp_path / "video.mp4").read_bytes()
