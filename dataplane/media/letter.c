/* SPDX-License-Identifier: MIT
 * letter.c - see letter.h.
 * Floor: dataplane/media; one thread.
 * Owns: nothing.
 * Invariant: see letter.h. */
#include "dataplane/media/letter.h"

#include "lib/base/check.h"
#include "lib/text/json.h"
#include "lib/text/utf8.h"

#define HEAD_BYTES 12u /* tell a WebP from another RIFF */

/* By the vendors' common list; NULL: none of it. */
static const char *
picture_type(struct str head)
{
    if (str_starts(head, STR("\x89PNG\r\n\x1a\n")))
        return "png";
    if (str_starts(head, STR("\xff\xd8\xff")))
        return "jpeg";
    if (str_starts(head, STR("GIF8")))
        return "gif";
    bool riff = head.len == HEAD_BYTES && str_starts(head, STR("RIFF"));
    return riff && str_ends(head, STR("WEBP")) ? "webp" : NULL;
}

static int
add_picture(const struct form_part *part, const struct draft_source *source, struct letter *letter,
            struct err *err)
{
    char head[HEAD_BYTES];
    size_t size = (size_t)MIN(part->bytes, (uint64_t)HEAD_BYTES);
    bool picture = str_eq(part->name, STR("image")) || str_starts(part->name, STR("image["));
    if (!picture)
        return err_set(err, ERR_UNSUPPORTED, "field `%.*s` cannot be carried to this provider",
                       STR_ARG(part->name));
    if (letter->picture_count == DRAFT_FILES_MAX)
        return err_set(err, ERR_UNSUPPORTED, "field `image`: %u at most", DRAFT_FILES_MAX);
    if (draft_source_fill(source, part->start, head, size) != 0)
        return err_set(err, ERR_IO, "the form cannot be read any more");
    const char *type = picture_type(str_make(head, size));
    if (type == NULL)
        return err_set(err, ERR_INVALID, "field `%.*s` is no PNG, JPEG, WebP or GIF",
                       STR_ARG(part->name));
    letter->pictures[letter->picture_count++] =
        (struct letter_picture){part->start, part->bytes, type};
    return 0;
}

static bool
said_before(const struct form *form, uint32_t index)
{
    for (uint32_t i = 0; i < index; i++) {
        if (!form->parts[i].file && str_eq(form->parts[i].name, form->parts[index].name))
            return true;
    }
    return false;
}

static int
add_field(const struct form_part *part, const struct draft_source *source, struct arena *arena,
          struct buf *out, struct err *err)
{
    if (part->bytes > LETTER_BYTES_MAX - MIN(out->len, LETTER_BYTES_MAX))
        return err_set(err, ERR_TOO_LARGE, "field `%.*s` is too long", STR_ARG(part->name));
    size_t bytes = (size_t)part->bytes;
    char *text = arena_alloc(arena, bytes + 1);
    if (text == NULL)
        return err_set(err, ERR_NOMEM, "no memory for this form");
    if (draft_source_fill(source, part->start, text, bytes) != 0)
        return err_set(err, ERR_IO, "the form cannot be read any more");
    struct str value = str_make(text, bytes);
    if (!utf8_valid(value) || !utf8_valid(part->name))
        return err_set(err, ERR_INVALID, "field `%.*s` is no UTF-8",
                       (int)utf8_valid_bytes(part->name), part->name.ptr);
    buf_put_byte(out, out->len > 1 ? ',' : ' ');
    json_put_string(out, part->name);
    buf_put_byte(out, ':');
    if (str_eq(part->name, STR("n"))) /* its digits were read before: media_facts */
        buf_put_str(out, value);
    else
        json_put_string(out, value);
    return 0;
}

int
letter_read(const struct form *form, const struct draft_source *source, struct arena *arena,
            struct letter *ret_letter, struct err *err)
{
    struct letter letter = {.picture_count = 0};
    struct buf out;
    int rc = 0;
    ASSERT(form->ended);
    buf_init(&out, 8u * LETTER_BYTES_MAX);
    buf_put_byte(&out, '{');
    for (uint32_t i = 0; i < form->count && rc == 0; i++) {
        const struct form_part *part = &form->parts[i];
        if (part->file)
            rc = add_picture(part, source, &letter, err);
        else if (said_before(form, i))
            rc = err_set(err, ERR_INVALID, "field `%.*s` is there twice", STR_ARG(part->name));
        else
            rc = add_field(part, source, arena, &out, err);
    }
    buf_put_byte(&out, '}');
    if (rc == 0 && letter.picture_count == 0)
        rc = err_set(err, ERR_INVALID, "field `image` is missing, or no file");
    if (rc == 0 && (out.failed || arena_dup(arena, buf_str(&out), &letter.json) != 0))
        rc = err_set(err, ERR_NOMEM, "no memory for this form");
    buf_fini(&out);
    if (rc != 0)
        return rc;
    letter.boundary = str_skip(str_make(form->reader.delimiter, form->reader.delimiter_len), 4);
    *ret_letter = letter;
    return 0;
}
