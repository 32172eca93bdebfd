dist_man_MANS += %D%/hornbeam.yaml.5
