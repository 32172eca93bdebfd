noinst_LTLIBRARIES += %D%/libcommon.la
%C%_libcommon_la_SOURCES = \
	%D%/buf.c %D%/buf.h \
	%D%/clock.c %D%/clock.h \
	%D%/error.c %D%/error.h \
	%D%/fd.c %D%/fd.h \
	%D%/log.c %D%/log.h \
	%D%/str.c %D%/str.h

# Every unit test links the one main, libcheck and only the room it tests:
#   check_PROGRAMS += tests/unit/test_x
#   tests_unit_test_x_SOURCES = tests/unit/test_x.c
#   tests_unit_test_x_LDADD = src/room/libroom.la $(UNIT_LIBS)
#   tests_unit_test_x_CPPFLAGS = $(UNIT_CPPFLAGS)
UNIT_CPPFLAGS = $(AM_CPPFLAGS) $(CHECK_CFLAGS)
UNIT_LIBS = tests/unit/libmain.la src/common/libcommon.la $(CHECK_LIBS) -lpthread
check_LTLIBRARIES += tests/unit/libmain.la
tests_unit_libmain_la_SOURCES = tests/unit/main.c tests/unit/unit.h
tests_unit_libmain_la_CPPFLAGS = $(UNIT_CPPFLAGS)

check_PROGRAMS += tests/unit/test_common
tests_unit_test_common_SOURCES = tests/unit/test_common.c
tests_unit_test_common_CPPFLAGS = $(UNIT_CPPFLAGS)
tests_unit_test_common_LDADD = $(UNIT_LIBS)
