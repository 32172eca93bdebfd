#!/bin/sh
# tests/pytest.sh PATH [OPTION ...]: the pytest tests of a file or directory with
# the freshly built module in front, as TAP.  In a build with sanitizers libasan
# has to come first, since python3 itself knows nothing of it.
: "${top_srcdir:?}" "${top_builddir:?}" "${PYTHON:?}"
path=$1
shift
module=$top_builddir/python/.libs/_hornbeam.so
asan=$(ldd "$module" | awk '$1 ~ /^libasan/ { print $3 }')
ubsan=$(ldd "$module" | awk '$1 ~ /^libubsan/ { print $3 }')
if [ -n "$asan" ]; then
	HORNBEAM_ASAN=yes
	# CPython keeps memory at its end, and its allocator would hide overruns
	ASAN_OPTIONS=detect_leaks=0:abort_on_error=1${ASAN_OPTIONS:+:$ASAN_OPTIONS}
	PYTHONMALLOC=malloc
	export HORNBEAM_ASAN ASAN_OPTIONS PYTHONMALLOC
fi
PATH=$top_builddir:$PATH
PYTHONPATH=$top_builddir/pylib:$top_srcdir/tests${PYTHONPATH:+:$PYTHONPATH}
PYTHONDONTWRITEBYTECODE=1
HORNBEAM_BUILD=$top_builddir
export PATH PYTHONPATH PYTHONDONTWRITEBYTECODE HORNBEAM_BUILD
temp=$(mktemp -d "${TMPDIR:-/tmp}/hb-t.XXXXXX") || exit 99
trap 'chmod -R u+rwX "$temp"; rm -rf "$temp"' EXIT
exec 3>&1 >/dev/null
# One that hangs must not take the others' time: where it stands is then told (faulthandler), and it is ended.
timeout --signal=ABRT --kill-after=10 1200 \
	env PYTHONFAULTHANDLER=1 ${asan:+LD_PRELOAD="$asan${ubsan:+ $ubsan}"} "$PYTHON" -m pytest -q -p pytest_tap -p no:cacheprovider \
	--basetemp="$temp/t" --rootdir="$top_srcdir/tests" "$path" "$@"
status=$?
# 1: tests failed, which their lines have told
[ "$status" -eq 1 ] && exit 0
exit "$status"
