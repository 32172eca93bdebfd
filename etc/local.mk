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
	-test ! -d '$(DESTDIR)$(sysconfdir)/hornbeam/conf.d' || \
	  rmdir -p --ignore-fail-on-non-empty '$(DESTDIR)$(sysconfdir)/hornbeam/conf.d'

.PHONY: install-sample uninstall-sample
