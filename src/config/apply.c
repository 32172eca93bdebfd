/* From nodes, variables and --set to fields: see apply.h. */
#include "config/apply.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"
#include "config/keys.h"
#include "config/kinds.h"
#include "config/names.h"
#include "config/whole.h"

#define VARIABLE_PREFIX "HORNBEAM_"

/* Variables that mean something to other parts. */
static const char *const reserved[] = {"HORNBEAM_SOCKET", "HORNBEAM_BUILD", NULL};

/* Whether path names a section: "limits" for "limits.header". */
static bool
is_section(const char *path)
{
	size_t n = strlen(path);

	for (const struct hb_config_key *key = hb_config_keys; key->path != NULL; key++) {
		if (strncmp(key->path, path, n) == 0 && key->path[n] == '.')
			return true;
	}
	return false;
}

/* The key in another section that has the same name, or NULL. */
static const char *
elsewhere(const char *path)
{
	const char *dot = strrchr(path, '.'), *name = dot != NULL ? dot + 1 : path;

	for (const struct hb_config_key *key = hb_config_keys; key->path != NULL; key++) {
		dot = strchr(key->path, '.');
		if (dot != NULL && strcmp(dot + 1, name) == 0)
			return key->path;
	}
	return NULL;
}

/* What other servers call a key, where that is not alike. */
static const char *
abroad(const char *name)
{
	static const char *const names[][2] = {
		{ "bind", "listen" }, { "host", "listen" }, { "port", "listen" }, { "uds", "listen" },
		{ "socket", "listen" }, { "http", "listen" }, { "http-socket", "listen" },
		{ "wsgi", "apps" }, { "asgi", "apps" }, { "wsgi_app", "apps" }, { "module", "apps" },
		{ "mounts", "apps" }, { "root_path", "apps" }, { "worker_class", "apps" },
		{ "processes", "workers" }, { "chdir", "python.path" }, { "pythonpath", "python.path" },
		{ "app_dir", "python.path" }, { "virtualenv", "python.venv" }, { "raw_env", "python.env" },
		{ "timeout", "timeouts.request" }, { "harakiri", "timeouts.request" },
		{ "graceful_timeout", "timeouts.graceful" }, { "accesslog", "log.access" },
		{ "access_log", "log.access" }, { "loglevel", "log.level" }, { "log_level", "log.level" },
		{ "forwarded_allow_ips", "forwarded.trust" }, { "proxy_headers", "forwarded.trust" },
		{ "uid", "user" }, { "gid", "group" }, { "erlang.cookie", "erlang.cookie_file" },
	};

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		if (strcmp(name, names[i][0]) == 0)
			return names[i][1];
	}
	return NULL;
}

/* The key or section that the user may have meant; returns owned, or NULL. */
static char *
suggestion(const char *path)
{
	const char **names = hb_xcalloc(2 * hb_config_key_rows() + 1, sizeof *names);
	char **sections = hb_xcalloc(hb_config_key_rows() + 1, sizeof *sections);
	const char *near;
	char *found = NULL;
	size_t n = 0, s = 0;

	for (const struct hb_config_key *key = hb_config_keys; key->path != NULL; key++) {
		const char *dot = strchr(key->path, '.');

		names[n++] = key->path;
		if (dot == NULL)
			continue;
		if (s == 0 || strncmp(sections[s - 1], key->path, (size_t)(dot - key->path)) != 0) {
			sections[s] = hb_xstrndup(key->path, (size_t)(dot - key->path));
			names[n++] = sections[s++];
		}
	}
	near = abroad(path);
	if (near == NULL)
		near = elsewhere(path);
	if (near == NULL)
		near = hb_str_nearest(path, names);
	if (near != NULL)
		found = hb_xstrdup(near);
	for (size_t i = 0; i < s; i++)
		free(sections[i]);
	free(sections);
	free(names);
	return found;
}

static int
unknown(const struct hb_config_reader *r, unsigned line)
{
	char *meant = suggestion(r->key);
	int result;

	if (meant != NULL)
		result = hb_config_fail(r, line, "unknown key; did you mean %s?", meant);
	else
		result = hb_config_fail(r, line, "unknown key");
	free(meant);
	return result;
}

/* The entries of map, whose path is r->key. */
static int
apply_map(struct hb_config_reader *r, const struct hb_yaml_node *map, struct hb_config *config)
{
	size_t keylen = strlen(r->key);

	for (size_t i = 0; i < map->count; i++) {
		const struct hb_yaml_node *name = map->items[2 * i], *value = map->items[2 * i + 1];
		const struct hb_config_key *key;
		char quoted[HB_CONFIG_QUOTED];

		/* a dot in a name of the file is no path */
		if (strchr(name->text, '.') != NULL || name->text[0] == '\0')
			return hb_config_fail(
			    r, name->line, "unknown key %s", hb_config_quote(name->text, quoted));
		snprintf(
		    r->key + keylen, sizeof r->key - keylen, "%s%.60s", keylen > 0 ? "." : "", name->text);
		key = hb_config_key_find(hb_config_keys, r->key);
		if (key != NULL) {
			if (hb_config_value_set(r, key, value, config) == -1)
				return -1;
			hb_config_place_set(config, key, r, value->line);
		} else if (!is_section(r->key)) {
			return unknown(r, name->line);
		} else if (value->kind == HB_YAML_MAP) {
			if (apply_map(r, value, config) == -1)
				return -1;
		} else if (!hb_yaml_is_null(value)) {
			/* a section whose keys are all commented out is null */
			return hb_config_expected(r, value, "a mapping");
		}
		r->key[keylen] = '\0';
	}
	return 0;
}

int
hb_config_apply(struct hb_config_reader *r, const struct hb_yaml_node *root, struct hb_config *config)
{
	r->key[0] = '\0';
	if (hb_yaml_is_null(root))
		return 0;
	if (root->kind != HB_YAML_MAP)
		return hb_config_expected(r, root, "a mapping of keys");
	return apply_map(r, root, config);
}

/*
 * The value of --set or of a variable.  A scalar's text stands for itself, so
 * that "-" and "[::]:8000" need no quotes; lists and mappings are YAML.
 */
static struct hb_yaml_node *
parse_value(struct hb_config_reader *r, const struct hb_config_key *key, bool section, const char *text)
{
	bool map = section || (key != NULL && hb_config_kind_is_map(key->kind));
	bool list = key != NULL && !hb_config_kind_is_scalar(key->kind) && !map;
	struct hb_yaml_error yaml;
	struct hb_yaml_node *node;

	if (text[0] != '"' && text[0] != '\'' && !map &&
	    (!list || hb_config_is_address(text) || strpbrk(text, "[{\n") == NULL))
		return hb_yaml_scalar(text);
	node = hb_yaml_parse(text, strlen(text), &yaml);
	if (node == NULL)
		hb_config_fail(r, 0, "%s", yaml.text);
	return node;
}

/* The mapping that path names an entry of, such as python.env for python.env.NAME; or NULL. */
static const struct hb_config_key *
map_of(const char *path)
{
	for (const struct hb_config_key *key = hb_config_keys; key->path != NULL; key++) {
		size_t n = strlen(key->path);

		if (hb_config_kind_is_map(key->kind) && strncmp(key->path, path, n) == 0 && path[n] == '.')
			return key;
	}
	return NULL;
}

/* Sets path, with dots, from text: as if path: text stood in a file. */
static int
apply_text(struct hb_config_reader *r, const char *path, const char *text, struct hb_config *config)
{
	const struct hb_config_key *key = hb_config_key_find(hb_config_keys, path), *map = map_of(path);
	struct hb_yaml_node *node;
	char *rest, *dot;
	int result;

	/* YAML's reader sees to this in a file */
	if (!hb_str_is_utf8(path, strlen(path)))
		return hb_config_fail(r, 0, "the key is not UTF-8");
	snprintf(r->key, sizeof r->key, "%s", path);
	if (!hb_str_is_utf8(text, strlen(text)))
		return hb_config_fail(r, 0, "the value is not UTF-8");
	node = parse_value(r, key, is_section(path), text);
	if (node == NULL)
		return -1;
	if (map != NULL) {
		/* the name of an entry may hold dots */
		node = hb_yaml_single(path + strlen(map->path) + 1, node);
		path = map->path;
	}
	rest = hb_xstrdup(path);
	while ((dot = strrchr(rest, '.')) != NULL) {
		node = hb_yaml_single(dot + 1, node);
		*dot = '\0';
	}
	node = hb_yaml_single(rest, node);
	free(rest);
	result = hb_config_apply(r, node, config);
	hb_yaml_free(node);
	return result;
}

static int
apply_variable(
    const char *name, const char *value, struct hb_config *config, const char *base, struct hb_error *err)
{
	struct hb_config_reader r = {.name = name, .base = base, .err = err};
	char **names = hb_xcalloc(hb_config_key_rows() + 1, sizeof *names);
	const struct hb_config_key *key = NULL;
	const char *near = NULL;
	int result;

	for (size_t i = 0; hb_config_keys[i].path != NULL; i++) {
		names[i] = hb_config_key_variable(&hb_config_keys[i]);
		if (strcmp(names[i], name) == 0)
			key = &hb_config_keys[i];
	}
	if (key != NULL) {
		result = apply_text(&r, key->path, value, config);
	} else {
		near = hb_str_nearest(name, (const char *const *)names);
		result = near != NULL ? hb_config_fail(&r, 0, "unknown variable; did you mean %s?", near)
				      : hb_config_fail(&r, 0, "unknown variable");
	}
	for (size_t i = 0; names[i] != NULL; i++)
		free(names[i]);
	free(names);
	return result;
}

static bool
is_reserved(const char *name)
{
	for (const char *const *r = reserved; *r != NULL; r++) {
		if (strcmp(*r, name) == 0)
			return true;
	}
	return false;
}

int
hb_config_apply_environ(char *const *environ, struct hb_config *config, struct hb_error *err)
{
	char *base = getcwd(NULL, 0);
	int result = 0;

	for (; *environ != NULL && result == 0; environ++) {
		const char *equals = strchr(*environ, '=');
		char *name;

		if (equals == NULL || strncmp(*environ, VARIABLE_PREFIX, strlen(VARIABLE_PREFIX)) != 0)
			continue;
		name = hb_xstrndup(*environ, (size_t)(equals - *environ));
		if (!is_reserved(name))
			result = apply_variable(name, equals + 1, config, base, err);
		free(name);
	}
	free(base);
	return result;
}

int
hb_config_apply_set(const char *set, struct hb_config *config, struct hb_error *err)
{
	const char *equals = strchr(set, '=');
	size_t n = equals != NULL ? (size_t)(equals - set) : strlen(set);
	char *key = hb_xstrndup(set, n), *name = hb_xasprintf("--set %s", key), *base = getcwd(NULL, 0);
	struct hb_config_reader r = {.name = name, .base = base, .err = err};
	int result;

	if (equals == NULL || n == 0)
		result = hb_config_fail(&r, 0, "expected KEY=VALUE");
	else
		result = apply_text(&r, key, equals + 1, config);
	free(base);
	free(name);
	free(key);
	return result;
}
