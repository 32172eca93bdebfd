bin_PROGRAMS += hornbeam
hornbeam_SOURCES = %D%/main.c
hornbeam_CPPFLAGS = $(AM_CPPFLAGS) $(DEFS_DIRS)
hornbeam_LDADD = src/link/liblink.la src/term/libjson.la src/term/libterm.la src/config/libconfig.la src/common/libcommon.la \
	$(YAML_LIBS) $(JANSSON_LIBS) -lpthread
