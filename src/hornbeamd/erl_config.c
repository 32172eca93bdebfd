/* The configuration as the companion's terms: see erl.h. */
#include <string.h>

#include "hornbeamd/erl.h"
#include "term/term.h"

static void
put_number(struct hb_buf *out, const char *name, uint64_t number)
{
	hb_term_put_atom(out, name);
	hb_term_put_uint(out, number);
}

static void
put_text(struct hb_buf *out, const char *name, const char *text)
{
	hb_term_put_atom(out, name);
	hb_term_put_str(out, text);
}

static void
put_bool(struct hb_buf *out, const char *name, bool value)
{
	hb_term_put_atom(out, name);
	hb_term_put_bool(out, value);
}

typedef void put_string(struct hb_buf *out, const char *text);

static void
put_list(struct hb_buf *out, const char *name, char *const *list, size_t count, put_string *put)
{
	hb_term_put_atom(out, name);
	if (count > 0)
		hb_term_put_list(out, (uint32_t)count);
	for (size_t i = 0; i < count; i++)
		put(out, list[i]);
	hb_term_put_nil(out);
}

static void
put_state(struct hb_buf *out, const struct hb_config *config)
{
	hb_term_put_atom(out, "state");
	hb_term_put_map(out, 3);
	put_number(out, "max_keys", config->state.max_keys);
	put_number(out, "max_bytes", config->state.max_bytes);
	put_number(out, "max_value", config->state.max_value);
}

/* module and function of "module:function", as two atoms. */
static void
put_function(struct hb_buf *out, const char *text)
{
	const char *colon = strchr(text, ':');

	hb_term_put_atom_n(out, text, (size_t)(colon - text));
	hb_term_put_atom(out, colon + 1);
}

static void
put_functions(struct hb_buf *out, const struct hb_config *config)
{
	hb_term_put_atom(out, "functions");
	if (config->functions_count > 0)
		hb_term_put_list(out, (uint32_t)config->functions_count);
	for (size_t i = 0; i < config->functions_count; i++) {
		hb_term_put_tuple(out, 3);
		hb_term_put_str(out, config->functions[i].name);
		put_function(out, config->functions[i].value);
	}
	hb_term_put_nil(out);
}

static void
put_hooks(struct hb_buf *out, const struct hb_config *config)
{
	const struct {
		const char *name, *function;
	} hooks[] = {{"on_request", config->hooks.on_request}, {"on_response", config->hooks.on_response},
	    {"on_error", config->hooks.on_error}};
	uint32_t present = 0;

	for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
		present += hooks[i].function != NULL;
	hb_term_put_atom(out, "hooks");
	hb_term_put_map(out, present + 1);
	for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++) {
		if (hooks[i].function == NULL)
			continue;
		hb_term_put_atom(out, hooks[i].name);
		hb_term_put_tuple(out, 2);
		put_function(out, hooks[i].function);
	}
	put_number(out, "timeout", (uint64_t)config->hooks.timeout);
}

enum { LIVE = 6 }; /* what put_live puts */

/* What may change while the companion runs. */
static void
put_live(struct hb_buf *out, const struct hb_config *config)
{
	static const char *const levels[] = {"debug", "info", "warning", "error"};

	hb_term_put_atom(out, "log_level");
	hb_term_put_atom(out, levels[config->log.level]);
	put_functions(out, config);
	put_hooks(out, config);
	hb_term_put_atom(out, "pubsub");
	hb_term_put_map(out, 1);
	put_number(out, "queue", config->pubsub.queue);
	hb_term_put_atom(out, "rpc");
	hb_term_put_map(out, 1);
	put_list(out, "allow", config->rpc.allow, config->rpc.allow_count, hb_term_put_str);
	put_list(out, "connect", config->erlang.connect, config->erlang.connect_count, hb_term_put_atom);
}

static void
put_distribution(struct hb_buf *out, const struct hb_config *config)
{
	hb_term_put_atom(out, "distribution");
	if (config->erlang.node == NULL) {
		hb_term_put_atom(out, "none");
		return;
	}
	hb_term_put_map(out, 6);
	hb_term_put_atom(out, "node");
	hb_term_put_atom(out, config->erlang.node);
	put_text(out, "listen", config->erlang.listen);
	put_number(out, "port", config->erlang.port);
	put_bool(out, "epmd", config->erlang.epmd);
	hb_term_put_atom(out, "tls");
	if (config->erlang.tls != NULL)
		hb_term_put_str(out, config->erlang.tls);
	else
		hb_term_put_atom(out, "none");
	put_text(out, "cookie_file", config->erlang.cookie_file);
}

static size_t
begin(struct hb_buf *out)
{
	size_t start = out->len;

	hb_buf_add_u32(out, 0);
	hb_term_put_version(out);
	return start;
}

static void
finish(struct hb_buf *out, size_t start)
{
	if (!out->failed)
		hb_put_u32(out->data + start, (uint32_t)(out->len - start - 4));
}

void
hb_erl_put_config(struct hb_buf *out, const struct hb_config *config, const char *link_path)
{
	size_t start = begin(out);

	hb_term_put_map(out, LIVE + 6);
	put_text(out, "link", link_path);
	put_text(out, "vsn", PACKAGE_VERSION);
	put_state(out, config);
	put_distribution(out, config);
	put_list(out, "code_path", config->erlang.code_path, config->erlang.code_path_count, hb_term_put_str);
	put_list(out, "applications", config->erlang.applications, config->erlang.applications_count, hb_term_put_atom);
	put_live(out, config);
	finish(out, start);
}

void
hb_erl_put_reload(struct hb_buf *out, const struct hb_config *config, uint64_t number)
{
	size_t start = begin(out);

	hb_term_put_tuple(out, 3);
	hb_term_put_atom(out, "reload");
	hb_term_put_uint(out, number);
	hb_term_put_map(out, LIVE);
	put_live(out, config);
	finish(out, start);
}
