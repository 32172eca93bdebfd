# The companion: one .beam per module, and the application's resource file.
ERL_MODULES = \
	hornbeam \
	hornbeam_app \
	hornbeam_applications \
	hornbeam_attached \
	hornbeam_attached_dir \
	hornbeam_attached_env \
	hornbeam_attached_find \
	hornbeam_attached_log \
	hornbeam_attached_options \
	hornbeam_attached_reason \
	hornbeam_calls \
	hornbeam_casts \
	hornbeam_clock \
	hornbeam_cluster \
	hornbeam_configuration \
	hornbeam_core_sup \
	hornbeam_counts \
	hornbeam_courier \
	hornbeam_distribution \
	hornbeam_embedded \
	hornbeam_epmd \
	hornbeam_error \
	hornbeam_fanout \
	hornbeam_functions \
	hornbeam_hooks \
	hornbeam_hub \
	hornbeam_json \
	hornbeam_lease \
	hornbeam_link \
	hornbeam_link_codec \
	hornbeam_link_hello \
	hornbeam_link_listener \
	hornbeam_link_ops \
	hornbeam_link_sup \
	hornbeam_link_terms \
	hornbeam_links \
	hornbeam_log \
	hornbeam_names \
	hornbeam_near \
	hornbeam_orphans \
	hornbeam_pubsub \
	hornbeam_pubsub_sup \
	hornbeam_python \
	hornbeam_push \
	hornbeam_reach \
	hornbeam_rpc \
	hornbeam_rpc_allow \
	hornbeam_state \
	hornbeam_state_sup \
	hornbeam_status \
	hornbeam_store \
	hornbeam_sup \
	hornbeam_sweeper \
	hornbeam_table \
	hornbeam_tasks \
	hornbeam_terms \
	hornbeam_topics
ERL_BEAMS = $(ERL_MODULES:%=%D%/ebin/%.beam)
ERL_APP = %D%/ebin/hornbeam.app
ERL_INCLUDES = %D%/include/hornbeam_link.hrl
ERL_FLAGS = +debug_info +deterministic +warn_missing_spec -Werror -I $(top_srcdir)/%D%/include

erl_ebindir = $(erlanglibdir)/hornbeam-$(PACKAGE_VERSION)/ebin
erl_includedir = $(erlanglibdir)/hornbeam-$(PACKAGE_VERSION)/include
nodist_erl_ebin_DATA = $(ERL_BEAMS) $(ERL_APP)
dist_erl_include_DATA = $(ERL_INCLUDES)

AM_V_ERLC = $(am__v_ERLC_@AM_V@)
am__v_ERLC_ = $(am__v_ERLC_@AM_DEFAULT_V@)
am__v_ERLC_0 = @echo "  ERLC    " $@;
am__v_ERLC_1 =

%D%/ebin/%.beam: %D%/src/%.erl $(ERL_INCLUDES)
	$(AM_V_at)$(MKDIR_P) $(@D)
	$(AM_V_ERLC)$(ERLC) $(ERL_FLAGS) -o $(@D) $<

$(ERL_APP): %D%/src/hornbeam.app.in Makefile
	$(AM_V_at)$(MKDIR_P) $(@D)
	$(AM_V_GEN)modules=`echo $(ERL_MODULES) | sed 's/ /, /g'`; \
	sed -e 's/@PACKAGE[_]VERSION@/$(PACKAGE_VERSION)/' -e "s/@MODULES@/$$modules/" \
	    $(top_srcdir)/%D%/src/hornbeam.app.in >$@.tmp && mv $@.tmp $@

UNINSTALL_HOOK += erl-rmdir
erl-rmdir:
	-rmdir "$(DESTDIR)$(erl_ebindir)" "$(DESTDIR)$(erl_includedir)" \
	  "$(DESTDIR)$(erlanglibdir)/hornbeam-$(PACKAGE_VERSION)" 2>/dev/null

EXTRA_DIST += $(ERL_MODULES:%=%D%/src/%.erl) %D%/src/hornbeam.app.in
CLEANFILES += $(ERL_BEAMS) $(ERL_APP)
CLEAN_LOCAL += clean-erlang-tests

# eunit, common_test and the randomised test.  lint.sh is for tools/check: its
# first run needs a minute for the analysis of OTP.
ERL_TESTS = \
	hb_client \
	hb_cluster \
	hb_epmd \
	hb_node \
	hb_peer \
	hb_shout \
	hb_tap \
	hornbeam_attached_tests \
	hornbeam_calls_SUITE \
	hornbeam_cluster_SUITE \
	hornbeam_crash_SUITE \
	hornbeam_embedded_SUITE \
	hornbeam_linear \
	hornbeam_hooks_tests \
	hornbeam_linear_tests \
	hornbeam_link_SUITE \
	hornbeam_link_codec_tests \
	hornbeam_link_header_tests \
	hornbeam_names_tests \
	hornbeam_pubsub_SUITE \
	hornbeam_python_SUITE \
	hornbeam_random_SUITE \
	hornbeam_rpc_SUITE \
	hornbeam_rpc_allow_tests \
	hornbeam_store_tests
TESTS += %D%/test/run.sh
dist_check_SCRIPTS += %D%/test/run.sh %D%/test/lint.sh
EXTRA_DIST += $(ERL_TESTS:%=%D%/test/%.erl)

erlang-lint: $(ERL_BEAMS) $(ERL_APP)
	@top_builddir='$(abs_top_builddir)' ERL='$(ERL)' $(SHELL) $(top_srcdir)/%D%/test/lint.sh

clean-erlang-tests:
	rm -f %D%/test/*.beam
.PHONY: erl-rmdir clean-erlang-tests erlang-lint
