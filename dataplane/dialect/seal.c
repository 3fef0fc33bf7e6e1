/* SPDX-License-Identifier: MIT
 * seal.c - opaque state of one vendor in fields of another.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see seal_int.h. */
#include "dataplane/dialect/seal_int.h"

#include "lib/base/num.h"

#define MARK STR("__ts_")
#define REASONING STR("berthrs")

static bool
is_base64(struct str text)
{
    while (text.len > 0 && text.ptr[text.len - 1] == '=')
        text.len--;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        bool word = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!word && c != '+' && c != '/')
            return false;
    }
    return text.len > 0;
}

/* The signature in the alphabet of ids: "+/" become "-_", the padding goes. It is only sealed when
 * opening gives the same text again. */
int
seal_id(struct arena *arena, struct str id, struct str signature, struct str *ret_id)
{
    size_t size = signature.len;
    while (size > 0 && signature.ptr[size - 1] == '=')
        size--;
    bool padded = (size + 3) / 4 * 4 == signature.len;
    *ret_id = id;
    if (!is_base64(signature) || !padded)
        return 0;
    char *text = arena_alloc(arena, id.len + MARK.len + size);
    if (text == NULL)
        return -ERR_NOMEM;
    memcpy(text, id.ptr, id.len);
    memcpy(text + id.len, MARK.ptr, MARK.len);
    char *at = text + id.len + MARK.len;
    for (size_t i = 0; i < size; i++) {
        char c = signature.ptr[i];
        at[i] = c == '+' ? '-' : c == '/' ? '_' : c;
    }
    *ret_id = str_make(text, id.len + MARK.len + size);
    return 0;
}

int
seal_open_id(struct arena *arena, struct str sealed, struct str *ret_id, struct str *ret_signature)
{
    size_t mark = str_find(sealed, MARK);
    *ret_id = sealed;
    *ret_signature = STR_EMPTY;
    if (mark == SIZE_MAX)
        return 0;
    struct str body = str_skip(sealed, mark + MARK.len);
    size_t size = (body.len + 3) / 4 * 4;
    char *text = arena_alloc(arena, size + 1);
    if (text == NULL)
        return -ERR_NOMEM;
    for (size_t i = 0; i < size; i++) {
        char c = i < body.len ? body.ptr[i] : '=';
        text[i] = c == '-' ? '+' : c == '_' ? '/' : c;
    }
    *ret_id = str_make(sealed.ptr, mark);
    *ret_signature = str_make(text, size);
    return 0;
}

int
seal_open(struct chat_request *request, struct arena *arena)
{
    struct str none;
    int rc = 0;
    for (struct chat_message *message = request->messages; message; message = message->next) {
        for (struct chat_part *part = message->parts; part != NULL && rc == 0; part = part->next) {
            if (part->kind == CHAT_PART_TOOL_RESULT)
                rc = seal_open_id(arena, part->id, &part->id, &none);
            else if (part->kind == CHAT_PART_TOOL_CALL && part->signature.len == 0)
                rc = seal_open_id(arena, part->id, &part->id, &part->signature);
        }
    }
    return rc;
}

int
seal_reasoning(struct arena *arena, struct str id, struct str encrypted, struct str *ret_signature)
{
    if (encrypted.len == 0 || id.len > 255) {
        *ret_signature = STR_EMPTY;
        return 0;
    }
    char *text = arena_alloc(arena, REASONING.len + 2 + id.len + encrypted.len);
    if (text == NULL)
        return -ERR_NOMEM;
    static const char digits[] = "0123456789abcdef";
    memcpy(text, REASONING.ptr, REASONING.len);
    text[REASONING.len] = digits[id.len >> 4];
    text[REASONING.len + 1] = digits[id.len & 15u];
    memcpy(text + REASONING.len + 2, id.ptr, id.len);
    memcpy(text + REASONING.len + 2 + id.len, encrypted.ptr, encrypted.len);
    *ret_signature = str_make(text, REASONING.len + 2 + id.len + encrypted.len);
    return 0;
}

bool
seal_open_reasoning(struct str signature, struct str *ret_id, struct str *ret_encrypted)
{
    uint64_t size = 0;
    if (!str_starts(signature, REASONING) || signature.len < REASONING.len + 2)
        return false;
    struct str rest = str_skip(signature, REASONING.len);
    if (num_hex_u64(str_make(rest.ptr, 2), &size) < 0 || size + 2 >= rest.len)
        return false;
    *ret_id = str_make(rest.ptr + 2, (size_t)size);
    *ret_encrypted = str_skip(rest, 2 + (size_t)size);
    return true;
}
