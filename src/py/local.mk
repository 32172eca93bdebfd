noinst_LTLIBRARIES += %D%/libpy.la
%C%_libpy_la_SOURCES =
