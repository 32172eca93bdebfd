/* hornbeam config check|show [FILE] */
#include <stdio.h>
#include <unistd.h>

#include "cli/cli.h"
#include "config/config.h"

static struct hb_config *
load(const struct cli *cli, const char **file, struct hb_error *err)
{
	struct hb_config_source source = { .conf_d = true, .environ = environ };

	*file = cli->nargs > 0 ? cli->args[0] : HB_SYSCONFDIR "/hornbeam.yaml";
	source.file = *file;
	return hb_config_load(&source, err);
}

int
cmd_config_check(struct cli *cli)
{
	struct hb_error err;
	const char *file;
	struct hb_config *config = load(cli, &file, &err);

	if (config == NULL)
		return cli_fail(cli, &err);
	hb_config_free(config);
	switch (cli->form) {
	case CLI_TEXT:
	case CLI_RAW:
		printf("%s: ok\n", file);
		break;
	case CLI_JSON:
	case CLI_TERM:
		puts("true");
		break;
	}
	return CLI_DONE;
}

int
cmd_config_show(struct cli *cli)
{
	enum hb_config_form form = cli->form == CLI_JSON ? HB_CONFIG_JSON : HB_CONFIG_YAML;
	struct hb_buf out = HB_BUF_INIT;
	struct hb_error err;
	const char *file;
	struct hb_config *config;

	if (cli->form == CLI_TERM)
		return cli_usage(cli, "config show prints text or json");
	config = load(cli, &file, &err);
	if (config == NULL)
		return cli_fail(cli, &err);
	hb_config_dump(config, form, &out);
	fwrite(out.data, 1, out.len, stdout);
	hb_buf_free(&out);
	hb_config_free(config);
	return CLI_DONE;
}
