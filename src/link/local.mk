noinst_LTLIBRARIES += %D%/liblink.la
%C%_liblink_la_SOURCES =
