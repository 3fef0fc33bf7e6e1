/* SPDX-License-Identifier: MIT
 * mutate_rig.h - documents at random for the tests: members in any order, fields that nobody knows,
 *                blanks and escapes anywhere, numbers that no double holds.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: a seed gives the same document each time; what it says is what the plain one says. */
#ifndef BERTH_DATAPLANE_DIALECT_MUTATE_RIG_H
#define BERTH_DATAPLANE_DIALECT_MUTATE_RIG_H

#include "lib/base/buf.h"
#include "lib/base/cc.h"

/* Stands where a test puts something of its own (the model's name): no change touches it. */
#define MUTATE_MARK "\x01"
#define MUTATE_MEMBERS_MAX 32u

struct mutation {
    uint32_t seed;
    unsigned names;    /* of unknown fields: no two are the same */
    const char *blank; /* what may stand between tokens */
    bool fields;       /* adds unknown ones */
    bool order;        /* moves members */
};

static inline uint32_t
mutate_next(struct mutation *m, uint32_t below)
{
    m->seed = m->seed * 1664525u + 1013904223u;
    return (m->seed >> 8) % below;
}

static inline void
mutate_blank(struct mutation *m, struct buf *out)
{
    while (mutate_next(m, 8) == 0)
        (void)buf_put_byte(out, m->blank[mutate_next(m, (uint32_t)strlen(m->blank))]);
}

static inline void
mutate_field(struct mutation *m, struct buf *out, bool more)
{
    static const char *const odd[] = {"1e999",
                                      "-0.0",
                                      "9007199254740993",
                                      "0.10",
                                      "\"\\ud83d\\ude00\\/\\u0041\"",
                                      "[{},[],null,true]",
                                      "\"\"",
                                      "{\"a\":{\"model\":[1.50]}}",
                                      "1E+2"};
    (void)buf_printf(out, "\"zz%u\":%s%s", m->names++, odd[mutate_next(m, ARRAY_LEN(odd))],
                     more ? "," : "");
}

/* Character by character; a string's letters may be written as escapes. */
static inline void
mutate_text(struct mutation *m, struct str text, struct buf *out)
{
    bool inside = false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool letter = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
        if (inside && c == '\\') {
            (void)buf_put(out, text.ptr + i++, 2);
        } else if (inside && letter && text.ptr[i - 1] != 'u' && mutate_next(m, 12) == 0) {
            (void)buf_printf(out, "\\u%04x", (unsigned)c);
        } else {
            (void)buf_put_byte(out, c);
        }
        inside = c == '"' ? !inside : inside;
        if (inside || strchr("{}[],:", c) == NULL)
            continue;
        mutate_blank(m, out);
        if (c == '{' && m->fields && mutate_next(m, 6) == 0)
            mutate_field(m, out, text.ptr[i + 1] != '}');
    }
}

/* An object of members (each `"key":value`; at most MUTATE_MEMBERS_MAX). */
static inline void
mutate_object(struct mutation *m, const char *const *members, size_t count, struct buf *out)
{
    size_t order[MUTATE_MEMBERS_MAX];
    struct buf plain;
    buf_init(&plain, 1u << 20);
    for (size_t i = 0; i < count; i++) {
        size_t at = m->order ? mutate_next(m, (uint32_t)i + 1) : i;
        order[i] = order[at];
        order[at] = i;
    }
    for (size_t i = 0; i < count; i++)
        (void)buf_printf(&plain, "%s%s", i == 0 ? "{" : ",", members[order[i]]);
    (void)buf_put_byte(&plain, '}');
    mutate_text(m, buf_str(&plain), out);
    buf_fini(&plain);
}

/* text with every mark replaced */
static inline void
mutate_fill(struct str text, const char *mark, struct buf *out)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] == MUTATE_MARK[0])
            (void)buf_put_str(out, str_from(mark));
        else
            (void)buf_put_byte(out, text.ptr[i]);
    }
}

#endif
