#!/bin/sh
# The stress tests of the blocking client and of the worker's threads under
# ThreadSanitizer, as TAP.  They are built here, apart from the tree's own
# objects, in a directory of their own.
: "${top_srcdir:?}" "${top_builddir:?}"
dir=$top_builddir/tests/tsan.dir
number=0
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

# build PROGRAM SOURCE...: from the whole of common and term, and what it is a test of.
build() (
	program=$1
	shift
	cd "$top_srcdir" || exit 1
	# shellcheck disable=SC2046,SC2086 # several words
	$cc -g -O1 -fsanitize=thread -fno-omit-frame-pointer -include "$top_builddir/config.h" -I src -I tests/unit \
		-DHB_RUNDIR='"/run/hornbeam"' $(pkg-config --cflags check jansson libevent_core) \
		src/common/*.c src/term/*.c tests/unit/main.c "$@" \
		-o "$dir/$program" $(pkg-config --libs check jansson) -lpthread -lm
)

# try PROGRAM WHAT SOURCE...
try() {
	program=$1
	what=$2
	log=$dir/$program.log
	shift 2
	number=$((number + 1))
	# shellcheck disable=SC2086 # several words
	if build "$program" "$@" >"$log" 2>&1 &&
		TSAN_OPTIONS="halt_on_error=0 exitcode=66" CK_FORK=no CK_DEFAULT_TIMEOUT=300 \
			timeout -k 10 600 $plain "$dir/$program" >"$log" 2>&1 &&
		! grep -q 'WARNING: ThreadSanitizer' "$log"; then
		echo "ok $number - $what no data race and no bad lock order"
	else
		echo "not ok $number - $what no data race and no bad lock order"
		sed 's/^/# /' "$log"
	fi
}

link="src/link/client.c src/link/conn.c src/link/dial.c src/link/frame.c src/link/hello.c src/link/locate.c
	src/link/opening.c src/link/sync.c"
push="src/link/push.c src/link/push_io.c src/link/push_topics.c src/link/push_watch.c"

echo "1..3"
# shellcheck disable=SC2086 # several words
try test_link_threads "the blocking client has" \
	$link tests/unit/fake_link.c tests/unit/test_link_threads.c
# shellcheck disable=SC2086 # several words
try test_link_push "the push connection has" \
	$link $push tests/unit/fake_link.c tests/unit/test_link_push.c
try test_worker_threads "the worker's threads have" \
	src/worker/jobs.c src/worker/watchdog.c tests/unit/test_worker_threads.c
