noinst_LTLIBRARIES += %D%/libhttp.la
%C%_libhttp_la_SOURCES = \
	%D%/chunked.c \
	%D%/field.c %D%/field.h \
	%D%/forwarded.c %D%/forwarded.h \
	%D%/head.c \
	%D%/parse.h \
	%D%/parser.c %D%/parser.h \
	%D%/request.h \
	%D%/response.c %D%/response.h \
	%D%/semantics.c \
	%D%/target.c %D%/target.h \
	%D%/trust.c %D%/trust.h \
	%D%/ws.h %D%/ws_shared.h \
	%D%/ws_deflate.c \
	%D%/ws_extensions.c %D%/ws_extensions.h \
	%D%/ws_frame.c \
	%D%/ws_handshake.c %D%/ws_handshake.h \
	%D%/ws_mask.c %D%/ws_mask.h \
	%D%/ws_utf8.c %D%/ws_utf8.h \
	%D%/ws_write.c
%C%_libhttp_la_CPPFLAGS = $(AM_CPPFLAGS) $(CRYPTO_CFLAGS) $(ZLIB_CFLAGS)
%C%_libhttp_la_LIBADD = $(CRYPTO_LIBS) $(ZLIB_LIBS)

CASE_FILE = tests/unit/case_file.c tests/unit/case_file.h
HTTP_CASES = tests/unit/http_cases.c tests/unit/http_cases.h $(CASE_FILE)
HTTP_RUN = tests/unit/http_run.c tests/unit/http_run.h
HTTP_FUZZ = tests/fuzz/fuzz_http.c tests/fuzz/fuzz_http.h $(HTTP_RUN)
EXTRA_DIST += tests/data/http/musts.txt tests/data/http/requests.txt

check_PROGRAMS += tests/unit/test_http
tests_unit_test_http_SOURCES = tests/unit/test_http.c $(HTTP_CASES) $(HTTP_FUZZ)
tests_unit_test_http_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/tests/unit -I$(top_srcdir)/tests/fuzz
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

FORWARDED_FUZZ = tests/fuzz/fuzz_forwarded.c tests/fuzz/fuzz_forwarded.h
check_PROGRAMS += tests/unit/test_http_forwarded
tests_unit_test_http_forwarded_SOURCES = tests/unit/test_http_forwarded.c $(FORWARDED_FUZZ)
tests_unit_test_http_forwarded_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/tests/fuzz
tests_unit_test_http_forwarded_LDADD = src/http/libhttp.la $(UNIT_LIBS)

WS_RUN = tests/unit/ws_run.c tests/unit/ws_run.h
WS_CASES = tests/unit/ws_cases.c tests/unit/ws_cases.h $(CASE_FILE) $(WS_RUN)
WS_FUZZ = tests/fuzz/fuzz_ws.c tests/fuzz/fuzz_ws.h
EXTRA_DIST += tests/data/http/websocket.txt

check_PROGRAMS += tests/unit/test_ws
tests_unit_test_ws_SOURCES = tests/unit/test_ws.c $(WS_CASES) $(WS_FUZZ)
tests_unit_test_ws_CPPFLAGS = $(UNIT_CPPFLAGS) -I$(top_srcdir)/tests/unit -I$(top_srcdir)/tests/fuzz
tests_unit_test_ws_LDADD = src/http/libhttp.la $(UNIT_LIBS)

check_PROGRAMS += tests/unit/test_ws_parts
tests_unit_test_ws_parts_SOURCES = tests/unit/test_ws_parts.c
tests_unit_test_ws_parts_CPPFLAGS = $(UNIT_CPPFLAGS) $(ZLIB_CFLAGS)
tests_unit_test_ws_parts_LDADD = src/http/libhttp.la $(UNIT_LIBS) $(ZLIB_LIBS)

check_PROGRAMS += tests/unit/test_ws_handshake
tests_unit_test_ws_handshake_SOURCES = tests/unit/test_ws_handshake.c
tests_unit_test_ws_handshake_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_ws_handshake_LDADD = src/http/libhttp.la $(UNIT_LIBS)

# `make fuzz`, then: mkdir corpus; tests/fuzz/http_seeds corpus; tests/fuzz/fuzz_http corpus
EXTRA_PROGRAMS += tests/fuzz/http_seeds
tests_fuzz_http_seeds_SOURCES = tests/fuzz/http_seeds.c $(HTTP_CASES)
tests_fuzz_http_seeds_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit
tests_fuzz_http_seeds_LDADD = src/common/libcommon.la

EXTRA_PROGRAMS += tests/fuzz/ws_seeds
tests_fuzz_ws_seeds_SOURCES = tests/fuzz/ws_seeds.c $(WS_CASES)
tests_fuzz_ws_seeds_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit -I$(top_srcdir)/tests/fuzz
tests_fuzz_ws_seeds_LDADD = src/http/libhttp.la src/common/libcommon.la

if FUZZING
EXTRA_PROGRAMS += tests/fuzz/fuzz_http
FUZZ_TARGETS += tests/fuzz/fuzz_http tests/fuzz/http_seeds
tests_fuzz_fuzz_http_SOURCES = $(HTTP_FUZZ)
tests_fuzz_fuzz_http_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit -I$(top_srcdir)/tests/fuzz
tests_fuzz_fuzz_http_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_http_LDADD = src/http/libhttp.la src/common/libcommon.la

EXTRA_PROGRAMS += tests/fuzz/fuzz_forwarded
FUZZ_TARGETS += tests/fuzz/fuzz_forwarded
tests_fuzz_fuzz_forwarded_SOURCES = $(FORWARDED_FUZZ)
tests_fuzz_fuzz_forwarded_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_forwarded_LDADD = src/http/libhttp.la src/common/libcommon.la

EXTRA_PROGRAMS += tests/fuzz/fuzz_ws
FUZZ_TARGETS += tests/fuzz/fuzz_ws tests/fuzz/ws_seeds
tests_fuzz_fuzz_ws_SOURCES = $(WS_FUZZ) $(WS_RUN)
tests_fuzz_fuzz_ws_CPPFLAGS = $(AM_CPPFLAGS) -I$(top_srcdir)/tests/unit -I$(top_srcdir)/tests/fuzz
tests_fuzz_fuzz_ws_LDFLAGS = $(AM_LDFLAGS) -fsanitize=fuzzer
tests_fuzz_fuzz_ws_LDADD = src/http/libhttp.la src/common/libcommon.la
endif
