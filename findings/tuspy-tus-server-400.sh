#!/usr/bin/env bash
# tuspy with @tus/server: the plain upload of one is refused by the other.
#
# Expected: tuspy and @tus/server are the Python client and the Node server of one project. An
#   upload without metadata, as in the client's first example, is created and sent.
# Seen: without metadata tuspy sends the header `Upload-Metadata` with an empty value. The
#   protocol wants at least one pair there, and the server answers 400 "Invalid upload-metadata".
#   tuspy reports the status alone, not that text. One metadata pair, whatever it says, makes the
#   same upload work.
# Why it matters: job APIs take large videos over tus. The client works against servers that let
#   the empty header pass, so the failure comes with the move to another server, as a 400 without
#   a reason.
set -euo pipefail
dir=$(mktemp -d)
server=
finish() {
  if [ -n "$server" ]; then kill "$server" 2>/dev/null || true; wait "$server" 2>/dev/null || true; fi
  rm -rf "$dir"
}
trap finish EXIT
python3 -m venv "$dir/venv"
"$dir/venv/bin/pip" install -qq --disable-pip-version-check tuspy==1.1.0 requests==2.34.2
cd "$dir"
echo '{"private": true, "type": "module"}' >package.json
npm install --silent --no-audit --no-fund --save-exact @tus/server@2.4.5 @tus/file-store@2.1.1
cat >server.js <<'JS'
import http from 'node:http';
import fs from 'node:fs';
import {FileStore} from '@tus/file-store';
import {Server} from '@tus/server';

const tus = new Server({path: '/files', datastore: new FileStore({directory: 'uploads'})});
const server = http.createServer((request, response) => {
  if (request.method === 'POST') {
    fs.appendFileSync('headers', JSON.stringify(request.headers['upload-metadata']) + '\n');
  }
  return tus.handle(request, response);
});
server.listen(0, '127.0.0.1', () => fs.writeFileSync('port', String(server.address().port)));
JS
mkdir uploads
node server.js &
server=$!
echo "node $(node --version), @tus/server $(node -p 'JSON.parse(fs.readFileSync("node_modules/@tus/server/package.json")).version')"
"$dir/venv/bin/python" - <<'PY'
import io
import json
import sys
import time
from importlib.metadata import version
from pathlib import Path

import requests
from tusclient.client import TusClient
from tusclient.exceptions import TusCommunicationError

print("Python", sys.version.split()[0], "tuspy", version("tuspy"))
port = Path("port")
for _ in range(200):
    if port.exists() and port.read_text():
        break
    time.sleep(0.1)
url = f"http://127.0.0.1:{port.read_text()}/files"
video = bytes(200_000)


def upload(**options):
    try:
        uploader = TusClient(url).uploader(file_stream=io.BytesIO(video), chunk_size=100_000, **options)
        uploader.upload()
    except TusCommunicationError as error:
        return f"status {error.status_code}, message {str(error)!r}"
    return f"{uploader.offset} bytes stored"


plain = upload()
named = upload(metadata={"filename": "video.mp4"})
headers = [json.loads(line) for line in Path("headers").read_text().splitlines()]
reason = requests.post(
    url, headers={"Tus-Resumable": "1.0.0", "Upload-Length": "5", "Upload-Metadata": ""}, timeout=10
).text.strip()
print("without metadata: expected 200000 bytes stored, seen", plain)
print("  Upload-Metadata sent:", repr(headers[0]), "the server's reason:", repr(reason))
print("with one pair:   ", named)
assert plain.startswith("status 400") and reason not in plain, plain
assert headers[0] == "", headers
assert reason == "Invalid upload-metadata", reason
assert named == "200000 bytes stored", named
PY
