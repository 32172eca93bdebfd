# The tests of the Python module against a companion of their own.
TESTS += \
	%D%/test_aio.py \
	%D%/test_asyncio_suite.py \
	%D%/test_calls.py \
	%D%/test_functions.py \
	%D%/test_convert.py \
	%D%/test_convert_properties.py \
	%D%/test_loop.py \
	%D%/test_processes.py \
	%D%/test_pubsub.py \
	%D%/test_state.py
EXTRA_DIST += %D%/asyncio_suite.py tests/data/asyncio-exceptions.txt %D%/calls_peer.erl %D%/companion.py %D%/conftest.py %D%/peers.py %D%/term_peer.erl %D%/typed_user.py

# The C side of the property tests.
EXTRA_PROGRAMS += %D%/term_tool
check_DATA += %D%/term_tool$(EXEEXT)
CLEANFILES += %D%/term_tool$(EXEEXT)
%C%_term_tool_SOURCES = %D%/term_tool.c tests/fuzz/recode.c tests/fuzz/recode.h
%C%_term_tool_LDADD = src/term/libjson.la src/term/libterm.la src/common/libcommon.la $(JANSSON_LIBS)

# The worker's asyncio loop as an extension, which CPython's own tests run on.
%C%__hornbeam_loop_la_SOURCES = %D%/loop_extension.c
%C%__hornbeam_loop_la_CPPFLAGS = $(AM_CPPFLAGS) $(PYTHON_INCLUDES) $(EVENT_CFLAGS)
%C%__hornbeam_loop_la_LDFLAGS = $(AM_LDFLAGS) -module -avoid-version -shared -rpath $(pyextdir)
%C%__hornbeam_loop_la_LIBADD = src/py/libpyloop.la $(EVENT_LIBS)
check_LTLIBRARIES += %D%/_hornbeam_loop.la
