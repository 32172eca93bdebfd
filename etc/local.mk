# The sample is installed where there is no configuration yet, and removed
# only where nobody has changed it.
EXTRA_DIST += %D%/hornbeam.yaml
INSTALL_DATA_LOCAL += install-sample
UNINSTALL_LOCAL += uninstall-sample

install-sample:
	$(MKDIR_P) '$(DESTDIR)$(sysconfdir)/hornbeam/conf.d'
	test -f '$(DESTDIR)$(sysconfdir)/hornbeam/hornbeam.yaml' || \
	  $(INSTALL_DATA) '$(top_srcdir)/etc/hornbeam.yaml' '$(DESTDIR)$(sysconfdir)/hornbeam/hornbeam.yaml'

uninstall-sample:
	if cmp -s '$(top_srcdir)/etc/hornbeam.yaml' '$(DESTDIR)$(sysconfdir)/hornbeam/hornbeam.yaml'; then \
	  rm -f '$(DESTDIR)$(sysconfdir)/hornbeam/hornbeam.yaml'; \
	fi
	-rmdir '$(DESTDIR)$(sysconfdir)/hornbeam/conf.d' '$(DESTDIR)$(sysconfdir)/hornbeam' 2>/dev/null

.PHONY: install-sample uninstall-sample
