/*
 * The one table of configuration keys.  The loader, --set, the HORNBEAM_
 * variables, --print-config and the checks of the man page and the sample all
 * walk it; a new key is a field in struct hb_config and a row in keys.c.
 */
#ifndef HB_CONFIG_KEYS_H
#define HB_CONFIG_KEYS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "common/error.h"

enum hb_config_kind {
	HB_KIND_BOOL,
	HB_KIND_INT,      /* unsigned or uint64_t */
	HB_KIND_WORKERS,  /* the same, or auto: the processors that this process may use */
	HB_KIND_DURATION, /* int64_t, milliseconds */
	HB_KIND_SIZE,     /* uint64_t, bytes */
	HB_KIND_ENUM,     /* an enum, by names */
	HB_KIND_MODE,     /* unsigned, octal; 0: none */
	HB_KIND_STRING,   /* char *, and so the next eight; max is the length */
	HB_KIND_PATH,
	HB_KIND_ADDRESS,
	HB_KIND_MOUNT,
	HB_KIND_APP,
	HB_KIND_ACCESS,   /* off, - or a file */
	HB_KIND_IP,       /* an address without a port */
	HB_KIND_NODE,     /* name@host */
	HB_KIND_HOOK,     /* an Erlang function as module:function, or attached */
	HB_KIND_PATHS,    /* char **, and a count */
	HB_KIND_PEERS,    /* the same: addresses, networks and "unix:" */
	HB_KIND_NODES,    /* the same */
	HB_KIND_OTP_APPS, /* the same: names of Erlang applications */
	HB_KIND_PATTERNS, /* the same: node:module:function, with * */
	HB_KIND_MAP,      /* struct hb_config_pair *, and a count: variables */
	HB_KIND_FUNCTIONS, /* the same: names and module:function */
	HB_KIND_ITEMS   /* structs with keys of their own, and a count */
};

struct hb_config_items;

struct hb_config_key {
	const char *path;           /* "limits.header"; of an item's key its name */
	const char *fallback;       /* the default as YAML; NULL: none, the key may be absent or null */
	const char *about;          /* one line */
	const char *const *names;   /* of an enum, NULL at the end */
	const struct hb_config_items *items;
	int64_t min, max;
	size_t offset;              /* into struct hb_config, or into an item */
	size_t count;               /* offset of the count */
	size_t size;                /* of the field */
	enum hb_config_kind kind;
	bool required;              /* of an item: it has no default and must be there */
};

struct hb_config_reader;
struct hb_yaml_node;

/* The shape of a list of mappings. */
struct hb_config_items {
	const struct hb_config_key *keys; /* up to one without a path */
	size_t size;                      /* of an item */
	const char *only;                 /* the key that a bare scalar stands for */
	/* Checks item n against those before it. */
	int (*check)(const struct hb_config_reader *r, const struct hb_yaml_node *node, void *items, size_t n);
	/* Orders the items of a whole list; may be NULL. */
	int (*compare)(const void *a, const void *b);
};

/* The table, up to a row without a path. */
extern const struct hb_config_key hb_config_keys[];

/* How many rows it has. */
size_t hb_config_key_rows(void);
const struct hb_config_key *hb_config_key_find(const struct hb_config_key *keys, const char *path);
/* The name of a key's variable, "HORNBEAM_LIMITS_HEADER"; returns owned. */
char *hb_config_key_variable(const struct hb_config_key *key);

#endif
