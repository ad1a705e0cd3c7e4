"""``download``: outputs as files."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from chamelaion_async.sandbox import Fault

from .running import COMPLETED, FAILED, FILES, OUTPUT, Cli, LocalSandbox, OpenTerminal


def test_an_output_is_named_after_its_url(cli: Cli, quick: LocalSandbox) -> None:
    id = quick.add_job(output=b"the video").id
    result = cli("download", id)
    assert (result.code, result.out) == (0, f"{id}.mp4\n")
    assert result.err.startswith(f"downloaded {id}.mp4: 9 bytes in ")
    assert Path(f"{id}.mp4").read_bytes() == b"the video"


@pytest.mark.parametrize(
    ("output", "path"),
    [("it.mp4", "it.mp4"), ("folder", "folder/6f82a2d8.mp4"), ("new/within/", "new/within/6f82a2d8.mp4")],
    ids=["file", "folder that exists", "folder to create"],
)
def test_an_output_is_replaced_only_with_overwrite(cli: Cli, quick: LocalSandbox, output: str, path: str) -> None:
    Path("folder").mkdir()
    assert cli("download", COMPLETED, "-o", output).out == f"{path}\n"
    Path(path).write_bytes(b"mine")
    result = cli("download", COMPLETED, "--output", output)
    assert (result.code, result.out) == (2, "")
    assert result.err == f"chamelaion-async: {path} exists; choose another name with --output, or pass --overwrite\n"
    assert Path(path).read_bytes() == b"mine"
    assert cli("download", COMPLETED, "-o", output, "--overwrite").code == 0
    assert Path(path).read_bytes() != b"mine"
    assert [each.name for each in Path(path).parent.glob("*.mp4*") if each.name not in FILES] == [Path(path).name]


@pytest.mark.parametrize("options", [[], ["--overwrite"]])
def test_a_device_and_a_pipe_are_refused_and_stay(cli: Cli, quick: LocalSandbox, options: list[str]) -> None:
    os.mkfifo("pipe")
    result = cli("download", COMPLETED, "-o", "pipe", *options)
    assert result.code == 2
    assert "it is a device, a pipe or a socket" in result.err
    assert cli("run", *FILES, "-o", "pipe", *options).code == 2
    assert cli("run", *FILES, "-o", "/dev/null", *options).code == 2
    assert quick.jobs() == []
    assert Path("pipe").is_fifo()
    assert Path("/dev/null").is_char_device()


@pytest.mark.parametrize(
    ("arguments", "code", "error"),
    [
        ([FAILED], 1, "RequestFailedError"),
        (["unknown"], 1, "NotFoundError"),
        (["open"], 3, "DownloadError"),
        ([COMPLETED, "-o", "no/where.mp4"], 2, "ConfigurationError"),
        (["gone"], 3, "DownloadError"),
        (["empty"], 1, "RequestFailedError"),
    ],
)
def test_every_failure_has_its_exit_code_and_record(
    cli: Cli, quick: LocalSandbox, arguments: list[str], code: int, error: str
) -> None:
    quick.add_job(reference_id="open", job_seconds=1000)
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


def test_a_download_that_broke_off_is_resumed(cli: Cli, quick: LocalSandbox) -> None:
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


def test_a_translation_goes_to_a_folder_where_complete_files_are_kept(cli: Cli, quick: LocalSandbox) -> None:
    id = quick.add_job(family="video_translate", target_languages=["de", "fr"]).id
    names = [f"{id}/{language}.{kind}" for language in ("de", "fr") for kind in ("mp4", "wav", "srt")]
    quick.inject(Fault.status(404), route=f"/output/{id}/de/audio.wav", times=1)
    assert cli("download", id, "--family", "translate").code == 3
    result = cli("download", id, "--family", "translate")
    assert (result.code, result.out.splitlines()) == (0, names)
    assert result.err.startswith(f"kept {id}/de.mp4, which is complete\n")
    assert len(quick.received(OUTPUT)) == 7
    again = cli("download", id, "--family", "translate", "--overwrite", "--json")
    assert (again.code, json.loads(again.out)) == (0, {"id": id, "paths": names})
    assert len(quick.received(OUTPUT)) == 13
    assert all(Path(name).stat().st_size for name in names)


def test_files_in_a_given_folder_are_not_taken_for_the_translation(cli: Cli, quick: LocalSandbox) -> None:
    id = quick.add_job(family="video_translate", target_languages=["de"]).id
    Path("dubs").mkdir()
    Path("dubs/de.mp4").write_bytes(b"another one")
    result = cli("download", id, "--family", "translate", "-o", "dubs")
    assert result.code == 2
    assert "dubs/de.mp4 exists" in result.err


@pytest.mark.parametrize("id", ["../../x", "..", ".hidden", "\x1b[2J"])
def test_an_id_cannot_lead_out_of_the_working_directory(
    cli: Cli, quick: LocalSandbox, id: str, tmp_path: Path
) -> None:
    job = quick.add_job(family="video_translate", target_languages=["de"], reference_id="t")
    answer = json.loads(cli("get", job.id, "--family", "translate", "--json").out) | {"id": id}
    quick.inject(Fault.body(json.dumps(answer).encode()), route=f"/v1/video-translate/requests/{job.id}")
    result = cli("download", job.id, "--family", "translate")
    assert result.code == 0
    for line in result.out.splitlines():
        assert line.isprintable()
        assert Path(line).resolve().parent.parent == tmp_path.resolve()
        assert not line.startswith(".")


class TestMany:
    def test_each_output_is_named_after_its_id_and_printed(self, cli: Cli, quick: LocalSandbox) -> None:
        ids = [quick.add_job(output=f"video {number}".encode()).id for number in range(20)]
        quick.add_job(reference_id="../dub", output=b"by reference")
        Path("ids").write_text("\n".join([*ids, "../dub", ".hidden"]))
        quick.add_job(reference_id=".hidden", output=b"hidden")
        result = cli("download", "@ids", "-o", "new/dubs/")
        assert result.code == 0
        names = [*ids, "%2E.%2Fdub", "%2Ehidden"]
        assert sorted(result.out.splitlines()) == sorted(f"new/dubs/{name}.mp4" for name in names)
        assert Path(f"new/dubs/{ids[7]}.mp4").read_bytes() == b"video 7"
        assert Path("new/dubs/%2E.%2Fdub.mp4").read_bytes() == b"by reference"
        assert {path.name for path in Path("new/dubs").iterdir()} == {f"{name}.mp4" for name in names}

    def test_the_same_command_keeps_what_is_there(self, cli: Cli, quick: LocalSandbox) -> None:
        ids = [quick.add_job().id for _ in range(3)]
        Path(f"{ids[1]}.mp4").write_bytes(b"mine")
        result = cli("download", *ids, "--json")
        assert {tuple(json.loads(line)["paths"]) for line in result.out.splitlines()} == {
            (f"{id}.mp4",) for id in ids
        }
        assert Path(f"{ids[1]}.mp4").read_bytes() == b"mine"
        assert f"kept {ids[1]}.mp4, which exists; --overwrite replaces it\n" in result.err
        assert len(quick.received(OUTPUT)) == 2
        assert cli("download", *ids, "--overwrite").code == 0
        assert Path(f"{ids[1]}.mp4").read_bytes() != b"mine"

    def test_a_failure_ends_no_other_download(self, cli: Cli, quick: LocalSandbox) -> None:
        quick.add_job(reference_id="open", job_seconds=1000)
        long = "x" * 250
        quick.add_job(reference_id=long)
        result = cli("download", FAILED, "unknown", "open", long, COMPLETED, "-o", "dubs/", "--json")
        records = [json.loads(line) for line in result.out.splitlines()]
        assert result.code == 2
        assert {record["id"]: record["error"] for record in records if "error" in record} == {
            FAILED: "RequestFailedError",
            "unknown": "NotFoundError",
            "open": "DownloadError",
            long: "ConfigurationError",
        }
        assert [record["paths"] for record in records if "paths" in record] == [[f"dubs/{COMPLETED}.mp4"]]
        assert len(result.err.splitlines()) == 5  # four errors, and the file

    def test_translations_have_a_folder_each(self, cli: Cli, quick: LocalSandbox) -> None:
        ids = [quick.add_job(family="video_translate", target_languages=["de"]).id for _ in range(2)]
        result = cli("download", *ids, "--family", "translate", "-o", "out/")
        assert result.code == 0
        assert {*result.out.splitlines()} == {
            f"out/{id}/de{suffix}" for id in ids for suffix in (".mp4", ".wav", ".srt")
        }

    @pytest.mark.parametrize("output", ["no-folder", "video.mp4"])
    def test_they_need_a_folder(self, cli: Cli, quick: LocalSandbox, output: str) -> None:
        result = cli("download", COMPLETED, FAILED, "-o", output)
        assert (result.code, result.out) == (2, "")
        assert result.err.startswith(f"chamelaion-async: several outputs need a folder, and {output} is none")

    def test_a_terminal_shows_rows_and_then_has_the_paths(self, terminal: OpenTerminal, quick: LocalSandbox) -> None:
        ids = [quick.add_job().id for _ in range(30)]
        loading = terminal("download", *ids, FAILED, "-o", "dubs/")
        assert loading.wait() == 1
        assert "31 of 31 done" in loading.seen
        assert "\u2713 30 downloaded" in loading.seen
        assert "\u2717 1 failed" in loading.seen
        assert all(f"dubs/{id}.mp4\r\n" in loading.seen for id in ids)
        assert f"chamelaion-async: {FAILED}: request" in loading.seen
