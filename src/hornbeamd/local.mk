sbin_PROGRAMS += hornbeamd
hornbeamd_SOURCES = %D%/main.c
hornbeamd_CPPFLAGS = $(AM_CPPFLAGS) $(EVENT_CFLAGS) $(DEFS_DIRS)
hornbeamd_LDADD = src/worker/libworker.la src/py/libpy.la src/net/libnet.la src/http/libhttp.la \
	src/link/liblink.la src/term/libterm.la src/config/libconfig.la src/common/libcommon.la \
	$(PYTHON_EMBED_LIBS) $(EVENT_LIBS) $(YAML_LIBS) $(JANSSON_LIBS) -lpthread
