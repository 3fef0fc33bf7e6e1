/* SPDX-License-Identifier: MIT
 * json_unique.c - do the keys of one object differ, and the path that names the one that does not.
 * Floor: lib/text; any thread.
 * Owns: nothing beyond a call.
 * Invariant: work is proportional to the bytes of the keys, whatever they are: pairs are compared
 *            only among few short plain keys, all others go through a keyed hash. */
#include "lib/text/json_int.h"

#include <stdlib.h>

#include "lib/base/check.h"
#include "lib/base/map.h"

#define FEW 16u
#define SHORT 256u

struct keys {
    struct str *keys;     /* keys[count], unescaped */
    uint32_t *table;      /* table[slots]: index + 1, 0 = free */
    char *scratch;        /* unescaped bytes */
    size_t scratch_bytes; /* of all escaped keys */
    uint32_t count;
    uint32_t slots; /* power of two, at least 2 * count */
};

static void
keys_fini(struct keys *keys)
{
    free(keys->keys);
    free(keys->table);
    free(keys->scratch);
}

static int
keys_init(struct keys *keys)
{
    keys->slots = 4;
    while (keys->slots < 2 * keys->count) {
        keys->slots *= 2;
    }
    keys->keys = calloc(keys->count, sizeof(*keys->keys));
    keys->table = calloc(keys->slots, sizeof(*keys->table));
    keys->scratch = malloc(keys->scratch_bytes + 1);
    return keys->keys && keys->table && keys->scratch ? 0 : -ERR_NOMEM;
}

/* false when an equal key is there already. */
static bool
keys_add(struct keys *keys, uint32_t index)
{
    uint32_t mask = keys->slots - 1;
    uint32_t slot = (uint32_t)map_hash(keys->keys[index]) & mask;
    for (; keys->table[slot] != 0; slot = (slot + 1) & mask) {
        if (str_eq(keys->keys[keys->table[slot] - 1], keys->keys[index])) {
            return false;
        }
    }
    keys->table[slot] = index + 1;
    return true;
}

/* keys->count and keys->scratch_bytes are set. */
static int
check_hashed(const struct json_doc *doc, uint32_t object, struct keys *keys, uint32_t *ret_key)
{
    int rc = keys_init(keys);
    uint32_t end = doc->nodes[object].next;
    uint32_t index = 0;
    char *scratch = keys->scratch;
    for (uint32_t key = object + 1; rc == 0 && key < end; key = doc->nodes[key + 1].next) {
        struct str content = json_content(doc->text.ptr, &doc->nodes[key]);
        if (doc->nodes[key].escaped) {
            size_t size = json_unescape(content, scratch);
            content = str_make(scratch, size);
            scratch += size;
        }
        keys->keys[index] = content;
        if (!keys_add(keys, index++)) {
            *ret_key = key;
            rc = -ERR_DUPLICATE;
        }
    }
    keys_fini(keys);
    return rc;
}

/* Many keys, long ones or escaped ones. */
static __attribute__((noinline)) int
check_any(const struct json_doc *doc, uint32_t object, uint32_t *ret_key)
{
    const struct json_node *nodes = doc->nodes;
    uint32_t end = nodes[object].next;
    struct keys keys = {.count = 0};
    for (uint32_t key = object + 1; key < end; key = nodes[key + 1].next) {
        keys.count++;
        if (nodes[key].escaped) {
            keys.scratch_bytes += nodes[key].end - nodes[key].start;
        }
    }
    return check_hashed(doc, object, &keys, ret_key);
}

int
json_unique_check(const struct json_doc *doc, uint32_t object, uint32_t *ret_key)
{
    const struct json_node *nodes = doc->nodes;
    const char *text = doc->text.ptr;
    uint32_t end = nodes[object].next;
    uint32_t seen[FEW] UNINIT;
    uint32_t tags[FEW] UNINIT;
    uint64_t filter = 0;
    uint32_t count = 0;
    for (uint32_t key = object + 1; key < end; key = nodes[key + 1].next, count++) {
        const struct json_node *node = &nodes[key];
        uint32_t quoted = node->end - node->start;
        if (UNLIKELY(count == FEW || node->escaped || quoted > SHORT + 2)) {
            return check_any(doc, object, ret_key);
        }
        uint32_t tag = json_key_tag(text, node);
        uint64_t bit = json_tag_bit(tag);
        for (uint32_t i = 0; (filter & bit) != 0 && i < count; i++) {
            if (tags[i] == tag &&
                memcmp(text + nodes[seen[i]].start, text + node->start, quoted) == 0) {
                *ret_key = key;
                return -ERR_DUPLICATE;
            }
        }
        filter |= bit;
        tags[count] = tag;
        seen[count] = key;
    }
    return 0;
}

/* ---- the path, built on the way to an error message only ------------------------------------- */

#define PATH_LEVELS 24u
#define PATH_KEY_BYTES 64u

static void
put_key(const struct json_doc *doc, uint32_t key, struct buf *out)
{
    struct str content = json_content(doc->text.ptr, &doc->nodes[key]);
    bool cut = content.len > PATH_KEY_BYTES;
    if (cut) {
        content.len = PATH_KEY_BYTES;
        while (content.len > 0 && ((unsigned char)content.ptr[content.len] & 0xc0) == 0x80) {
            content.len--;
        }
    }
    if (out->len > 0) {
        buf_put_byte(out, '.');
    }
    buf_put_str(out, content);
    if (cut) {
        buf_put_str(out, STR("..."));
    }
}

/* Which element of the open array `parent` is node `child`. */
static uint32_t
array_index(const struct json_doc *doc, uint32_t parent, uint32_t child)
{
    uint32_t index = 0;
    for (uint32_t node = parent + 1; node < child; node = doc->nodes[node].next) {
        index++;
    }
    return index;
}

void
json_key_path(const struct json_doc *doc, uint32_t parent, uint32_t object, uint32_t key,
              struct buf *out)
{
    uint32_t chain[PATH_LEVELS]; /* ancestors-or-self, innermost first */
    uint32_t levels = 0;
    chain[levels++] = object;
    for (; parent != JSON_NONE && levels < PATH_LEVELS; parent = doc->nodes[parent].next) {
        chain[levels++] = parent;
    }
    if (parent != JSON_NONE) {
        buf_put_str(out, STR("..."));
    }
    for (uint32_t i = levels; i-- > 1;) {
        uint32_t child = chain[i - 1];
        if (doc->nodes[chain[i]].kind == JSON_ARRAY) {
            buf_printf(out, "[%u]", array_index(doc, chain[i], child));
        } else {
            put_key(doc, child - 1, out);
        }
    }
    put_key(doc, key, out);
}
