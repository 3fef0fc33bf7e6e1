/* SPDX-License-Identifier: MIT
 * tree_yaml.c - YAML text to a tree: libyaml's event parser under caps.
 * Floor: lib/text; one thread at a time.
 * Owns: the libyaml parser for the time of a call.
 * Invariant: work is bounded before libyaml's worst cases begin: 256 KiB of text, 32 levels,
 * 100,000 events, no %TAG list. Proved by tree_test.c and tree_fuzz.c. */
#include "lib/text/tree.h"

#include <yaml.h>

#include "lib/base/check.h"
#include "lib/base/map.h"
#include "lib/text/tree_int.h"
#include "lib/text/utf8.h"

#define YAML_BYTES_MAX ((size_t)256 << 10)
#define YAML_DEPTH_MAX 32u
#define YAML_EVENTS_MAX 100000u
#define FEW 16u

struct frame {
    struct tree *node;
    struct str key; /* of the value that comes next, in a map */
    uint32_t line;
    uint32_t column;
    bool has_key;
};

struct reader {
    yaml_parser_t parser;
    struct arena *arena;
    struct tree *list;
    struct frame frames[YAML_DEPTH_MAX];
    uint32_t depth;
    uint32_t events;
    struct err *err;
};

static uint32_t
mark_line(yaml_mark_t mark)
{
    return (uint32_t)mark.line + 1;
}

static uint32_t
mark_column(yaml_mark_t mark)
{
    return (uint32_t)mark.column + 1;
}

static int
fail_at(const struct reader *r, enum err_code code, yaml_mark_t mark, const char *what)
{
    return err_set_at(r->err, code, mark_line(mark), mark_column(mark), "%s", what);
}

static int
fail_nomem(const struct reader *r)
{
    return err_set(r->err, ERR_NOMEM, "no memory for the YAML document");
}

/* libyaml's own complaint. */
static int
fail_parser(const struct reader *r)
{
    const yaml_parser_t *parser = &r->parser;
    const char *what = parser->problem != NULL ? parser->problem : "malformed YAML";
    if (parser->error == YAML_MEMORY_ERROR) {
        return fail_nomem(r);
    }
    if (parser->error == YAML_READER_ERROR) {
        return err_set_at(r->err, ERR_PARSE, mark_line(parser->mark), mark_column(parser->mark),
                          "%s at byte %zu", what, parser->problem_offset);
    }
    if (parser->context != NULL) {
        return err_set_at(r->err, ERR_PARSE, mark_line(parser->problem_mark),
                          mark_column(parser->problem_mark), "%s %s", what, parser->context);
    }
    return fail_at(r, ERR_PARSE, parser->problem_mark, what);
}

static int
fail_duplicate(const struct reader *r, const struct tree *child)
{
    return err_set_at(r->err, ERR_DUPLICATE, child->line, child->column, "duplicate key `%.*s`",
                      (int)MIN(child->key.len, (size_t)128), child->key.ptr);
}

static int
check_keys_hashed(const struct reader *r, const struct tree *map)
{
    struct map seen;
    map_init(&seen);
    int rc = 0;
    for (struct tree *child = map->first; rc == 0 && child != NULL; child = child->next) {
        void *old = NULL;
        if (map_put(&seen, child->key, child, &old) != 0) {
            rc = fail_nomem(r);
        } else if (old != NULL) {
            rc = fail_duplicate(r, child);
        }
    }
    map_fini(&seen);
    return rc;
}

static int
check_keys(const struct reader *r, const struct tree *map)
{
    if (map->count > FEW) {
        return check_keys_hashed(r, map);
    }
    for (const struct tree *child = map->first; child != NULL; child = child->next) {
        if (tree_get(map, child->key) != child) {
            return fail_duplicate(r, child);
        }
    }
    return 0;
}

/* Hang a new node where the innermost container wants its next value. */
static int
add_node(struct reader *r, struct tree *node, yaml_mark_t mark)
{
    struct frame *frame = r->depth > 0 ? &r->frames[r->depth - 1] : NULL;
    node->line = mark_line(mark);
    node->column = mark_column(mark);
    if (frame == NULL) {
        tree_append(r->list, STR_EMPTY, node);
        return 0;
    }
    if (frame->node->kind == TREE_LIST) {
        tree_append(frame->node, STR_EMPTY, node);
        return 0;
    }
    ASSERT(frame->has_key);
    node->line = frame->line;
    node->column = frame->column;
    frame->has_key = false;
    tree_append(frame->node, frame->key, node);
    return 0;
}

static bool
wants_key(const struct reader *r)
{
    const struct frame *frame = r->depth > 0 ? &r->frames[r->depth - 1] : NULL;
    return frame != NULL && frame->node->kind == TREE_MAP && !frame->has_key;
}

static struct str
scalar_text(const yaml_event_t *event)
{
    return str_make((const char *)event->data.scalar.value, event->data.scalar.length);
}

static int
on_key(struct reader *r, const yaml_event_t *event)
{
    struct frame *frame = &r->frames[r->depth - 1];
    struct str text = scalar_text(event);
    bool plain = event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    if (plain && str_eq(text, STR("<<"))) {
        return fail_at(r, ERR_UNSUPPORTED, event->start_mark, "merge keys are not supported");
    }
    if (plain && text.len == 0) {
        return fail_at(r, ERR_PARSE, event->start_mark, "empty key");
    }
    if (arena_dup(r->arena, text, &frame->key) != 0) {
        return fail_nomem(r);
    }
    frame->line = mark_line(event->start_mark);
    frame->column = mark_column(event->start_mark);
    frame->has_key = true;
    return 0;
}

static int
on_scalar(struct reader *r, const yaml_event_t *event)
{
    if (wants_key(r)) {
        return on_key(r, event);
    }
    struct str text = scalar_text(event);
    enum tree_kind kind = TREE_STRING;
    if (event->data.scalar.style == YAML_PLAIN_SCALAR_STYLE) {
        if (text.len == 0 && r->depth == 0) {
            return 0; /* an empty document */
        }
        kind = tree_plain_kind(text);
    }
    struct tree *node = tree_new(r->arena, kind, kind == TREE_NULL ? STR_EMPTY : text);
    return node != NULL ? add_node(r, node, event->start_mark) : fail_nomem(r);
}

static int
on_container(struct reader *r, const yaml_event_t *event, enum tree_kind kind)
{
    if (wants_key(r)) {
        return fail_at(r, ERR_PARSE, event->start_mark, "a key must be a string");
    }
    if (r->depth == YAML_DEPTH_MAX) {
        return fail_at(r, ERR_DEPTH, event->start_mark, "nested more than 32 levels deep");
    }
    struct tree *node = tree_new(r->arena, kind, STR_EMPTY);
    if (node == NULL) {
        return fail_nomem(r);
    }
    int rc = add_node(r, node, event->start_mark);
    r->frames[r->depth++] = (struct frame){.node = node};
    return rc;
}

static int
check_properties(const struct reader *r, const yaml_event_t *event, const yaml_char_t *anchor,
                 const yaml_char_t *tag)
{
    if (anchor != NULL) {
        return fail_at(r, ERR_UNSUPPORTED, event->start_mark, "anchors are not supported");
    }
    if (tag != NULL) {
        return fail_at(r, ERR_UNSUPPORTED, event->start_mark, "tags are not supported");
    }
    return 0;
}

static int
on_event(struct reader *r, const yaml_event_t *event)
{
    int rc = 0;
    if (++r->events > YAML_EVENTS_MAX) {
        return fail_at(r, ERR_TOO_LARGE, event->start_mark, "more than 100,000 YAML events");
    }
    switch (event->type) {
    case YAML_ALIAS_EVENT:
        return fail_at(r, ERR_UNSUPPORTED, event->start_mark, "aliases are not supported");
    case YAML_SCALAR_EVENT:
        rc = check_properties(r, event, event->data.scalar.anchor, event->data.scalar.tag);
        return rc != 0 ? rc : on_scalar(r, event);
    case YAML_SEQUENCE_START_EVENT:
        rc = check_properties(r, event, event->data.sequence_start.anchor,
                              event->data.sequence_start.tag);
        return rc != 0 ? rc : on_container(r, event, TREE_LIST);
    case YAML_MAPPING_START_EVENT:
        rc = check_properties(r, event, event->data.mapping_start.anchor,
                              event->data.mapping_start.tag);
        return rc != 0 ? rc : on_container(r, event, TREE_MAP);
    case YAML_MAPPING_END_EVENT:
        ASSERT(r->depth > 0);
        return check_keys(r, r->frames[--r->depth].node);
    case YAML_SEQUENCE_END_EVENT:
        ASSERT(r->depth > 0);
        r->depth--;
        return 0;
    case YAML_NO_EVENT:
    case YAML_STREAM_START_EVENT:
    case YAML_STREAM_END_EVENT:
    case YAML_DOCUMENT_START_EVENT:
    case YAML_DOCUMENT_END_EVENT:
        return 0;
    }
    return 0;
}

static int
read_events(struct reader *r)
{
    for (bool more = true; more;) {
        yaml_event_t event;
        if (!yaml_parser_parse(&r->parser, &event)) {
            return fail_parser(r);
        }
        int rc = on_event(r, &event);
        more = event.type != YAML_STREAM_END_EVENT;
        yaml_event_delete(&event);
        if (rc != 0) {
            return rc;
        }
    }
    return 0;
}

/* What libyaml must not see: it keeps %TAG directives in a list that it searches for each new one.
 */
static int
check_text(struct str text, struct err *err)
{
    if (text.len > YAML_BYTES_MAX) {
        return err_set(err, ERR_TOO_LARGE, "YAML of %zu bytes is larger than 256 KiB", text.len);
    }
    size_t valid = utf8_valid_bytes(text);
    uint32_t line = 1;
    size_t start = 0;
    for (size_t i = 0; i < valid; i++) {
        if (text.ptr[i] == '\n') {
            line++;
            start = i + 1;
        }
        if (i == start && str_starts(str_skip(text, i), STR("%TAG"))) {
            return err_set_at(err, ERR_UNSUPPORTED, line, 1, "tags are not supported");
        }
    }
    if (valid != text.len) {
        size_t column = utf8_count(str_make(text.ptr + start, valid - start)) + 1;
        return err_set_at(err, ERR_ENCODING, line, (uint32_t)column, "not valid UTF-8 at byte %zu",
                          valid);
    }
    return 0;
}

int
tree_from_yaml(struct str text, struct arena *arena, struct tree **ret_list, struct err *err)
{
    int rc = check_text(text, err);
    if (rc != 0) {
        return rc;
    }
    if (str_starts(text, STR("\xEF\xBB\xBF")))
        text = str_skip(text, 3); /* editors on Windows write a byte order mark */
    struct reader r = {.arena = arena, .err = err};
    r.list = tree_new(arena, TREE_LIST, STR_EMPTY);
    if (r.list == NULL || !yaml_parser_initialize(&r.parser)) {
        return fail_nomem(&r);
    }
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text.ptr, text.len);
    rc = read_events(&r);
    yaml_parser_delete(&r.parser);
    if (rc == 0) {
        *ret_list = r.list;
    }
    return rc;
}
