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
HTTP_RUN = tests/unit/http_run.c tests/unit/http_run.h
EXTRA_DIST += tests/data/http/requests.txt

check_PROGRAMS += tests/unit/test_http
tests_unit_test_http_SOURCES = tests/unit/test_http.c $(HTTP_CASES)
tests_unit_test_http_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_http_LDADD = src/http/libhttp.la $(UNIT_LIBS)

# llhttp's sources, where Debian's node-llhttp puts them, are the other opinion in this test.
check_PROGRAMS += tests/unit/test_http_llhttp
tests_unit_test_http_llhttp_SOURCES = tests/unit/test_http_llhttp.c tests/unit/llhttp_machine.c \
	$(HTTP_CASES) $(HTTP_RUN)
tests_unit_test_http_llhttp_CPPFLAGS = $(UNIT_CPPFLAGS) -DLLHTTP_STRICT_MODE=1 \
	-isystem /usr/share/include/llhttp -isystem /usr/share/llhttp
tests_unit_test_http_llhttp_LDADD = src/http/libhttp.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_http_parts
tests_unit_test_http_parts_SOURCES = tests/unit/test_http_parts.c
tests_unit_test_http_parts_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_http_parts_LDADD = src/http/libhttp.la $(UNIT_LIBS)
