#!/usr/bin/env bash
# A server that speaks S3 for the tests (moto), in a Python environment of this repository's own under .tools/s3.
# Nothing is installed outside the repository; a second run does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
# Pinned so that a run repeats; from 5.0.15 on it knows conditional puts.
wanted="moto[server]==${MOTO_VERSION:-5.2.5}"
home=.tools/s3

if [ -n "${TANDEM_S3_SERVER:-}" ]; then
  echo "s3 server: TANDEM_S3_SERVER names $TANDEM_S3_SERVER; nothing to install"
  exit 0
fi
if [ -x "$home/venv/bin/moto_server" ] && [ "$(cat "$home/stamp" 2>/dev/null)" = "$wanted" ]; then
  exit 0
fi
if ! command -v python3 >/dev/null 2>&1; then
  echo "tandem: python3 is missing: the S3 server of the tests is Python; install Python 3.9 or newer with venv." >&2
  exit 1
fi
echo "s3 server: setting up $home (once)"
rm -rf "$home"
mkdir -p "$home"
python3 -m venv "$home/venv" || {
  echo "tandem: python3 cannot make a virtual environment: install its venv module (Debian: python3-venv)." >&2
  exit 1
}
"$home/venv/bin/python" -m pip install --quiet --disable-pip-version-check "$wanted" || {
  echo "tandem: $wanted cannot be installed: is the package index reachable?" >&2
  exit 1
}
echo "$wanted" > "$home/stamp"
