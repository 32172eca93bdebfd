dist_man_MANS += %D%/hornbeam.yaml.5
dist_man_MANS += %D%/hornbeam.1
dist_man_MANS += %D%/hornbeam-json.7
dist_man_MANS += %D%/hornbeam-hooks.7
dist_man_MANS += %D%/hornbeam-deploy.7
dist_man_MANS += %D%/hornbeamd.8
dist_man_MANS += %D%/hornbeam.3
dist_man_MANS += %D%/hornbeam_state.3
