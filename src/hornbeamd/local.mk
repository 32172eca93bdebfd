sbin_PROGRAMS += hornbeamd
hornbeamd_SOURCES = %D%/main.c \
	%D%/backoff.h \
	%D%/checks.c %D%/checks.h \
	%D%/companion.c %D%/companion.h %D%/companion_kind.h \
	%D%/companion_attached.c \
	%D%/companion_embedded.c \
	%D%/control.c %D%/control.h \
	%D%/control_client.c %D%/control_client.h \
	%D%/cookie.c %D%/cookie.h \
	%D%/epmd.c %D%/epmd.h \
	%D%/erl.c %D%/erl.h %D%/erl_config.c \
	%D%/generation.c %D%/generation.h \
	%D%/identity.c %D%/identity.h \
	%D%/limits.c %D%/limits.h \
	%D%/master.c %D%/master.h \
	%D%/notify.c %D%/notify.h \
	%D%/options.c %D%/options.h \
	%D%/process.c %D%/process.h \
	%D%/reload.c %D%/reload.h \
	%D%/report.c %D%/report.h \
	%D%/shared.c %D%/shared.h \
	%D%/slots.c %D%/slots.h \
	%D%/spawn.c %D%/spawn.h \
	%D%/watch.c %D%/watch.h \
	%D%/worker_entry.c %D%/worker_entry.h \
	%D%/workers.c %D%/workers.h
hornbeamd_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(DEFS_DIRS)
hornbeamd_LDFLAGS = $(AM_LDFLAGS) $(PYTHON_LINK_LDFLAGS)
hornbeamd_LDADD = src/worker/libworker.la src/py/libpy.la src/net/libnet.la src/http/libhttp.la \
	src/link/liblinkev.la src/link/liblink.la src/term/libterm.la src/config/libconfig.la src/common/libcommon.la \
	$(PYTHON_LINK_LIBS) $(EVENT_LIBS) $(YAML_LIBS) $(JANSSON_LIBS) -lpthread

check_PROGRAMS += tests/unit/test_options
tests_unit_test_options_SOURCES = tests/unit/test_options.c src/hornbeamd/options.c
tests_unit_test_options_CPPFLAGS = $(UNIT_CPPFLAGS) $(DEFS_DIRS)
tests_unit_test_options_LDADD = src/config/libconfig.la $(UNIT_LIBS) $(YAML_LIBS)

check_PROGRAMS += tests/unit/test_hornbeamd
tests_unit_test_hornbeamd_SOURCES = tests/unit/test_hornbeamd.c src/hornbeamd/erl.c src/hornbeamd/erl_config.c src/hornbeamd/spawn.c
tests_unit_test_hornbeamd_CPPFLAGS = $(UNIT_CPPFLAGS) $(DEFS_DIRS)
tests_unit_test_hornbeamd_LDADD = src/term/libterm.la $(UNIT_LIBS)
