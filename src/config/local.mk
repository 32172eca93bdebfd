noinst_LTLIBRARIES += %D%/libconfig.la
%C%_libconfig_la_SOURCES = \
	%D%/apply.c %D%/apply.h \
	%D%/config.h \
	%D%/dump.c \
	%D%/erlang.c %D%/erlang.h \
	%D%/items.c %D%/items.h \
	%D%/keys.c %D%/keys.h \
	%D%/kinds.c %D%/kinds.h \
	%D%/lists.c %D%/lists.h \
	%D%/load.c \
	%D%/names.c %D%/names.h \
	%D%/reader.c %D%/reader.h \
	%D%/scalars.c %D%/scalars.h \
	%D%/units.c %D%/units.h \
	%D%/whole.c %D%/whole.h \
	%D%/yaml.c %D%/yaml.h
%C%_libconfig_la_CPPFLAGS = $(AM_CPPFLAGS) $(YAML_CFLAGS) $(DEFS_DIRS)

CONFIG_TEST_LIBS = src/config/libconfig.la $(UNIT_LIBS) $(YAML_LIBS)
check_PROGRAMS += tests/unit/test_config_errors tests/unit/test_config_load tests/unit/test_config_dump \
	tests/unit/test_config_units tests/unit/test_config_docs
tests_unit_test_config_errors_SOURCES = tests/unit/test_config_errors.c
tests_unit_test_config_errors_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_config_errors_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_test_config_load_SOURCES = tests/unit/test_config_load.c
tests_unit_test_config_load_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_config_load_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_test_config_dump_SOURCES = tests/unit/test_config_dump.c
tests_unit_test_config_dump_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_config_dump_LDADD = $(CONFIG_TEST_LIBS) $(JANSSON_LIBS)
tests_unit_test_config_units_SOURCES = tests/unit/test_config_units.c
tests_unit_test_config_units_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_config_units_LDADD = $(CONFIG_TEST_LIBS)
tests_unit_test_config_docs_SOURCES = tests/unit/test_config_docs.c
tests_unit_test_config_docs_CPPFLAGS = $(UNIT_CPPFLAGS) $(DEFS_DIRS)
tests_unit_test_config_docs_LDADD = $(CONFIG_TEST_LIBS)

if FUZZING
EXTRA_PROGRAMS += tests/fuzz/fuzz_config
FUZZ_TARGETS += tests/fuzz/fuzz_config
tests_fuzz_fuzz_config_SOURCES = tests/fuzz/fuzz_config.c
tests_fuzz_fuzz_config_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_config_LDADD = src/config/libconfig.la src/common/libcommon.la $(YAML_LIBS)
endif
