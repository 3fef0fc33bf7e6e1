/* SPDX-License-Identifier: MIT
 * front_same_test.c - requests and answers of one dialect on both sides, a thousand at random
 *                     through real sockets: the provider and the caller get each other's bytes.
 * Floor: test.
 * Owns: nothing; see front_test_rig.h.
 * Invariant: only the model's name differs; key order, unknown fields, blanks and numbers stay. */
#include "dataplane/dialect/mutate_rig.h"
#include "dataplane/front/front_test_rig.h"

#define ROUNDS 1000u

#define MESSAGES "\"messages\":[{\"role\":\"user\",\"content\":\"caf\xc3\xa9 \\n hi\"}]"

/* Members of a request, of a whole answer, and of the events of a streamed one. */
static const struct side {
    const char *path;
    const char *model; /* of the caller */
    const char *upstream;
    const char *request[6];
    const char *answer[6];
    const char *events[4];
    const char *end; /* of a stream */
} sides[] = {
    {"/v1/chat/completions",
     "\"openai/a\"",
     "\"up-a\"",
     {("\"model\":" MUTATE_MARK), "\"max_tokens\":50", "\"temperature\":0.70",
      "\"stream_options\":{\"include_usage\":true}", MESSAGES},
     {"\"id\":\"x\"", "\"object\":\"chat.completion\"", "\"model\":\"up-a\"",
      ("\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"yo\"},"
       "\"finish_reason\":\"stop\"}]"),
      "\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}"},
     {"\"choices\":[{\"index\":0,\"delta\":{\"content\":\"yo\"}}]",
      "\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]",
      "\"choices\":[],\"usage\":{\"prompt_tokens\":10,\"completion_tokens\":5}"},
     "data: [DONE]\n\n"},
    {"/v1/messages",
     "\"anthropic/c\"",
     "\"up-c\"",
     {("\"model\":" MUTATE_MARK), "\"max_tokens\":50",
      "\"system\":[{\"type\":\"text\",\"text\":\"s\"}]", "\"metadata\":{\"user_id\":\"u\"}",
      MESSAGES},
     {"\"id\":\"x\"", "\"type\":\"message\"", "\"role\":\"assistant\"",
      "\"content\":[{\"type\":\"text\",\"text\":\"yo\"}]", "\"stop_reason\":\"end_turn\"",
      "\"usage\":{\"input_tokens\":10,\"output_tokens\":5}"},
     {"\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":10,\"output_tokens\":1}"
      "}",
      "\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"text_delta\",\"text\":"
      "\"yo\"}",
      "\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"end_turn\"},\"usage\":{"
      "\"output_tokens\":5}",
      "\"type\":\"message_stop\""},
     ""},
};

static void
write_members(struct mutation *m, const char *const *members, size_t max, struct buf *out)
{
    size_t count = 0;
    while (count < max && members[count] != NULL)
        count++;
    mutate_object(m, members, count, out);
}

/* What the provider says: an answer, or a stream of events. */
static void
write_reply(const struct side *side, struct mutation *m, bool stream, struct buf *out)
{
    if (!stream) {
        write_members(m, side->answer, ARRAY_LEN(side->answer), out);
        return;
    }
    m->blank = " \t"; /* a line end would end the event */
    for (size_t i = 0; i < ARRAY_LEN(side->events) && side->events[i] != NULL; i++) {
        (void)buf_put_str(out, STR("data:"));
        write_members(m, &side->events[i], 1, out);
        (void)buf_put_str(out, mutate_next(m, 4) == 0 ? STR("\r\n\r\n") : STR("\n\n"));
    }
    (void)buf_put_str(out, str_from(side->end));
}

static void
one_exchange(const struct side *side, uint32_t seed, bool stream)
{
    struct mutation m = {.seed = seed, .blank = " \t\r\n", .fields = true, .order = true};
    const char *members[ARRAY_LEN(side->request)];
    struct buf text;
    struct buf body;
    struct buf want;
    struct buf answer;
    struct reply reply;
    buf_init(&text, 1u << 16);
    buf_init(&body, 1u << 16);
    buf_init(&want, 1u << 16);
    buf_init(&answer, 1u << 16);
    memcpy(members, side->request, sizeof(members));
    if (stream)
        members[2] = "\"stream\":true";
    else if (strstr(members[3], "stream_options") != NULL) /* refused upstream without a stream */
        members[3] = "\"seed\":7";
    write_members(&m, members, ARRAY_LEN(members), &text);
    mutate_fill(buf_str(&text), side->model, &body);
    mutate_fill(buf_str(&text), side->upstream, &want);
    write_reply(side, &m, stream, &answer);
    provider_says(200, stream ? SSE : "application/json", buf_cstr(&answer));
    ask(&reply, side->path, buf_cstr(&body));
    if (reply.status != 200)
        fail_msg("%u %s for %s", reply.status, buf_cstr(&reply.body), buf_cstr(&body));
    assert_string_equal(buf_cstr(&rig.seen), buf_cstr(&want));
    assert_string_equal(buf_cstr(&reply.body), buf_cstr(&answer));
    buf_fini(&reply.body);
    buf_fini(&text);
    buf_fini(&body);
    buf_fini(&want);
    buf_fini(&answer);
}

static void
bytes_in_are_bytes_out(void **state)
{
    (void)state;
    fund_grant(wallet(), 1000000000000, FUND_OK);
    for (uint32_t round = 0; round < ROUNDS; round++)
        one_exchange(&sides[round % ARRAY_LEN(sides)], round * 7919u + 1, round % 4u >= 2u);
    assert_int_equal(atomic_load(&wallet()->spent), ROUNDS * 21); /* each was read, and paid */
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(bytes_in_are_bytes_out, rig_open, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
