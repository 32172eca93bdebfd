noinst_LTLIBRARIES += %D%/liblink.la
%C%_liblink_la_SOURCES = \
	%D%/client.h \
	%D%/frame.c %D%/frame.h \
	%D%/locate.c %D%/locate.h \
	%D%/proto.h
%C%_liblink_la_CPPFLAGS = $(AM_CPPFLAGS) $(DEFS_DIRS)
