#!/bin/sh
# Compiles the companion's tests and runs them all: eunit, common_test and the
# randomised test, a TAP line each.
set -u
if [ "${HORNBEAM_ASAN:-no}" = yes ]; then
	echo '1..0 # SKIP the companion is the same without sanitizers'
	exit 0
fi
source="${top_srcdir:?}/erlang"
build="${top_builddir:?}/erlang"
beams="$build/test"
work=$(mktemp -d "${TMPDIR:-/tmp}/hornbeam-erlang.XXXXXX") || exit 99
trap 'rm -rf "$work"' EXIT INT TERM
mkdir -p "$beams"

export HORNBEAM_SOURCE="$top_srcdir" HORNBEAM_EBIN="$build/ebin"
if ! "${ERLC:-erlc}" -I "$source/include" -pa "$build/ebin" -o "$beams" -Werror +debug_info "$source"/test/*.erl; then
	echo 'Bail out! the tests do not compile'
	exit 1
fi
mkdir "$work/logs"
TMPDIR=$work "${ERL:-erl}" -noshell -noinput -boot no_dot_erlang -pa "$build/ebin" -pa "$beams" -kernel logger_level error \
	-s hb_tap main "$work/tap" "$beams" "$work/logs" >"$work/out" 2>&1 </dev/null
if [ -s "$work/tap" ]; then
	cat "$work/tap"
	grep -q '^not ok' "$work/tap" && sed 's/^/# /' "$work/out"
	exit 0
fi
sed 's/^/# /' "$work/out"
echo 'Bail out! the tests did not finish'
exit 1
