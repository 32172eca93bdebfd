noinst_LTLIBRARIES += %D%/libhttp.la
%C%_libhttp_la_SOURCES = \
	%D%/chunked.c \
	%D%/field.c %D%/field.h \
	%D%/head.c \
	%D%/parse.h \
	%D%/parser.c %D%/parser.h \
	%D%/request.h \
	%D%/response.c %D%/response.h \
	%D%/semantics.c \
	%D%/target.c %D%/target.h

HTTP_CASES = tests/unit/http_cases.c tests/unit/http_cases.h
EXTRA_DIST += tests/data/http/requests.txt

check_PROGRAMS += tests/unit/test_http
tests_unit_test_http_SOURCES = tests/unit/test_http.c $(HTTP_CASES)
tests_unit_test_http_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_http_LDADD = src/http/libhttp.la $(UNIT_LIBS)
