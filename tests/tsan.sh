#!/bin/sh
# The blocking client's stress test under ThreadSanitizer, as TAP.  It is
# built here, apart from the tree's own objects, in a directory of its own.
: "${top_srcdir:?}" "${top_builddir:?}"
dir=$top_builddir/tests/tsan.dir
program=$dir/test_link_threads
cc=$(sed -n 's/^CC = //p' "$top_builddir/Makefile")

skip() {
	echo "1..0 # SKIP $*"
	exit 0
}

[ "${HORNBEAM_ASAN:-no}" = no ] || skip "the same program is built by a build without other sanitizers"
mkdir -p "$dir" || exit 1
echo 'int main(void) { return 0; }' >"$dir/try.c"
$cc -fsanitize=thread "$dir/try.c" -o "$dir/try" 2>/dev/null || skip "$cc has no ThreadSanitizer"
# Its shadow memory does not fit beside every randomised layout.
plain=$(command -v setarch) && plain="$plain $(uname -m) -R"
$plain true 2>/dev/null || plain=
$plain "$dir/try" || skip "ThreadSanitizer does not run here"

build() (
	cd "$top_srcdir" || exit 1
	# shellcheck disable=SC2046,SC2086 # several words
	$cc -g -O1 -fsanitize=thread -fno-omit-frame-pointer -include "$top_builddir/config.h" -I src -I tests/unit \
		-DHB_RUNDIR='"/run/hornbeam"' $(pkg-config --cflags check jansson) \
		src/common/*.c src/term/*.c \
		src/link/client.c src/link/conn.c src/link/dial.c src/link/frame.c src/link/hello.c src/link/locate.c \
		tests/unit/main.c tests/unit/fake_link.c tests/unit/test_link_threads.c \
		-o "$program" $(pkg-config --libs check jansson) -lpthread -lm
)

if ! build >"$dir/build.log" 2>&1; then
	echo "1..1"
	echo "not ok 1 - the build for ThreadSanitizer"
	sed 's/^/# /' "$dir/build.log"
	exit 1
fi
echo "1..1"
if TSAN_OPTIONS="halt_on_error=0 exitcode=66" CK_FORK=no CK_DEFAULT_TIMEOUT=300 $plain "$program" >"$dir/run.log" 2>&1 &&
	! grep -q 'WARNING: ThreadSanitizer' "$dir/run.log"; then
	echo "ok 1 - the blocking client has no data race and no bad lock order"
else
	echo "not ok 1 - the blocking client has no data race and no bad lock order"
	sed 's/^/# /' "$dir/run.log"
fi
