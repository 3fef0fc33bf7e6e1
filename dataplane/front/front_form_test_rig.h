/* SPDX-License-Identifier: MIT
 * front_form_test_rig.h - a caller who sends a form in pieces, on the rig.
 * Floor: test.
 * Owns: the form that was made last.
 * Invariant: none. */
#ifndef BERTH_DATAPLANE_FRONT_FRONT_FORM_TEST_RIG_H
#define BERTH_DATAPLANE_FRONT_FRONT_FORM_TEST_RIG_H

#include "dataplane/front/front_test_rig.h"

#define TYPE "multipart/form-data; boundary=XX"
#define FIELD(name, value) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"\r\n\r\n" value "\r\n"
#define FILE_HEAD(name) \
    "--XX\r\nContent-Disposition: form-data; name=\"" name "\"; filename=\"a\"\r\n\r\n"
#define END "--XX--\r\n"

/* before, a file of so many bytes, behind; the buffer is the test's until the next form. */
static UNUSED struct str
form_make(const char *before, size_t bytes, const char *behind)
{
    static struct buf form;
    buf_fini(&form);
    buf_init(&form, (size_t)64u << 20);
    buf_put_str(&form, str_from(before));
    for (size_t i = 0; i < bytes; i++) /* with line ends and half delimiters in it */
        buf_put_byte(&form, "\r\n--X0123456789"[(i * i + i / 7) % 15]);
    buf_put_str(&form, str_from(behind));
    assert_false(form.failed);
    return buf_str(&form);
}

/* ---- the caller ------------------------------------------------------------------------------ */

static UNUSED bool room;

static UNUSED void
sender_writable(struct http_call *call)
{
    (void)call;
    room = true;
}
static UNUSED const struct http_call_ops sender_ops = {.head = reply_head,
                                                       .body = reply_body,
                                                       .done = reply_done,
                                                       .failed = reply_failed,
                                                       .writable = sender_writable};

static UNUSED void
sender_open(struct reply *reply, const char *path, uint64_t bytes, const char *coding)
{
    const struct http_field fields[] = {{STR("authorization"), STR("Bearer " KEY)},
                                        {STR("content-type"), STR(TYPE)},
                                        {STR("content-encoding"), str_from(coding)}};
    const struct http_call_conf conf = {.ops = &sender_ops,
                                        .user = reply,
                                        .method = STR("POST"),
                                        .target = str_from(path),
                                        .fields = fields,
                                        .field_count = coding[0] != '\0' ? 3 : 2,
                                        .streaming = true,
                                        .upload_bytes = bytes,
                                        .upload_high = 65536};
    memset(reply, 0, sizeof(*reply));
    buf_init(&reply->body, 1u << 24);
    rig.seen.len = 0;
    rig.completes = 0;
    rig.talking = NULL;
    room = true;
    assert_int_equal(http_call_start(rig.origin, &conf, &reply->call), 0);
}

/* false: nobody takes more for a while. */
static UNUSED bool
sender_put(struct reply *reply, struct str bytes)
{
    while (bytes.len > 0 && !reply->ended) {
        struct str piece = str_make(bytes.ptr, MIN(bytes.len, (size_t)30000));
        room = http_call_write(reply->call, piece);
        bytes = str_skip(bytes, piece.len);
        for (int idle = 0; !room && !reply->ended; idle++) {
            if (idle == 100)
                return false;
            loop_step(rig.loop, 1);
        }
        loop_step(rig.loop, 0);
    }
    return true;
}

static UNUSED void
sender_end(struct reply *reply)
{
    if (!reply->ended)
        http_call_end(reply->call);
    step_until(reply_ended, reply);
    step_until(all_settled, NULL);
}

/* The same, while the control plane says so much to whoever waits for money. may_ask: a provider
 * may be asked. */
static UNUSED void
sender_end_funded(struct reply *reply, const struct fund_word *word, bool may_ask)
{
    if (!reply->ended)
        http_call_end(reply->call);
    for (uint64_t end = clock_mono_ms() + DEADLINE_MS; !reply->ended;) {
        assert_true(clock_mono_ms() < end);
        loop_step(rig.loop, STEP_MS);
        assert_true(may_ask || rig.talking == NULL);
        fund_hear(wallet(), word);
        worker_funds_changed(&rig.worker);
    }
    step_until(all_settled, NULL);
}

static UNUSED bool
seen_bytes(void *arg)
{
    return rig.seen.len >= *(size_t *)arg;
}
static UNUSED bool
spooled_bytes(void *arg)
{
    return rig.worker.spool.bytes >= *(size_t *)arg;
}
static UNUSED bool
provider_let_go(void *arg)
{
    (void)arg;
    return rig.talking == NULL;
}

static UNUSED void
want_seen(const char *before, struct str form, const char *sent_before)
{
    struct str rest = str_skip(form, strlen(sent_before));
    struct str seen = buf_str(&rig.seen);
    assert_true(str_starts(seen, str_from(before)));
    assert_true(str_eq(str_skip(seen, strlen(before)), rest));
}

#endif
