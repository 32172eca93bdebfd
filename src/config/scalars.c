/* Numbers, words and strings of the configuration: see scalars.h. */
#include "config/scalars.h"

#include <inttypes.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/str.h"
#include "config/config.h"
#include "config/erlang.h"
#include "config/names.h"
#include "config/units.h"

static void
store(const struct hb_config_key *key, void *at, uint64_t value)
{
	if (key->size == sizeof(uint64_t)) {
		memcpy(at, &value, sizeof value);
	} else if (key->size == sizeof(uint32_t)) {
		uint32_t v = (uint32_t)value;

		memcpy(at, &v, sizeof v);
	} else {
		*(bool *)at = value != 0;
	}
}

static uint64_t
fetch(const struct hb_config_key *key, const void *at)
{
	uint64_t value;
	uint32_t v;

	if (key->size == sizeof value) {
		memcpy(&value, at, sizeof value);
		return value;
	}
	if (key->size == sizeof v) {
		memcpy(&v, at, sizeof v);
		return v;
	}
	return *(const bool *)at;
}

static void
store_string(void *at, char *value)
{
	free(*(char **)at);
	*(char **)at = value;
}

/* show writes a limit as the user would. */
static int
store_in_range(const struct hb_config_reader *r, const struct hb_config_key *key,
    const struct hb_yaml_node *node, void *at, uint64_t value,
    void (*show)(uint64_t value, char out[HB_UNITS_TEXT]))
{
	char low[HB_UNITS_TEXT], high[HB_UNITS_TEXT];

	if (value >= (uint64_t)key->min && value <= (uint64_t)key->max) {
		store(key, at, value);
		return 1;
	}
	show((uint64_t)key->min, low);
	show((uint64_t)key->max, high);
	return hb_config_fail(r, node->line, "%s is not in the range %s to %s", node->text, low, high);
}

static void
show_number(uint64_t value, char out[HB_UNITS_TEXT])
{
	snprintf(out, HB_UNITS_TEXT, "%" PRIu64, value);
}

static void
show_duration(uint64_t value, char out[HB_UNITS_TEXT])
{
	hb_units_show_duration((int64_t)value, out);
}

static const char *const booleans[] = {"false", "true", NULL};

static int
set_bool(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	for (uint64_t i = 0; booleans[i] != NULL; i++) {
		if (strcmp(node->text, booleans[i]) == 0) {
			store(key, at, i);
			return 1;
		}
	}
	return 0;
}

static enum hb_config_shown
put_bool(const struct hb_config_key *key, const void *at, struct hb_buf *out)
{
	hb_buf_add_str(out, booleans[fetch(key, at)]);
	return HB_SHOWN_NUMBER;
}

static int
set_int(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	uint64_t value;

	if (!hb_units_number(node->text, &value))
		return 0;
	return store_in_range(r, key, node, at, value, show_number);
}

static enum hb_config_shown
put_int(const struct hb_config_key *key, const void *at, struct hb_buf *out)
{
	hb_buf_printf(out, "%" PRIu64, fetch(key, at));
	return HB_SHOWN_NUMBER;
}

/* The processors that this process may run on. */
static uint64_t
processors(void)
{
	int count = 0;

	/* a set of one size may be too small for the machine: EINVAL */
	for (int cpus = CPU_SETSIZE; count == 0 && cpus <= 64 * CPU_SETSIZE; cpus *= 2) {
		cpu_set_t *set = CPU_ALLOC(cpus);

		if (set != NULL && sched_getaffinity(0, CPU_ALLOC_SIZE(cpus), set) == 0)
			count = CPU_COUNT_S(CPU_ALLOC_SIZE(cpus), set);
		CPU_FREE(set);
	}
	return count > 0 ? (uint64_t)count : 1;
}

static int
set_workers(const struct hb_config_reader *r, const struct hb_config_key *key,
    const struct hb_yaml_node *node, void *at)
{
	uint64_t n;

	if (strcmp(node->text, "auto") != 0)
		return set_int(r, key, node, at);
	n = processors();
	store(key, at, n > (uint64_t)key->max ? (uint64_t)key->max : n);
	return 1;
}

static int
set_duration(const struct hb_config_reader *r, const struct hb_config_key *key,
    const struct hb_yaml_node *node, void *at)
{
	uint64_t plain;
	int64_t ms;

	if (hb_units_duration(node->text, &ms))
		return store_in_range(r, key, node, at, (uint64_t)ms, show_duration);
	if (hb_units_number(node->text, &plain))
		return hb_config_fail(
		    r, node->line, "the duration %s has no unit; did you mean %ss?", node->text, node->text);
	return 0;
}

static enum hb_config_shown
put_duration(const struct hb_config_key *key, const void *at, struct hb_buf *out)
{
	char text[HB_UNITS_TEXT];

	if (key->fallback == NULL && fetch(key, at) == 0)
		return HB_SHOWN_NULL;
	show_duration(fetch(key, at), text);
	hb_buf_add_str(out, text);
	return HB_SHOWN_WORD;
}

static int
set_size(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	uint64_t value;

	if (!hb_units_size(node->text, &value))
		return 0;
	return store_in_range(r, key, node, at, value, hb_units_show_size);
}

static enum hb_config_shown
put_size(const struct hb_config_key *key, const void *at, struct hb_buf *out)
{
	char text[HB_UNITS_TEXT];

	hb_units_show_size(fetch(key, at), text);
	hb_buf_add_str(out, text);
	return HB_SHOWN_WORD;
}

static int
set_enum(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	struct hb_buf words = HB_BUF_INIT;
	const char *separator = "";
	int result;

	for (unsigned i = 0; key->names[i] != NULL; i++) {
		if (strcmp(node->text, key->names[i]) != 0)
			continue;
		store(key, at, i);
		return 1;
	}
	for (unsigned i = 0; key->names[i] != NULL; i++) {
		hb_buf_printf(&words, "%s%s", separator, key->names[i]);
		separator = key->names[i + 1] != NULL && key->names[i + 2] == NULL ? " or " : ", ";
	}
	hb_buf_add_u8(&words, '\0');
	result = hb_config_expected(r, node, words.failed ? "another word" : (const char *)words.data);
	hb_buf_free(&words);
	return result;
}

static enum hb_config_shown
put_enum(const struct hb_config_key *key, const void *at, struct hb_buf *out)
{
	hb_buf_add_str(out, key->names[fetch(key, at)]);
	return HB_SHOWN_STRING;
}

static int
set_mode(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	size_t n = strlen(node->text);
	uint64_t mode;

	if (n < 3 || n > 4 || strspn(node->text, "01234567") != n)
		return 0;
	mode = strtoul(node->text, NULL, 8);
	if (mode < (uint64_t)key->min || mode > (uint64_t)key->max)
		return 0;
	store(key, at, mode);
	return 1;
}

static enum hb_config_shown
put_mode(const struct hb_config_key *key, const void *at, struct hb_buf *out)
{
	unsigned mode = (unsigned)fetch(key, at);

	if (mode == 0)
		return HB_SHOWN_NULL;
	hb_buf_printf(out, "%04o", mode);
	return HB_SHOWN_STRING;
}

static int
check_length(
    const struct hb_config_reader *r, const struct hb_config_key *key, unsigned line, const char *text)
{
	if (strlen(text) > (size_t)key->max)
		return hb_config_fail(r, line, "longer than %" PRId64 " bytes", key->max);
	return 0;
}

static int
set_string(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	if (node->text[0] == '\0')
		return 0;
	if (hb_config_has_control(node->text))
		return hb_config_fail(r, node->line, "control characters are not possible here");
	if (check_length(r, key, node->line, node->text) == -1)
		return -1;
	store_string(at, hb_xstrdup(node->text));
	return 1;
}

static enum hb_config_shown
put_string(const struct hb_config_key *key, const void *at, struct hb_buf *out)
{
	const char *text = *(char *const *)at;

	if (text == NULL)
		return HB_SHOWN_NULL;
	hb_buf_add_str(out, text);
	return HB_SHOWN_STRING;
}

char *
hb_config_path(
    const struct hb_config_reader *r, const struct hb_config_key *key, unsigned line, const char *text)
{
	char *path;

	if (text[0] == '/' || r->base == NULL) {
		path = hb_xstrdup(text);
	} else {
		while (strncmp(text, "./", 2) == 0)
			text += 2;
		if (text[0] == '\0' || strcmp(text, ".") == 0)
			path = hb_xstrdup(r->base);
		else
			path = hb_xasprintf("%s/%s", strcmp(r->base, "/") == 0 ? "" : r->base, text);
	}
	if (check_length(r, key, line, path) == -1) {
		free(path);
		return NULL;
	}
	return path;
}

static int
set_path(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	char *path;

	if (node->text[0] == '\0')
		return 0;
	path = hb_config_path(r, key, node->line, node->text);
	if (path == NULL)
		return -1;
	store_string(at, path);
	return 1;
}

/* Only absolute, so that a misspelt word is no file. */
static int
set_access(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	struct hb_config_reader as_it_stands = *r;

	if (node->text[0] != '/' && strcmp(node->text, "off") != 0 && strcmp(node->text, "-") != 0)
		return 0;
	as_it_stands.base = NULL;
	return set_path(&as_it_stands, key, node, at);
}

typedef int hb_config_syntax(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out);

static int
set_checked(const struct hb_config_reader *r, const struct hb_yaml_node *node, void *at, hb_config_syntax *syntax)
{
	char *value = NULL;
	int result = syntax(r, node, &value);

	if (result == 1)
		store_string(at, value);
	return result;
}

static int
set_address(const struct hb_config_reader *r, const struct hb_config_key *key,
    const struct hb_yaml_node *node, void *at)
{
	return set_checked(r, node, at, hb_config_address);
}

static int
set_mount(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	return set_checked(r, node, at, hb_config_mount);
}

static int
set_ip(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	return set_checked(r, node, at, hb_config_ip);
}

static int
set_node(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	return set_checked(r, node, at, hb_config_node);
}

static int
set_hook(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	return set_checked(r, node, at, hb_config_hook);
}

/* The field holds "" for "/". */
static enum hb_config_shown
put_mount(const struct hb_config_key *key, const void *at, struct hb_buf *out)
{
	const char *mount = *(char *const *)at;

	hb_buf_add_str(out, mount[0] == '\0' ? "/" : mount);
	return HB_SHOWN_STRING;
}

static int
set_app(const struct hb_config_reader *r, const struct hb_config_key *key, const struct hb_yaml_node *node,
    void *at)
{
	if (!hb_config_is_app(node->text))
		return 0;
	store_string(at, hb_xstrdup(node->text));
	return 1;
}

static const struct hb_config_scalar scalars[] = {
    [HB_KIND_BOOL] = {"true or false", false, set_bool, put_bool},
    [HB_KIND_INT] = {"a number", false, set_int, put_int},
    [HB_KIND_WORKERS] = {"auto or a number", false, set_workers, put_int},
    [HB_KIND_DURATION] = {"a duration such as 500ms, 30s, 5m or 1h", false, set_duration, put_duration},
    [HB_KIND_SIZE] = {"a size such as 512, 8K, 64M or 1G", false, set_size, put_size},
    [HB_KIND_ENUM] = {"a word", false, set_enum, put_enum},
    [HB_KIND_MODE] = {"permissions such as \"0660\"", false, set_mode, put_mode},
    [HB_KIND_STRING] = {"a name", true, set_string, put_string},
    [HB_KIND_PATH] = {"a path", true, set_path, put_string},
    [HB_KIND_ADDRESS] = {"an address such as 127.0.0.1:8000, \"[::]:8000\" or unix:/path", true, set_address,
	put_string},
    [HB_KIND_MOUNT] = {"a path such as / or /shop", true, set_mount, put_mount},
    [HB_KIND_APP] = {"module:callable or module:factory()", true, set_app, put_string},
    [HB_KIND_IP] = {"an IP address such as 127.0.0.1", true, set_ip, put_string},
    [HB_KIND_NODE] = {HB_CONFIG_NODE_EXPECTED, true, set_node, put_string},
    [HB_KIND_HOOK] = {HB_CONFIG_FUNCTION_EXPECTED, true, set_hook, put_string},
    [HB_KIND_ACCESS] = {"off, \"-\" or the absolute path of a file", true, set_access, put_string},
};

const struct hb_config_scalar *
hb_config_scalar(enum hb_config_kind kind)
{
	return kind < sizeof scalars / sizeof scalars[0] && scalars[kind].set != NULL ? &scalars[kind] : NULL;
}
