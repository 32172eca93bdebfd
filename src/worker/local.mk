noinst_LTLIBRARIES += %D%/libworker.la
%C%_libworker_la_SOURCES =
