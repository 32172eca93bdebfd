noinst_LTLIBRARIES += %D%/libcli.la
%C%_libcli_la_SOURCES = \
	%D%/call.c %D%/call.h \
	%D%/cli.h \
	%D%/cmd_call.c \
	%D%/cmd_config.c \
	%D%/cmd_functions.c \
	%D%/cmd_help.c \
	%D%/cmd_logs.c \
	%D%/cmd_nodes.c \
	%D%/cmd_ping.c \
	%D%/cmd_publish.c \
	%D%/cmd_reload.c \
	%D%/cmd_rpc.c \
	%D%/cmd_run.c \
	%D%/cmd_state_delete.c \
	%D%/cmd_state_exists.c \
	%D%/cmd_state_get.c \
	%D%/cmd_state_incr.c \
	%D%/cmd_state_keys.c \
	%D%/cmd_state_set.c \
	%D%/cmd_state_ttl.c \
	%D%/cmd_status.c \
	%D%/cmd_stop.c \
	%D%/cmd_subscribe.c \
	%D%/cmd_topics.c \
	%D%/cmd_workers.c \
	%D%/commands.c \
	%D%/facts.c %D%/facts.h \
	%D%/help.c \
	%D%/outcome.c %D%/outcome.h \
	%D%/parse.c \
	%D%/print.c %D%/print.h \
	%D%/records.c %D%/records.h \
	%D%/report.c \
	%D%/table.c %D%/table.h \
	%D%/value.c %D%/value.h
%C%_libcli_la_CPPFLAGS = $(AM_CPPFLAGS) $(DEFS_DIRS)

bin_PROGRAMS += hornbeam
hornbeam_SOURCES = %D%/main.c
hornbeam_CPPFLAGS = $(AM_CPPFLAGS) $(DEFS_DIRS)
hornbeam_LDADD = %D%/libcli.la \
	src/link/liblink.la src/term/libjson.la src/term/libterm.la src/config/libconfig.la src/common/libcommon.la \
	$(YAML_LIBS) $(JANSSON_LIBS) -lm -lpthread

check_PROGRAMS += tests/unit/test_cli
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c
tests_unit_test_cli_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_cli_LDADD = %D%/libcli.la src/link/liblink.la src/term/libjson.la src/term/libterm.la src/config/libconfig.la \
	$(UNIT_LIBS) $(YAML_LIBS) $(JANSSON_LIBS) -lm
