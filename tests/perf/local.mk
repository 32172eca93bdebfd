# The figures: `make bench` measures them, in no test.
EXTRA_PROGRAMS += tests/perf/responder
tests_perf_responder_SOURCES = tests/perf/responder.c
tests_perf_responder_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS)
tests_perf_responder_LDADD = $(EVENT_LIBS)

bench: all tests/perf/responder
	top_srcdir='$(abs_top_srcdir)' top_builddir='$(abs_top_builddir)' PYTHON='$(PYTHON)' \
		$(PYTHON) $(srcdir)/tests/perf/bench.py $(BENCH)

EXTRA_DIST += tests/perf/bench.py tests/perf/NOTES tests/perf/RESULTS
