/*
 * Any bytes as hornbeam.yaml, and as KEY=VALUE of --set: a configuration that
 * loads must be the same once it is written out and read again.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
round_trip(const struct hb_config *config, enum hb_config_form form)
{
	struct hb_buf first = HB_BUF_INIT, second = HB_BUF_INIT;
	struct hb_config *again;
	struct hb_error err;

	hb_config_dump(config, form, &first);
	again = hb_config_parse((const char *)first.data, first.len, "dump", &err);
	if (again == NULL)
		abort();
	hb_config_dump(again, form, &second);
	if (first.len != second.len || memcmp(first.data, second.data, first.len) != 0)
		abort();
	hb_config_free(again);
	hb_buf_free(&first);
	hb_buf_free(&second);
}

static void
check(struct hb_config *config)
{
	if (config == NULL)
		return;
	round_trip(config, HB_CONFIG_YAML);
	round_trip(config, HB_CONFIG_JSON);
	hb_config_free(config);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct hb_error err;
	char *set = hb_xstrndup((const char *)data, size);
	const char *const sets[] = { set, NULL };
	struct hb_config_source source = { .sets = sets };

	check(hb_config_parse((const char *)data, size, "input", &err));
	check(hb_config_load(&source, &err));
	free(set);
	return 0;
}
