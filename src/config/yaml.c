/* From libyaml's events to nodes: see yaml.h. */
#include "config/yaml.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "common/str.h"

enum {
	MAX_DEPTH = 8,     /* the deepest key, the environment of an item in a section, needs half of it */
	MAX_NODES = 20000, /* bounds the time that the search for duplicate keys takes */
};

struct builder {
	yaml_parser_t parser;
	size_t nodes;
	size_t depth;
	char key[128];
	struct hb_yaml_error *err;
};

static struct hb_yaml_node *build(struct builder *b, yaml_event_t *event);

static void HB_PRINTF(3, 4)
fail(struct builder *b, size_t line, const char *fmt, ...)
{
	va_list ap;

	b->err->line = (unsigned)line + 1;
	snprintf(b->err->key, sizeof b->err->key, "%s", b->key);
	va_start(ap, fmt);
	vsnprintf(b->err->text, sizeof b->err->text, fmt, ap);
	va_end(ap);
}

static int
next(struct builder *b, yaml_event_t *event)
{
	const char *problem;

	if (yaml_parser_parse(&b->parser, event))
		return 0;
	problem = b->parser.problem != NULL ? b->parser.problem : "out of memory";
	b->key[0] = '\0';
	if (b->parser.error == YAML_READER_ERROR) {
		size_t line = 0;

		/* libyaml gives the place of a bad byte as an offset only */
		for (size_t i = 0; i < b->parser.problem_offset; i++)
			line += b->parser.input.string.start[i] == '\n';
		fail(b, line, "not valid YAML: %s", problem);
	} else if (b->parser.context != NULL) {
		fail(b, b->parser.problem_mark.line, "not valid YAML: %s: %s", b->parser.context, problem);
	} else {
		fail(b, b->parser.problem_mark.line, "not valid YAML: %s", problem);
	}
	return -1;
}

static struct hb_yaml_node *
node_new(enum hb_yaml_kind kind, size_t line)
{
	struct hb_yaml_node *node = hb_xcalloc(1, sizeof *node);

	node->kind = kind;
	node->line = (unsigned)line + 1;
	return node;
}

static void
node_push(struct hb_yaml_node *node, size_t at, struct hb_yaml_node *item)
{
	/* grows by doubling: at is a power of two whenever the room is full */
	if ((at & (at - 1)) == 0)
		node->items = hb_xrealloc(node->items, (at == 0 ? 1 : at * 2) * sizeof *node->items);
	node->items[at] = item;
}

/* What may stand in front of a node: no anchor, no tag but its kind's own. */
static int
check_properties(struct builder *b, const yaml_event_t *event, const yaml_char_t *anchor,
    const yaml_char_t *tag, const char *own)
{
	if (anchor != NULL)
		fail(b, event->start_mark.line, "anchors and aliases are not supported");
	else if (tag != NULL && strcmp((const char *)tag, own) != 0 && strcmp((const char *)tag, "!") != 0)
		fail(b, event->start_mark.line, "the tag %.60s is not supported", (const char *)tag);
	else
		return 0;
	return -1;
}

static struct hb_yaml_node *
build_scalar(struct builder *b, const yaml_event_t *event)
{
	const char *value = (const char *)event->data.scalar.value;
	size_t len = event->data.scalar.length;
	struct hb_yaml_node *node;

	if (check_properties(b, event, event->data.scalar.anchor, event->data.scalar.tag, YAML_STR_TAG) == -1)
		return NULL;
	if (memchr(value, '\0', len) != NULL) {
		fail(b, event->start_mark.line, "a string must not hold a NUL byte");
		return NULL;
	}
	node = node_new(HB_YAML_SCALAR, event->start_mark.line);
	node->plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE && event->data.scalar.tag == NULL;
	node->text = hb_xstrndup(value, len);
	return node;
}

static struct hb_yaml_node *
build_list(struct builder *b, const yaml_event_t *start)
{
	struct hb_yaml_node *node, *item;
	yaml_event_t event;
	size_t keylen = strlen(b->key);

	if (check_properties(b, start, start->data.sequence_start.anchor, start->data.sequence_start.tag,
		YAML_SEQ_TAG) == -1)
		return NULL;
	node = node_new(HB_YAML_LIST, start->start_mark.line);
	for (;;) {
		b->key[keylen] = '\0';
		if (next(b, &event) == -1)
			goto fail;
		if (event.type == YAML_SEQUENCE_END_EVENT)
			break;
		snprintf(b->key + keylen, sizeof b->key - keylen, "[%zu]", node->count);
		item = build(b, &event);
		if (item == NULL)
			goto fail;
		node_push(node, node->count++, item);
	}
	yaml_event_delete(&event);
	return node;
fail:
	hb_yaml_free(node);
	return NULL;
}

static struct hb_yaml_node *
build_map(struct builder *b, const yaml_event_t *start)
{
	struct hb_yaml_node *node, *key, *value;
	yaml_event_t event;
	size_t keylen = strlen(b->key);

	if (check_properties(b, start, start->data.mapping_start.anchor, start->data.mapping_start.tag,
		YAML_MAP_TAG) == -1)
		return NULL;
	node = node_new(HB_YAML_MAP, start->start_mark.line);
	for (;;) {
		b->key[keylen] = '\0';
		if (next(b, &event) == -1)
			goto fail;
		if (event.type == YAML_MAPPING_END_EVENT)
			break;
		if (event.type == YAML_SEQUENCE_START_EVENT || event.type == YAML_MAPPING_START_EVENT) {
			fail(b, event.start_mark.line, "a key must be a word");
			yaml_event_delete(&event);
			goto fail;
		}
		key = build(b, &event);
		if (key == NULL)
			goto fail;
		snprintf(
		    b->key + keylen, sizeof b->key - keylen, "%s%.60s", keylen > 0 ? "." : "", key->text);
		if (hb_yaml_get(node, key->text) != NULL) {
			fail(b, key->line - 1, "duplicate key");
			hb_yaml_free(key);
			goto fail;
		}
		value = next(b, &event) == 0 ? build(b, &event) : NULL;
		if (value == NULL) {
			hb_yaml_free(key);
			goto fail;
		}
		node_push(node, node->count * 2, key);
		node_push(node, node->count * 2 + 1, value);
		node->count++;
	}
	yaml_event_delete(&event);
	return node;
fail:
	hb_yaml_free(node);
	return NULL;
}

/* Takes the content of event, the first one of a node. */
static struct hb_yaml_node *
build(struct builder *b, yaml_event_t *event)
{
	struct hb_yaml_node *node = NULL;

	if (++b->nodes > MAX_NODES) {
		fail(b, event->start_mark.line, "more than %d values", MAX_NODES);
	} else if (++b->depth > MAX_DEPTH) {
		fail(b, event->start_mark.line, "nested more than %d deep", MAX_DEPTH);
	} else if (event->type == YAML_SCALAR_EVENT) {
		node = build_scalar(b, event);
	} else if (event->type == YAML_SEQUENCE_START_EVENT) {
		node = build_list(b, event);
	} else if (event->type == YAML_MAPPING_START_EVENT) {
		node = build_map(b, event);
	} else {
		fail(b, event->start_mark.line, "anchors and aliases are not supported");
	}
	b->depth--;
	yaml_event_delete(event);
	return node;
}

/* Reads past events without content up to the first of kind want or the end of the stream. */
static int
skip_to(struct builder *b, yaml_event_t *event, bool *found)
{
	for (;;) {
		if (next(b, event) == -1)
			return -1;
		if (event->type == YAML_STREAM_END_EVENT || event->type == YAML_DOCUMENT_START_EVENT) {
			*found = event->type == YAML_DOCUMENT_START_EVENT;
			return 0;
		}
		yaml_event_delete(event);
	}
}

static struct hb_yaml_node *
build_stream(struct builder *b)
{
	struct hb_yaml_node *root = NULL;
	yaml_event_t event;
	bool found;

	if (skip_to(b, &event, &found) == -1)
		return NULL;
	yaml_event_delete(&event);
	if (!found)
		return node_new(HB_YAML_MAP, 0);
	if (next(b, &event) == -1)
		return NULL;
	root = build(b, &event);
	if (root == NULL)
		return NULL;
	if (skip_to(b, &event, &found) == -1)
		goto fail;
	if (found) {
		fail(b, event.start_mark.line, "more than one YAML document");
		yaml_event_delete(&event);
		goto fail;
	}
	yaml_event_delete(&event);
	return root;
fail:
	hb_yaml_free(root);
	return NULL;
}

struct hb_yaml_node *
hb_yaml_parse(const char *text, size_t len, struct hb_yaml_error *err)
{
	struct builder b = {.err = err};
	struct hb_yaml_node *root;

	if (!yaml_parser_initialize(&b.parser)) {
		fail(&b, 0, "out of memory");
		return NULL;
	}
	/* libyaml skips a byte order mark only where it may guess the encoding from it */
	if (len >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0) {
		text += 3;
		len -= 3;
	}
	yaml_parser_set_encoding(&b.parser, YAML_UTF8_ENCODING);
	yaml_parser_set_input_string(&b.parser, (const unsigned char *)text, len);
	root = build_stream(&b);
	yaml_parser_delete(&b.parser);
	return root;
}

struct hb_yaml_node *
hb_yaml_scalar(const char *text)
{
	struct hb_yaml_node *node = node_new(HB_YAML_SCALAR, 0);

	node->plain = true;
	node->text = hb_xstrdup(text);
	return node;
}

struct hb_yaml_node *
hb_yaml_single(const char *key, struct hb_yaml_node *value)
{
	struct hb_yaml_node *node = node_new(HB_YAML_MAP, 0);

	node_push(node, 0, hb_yaml_scalar(key));
	node_push(node, 1, value);
	node->count = 1;
	return node;
}

void
hb_yaml_free(struct hb_yaml_node *node)
{
	size_t n;

	if (node == NULL)
		return;
	n = node->kind == HB_YAML_MAP ? node->count * 2 : node->count;
	for (size_t i = 0; i < n; i++)
		hb_yaml_free(node->items[i]);
	free(node->items);
	free(node->text);
	free(node);
}

bool
hb_yaml_is_null(const struct hb_yaml_node *node)
{
	return node->kind == HB_YAML_SCALAR && node->plain &&
	       (node->text[0] == '\0' || strcmp(node->text, "~") == 0 || strcmp(node->text, "null") == 0 ||
		   strcmp(node->text, "Null") == 0 || strcmp(node->text, "NULL") == 0);
}

const struct hb_yaml_node *
hb_yaml_get(const struct hb_yaml_node *map, const char *key)
{
	for (size_t i = 0; i < map->count; i++) {
		if (strcmp(map->items[2 * i]->text, key) == 0)
			return map->items[2 * i + 1];
	}
	return NULL;
}
