/*
 * hornbeam run MODULE:CALLABLE: becomes a hornbeamd of the user's own, whose
 * whole configuration is on its command line.
 */
#include "cli/cli.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/str.h"
#include "config/names.h"
#include "link/locate.h"

/* Makes the directory of the sockets, or takes it if it is the user's alone. */
static int
make_run_dir(const char *dir, struct hb_error *err)
{
	struct stat st;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "cannot make %s for the sockets (see XDG_RUNTIME_DIR, or "
		    "name a socket with -s)", dir);
	if (lstat(dir, &st) == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "cannot use %s", dir);
	if (!S_ISDIR(st.st_mode) || st.st_uid != getuid() || (st.st_mode & (S_IRWXG | S_IRWXO)) != 0)
		return hb_error_set(err, HB_ERROR_PERMISSION,
		    "%s must be a directory of your own with mode 0700", dir);
	return 0;
}

/* Refuses to start beside one that listens already. */
static int
check_free(const char *path, struct hb_error *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	struct ucred peer = { .pid = 0 };
	socklen_t len = sizeof peer;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	int rc = 0;

	if (fd == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "socket");
	memcpy(un.sun_path, path, strlen(path));
	if (connect(fd, (struct sockaddr *)&un, sizeof un) == 0 || errno == EAGAIN) {
		(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &len);
		rc = hb_error_set(err, HB_ERROR_BIND,
		    "a `hornbeam run` of yours is up already, process %ld, socket %s; end it, or name another "
		    "socket with -s", (long)peer.pid, path);
	}
	close(fd);
	return rc;
}

/* The arguments that hornbeamd gets. */
struct arguments {
	char **v;
	size_t n;
};

static void
add(struct arguments *args, char *owned)
{
	args->v = hb_xrealloc(args->v, (args->n + 2) * sizeof *args->v);
	args->v[args->n++] = owned;
	args->v[args->n] = NULL;
}

static void
add_set(struct arguments *args, char *owned)
{
	add(args, hb_xstrdup("--set"));
	add(args, owned);
}

/* Appends a YAML flow scalar in double quotes to an owned string; frees the string. */
static char *
quoted(char *before, const char *text, const char *after)
{
	char *escaped = hb_xmalloc(4 * strlen(text) + 1), *out = escaped;

	for (const char *p = text; *p != '\0'; p++) {
		if ((unsigned char)*p < 0x20 || *p == 0x7f) {
			out += sprintf(out, "\\x%02x", (unsigned)(unsigned char)*p);
			continue;
		}
		if (*p == '"' || *p == '\\')
			*out++ = '\\';
		*out++ = *p;
	}
	*out = '\0';
	char *whole = hb_xasprintf("%s\"%s\"%s", before, escaped, after);
	free(escaped);
	free(before);
	return whole;
}

/* unix:PATH from the current directory is one that the server can name; owned. */
static char *
full_address(const char *text, const char *cwd)
{
	if (strncmp(text, "unix:", 5) != 0 || text[5] == '/' || text[5] == '\0')
		return hb_xstrdup(text);
	return hb_xasprintf("unix:%s/%s", cwd, text + 5);
}

static void
add_addresses(struct arguments *args, const struct cli *cli, const char *cwd)
{
	char *text = hb_xstrdup("listen=[");

	for (size_t i = 0; i < cli->ngiven; i++) {
		if (strcmp(cli->given[i].option->name, "bind") == 0) {
			char *address = full_address(cli->given[i].value, cwd);

			text = quoted(text, address, ",");
			free(address);
		}
	}
	if (!cli_flag(cli, "bind"))
		text = quoted(text, "127.0.0.1:8000", ",");
	text[strlen(text) - 1] = ']';
	add_set(args, text);
}

/* KEY=[first, every value of the option ...]; nothing where the list is empty. */
static void
add_list(struct arguments *args, const struct cli *cli, const char *key, const char *option, const char *first)
{
	char *text = hb_xasprintf("%s=[", key);
	bool any = first != NULL;

	if (first != NULL)
		text = quoted(text, first, ",");
	for (size_t i = 0; i < cli->ngiven; i++) {
		if (strcmp(cli->given[i].option->name, option) == 0) {
			text = quoted(text, cli->given[i].value, ",");
			any = true;
		}
	}
	if (!any) {
		free(text);
		return;
	}
	text[strlen(text) - 1] = ']';
	add_set(args, text);
}

/* MODULE is MODULE:application; owned, NULL where it is neither. */
static char *
application_name(const char *arg, struct hb_error *err)
{
	char *name = strchr(arg, ':') != NULL ? hb_xstrdup(arg) : hb_xasprintf("%s:application", arg);

	if (hb_config_is_app(name))
		return name;
	free(name);
	(void)hb_error_set(err, HB_ERROR_USAGE,
	    "run: expected MODULE:CALLABLE, such as shop.wsgi:application, or MODULE:FACTORY(), found '%s'", arg);
	return NULL;
}

static void
add_configuration(struct arguments *args, const struct cli *cli, const char *app, const char *cwd, const char *path)
{
	const char *venv = cli_flag(cli, "venv") ? cli_option(cli, "venv") : getenv("VIRTUAL_ENV");

	add_set(args, quoted(hb_xstrdup("apps=[{\"mount\": \"/\", \"app\": "), app, "}]"));
	add_addresses(args, cli, cwd);
	add_list(args, cli, "python.path", "python-path", cwd);
	add_list(args, cli, "erlang.code_path", "erlang-path", NULL);
	/* Who presses Ctrl-C, or saves, waits for the page that he has open himself. */
	add_set(args, hb_xstrdup("timeouts.graceful=3s"));
	add_set(args, hb_xasprintf("workers=%s", cli_flag(cli, "workers") ? cli_option(cli, "workers") : "1"));
	if (cli_flag(cli, "threads"))
		add_set(args, hb_xasprintf("threads=%s", cli_option(cli, "threads")));
	if (venv != NULL && venv[0] != '\0')
		add_set(args, quoted(hb_xstrdup("python.venv="), venv, ""));
	add_set(args, quoted(hb_xstrdup("control.socket="), path, ""));
	for (size_t i = 0; i < cli->ngiven; i++) {
		if (strcmp(cli->given[i].option->name, "set") == 0)
			add_set(args, hb_xstrdup(cli->given[i].value));
	}
}

/* hornbeamd of the same build tree, else the installed one, else that of PATH. */
static void
execute(char **argv)
{
	const char *build = getenv("HORNBEAM_BUILD");
	char *path;

	if (build != NULL && build[0] != '\0') {
		path = hb_xasprintf("%s/hornbeamd", build);
		execv(path, argv);
		free(path);
	}
	execv(HB_SBINDIR "/hornbeamd", argv);
	execvp("hornbeamd", argv);
}

/* The control socket: -s, else one in the user's own directory. */
static int
choose_socket(const struct cli *cli, char *path, size_t size, struct hb_error *err)
{
	char dir[HB_LINK_PATH];
	int n;

	if (cli->socket != NULL) {
		n = snprintf(path, size, "%s", cli->socket);
	} else {
		if (hb_link_run_dir(dir, sizeof dir, err) != 0 || make_run_dir(dir, err) != 0)
			return -1;
		n = snprintf(path, size, "%s/control.sock", dir);
	}
	if (n < 0 || (size_t)n >= size)
		return hb_error_set(err, HB_ERROR_USAGE, "the path of the socket is too long");
	return check_free(path, err);
}

int
cmd_run(struct cli *cli)
{
	struct arguments args = { NULL, 0 };
	char path[HB_LINK_PATH];
	struct hb_error err;
	char *app, *cwd = NULL;

	app = application_name(cli->args[0], &err);
	if (app == NULL)
		return cli_fail(cli, &err);
	if (choose_socket(cli, path, sizeof path, &err) != 0)
		goto out;
	cwd = getcwd(NULL, 0);
	if (cwd == NULL) {
		(void)hb_error_errno(&err, HB_ERROR_SYSTEM, "cannot find the current directory");
		goto out;
	}
	add(&args, hb_xstrdup("hornbeamd"));
	/* No file: the system's configuration is not the user's. */
	add(&args, hb_xstrdup("-c"));
	add(&args, hb_xstrdup("/dev/null"));
	if (cli_flag(cli, "reload"))
		add(&args, hb_xstrdup("--watch"));
	add_configuration(&args, cli, app, cwd, path);
	execute(args.v);
	(void)hb_error_errno(&err, HB_ERROR_SYSTEM, "cannot run hornbeamd");
	for (size_t i = 0; i < args.n; i++)
		free(args.v[i]);
	free(args.v);
out:
	free(cwd);
	free(app);
	return cli_fail(cli, &err);
}
