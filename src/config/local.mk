noinst_LTLIBRARIES += %D%/libconfig.la
%C%_libconfig_la_SOURCES =
