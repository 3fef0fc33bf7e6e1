/* SPDX-License-Identifier: MIT
 * print.c - see print.h.
 * Floor: controlplane/daemon; main thread.
 * Owns: nothing.
 * Invariant: see print.h. */
#include "controlplane/daemon/print.h"

#include <stdio.h>

#include "controlplane/catalog/catalog.h"

#define TEXT_BYTES_MAX ((size_t)16u * 1024u * 1024u)

static void
put_price(struct json_writer *writer, const char *key, int64_t pico)
{
    char text[32];
    money_format((struct money){pico * 1000}, text); /* pico a token = micro-dollars a million */
    json_member_str(writer, key, str_from(text));
}

static void
put_list(struct json_writer *writer, const char *key, struct str json)
{
    if (json.len > 0)
        json_member_raw(writer, key, json);
}

static void
put_model(struct json_writer *writer, const struct catalog_model *model)
{
    struct tariff_row rows[TARIFF_ROWS_MAX];
    struct tariff tariff;
    json_open_object(writer);
    json_member_str(writer, "id", model->id);
    json_member_str(writer, "object", STR("model"));
    json_member_str(writer, "owned_by", model->provider);
    json_member_str(writer, "kind", model->kind);
    if (model->context != 0)
        json_member_u64(writer, "context_length", model->context);
    if (model->max_output != 0)
        json_member_u64(writer, "max_output_tokens", model->max_output);
    put_list(writer, "input_modalities", model->input_modalities);
    put_list(writer, "output_modalities", model->output_modalities);
    put_list(writer, "capabilities", model->capabilities);
    if (catalog_tariff(model->pricing, rows, &tariff) == 0 && tariff.count > 0) {
        json_key(writer, "pricing_per_million");
        json_open_object(writer);
        put_price(writer, "input", rows[0].price.pico[USAGE_input]);
        put_price(writer, "output", rows[0].price.pico[USAGE_output]);
        put_price(writer, "cached", rows[0].price.pico[USAGE_cached]);
        json_close_object(writer);
    }
    json_close_object(writer);
}

int
print_catalogue(struct err *err)
{
    struct catalog_model model;
    struct json_writer writer;
    struct buf text;
    size_t cursor = 0;
    buf_init(&text, TEXT_BYTES_MAX);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    json_key(&writer, "data");
    json_open_array(&writer);
    while (catalog_next(STR_EMPTY, &cursor, &model) == 0)
        put_model(&writer, &model);
    json_close_array(&writer);
    json_close_object(&writer);
    buf_put_byte(&text, '\n');
    int code = text.failed ? err_set(err, ERR_NOMEM, "out of memory") : 0;
    if (code == 0 && (fwrite(text.ptr, 1, text.len, stdout) != text.len || fflush(stdout) != 0))
        code = err_set(err, ERR_IO, "the catalogue could not be written to stdout");
    buf_fini(&text);
    return code;
}
