noinst_LTLIBRARIES += %D%/libnet.la
%C%_libnet_la_SOURCES =
