noinst_LTLIBRARIES += %D%/libhttp.la
%C%_libhttp_la_SOURCES =
