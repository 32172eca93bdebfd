/* User and group: see identity.h. */
#include "hornbeamd/identity.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "common/str.h"

int
hb_identity_group(const char *name, const char *key, gid_t *gid, struct hb_error *err)
{
	struct group *gr;

	errno = 0;
	gr = getgrnam(name);
	if (gr == NULL && errno != 0 && errno != ENOENT)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "%s: cannot look group '%s' up", key, name);
	if (gr == NULL)
		return hb_error_set(err, HB_ERROR_CONFIG, "%s: there is no group '%s'", key, name);
	*gid = gr->gr_gid;
	return 0;
}

static int
look_user_up(struct hb_identity *id, const char *name, struct hb_error *err)
{
	struct passwd *pw;

	errno = 0;
	pw = name != NULL ? getpwnam(name) : getpwuid(geteuid());
	if (pw == NULL && name != NULL)
		return errno != 0 && errno != ENOENT
		    ? hb_error_errno(err, HB_ERROR_SYSTEM, "user: cannot look user '%s' up", name)
		    : hb_error_set(err, HB_ERROR_CONFIG, "user: there is no user '%s'", name);
	id->uid = pw != NULL ? pw->pw_uid : geteuid();
	id->gid = pw != NULL && name != NULL ? pw->pw_gid : getegid();
	id->user = pw != NULL ? hb_xstrdup(pw->pw_name) : hb_xasprintf("%u", (unsigned)id->uid);
	id->home = hb_xstrdup(pw != NULL && pw->pw_dir[0] == '/' ? pw->pw_dir : "/");
	return 0;
}

static bool
in_group(gid_t gid)
{
	gid_t groups[256];
	int n = getgroups(256, groups);

	if (gid == getegid())
		return true;
	for (int i = 0; i < n; i++)
		if (groups[i] == gid)
			return true;
	return false;
}

int
hb_identity_resolve(struct hb_identity *id, const struct hb_config *config, struct hb_error *err)
{
	memset(id, 0, sizeof *id);
	if (look_user_up(id, config->user, err) == -1)
		return -1;
	if (config->group != NULL && hb_identity_group(config->group, "group", &id->gid, err) == -1)
		goto fail;
	if (geteuid() == 0) {
		id->drop = id->uid != 0 || id->gid != getegid();
		return 0;
	}
	if (id->uid != geteuid()) {
		hb_error_set(err, HB_ERROR_PERMISSION, "user: only root can become '%s'; start as root or leave user out",
		    config->user);
		goto fail;
	}
	if (config->group != NULL && !in_group(id->gid)) {
		hb_error_set(err, HB_ERROR_PERMISSION, "group: only root can become a member of '%s'", config->group);
		goto fail;
	}
	return 0;
fail:
	hb_identity_free(id);
	return -1;
}

void
hb_identity_free(struct hb_identity *id)
{
	free(id->user);
	free(id->home);
	memset(id, 0, sizeof *id);
}

int
hb_identity_drop(const struct hb_identity *id, struct hb_error *err)
{
	if (!id->drop)
		return 0;
	if (initgroups(id->user, id->gid) == -1 || setresgid(id->gid, id->gid, id->gid) == -1 ||
	    setresuid(id->uid, id->uid, id->uid) == -1)
		return hb_error_errno(err, HB_ERROR_PERMISSION, "user: cannot become '%s'", id->user);
	if (id->uid != 0 && (setuid(0) != -1 || seteuid(0) != -1))
		return hb_error_set(err, HB_ERROR_PERMISSION, "user: root could be regained from '%s'", id->user);
	if (setenv("HOME", id->home, 1) == -1 || setenv("USER", id->user, 1) == -1 || setenv("LOGNAME", id->user, 1) == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "environment");
	/* A directory that only root can read is no place to work in. */
	if (access(".", R_OK | X_OK) == -1 && chdir("/") == -1)
		return hb_error_errno(err, HB_ERROR_SYSTEM, "chdir /");
	return 0;
}
