noinst_LTLIBRARIES += %D%/libconfig.la
%C%_libconfig_la_SOURCES = \
	%D%/apply.c %D%/apply.h \
	%D%/config.h \
	%D%/dump.c \
	%D%/items.c %D%/items.h \
	%D%/keys.c %D%/keys.h \
	%D%/kinds.c %D%/kinds.h \
	%D%/load.c \
	%D%/names.c %D%/names.h \
	%D%/reader.c %D%/reader.h \
	%D%/scalars.c %D%/scalars.h \
	%D%/units.c %D%/units.h \
	%D%/yaml.c %D%/yaml.h
%C%_libconfig_la_CPPFLAGS = $(AM_CPPFLAGS) $(YAML_CFLAGS) $(DEFS_DIRS)
