/* SPDX-License-Identifier: MIT
 * server_coding_test.c - coded request bodies over HTTP/1.1 and HTTP/2: the handler sees the text.
 * Floor: lib/http, tests.
 * Owns: nothing.
 * Invariant: a refused body costs one answer; kit_close finds every announced stream closed. */
#include "lib/http/coding_test_rows.h"
#include "lib/http/server_h2_testkit.h"

enum way { BY_LENGTH, BY_CHUNK, BY_BYTE, BY_H2, WAYS };

struct body_row {
    const char *name;
    const char *path;
    const char *coding;
    struct str bytes;
    const char *want; /* the answer's status line as HTTP/1.1 has it */
    const char *text;
};

static void
put_h1(struct buf *out, const struct body_row *row, enum way way)
{
    buf_printf(out, "POST %s HTTP/1.1\r\nHost: a\r\nContent-Encoding: %s\r\n", row->path,
               row->coding);
    if (way != BY_CHUNK) {
        buf_printf(out, "Content-Length: %zu\r\n\r\n", row->bytes.len);
        buf_put_str(out, row->bytes);
        return;
    }
    buf_printf(out, "Transfer-Encoding: chunked\r\n\r\n");
    for (size_t i = 0; i < row->bytes.len; i++)
        buf_printf(out, "1\r\n%c\r\n", row->bytes.ptr[i]);
    buf_printf(out, "0\r\n\r\n");
}

static void
want_h1(struct kit *kit, const struct body_row *row, enum way way)
{
    int fd = kit_connect(kit);
    struct buf input;
    struct buf got;
    buf_init(&input, 1u << 20);
    buf_init(&got, 1u << 20);
    put_h1(&input, row, way);
    size_t step = way == BY_BYTE ? 1 : input.len;
    for (size_t at = 0; at < input.len; at += step) {
        if (!kit_send(kit, fd, str_make(input.ptr + at, step)))
            break; /* refused already */
        kit_step(kit);
    }
    (void)kit_read(kit, fd, &got, SIZE_MAX, row->text);
    if (!str_starts(buf_str(&got), str_from(row->want)))
        fail_msg("%s, way %u: %s", row->name, way, buf_cstr(&got));
    (void)close(fd);
    buf_fini(&input);
    buf_fini(&got);
}

static void
want_h2(struct h2_peer *peer, const struct body_row *row, uint32_t id)
{
    char fields[64];
    (void)snprintf(fields, sizeof fields, "content-encoding\n%s", row->coding);
    peer_headers(peer, id, 0, "POST", row->path, fields);
    for (size_t i = 0; i < row->bytes.len; i++)
        peer_frame(peer, F_DATA, i + 1 == row->bytes.len ? END_STREAM : 0, id,
                   str_make(row->bytes.ptr + i, 1));
    peer_send(peer);
    if (!peer_until(peer, F_DATA, id) || str_find(peer->payload, str_from(row->text)) == SIZE_MAX)
        fail_msg("%s over HTTP/2: frame %u '%.*s'", row->name, peer->type, STR_ARG(peer->payload));
}

static void
want_body(const struct body_row *row)
{
    struct kit kit;
    struct h2_peer peer;
    kit_open(&kit, NULL);
    for (enum way way = BY_LENGTH; way < BY_H2; way++)
        want_h1(&kit, row, way);
    peer_open(&peer, &kit);
    want_h2(&peer, row, 1);
    want_h2(&peer, row, 3); /* the connection lives */
    peer_finish(&peer, &kit);
}

static void
test_decoded(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(coded); i++) {
        const struct body_row row = {coded[i].name,  "/echo",           coded[i].name,
                                     coded[i].bytes, "HTTP/1.1 200 OK", CODED_TEXT};
        want_body(&row);
    }
}

static void
test_refused(void **state)
{
    (void)state;
#define BYTES(text)            \
    {                          \
        text, sizeof(text) - 1 \
    }
    static const struct body_row rows[] = {
        {"more than 8 bytes decoded", "/small", "gzip", BYTES(CODED_GZIP), "HTTP/1.1 413 ",
         "limit here, 8 bytes"},
        {"a bomb", "/echo", "br", BYTES(BOMB_BR), "HTTP/1.1 413 ", "limit here, 1048576 bytes"},
        {"text behind", "/echo", "gzip", BYTES(CODED_GZIP "{}"), "HTTP/1.1 400 ", "bad_request"},
        {"plain text", "/echo", "zstd", BYTES("{\"model\":1}"), "HTTP/1.1 400 ", "bad_request"},
        {"cut short",
         "/echo",
         "br",
         {CODED_BR, sizeof(CODED_BR) - 2},
         "HTTP/1.1 400 ",
         "bad_request"},
        {"nobody collects it", "/discard", "deflate", BYTES(CODED_DEFLATE "{}"), "HTTP/1.1 400 ",
         "bad_request"},
    };
#undef BYTES
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        want_body(&rows[i]);
}

/* Not collected: the handler's `body` gets what was decoded. */
static void
test_delivered(void **state)
{
    (void)state;
    const struct body_row row = {
        "discarded", "/", "gzip", {CODED_GZIP, sizeof(CODED_GZIP) - 1}, "HTTP/1.1 200 OK", "hello"};
    struct kit kit;
    kit_open(&kit, NULL);
    want_h1(&kit, &row, BY_LENGTH);
    assert_int_equal(kit.body_bytes, sizeof(CODED_TEXT) - 1);
    want_h1(&kit, &row, BY_BYTE);
    assert_int_equal(kit.body_bytes, 2 * (sizeof(CODED_TEXT) - 1));
    kit_close(&kit);
}

static void
kit_says(struct http_stream *stream, unsigned status)
{
    http_stream_answer(stream, status, NULL, 0, STR("in the handler's words"));
}

static void
test_handler_answers(void **state)
{
    (void)state;
    static const struct body_row row = {
        "a bomb",        "/echo",          "br", {BOMB_BR, sizeof(BOMB_BR) - 1},
        "HTTP/1.1 413 ", "handler's words"};
    struct kit kit;
    struct h2_peer peer;
    kit_open(&kit, NULL);
    kit.handler.refused = kit_says;
    want_h1(&kit, &row, BY_LENGTH);
    want_h1(&kit, &row, BY_CHUNK);
    peer_open(&peer, &kit);
    want_h2(&peer, &row, 1);
    peer_finish(&peer, &kit);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_decoded),
        cmocka_unit_test(test_refused),
        cmocka_unit_test(test_delivered),
        cmocka_unit_test(test_handler_answers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
