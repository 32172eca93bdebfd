noinst_LTLIBRARIES += %D%/liblink.la
%C%_liblink_la_SOURCES = \
	%D%/client.c %D%/client.h \
	%D%/conn.c %D%/conn.h \
	%D%/dial.c %D%/dial.h \
	%D%/frame.c %D%/frame.h \
	%D%/hello.c %D%/hello.h \
	%D%/locate.c %D%/locate.h \
	%D%/proto.h
%C%_liblink_la_CPPFLAGS = $(AM_CPPFLAGS) $(DEFS_DIRS)

LINK_TEST_LIBS = src/link/liblink.la src/term/libterm.la $(UNIT_LIBS)
check_PROGRAMS += tests/unit/test_link
tests_unit_test_link_SOURCES = tests/unit/test_link.c tests/unit/fake_link.c tests/unit/fake_link.h
tests_unit_test_link_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_link_LDADD = $(LINK_TEST_LIBS)
