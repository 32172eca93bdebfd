# The tests of the Python module against a companion of their own.
TESTS += \
	%D%/test_convert.py \
	%D%/test_convert_properties.py \
	%D%/test_processes.py \
	%D%/test_state.py
EXTRA_DIST += %D%/companion.py %D%/conftest.py %D%/peers.py %D%/term_peer.erl %D%/typed_user.py

# The C side of the property tests.
EXTRA_PROGRAMS += %D%/term_tool
check_DATA += %D%/term_tool$(EXEEXT)
CLEANFILES += %D%/term_tool$(EXEEXT)
%C%_term_tool_SOURCES = %D%/term_tool.c tests/fuzz/recode.c tests/fuzz/recode.h
%C%_term_tool_LDADD = src/term/libjson.la src/term/libterm.la src/common/libcommon.la $(JANSSON_LIBS)
