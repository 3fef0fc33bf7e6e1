/* SPDX-License-Identifier: MIT
 * directive.c - parse directives by their table.
 * Floor: tools/sim; any thread.
 * Owns: nothing.
 * Invariant: see directive.h. */
#include "tools/sim/directive.h"

#include "lib/base/num.h"

struct directive_row {
    const char *name;
    uint64_t max;
    const char *help;
};

static const struct directive_row rows[] = {
#define DIRECTIVE(id, name, max, help) {name, max, help},
#include "tools/sim/directive.def"
#undef DIRECTIVE
};
_Static_assert(ARRAY_LEN(rows) == DIRECTIVE_COUNT, "a row a directive");
_Static_assert(DIRECTIVE_COUNT <= 32, "`set` has 32 bits");

static const char *const lies[] = {"none", "negative", "huge",
                                   "zero", "missing",  "cached_gt_prompt"};

const char *
directive_name(enum directive_id id)
{
    return rows[id].name;
}

const char *
directive_help(enum directive_id id)
{
    return rows[id].help;
}

static int
lie_value(struct str text, uint64_t *ret_value)
{
    for (size_t i = 0; i < ARRAY_LEN(lies); i++) {
        if (str_eq(text, str_from(lies[i]))) {
            *ret_value = i;
            return 0;
        }
    }
    return -ERR_RANGE;
}

int
directives_set(struct directives *directives, struct str name, struct str value, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint64_t number = 1;
        if (!str_eq(name, str_from(rows[i].name)))
            continue;
        int rc = 0;
        if (i == DIRECTIVE_LIE_USAGE)
            rc = lie_value(value, &number);
        else if (value.len > 0)
            rc = num_u64(value, rows[i].max, &number);
        if (rc != 0)
            return err_set(err, ERR_RANGE, "directive %s: bad value '%.*s'", rows[i].name,
                           STR_ARG(value));
        directives->values[i] = number;
        directives->set |= 1u << i;
        return 0;
    }
    return err_set(err, ERR_NOT_FOUND, "unknown directive '%.*s'", STR_ARG(name));
}

int
directives_parse(struct directives *directives, struct str text, struct err *err)
{
    while (text.len > 0) {
        struct str item;
        struct str name;
        struct str value;
        (void)str_cut(text, ',', &item, &text);
        item = str_trim(item);
        if (item.len == 0)
            continue;
        (void)str_cut(item, '=', &name, &value);
        int rc = directives_set(directives, str_trim(name), str_trim(value), err);
        if (rc != 0)
            return rc;
    }
    return 0;
}

void
directives_merge(struct directives *into, const struct directives *from)
{
    for (size_t i = 0; i < DIRECTIVE_COUNT; i++) {
        if ((from->set >> i & 1u) != 0)
            into->values[i] = from->values[i];
    }
    into->set |= from->set;
}

struct str
directives_in_text(struct str text)
{
    size_t start = str_find(text, STR("[[sim:"));
    if (start == SIZE_MAX)
        return STR_EMPTY;
    struct str rest = str_skip(text, start + 6);
    size_t end = str_find(rest, STR("]]"));
    return end == SIZE_MAX ? STR_EMPTY : str_make(rest.ptr, end);
}
