#!/usr/bin/env bash
# Runs the tests of all that is compiled with AddressSanitizer and UndefinedBehaviorSanitizer compiled
# into it, in an environment of their own. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
python3 -m venv "$work/venv"
"$work/venv/bin/pip" install -q -c constraints.txt -C cmake.define.SANITIZE=ON '.[test]'
# Away from the checkout, whose sources would be imported in the place of what was built.
cp -r tests pyproject.toml "$work"
cd "$work"

compiler=${CXX:-c++}
# Python is not built with the sanitizers, so their libraries have to be there before it starts. What
# it never frees is not the kernels' leak.
export LD_PRELOAD="$("$compiler" -print-file-name=libasan.so) $("$compiler" -print-file-name=libubsan.so)"
# Pytest would swallow what they say before they end the process.
export ASAN_OPTIONS=detect_leaks=0:log_path=stderr.asan UBSAN_OPTIONS=print_stacktrace=1:log_path=stderr.asan
export OMP_NUM_THREADS=2
failed=0
"$work/venv/bin/python" -m pytest -q -p no:cacheprovider tests/sparsebrain/{kernels,error_diffusion,spiking,energy,plasticity} \
    tests/graphs/test_compiled.py tests/graphs/measures "$@" || failed=$?
cat stderr.asan.* 2>/dev/null || true
exit "$failed"
