/* SPDX-License-Identifier: MIT
 * field.c - see field.h.
 * Floor: dataplane/node; sync thread.
 * Owns: nothing.
 * Invariant: see field.h. */
#include "dataplane/node/field.h"

#include "lib/base/num.h"

void
field_put(struct json_writer *writer, const char *key, uint64_t value)
{
    char text[20];
    json_member_str(writer, key, str_make(text, num_write_u64(text, value)));
}

bool
field_get(const struct json_doc *doc, uint32_t object, const char *key, uint64_t *ret_value)
{
    uint32_t node = json_get(doc, object, str_from(key));
    if (node == JSON_NONE)
        return false;
    if (!json_is(doc, node, JSON_STRING))
        return json_u64(doc, node, UINT64_MAX, ret_value) == 0;
    struct str text = json_raw(doc, node);
    return num_u64(str_make(text.ptr + 1, text.len - 2), UINT64_MAX, ret_value) == 0;
}
