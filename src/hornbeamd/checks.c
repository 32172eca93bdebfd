/* Checks: see checks.h. */
#include "hornbeamd/checks.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "hornbeamd/cookie.h"
#include "hornbeamd/identity.h"
#include "py/venv.h"

int
hb_check_applications(const struct hb_config *config, const char *file, struct hb_error *err)
{
	char *program;

	if (config->apps_count == 0)
		return hb_error_set(err, HB_ERROR_CONFIG,
		    "%s: apps: there is none; add `apps: [{mount: /, app: \"module:callable\"}]`",
		    file != NULL ? file : HB_SYSCONFDIR "/hornbeam.yaml");
	if (config->python.venv == NULL)
		return 0;
	program = hb_py_venv_program(config->python.venv, HB_PYTHON_VERSION, err);
	free(program);
	return program != NULL ? 0 : -1;
}

static int
refuse(struct hb_error *err, const char *file, const char *key, const char *cause)
{
	return hb_error_set(err, HB_ERROR_CONFIG, "%s%s%s: %s", file != NULL ? file : "", file != NULL ? ": " : "", key,
	    cause);
}

int
hb_check_companion(const struct hb_config *config, const char *file, bool attached, struct hb_error *err)
{
	const struct {
		const char *key, *value;
	} hooks[] = {{"hooks.on_request", config->hooks.on_request}, {"hooks.on_response", config->hooks.on_response},
	    {"hooks.on_error", config->hooks.on_error}};

	if (attached) {
		if (config->user == NULL && config->group == NULL)
			return 0;
		return refuse(err, file, config->user != NULL ? "user" : "group",
		    "with --attached it is that of the node; leave it out");
	}
	for (size_t i = 0; i < sizeof hooks / sizeof *hooks; i++)
		if (hooks[i].value != NULL && strcmp(hooks[i].value, HB_CONFIG_ATTACHED) == 0)
			return refuse(err, file, hooks[i].key,
			    "'attached' is for a hornbeamd that a node has started; name a function as module:function");
	return 0;
}

int
hb_check_host(const struct hb_config *config, const char *file, bool attached, struct hb_error *err)
{
	struct hb_identity identity;
	gid_t group;
	int result = 0;

	if (hb_check_applications(config, file, err) == -1 || hb_check_companion(config, file, attached, err) == -1)
		return -1;
	if (config->control.group != NULL && hb_identity_group(config->control.group, "control.group", &group, err) == -1)
		return -1;
	if (geteuid() != 0)
		return 0; /* who the daemon will run as is root's to say */
	if (hb_identity_resolve(&identity, config, err) == -1)
		return -1;
	/* a cookie that is not there will be made */
	if (!attached && access(config->erlang.cookie_file, F_OK) == 0)
		result = hb_cookie_check(config, &identity, err);
	hb_identity_free(&identity);
	return result;
}
