noinst_LTLIBRARIES += %D%/libhttp.la
%C%_libhttp_la_SOURCES = \
	%D%/field.h \
	%D%/parser.h \
	%D%/request.h \
	%D%/response.h \
	%D%/target.h
