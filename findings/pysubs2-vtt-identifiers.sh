#!/usr/bin/env bash
# pysubs2: identifiers and comments of a WebVTT file become text of the subtitle before them.
#
# Expected: a WebVTT cue may have an identifier line above its times, and NOTE blocks are
#   comments. Neither is shown to viewers. Reading such a file and saving it as SRT gives the
#   spoken lines alone.
# Seen: an identifier that is more than a number is appended to the previous cue's text, and so is
#   each comment. Only what stands above the first cue is dropped. webvtt-py reads the same file
#   right. (Seen with 1.9.0 on Python 3.12 too; 1.8.1 is the newest for Python 3.11.)
# Why it matters: transcripts of meeting and speech services name their cues with such
#   identifiers. A dubbing or translation job that is fed with them is paid for speaking
#   "8f1c/2-0" aloud, and the output file is well formed all the way.
set -euo pipefail
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check pysubs2==1.8.1 webvtt-py==0.6.0
cd "$dir"
"$dir/venv/bin/python" - <<'PY'
import io
import sys
from importlib.metadata import version

import pysubs2
import webvtt

print("Python", sys.version.split()[0], *(f"{name} {version(name)}" for name in ("pysubs2", "webvtt-py")))
FILE = """WEBVTT

8f1c/1-0
00:00:01.000 --> 00:00:02.000
Good morning.

8f1c/2-0
00:00:03.000 --> 00:00:04.000
Shall we start?

NOTE checked by the second reader

8f1c/3-0
00:00:05.000 --> 00:00:06.000
Yes.
"""
spoken = ["Good morning.", "Shall we start?", "Yes."]
subtitles = pysubs2.SSAFile.from_string(FILE)
seen = [event.plaintext for event in subtitles]
peer = [cue.text for cue in webvtt.from_buffer(io.StringIO(FILE))]
print("expected:", spoken)
print("webvtt-py:", peer)
print("pysubs2: ", seen)
print("as SRT:")
print(subtitles.to_string("srt"))
assert peer == spoken, peer
assert seen == [
    "Good morning.\n\n8f1c/2-0",
    "Shall we start?\n\nNOTE checked by the second reader\n\n8f1c/3-0",
    "Yes.",
], seen
PY
