# The tests of the Python module, and the runner of all pytest tests:
# `$(SHELL) $(srcdir)/tests/pytest.sh DIR` prints TAP.
dist_check_SCRIPTS += %D%/run.sh
TESTS += %D%/run.sh
EXTRA_DIST += tests/pytest.sh tests/pytest_tap.py \
	%D%/companion.py %D%/conftest.py %D%/test_processes.py %D%/test_state.py

# The C side of the property tests.
EXTRA_PROGRAMS += %D%/term_tool
check_DATA += %D%/term_tool$(EXEEXT)
CLEANFILES += %D%/term_tool$(EXEEXT)
%C%_term_tool_SOURCES = %D%/term_tool.c tests/fuzz/recode.c tests/fuzz/recode.h
%C%_term_tool_LDADD = src/term/libjson.la src/term/libterm.la src/common/libcommon.la $(JANSSON_LIBS)
EXTRA_DIST += %D%/peers.py %D%/term_peer.erl %D%/test_convert.py %D%/test_convert_properties.py
