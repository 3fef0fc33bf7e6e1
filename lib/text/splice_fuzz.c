/* SPDX-License-Identifier: MIT
 * splice_fuzz.c - random member edits of any object leave valid JSON with exactly those changes.
 * Floor: lib/text; one thread.
 * Owns: nothing.
 * Invariant: proves splice.h. Input: up to 16 bytes of operations, a zero byte, the document. */
#include "lib/text/splice.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define OPS_MAX 16u

static struct str
join(const struct splice *splice, struct str text, struct buf *out)
{
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    int rc = splice_segments(splice, text, &segments, &count, &bytes);
    ASSERT(rc == 0);
    for (size_t i = 0; i < count; i++) {
        ASSERT(segments[i].len > 0);
        buf_put_str(out, segments[i]);
    }
    ASSERT(out->len == bytes);
    return buf_str(out);
}

/* The member that operation byte `op` names: one of the document's, or a new one. */
static struct str
op_key(const struct json_doc *doc, uint32_t object, uint8_t op, struct arena *arena)
{
    static const char *const fresh[] = {"new", "n\"w"};
    uint32_t key = json_first(doc, object);
    for (uint32_t skip = op >> 2; skip > 0 && key != JSON_NONE; skip--) {
        key = json_sibling(doc, object, key);
    }
    struct str text = str_from(fresh[op & 1]);
    if (key != JSON_NONE && json_string(doc, key, arena, &text) != 0) {
        text = STR_EMPTY;
    }
    return text;
}

static void
edit(const struct json_doc *doc, struct str ops)
{
    struct arena arena;
    struct splice splice;
    struct buf out;
    struct json_doc after;
    struct str keys[OPS_MAX];
    bool set[OPS_MAX];
    size_t done = 0;
    uint32_t object = (uint8_t)ops.ptr[0] % doc->node_count;
    arena_init(&arena, 1 << 20);
    splice_init(&splice, &arena);
    buf_init(&out, 1 << 20);
    json_init(&after);
    for (size_t i = 1; json_is(doc, object, JSON_OBJECT) && i < ops.len; i++) {
        keys[done] = op_key(doc, object, (uint8_t)ops.ptr[i], &arena);
        set[done] = (ops.ptr[i] & 2) != 0;
        int rc = set[done] ? splice_member_set(&splice, doc, object, keys[done], STR("[0]"))
                           : splice_member_remove(&splice, doc, object, keys[done]);
        ASSERT(rc == 0 || rc == -ERR_CONFLICT);
        done += rc == 0;
    }
    int rc = json_scan(&after, join(&splice, doc->text, &out), NULL, NULL);
    ASSERT(rc == 0);
    uint32_t count = json_count(doc, object);
    for (size_t i = 0; i < done; i++) {
        uint32_t was = json_get(doc, object, keys[i]);
        uint32_t now = json_get(&after, object, keys[i]);
        /* node numbers before the object do not move, so `object` is the same object */
        ASSERT(set[i] == (now != JSON_NONE) || (!set[i] && was == JSON_NONE));
        ASSERT(!set[i] || str_eq(json_raw(&after, now), STR("[0]")));
        bool again = false;
        for (size_t j = 0; j < i; j++) {
            again = again || str_eq(keys[i], keys[j]);
        }
        count += set[i] && was == JSON_NONE;
        count -= !set[i] && was != JSON_NONE && !again;
    }
    ASSERT(json_count(&after, object) == count);
    json_fini(&after);
    buf_fini(&out);
    arena_fini(&arena);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct str ops;
    struct str text;
    struct json_doc doc;
    struct str all = size > 0 ? str_make((const char *)data, size) : STR_EMPTY;
    if (!str_cut(all, '\0', &ops, &text) || ops.len == 0 || ops.len > OPS_MAX) {
        return 0;
    }
    json_init(&doc);
    if (json_scan(&doc, text, NULL, NULL) == 0) {
        edit(&doc, ops);
    }
    json_fini(&doc);
    return 0;
}
