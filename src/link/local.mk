noinst_LTLIBRARIES += %D%/liblink.la
%C%_liblink_la_SOURCES = \
	%D%/client.c %D%/client.h \
	%D%/conn.c %D%/conn.h \
	%D%/dial.c %D%/dial.h \
	%D%/frame.c %D%/frame.h \
	%D%/hello.c %D%/hello.h \
	%D%/inflight.c %D%/inflight.h \
	%D%/locate.c %D%/locate.h \
	%D%/mux.c %D%/mux.h \
	%D%/opening.c %D%/opening.h \
	%D%/proto.h \
	%D%/push.c %D%/push.h %D%/push_state.h \
	%D%/push_io.c \
	%D%/push_topics.c \
	%D%/push_watch.c \
	%D%/sync.c %D%/sync.h
%C%_liblink_la_CPPFLAGS = $(AM_CPPFLAGS) $(DEFS_DIRS)

# The clients for a libevent loop; the command line and the Python module do without.
noinst_LTLIBRARIES += %D%/liblinkev.la
%C%_liblinkev_la_SOURCES = \
	%D%/evdial.c %D%/evdial.h \
	%D%/evented.c %D%/evented.h
%C%_liblinkev_la_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)

LINK_TEST_LIBS = src/link/liblink.la src/term/libterm.la $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_link_locate
tests_unit_test_link_locate_SOURCES = tests/unit/test_link_locate.c
tests_unit_test_link_locate_CPPFLAGS = $(UNIT_CPPFLAGS) $(DEFS_DIRS)
tests_unit_test_link_locate_LDADD = $(LINK_TEST_LIBS)

check_PROGRAMS += tests/unit/test_link
tests_unit_test_link_SOURCES = tests/unit/test_link.c tests/unit/fake_link.c tests/unit/fake_link.h \
	tests/fuzz/fuzz_frame.c tests/fuzz/fuzz_frame.h
tests_unit_test_link_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/tests/fuzz
tests_unit_test_link_LDADD = $(LINK_TEST_LIBS)

check_PROGRAMS += tests/unit/test_link_evented
tests_unit_test_link_evented_SOURCES = tests/unit/test_link_evented.c tests/unit/fake_link.c tests/unit/fake_link.h
tests_unit_test_link_evented_CPPFLAGS = $(UNIT_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_test_link_evented_LDADD = src/link/liblinkev.la $(LINK_TEST_LIBS) $(EVENT_LIBS)

check_PROGRAMS += tests/unit/test_link_mux
tests_unit_test_link_mux_SOURCES = tests/unit/test_link_mux.c tests/unit/fake_link.c tests/unit/fake_link.h
tests_unit_test_link_mux_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_link_mux_LDADD = $(LINK_TEST_LIBS)

check_PROGRAMS += tests/unit/test_link_threads
tests_unit_test_link_threads_SOURCES = tests/unit/test_link_threads.c tests/unit/fake_link.c tests/unit/fake_link.h
tests_unit_test_link_threads_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_link_threads_LDADD = $(LINK_TEST_LIBS)

check_PROGRAMS += tests/unit/test_link_push
tests_unit_test_link_push_SOURCES = tests/unit/test_link_push.c tests/unit/fake_link.c tests/unit/fake_link.h
tests_unit_test_link_push_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_link_push_LDADD = $(LINK_TEST_LIBS)

# The same under ThreadSanitizer.
TESTS += tests/tsan.sh
dist_check_SCRIPTS += tests/tsan.sh
CLEAN_LOCAL += tsan-clean
tsan-clean:
	-rm -rf tests/tsan.dir
.PHONY: tsan-clean

if FUZZING
EXTRA_PROGRAMS += tests/fuzz/fuzz_frame
FUZZ_TARGETS += tests/fuzz/fuzz_frame
tests_fuzz_fuzz_frame_SOURCES = tests/fuzz/fuzz_frame.c tests/fuzz/fuzz_frame.h
tests_fuzz_fuzz_frame_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_frame_LDADD = src/link/liblink.la src/term/libterm.la src/common/libcommon.la -lpthread
endif
