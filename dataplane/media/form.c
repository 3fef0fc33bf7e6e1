/* SPDX-License-Identifier: MIT
 * form.c - the parts of a form, one after the other.
 * Floor: dataplane/media; any thread.
 * Owns: nothing.
 * Invariant: see form.h. */
#include "dataplane/media/form.h"

#include "lib/base/check.h"

/* What a reader of forms may ask for by its text: ask.c. */
static bool
is_field(struct str name)
{
    static const struct str fields[] = {STR("model"),   STR("n"),      STR("size"),
                                        STR("quality"), STR("stream"), STR("partial_images")};
    for (size_t i = 0; i < ARRAY_LEN(fields); i++) {
        if (str_eq(name, fields[i]))
            return true;
    }
    return false;
}

static const struct form_part *
find_part(const struct form *form, struct str name)
{
    for (uint32_t i = 0; i < form->count; i++) {
        if (str_eq(form->parts[i].name, name))
            return &form->parts[i];
    }
    return NULL;
}

int
form_new(struct arena *arena, struct str boundary, uint64_t body_bytes, struct form **ret_form,
         struct err *err)
{
    struct form *form = ARENA_NEW(arena, struct form);
    struct form_part *parts = arena_array(arena, MULTIPART_PARTS_MAX, sizeof(*parts));
    if (form == NULL || parts == NULL)
        return err_set(err, ERR_NOMEM, "no memory for this form");
    multipart_init(&form->reader, boundary);
    form->arena = arena;
    form->parts = parts;
    form->body_bytes = body_bytes;
    *ret_form = form;
    return 0;
}

static int
begin_part(struct form *form, struct err *err)
{
    const struct multipart_part *read = &form->reader.part;
    struct form_part part = {.head = STR_EMPTY, .start = read->start, .file = read->file};
    bool counts = is_field(read->name);
    if (counts && find_part(form, read->name) != NULL) /* two readers would read two things */
        return err_set(err, ERR_INVALID, "field `%.*s` is there twice", STR_ARG(read->name));
    if (counts && read->file) /* so they would here: an empty file name is none to some */
        return err_set(err, ERR_INVALID, "field `%.*s` is no file", STR_ARG(read->name));
    bool sound =
        read->file && str_eq(read->name, STR("file")) && find_part(form, read->name) == NULL;
    size_t room = counts ? FORM_VALUE_BYTES_MAX : sound ? FORM_HEAD_BYTES : 0;
    char *head = room > 0 ? arena_alloc(form->arena, room) : NULL;
    if ((room > 0 && head == NULL) || arena_dup(form->arena, read->name, &part.name) != 0)
        return err_set(err, ERR_NOMEM, "no memory for this form");
    part.head.ptr = head;
    ASSERT(form->count < MULTIPART_PARTS_MAX);
    form->parts[form->count++] = part;
    return 0;
}

static int
add_data(struct form *form, struct str data, struct err *err)
{
    struct form_part *part = &form->parts[form->count - 1];
    size_t room = part->file ? FORM_HEAD_BYTES : FORM_VALUE_BYTES_MAX;
    part->bytes += data.len;
    if (part->head.ptr == NULL)
        return 0;
    size_t count = MIN(data.len, room - part->head.len);
    if (!part->file && count < data.len)
        return err_set(err, ERR_INVALID, "field `%.*s` is too long", STR_ARG(part->name));
    memcpy((char *)(uintptr_t)part->head.ptr + part->head.len, data.ptr, count);
    part->head.len += count;
    return 0;
}

int
form_take(struct form *form, struct str bytes, struct err *err)
{
    enum multipart_event event;
    struct str data = STR_EMPTY;
    int rc = 0;
    do {
        rc = multipart_next(&form->reader, &bytes, &event, &data, err);
        if (rc == 0 && event == MULTIPART_PART)
            rc = begin_part(form, err);
        else if (rc == 0 && event == MULTIPART_DATA)
            rc = add_data(form, data, err);
        else if (rc == 0 && event == MULTIPART_PART_END)
            form->parts[form->count - 1].ended = true;
    } while (rc == 0 && event != MULTIPART_MORE);
    return rc;
}

int
form_end(struct form *form, struct err *err)
{
    int rc = multipart_end(&form->reader, err);
    form->ended = rc == 0;
    return rc;
}

bool
form_flows(const struct form *form, bool sound)
{
    const struct form_part *model = find_part(form, STR("model"));
    const struct form_part *last = form->count > 0 ? &form->parts[form->count - 1] : NULL;
    if (model == NULL || !model->ended || (sound && find_part(form, STR("file")) == NULL))
        return false;
    return last->file && !last->ended && last->bytes >= FORM_HEAD_BYTES;
}

uint64_t
form_part_bytes(const struct form *form, const struct form_part *part)
{
    if (part->ended || form->body_bytes == UINT64_MAX || form->body_bytes < part->start)
        return part->bytes;
    return MAX(part->bytes, form->body_bytes - part->start);
}

int
form_edit_model(const struct form *form, struct str model, struct form_edit *ret_edit)
{
    const struct form_part *part = find_part(form, STR("model"));
    if (part != NULL) {
        *ret_edit = (struct form_edit){part->start, part->start + part->bytes, model};
        return 0;
    }
    struct str boundary =
        str_skip(str_make(form->reader.delimiter, form->reader.delimiter_len), STR("\r\n").len);
    struct str text = arena_printf(
        form->arena, "%.*s\r\nContent-Disposition: form-data; name=\"model\"\r\n\r\n%.*s\r\n",
        STR_ARG(boundary), STR_ARG(model));
    *ret_edit = (struct form_edit){0, 0, text};
    return text.ptr != NULL ? 0 : -ERR_NOMEM;
}
