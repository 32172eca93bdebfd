noinst_LTLIBRARIES += %D%/libterm.la
%C%_libterm_la_SOURCES = \
	%D%/decode.c \
	%D%/encode.c \
	%D%/tags.h \
	%D%/term.h \
	%D%/want.c

check_PROGRAMS += tests/unit/test_term
tests_unit_test_term_SOURCES = tests/unit/test_term.c tests/fuzz/recode.c tests/fuzz/recode.h
tests_unit_test_term_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_term_LDADD = src/term/libterm.la $(UNIT_LIBS)
