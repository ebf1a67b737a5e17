#!/usr/bin/env bash
# A Python of this repository's own with gRPC, and the client code generated from proto/, both under .tools/python.
# Nothing is installed outside the repository; a second run does nothing while proto/ and requirements.txt are unchanged.
set -euo pipefail
cd "$(dirname "$0")/.."
home=.tools/python
generated=$home/generated
python=$home/venv/bin/python

if ! command -v python3 >/dev/null 2>&1; then
  echo "tandem: python3 is missing: the client of another language in the tests is Python; install Python 3.9 or newer with venv." >&2
  exit 1
fi

stamp_of() { cat "$@" | cksum | cut -d' ' -f1; }
wanted=$(stamp_of clients/python/requirements.txt)
if [ ! -x "$python" ] || [ "$(cat "$home/requirements.stamp" 2>/dev/null)" != "$wanted" ]; then
  echo "python client: setting up $home (once)"
  rm -rf "$home"
  mkdir -p "$home"
  python3 -m venv "$home/venv" || {
    echo "tandem: python3 cannot make a virtual environment: install its venv module (Debian: python3-venv)." >&2
    exit 1
  }
  "$python" -m pip install --quiet --disable-pip-version-check -r clients/python/requirements.txt || {
    echo "tandem: the Python packages of clients/python/requirements.txt cannot be installed: is the package index reachable?" >&2
    exit 1
  }
  echo "$wanted" > "$home/requirements.stamp"
fi

wanted=$(stamp_of proto/tandem/v1/*.proto)
if [ "$(cat "$home/proto.stamp" 2>/dev/null)" != "$wanted" ]; then
  echo "python client: generating from proto/"
  rm -rf "$generated"
  mkdir -p "$generated"
  "$python" -m grpc_tools.protoc -I proto --python_out="$generated" --grpc_python_out="$generated" proto/tandem/v1/*.proto
  echo "$wanted" > "$home/proto.stamp"
fi
