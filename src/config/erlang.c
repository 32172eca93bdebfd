/* Erlang's names: see erlang.h. */
#include "config/erlang.h"

#include <string.h>

#include "common/str.h"
#include "config/config.h"
#include "config/names.h"

enum { NAME_MAX_BYTES = 255 }; /* of an atom, and of a name on the link */

#define LETTERS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
#define DIGITS "0123456789"
/* What modules and functions are called in the languages of the BEAM, without quotes. */
#define ATOM LETTERS DIGITS "_@.?!"

static int
too_long(const struct hb_config_reader *r, const struct hb_yaml_node *node)
{
	return hb_config_fail(r, node->line, "longer than %d bytes", NAME_MAX_BYTES);
}

int
hb_config_node(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	const char *text = node->text, *at = strchr(text, '@'), *host = at != NULL ? at + 1 : NULL;
	size_t name = strspn(text, LETTERS DIGITS "_-");

	if (name == 0 || (at == NULL ? text[name] != '\0' : text + name != at))
		return 0;
	if (at == NULL)
		return hb_config_fail(r, node->line, "the name of a node has its host behind an @, such as %.60s@db1", text);
	if (host[0] == '\0' || host[strspn(host, LETTERS DIGITS "_-.")] != '\0' || host[0] == '.' ||
	    host[strlen(host) - 1] == '.' || strstr(host, "..") != NULL)
		return 0;
	if (strlen(text) > NAME_MAX_BYTES)
		return too_long(r, node);
	*out = hb_xstrdup(text);
	return 1;
}

bool
hb_config_node_is_long(const char *node)
{
	const char *at = strchr(node, '@');

	return at != NULL && strchr(at, '.') != NULL;
}

/* 1, 0 or -1 with the cause: whether it is module:function. */
static int
check_function(const struct hb_config_reader *r, const struct hb_yaml_node *node)
{
	const char *text = node->text, *colon = strchr(text, ':');
	size_t module = strspn(text, ATOM), function;

	if (strchr(text, '\'') != NULL)
		return hb_config_fail(r, node->line, "the names of module and function stand without quotes");
	if (colon == NULL || module == 0 || text + module != colon)
		return 0;
	function = strspn(colon + 1, ATOM);
	if (function == 0)
		return 0;
	if (colon[1 + function] == '/' || colon[1 + function] == '(')
		return hb_config_fail(r, node->line, "module:function stands without a number of arguments");
	if (colon[1 + function] != '\0')
		return 0;
	if (module > NAME_MAX_BYTES || function > NAME_MAX_BYTES)
		return too_long(r, node);
	return 1;
}

int
hb_config_hook(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	int result = strcmp(node->text, HB_CONFIG_ATTACHED) == 0 ? 1 : check_function(r, node);

	if (result == 1)
		*out = hb_xstrdup(node->text);
	return result;
}

int
hb_config_check_function(
    const struct hb_config_reader *r, const struct hb_yaml_node *name, const struct hb_yaml_node *value)
{
	int result = 0;

	if (name->text[0] == '\0')
		return hb_config_fail(r, name->line, "the name of a function must not be empty");
	if (strlen(name->text) > NAME_MAX_BYTES)
		return hb_config_fail(r, name->line, "the name of a function is longer than %d bytes", NAME_MAX_BYTES);
	if (hb_config_has_control(name->text))
		return hb_config_fail(r, name->line, "control characters are not possible in the name of a function");
	if (value->kind == HB_YAML_SCALAR && !hb_yaml_is_null(value))
		result = check_function(r, value);
	if (result == 0)
		return hb_config_expected(r, value, HB_CONFIG_FUNCTION_EXPECTED);
	return result == 1 ? 0 : -1;
}

int
hb_config_otp_app(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	const char *text = node->text;

	if (text[0] < 'a' || text[0] > 'z' || text[strspn(text, LETTERS DIGITS "_@")] != '\0')
		return 0;
	if (strlen(text) > NAME_MAX_BYTES)
		return too_long(r, node);
	*out = hb_xstrdup(text);
	return 1;
}

int
hb_config_pattern(const struct hb_config_reader *r, const struct hb_yaml_node *node, char **out)
{
	const char *part = node->text;
	int parts = 1;

	if (strcmp(node->text, "*") != 0) {
		for (; parts <= 3; parts++) {
			size_t n = strspn(part, ATOM "-*");

			if (n == 0)
				return 0;
			if (n > NAME_MAX_BYTES)
				return too_long(r, node);
			part += n;
			if (*part != ':')
				break;
			part++;
		}
		if (parts != 3 || *part != '\0')
			return 0;
	}
	*out = hb_xstrdup(node->text);
	return 1;
}
