noinst_LTLIBRARIES += %D%/libterm.la
%C%_libterm_la_SOURCES =
