/* Files, in their order, to a checked configuration: see config.h. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/fd.h"
#include "common/str.h"
#include "config/apply.h"
#include "config/config.h"
#include "config/keys.h"
#include "config/kinds.h"
#include "config/whole.h"

enum { FILE_MAX = 1 << 20 };

static int
apply_yaml(const char *text, size_t len, const char *name, const char *base, struct hb_config *config,
    struct hb_error *err)
{
	struct hb_config_reader r = {.name = name, .lines = true, .base = base, .err = err};
	struct hb_yaml_error yaml;
	struct hb_yaml_node *root = hb_yaml_parse(text, len, &yaml);
	int result;

	if (root == NULL) {
		memcpy(r.key, yaml.key, sizeof r.key);
		return hb_config_fail(&r, yaml.line, "%s", yaml.text);
	}
	result = hb_config_apply(&r, root, config);
	hb_yaml_free(root);
	return result;
}

static int
read_file(const char *file, struct hb_buf *out, struct hb_error *err)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	if (fd == -1)
		return hb_error_errno(err, HB_ERROR_CONFIG, "%s: cannot open", file);
	do {
		unsigned char *room = hb_buf_reserve(out, 65536);

		if (room == NULL) {
			hb_error_set(err, HB_ERROR_MEMORY, "%s: out of memory", file);
			goto fail;
		}
		n = read(fd, room, 65536);
		if (n == -1 && errno != EINTR) {
			hb_error_errno(err, HB_ERROR_CONFIG, "%s: cannot read", file);
			goto fail;
		}
		out->len += n > 0 ? (size_t)n : 0;
		if (out->len > FILE_MAX) {
			hb_error_set(err, HB_ERROR_CONFIG, "%s: larger than %d bytes", file, FILE_MAX);
			goto fail;
		}
	} while (n != 0);
	hb_fd_close(&fd);
	return 0;
fail:
	hb_fd_close(&fd);
	return -1;
}

/* The absolute directory of file; returns owned. */
static char *
directory(const char *file)
{
	char *copy = hb_xstrdup(file), *dir = realpath(dirname(copy), NULL);

	if (dir == NULL)
		dir = hb_xstrdup("/");
	free(copy);
	return dir;
}

static int
apply_file(const char *file, struct hb_config *config, struct hb_error *err)
{
	struct hb_buf text = HB_BUF_INIT;
	char *base = directory(file);
	int result = read_file(file, &text, err);

	if (result == 0)
		result = apply_yaml((const char *)text.data, text.len, file, base, config, err);
	hb_buf_free(&text);
	free(base);
	return result;
}

static int
is_fragment(const struct dirent *entry)
{
	size_t n = strlen(entry->d_name);

	return entry->d_name[0] != '.' && n > 5 && strcmp(entry->d_name + n - 5, ".yaml") == 0;
}

static int
by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

/* conf.d beside file, in the order of the names, whatever the locale. */
static int
apply_fragments(const char *file, struct hb_config *config, struct hb_error *err)
{
	char *copy = hb_xstrdup(file), *dir = hb_xasprintf("%s/conf.d", dirname(copy));
	struct dirent **entries = NULL;
	int n = scandir(dir, &entries, is_fragment, by_name), result = 0;

	if (n == -1 && errno != ENOENT)
		result = hb_error_errno(err, HB_ERROR_CONFIG, "%s: cannot read", dir);
	for (int i = 0; i < n; i++) {
		if (result == 0) {
			char *path = hb_xasprintf("%s/%s", dir, entries[i]->d_name);

			result = apply_file(path, config, err);
			free(path);
		}
		free(entries[i]);
	}
	free(entries);
	free(dir);
	free(copy);
	return result;
}

static struct hb_config *
config_new(void)
{
	struct hb_config *config = hb_xcalloc(1, sizeof *config);

	hb_config_values_default(hb_config_keys, config);
	return config;
}

struct hb_config *
hb_config_load(const struct hb_config_source *source, struct hb_error *err)
{
	struct hb_config *config = config_new();

	if (source->file != NULL && apply_file(source->file, config, err) == -1)
		goto fail;
	if (source->file != NULL && source->conf_d && apply_fragments(source->file, config, err) == -1)
		goto fail;
	if (source->environ != NULL && hb_config_apply_environ(source->environ, config, err) == -1)
		goto fail;
	for (const char *const *set = source->sets; set != NULL && *set != NULL; set++) {
		if (hb_config_apply_set(*set, config, err) == -1)
			goto fail;
	}
	if (hb_config_check_whole(config, err) == -1)
		goto fail;
	return config;
fail:
	hb_config_free(config);
	return NULL;
}

struct hb_config *
hb_config_parse(const char *text, size_t len, const char *name, struct hb_error *err)
{
	struct hb_config *config = config_new();

	if (apply_yaml(text, len, name, NULL, config, err) == -1 || hb_config_check_whole(config, err) == -1) {
		hb_config_free(config);
		return NULL;
	}
	return config;
}

void
hb_config_free(struct hb_config *config)
{
	if (config == NULL)
		return;
	hb_config_values_clear(hb_config_keys, config);
	hb_config_places_free(config);
	free(config);
}
