noinst_LTLIBRARIES += %D%/libworker.la
%C%_libworker_la_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(DEFS_DIRS)
%C%_libworker_la_SOURCES = \
	%D%/accept.c %D%/accept.h \
	%D%/access.c %D%/access.h \
	%D%/applications.c %D%/applications.h \
	%D%/body.c %D%/body.h \
	%D%/buffer.c \
	%D%/client.c \
	%D%/conn.c %D%/conn.h \
	%D%/drain.c %D%/drain.h \
	%D%/fork.c %D%/fork.h \
	%D%/handshake.c \
	%D%/hooks.c %D%/hooks.h %D%/hooks_state.h \
	%D%/hooks_codec.c %D%/hooks_codec.h \
	%D%/hooks_head.c %D%/hooks_head.h \
	%D%/hooks_response.c \
	%D%/input.c \
	%D%/jobs.c %D%/jobs.h \
	%D%/output.c \
	%D%/own.c %D%/own.h \
	%D%/overdue.c %D%/overdue.h \
	%D%/pass.c %D%/pass.h \
	%D%/pool.c %D%/pool.h \
	%D%/rate.c %D%/rate.h \
	%D%/respond.c %D%/respond.h \
	%D%/response.c %D%/response.h \
	%D%/retire.c %D%/retire.h \
	%D%/route.c %D%/route.h \
	%D%/state.h \
	%D%/timers.c %D%/timers.h \
	%D%/websocket.c %D%/websocket.h %D%/websocket_state.h \
	%D%/watchdog.c %D%/watchdog.h \
	%D%/worker.c %D%/worker.h

check_PROGRAMS += tests/unit/test_worker_threads
tests_unit_test_worker_threads_SOURCES = tests/unit/test_worker_threads.c
tests_unit_test_worker_threads_CPPFLAGS = $(UNIT_CPPFLAGS) $(EVENT_CFLAGS)
tests_unit_test_worker_threads_LDADD = src/worker/libworker.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_worker
tests_unit_test_worker_SOURCES = tests/unit/test_worker.c
tests_unit_test_worker_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_worker_LDADD = src/worker/libworker.la src/http/libhttp.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_worker_hooks
tests_unit_test_worker_hooks_SOURCES = tests/unit/test_worker_hooks.c
tests_unit_test_worker_hooks_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_worker_hooks_LDADD = src/worker/libworker.la src/http/libhttp.la src/term/libterm.la $(UNIT_LIBS)
