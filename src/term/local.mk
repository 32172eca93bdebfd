noinst_LTLIBRARIES += %D%/libterm.la
%C%_libterm_la_SOURCES = \
	%D%/decode.c \
	%D%/encode.c \
	%D%/erl.h \
	%D%/erl_read.c \
	%D%/erl_scan.c %D%/erl_scan.h \
	%D%/erl_write.c \
	%D%/number.c %D%/number.h \
	%D%/keys.c %D%/keys.h \
	%D%/leaf.c \
	%D%/reader.h \
	%D%/tags.h \
	%D%/term.h \
	%D%/want.c

# Apart, because it needs jansson, which a Python process has no use for.
noinst_LTLIBRARIES += %D%/libjson.la
%C%_libjson_la_SOURCES = \
	%D%/base64.c %D%/base64.h \
	%D%/json.h \
	%D%/json_read.c \
	%D%/json_write.c
%C%_libjson_la_CPPFLAGS = $(AM_CPPFLAGS) $(JANSSON_CFLAGS)

check_PROGRAMS += tests/unit/test_term
tests_unit_test_term_SOURCES = tests/unit/test_term.c tests/unit/term_sample.h tests/fuzz/recode.c tests/fuzz/recode.h
tests_unit_test_term_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_term_LDADD = src/term/libterm.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_term_json
tests_unit_test_term_json_SOURCES = tests/unit/test_term_json.c tests/unit/term_sample.h
tests_unit_test_term_json_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_term_json_LDADD = src/term/libjson.la src/term/libterm.la $(UNIT_LIBS) $(JANSSON_LIBS)

check_PROGRAMS += tests/unit/test_term_erl
tests_unit_test_term_erl_SOURCES = tests/unit/test_term_erl.c tests/unit/term_sample.h
tests_unit_test_term_erl_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_term_erl_LDADD = src/term/libterm.la $(UNIT_LIBS)

TERM_FUZZ = tests/fuzz/fuzz_term.c tests/fuzz/fuzz_term.h tests/fuzz/recode.c tests/fuzz/recode.h
EXTRA_DIST += tests/fuzz/corpus/term
check_PROGRAMS += tests/unit/test_term_fuzz
tests_unit_test_term_fuzz_SOURCES = tests/unit/test_term_fuzz.c $(TERM_FUZZ)
tests_unit_test_term_fuzz_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_term_fuzz_LDADD = src/term/libjson.la src/term/libterm.la $(UNIT_LIBS) $(JANSSON_LIBS)

if FUZZING
EXTRA_PROGRAMS += tests/fuzz/fuzz_term
FUZZ_TARGETS += tests/fuzz/fuzz_term
tests_fuzz_fuzz_term_SOURCES = $(TERM_FUZZ)
tests_fuzz_fuzz_term_CPPFLAGS = $(AM_CPPFLAGS)
tests_fuzz_fuzz_term_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_term_LDADD = src/term/libjson.la src/term/libterm.la src/common/libcommon.la $(JANSSON_LIBS)
endif
