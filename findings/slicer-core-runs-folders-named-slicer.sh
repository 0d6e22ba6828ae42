#!/usr/bin/env bash
# slicer-core runs every script that lies in a folder named "slicer" on Python's path.
#
# Version: slicer-core 5.13.31053.0 (the wheel with Slicer's MRML for Python without the application).
# Seen: `import slicer` extends its own path by every folder of that name that has no __init__.py, and imports each module
# in it. A project that keeps scripts for the application in a folder "slicer" beside its tests runs them by importing
# slicer, as soon as the folder above is on sys.path (pytest puts the folder of a conftest.py there).
# Fails if the script is no longer run.
set -euo pipefail
folder=$(mktemp -d); trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet slicer-core==5.13.31053.0
mkdir -p "$folder/Testing/slicer"
echo 'print("a script of the project was run by: import slicer")' > "$folder/Testing/slicer/start_the_application.py"
cd "$folder/Testing"
"$folder/venv/bin/python" -c "import slicer" | tee "$folder/said"
grep -q "a script of the project was run" "$folder/said"
