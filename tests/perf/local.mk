# The figures: `make bench` measures them, in no test.  ROWS names sections,
# QUICK=yes makes the rounds short.
load_tools = %D%/responder %D%/httpload %D%/wsload
EXTRA_PROGRAMS += $(load_tools)
tests_perf_responder_SOURCES = %D%/responder.c
tests_perf_responder_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
tests_perf_responder_LDADD = $(EVENT_LIBS)
tests_perf_httpload_SOURCES = %D%/httpload.c %D%/load.c %D%/load.h %D%/reply.c %D%/reply.h
tests_perf_wsload_SOURCES = %D%/wsload.c %D%/load.c %D%/load.h

bench: all $(load_tools)
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' PYTHON='$(PYTHON)' QUICK='$(QUICK)' \
		$(PYTHON) $(srcdir)/%D%/bench.py $(ROWS)

EXTRA_DIST += \
	%D%/NOTES \
	%D%/RESULTS \
	%D%/apps/backend.py \
	%D%/apps/bodies.py \
	%D%/apps/echo.py \
	%D%/apps/fastapi_hello.py \
	%D%/apps/flask_hello.py \
	%D%/apps/hello.py \
	%D%/apps/starlette_hello.py \
	%D%/bench.py \
	%D%/figures_erlang.py \
	%D%/figures_idle.py \
	%D%/figures_life.py \
	%D%/figures_process.py \
	%D%/figures_server.py \
	%D%/figures_state.py \
	%D%/load.py \
	%D%/servers.py \
	%D%/table.py
