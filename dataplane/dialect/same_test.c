/* SPDX-License-Identifier: MIT
 * same_test.c - bytes that must stay the same: of requests that are passed on, over a thousand
 *               documents at random a dialect; and of requests that are translated, each time.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: nothing but the model's name differs; equal requests give equal bytes, and
 *            a longer conversation begins with the bytes of the shorter one. */
#include "dataplane/dialect/mutate_rig.h"
#include "dataplane/dialect/test_int.h"

#define ROUNDS 1000u

#define MODEL "\"model\":" MUTATE_MARK
#define SCHEMA "{\"type\":\"object\",\"properties\":{\"model\":{\"type\":\"string\"}}}"
#define OAI_TOOLS \
    "\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":" SCHEMA "}}]"
#define OAI_MESSAGES                                                                         \
    "\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\","       \
    "\"content\":[{\"type\":\"text\",\"text\":\"caf\xc3\xa9 \\n\"},{\"type\":\"image_url\"," \
    "\"image_url\":{\"url\":\"data:image/png;base64,QUJD\"}}]},{\"role\":\"assistant\","     \
    "\"content\":\"yes\"},{\"role\":\"user\",\"content\":\"LASTWORD\"}"

/* One conversation in the words of each dialect; END closes the list of messages, which is the last
 * member. */
static const struct body {
    const struct dialect *dialect;
    const char *end;
    const char *more; /* one turn more, before END */
    const char *members[10];
} bodies[] = {
    {&dialect_openai,
     "]",
     ",{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}",
     {MODEL, OAI_TOOLS, "\"stream\":true", "\"stream_options\":{\"include_usage\":true}",
      "\"temperature\":0.70", "\"max_tokens\":100", "\"tool_choice\":\"auto\"", OAI_MESSAGES}},
    {&dialect_anthropic,
     "]",
     ",{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}",
     {MODEL, "\"system\":[{\"type\":\"text\",\"text\":\"be brief\"}]",
      "\"tools\":[{\"name\":\"f\",\"input_schema\":" SCHEMA "}]", "\"stream\":true",
      "\"max_tokens\":100", "\"temperature\":0.70",
      "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"caf\xc3\xa9 "
      "\\n\"},{\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\","
      "\"data\":\"QUJD\"}}]},{\"role\":\"assistant\",\"content\":\"yes\"},{\"role\":\"user\","
      "\"content\":\"LASTWORD\"}"}},
    {&dialect_responses,
     "]",
     ",{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}",
     {MODEL, "\"instructions\":\"be brief\"", "\"stream\":true", "\"max_output_tokens\":100",
      "\"store\":false",
      "\"tools\":[{\"type\":\"function\",\"name\":\"f\",\"parameters\":" SCHEMA "}]",
      "\"input\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_text\",\"text\":\"caf\xc3\xa9 "
      "\\n\"},{\"type\":\"input_image\",\"image_url\":\"data:image/png;base64,QUJD\"}]},{\"role\":"
      "\"assistant\",\"content\":\"yes\"},{\"role\":\"user\",\"content\":\"LASTWORD\"}"}},
    {&dialect_gemini,
     "]",
     ",{\"role\":\"model\",\"parts\":[{\"text\":\"a\"}]},{\"role\":\"user\",\"parts\":[{\"text\":"
     "\"b\"}]}",
     {"\"systemInstruction\":{\"parts\":[{\"text\":\"be brief\"}]}",
      "\"tools\":[{\"functionDeclarations\":[{\"name\":\"f\",\"parameters\":" SCHEMA "}]}]",
      "\"generationConfig\":{\"temperature\":0.70,\"maxOutputTokens\":100}",
      "\"contents\":[{\"role\":\"user\",\"parts\":[{\"text\":\"caf\xc3\xa9 \\n\"},{\"inlineData\":"
      "{\"mimeType\":\"image/png\",\"data\":\"QUJD\"}}]},{\"role\":\"model\",\"parts\":[{\"text\":"
      "\"yes\"}]},{\"role\":\"user\",\"parts\":[{\"text\":\"LASTWORD\"}]}"}},
    {&dialect_cohere,
     "]",
     ",{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}",
     {MODEL, OAI_TOOLS, "\"stream\":true", "\"max_tokens\":100", "\"temperature\":0.70",
      OAI_MESSAGES}},
    {&dialect_ollama,
     "]",
     ",{\"role\":\"assistant\",\"content\":\"a\"},{\"role\":\"user\",\"content\":\"b\"}",
     {MODEL, OAI_TOOLS, "\"stream\":true",
      "\"options\":{\"num_predict\":100,\"temperature\":0.70,\"seed\":9007199254740993}",
      "\"messages\":[{\"role\":\"system\",\"content\":\"be brief\"},{\"role\":\"user\","
      "\"content\":\"caf\xc3\xa9 \\n\",\"images\":[\"QUJD\"]},{\"role\":\"assistant\","
      "\"content\":\"yes\"},{\"role\":\"user\",\"content\":\"LASTWORD\"}"}},
};

/* The body's document; `more`: a turn longer. */
static void
write_body(const struct body *body, struct mutation *m, bool more, struct buf *out)
{
    const char *members[10];
    struct buf last;
    size_t count = 0;
    while (count < ARRAY_LEN(members) && body->members[count] != NULL) {
        members[count] = body->members[count];
        count++;
    }
    buf_init(&last, 1u << 16);
    buf_printf(&last, "%s%s%s", members[count - 1], more ? body->more : "", body->end);
    members[count - 1] = buf_cstr(&last);
    mutate_object(m, members, count, out);
    buf_fini(&last);
}

/* ---- passed on ------------------------------------------------------------------------------- */

static void
forward(const struct dialect *dialect, struct str body, const char *upstream, struct buf *ret_out)
{
    struct json_doc doc;
    struct arena arena;
    struct chat_facts facts = {.model = STR("old"), .stream = true}; /* as the URL may say */
    struct splice splice;
    struct str *segments = NULL;
    struct err err = {0};
    size_t count = 0;
    size_t bytes = 0;
    arena_init(&arena, 1u << 20);
    test_scan(&doc, body);
    if (dialect->facts(&doc, CHAT_ENDPOINT_CHAT, &arena, &facts, &err) != 0)
        fail_msg("%s: %s in %.*s", dialect->name, err.text, STR_ARG(body));
    assert_str(facts.model, STR("old"));
    assert_true(facts.max_output == 100 && facts.has_tools && facts.stream);
    splice_init(&splice, &arena);
    assert_int_equal(
        dialect->forward_edits(&doc, CHAT_ENDPOINT_CHAT, &facts, str_from(upstream), true, &splice),
        0);
    assert_int_equal(splice_segments(&splice, doc.text, &segments, &count, &bytes), 0);
    for (size_t i = 0; i < count; i++)
        buf_put_str(ret_out, segments[i]);
    json_fini(&doc);
    arena_fini(&arena);
}

static void
test_forward(void **state)
{
    (void)state;
    static const char *const old[] = {"\"old\"", "\"\\u006fld\""};
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        for (uint32_t round = 0; round < ROUNDS; round++) {
            struct mutation m = {
                .seed = round * 7919u + 1, .blank = " \t\r\n", .fields = true, .order = true};
            const char *name = old[round & 1u];
            bool rename = (round & 2u) != 0;
            struct buf text;
            struct buf body;
            struct buf want;
            struct buf got;
            buf_init(&text, 1u << 20);
            buf_init(&body, 1u << 20);
            buf_init(&want, 1u << 20);
            buf_init(&got, 1u << 20);
            write_body(&bodies[i], &m, false, &text);
            mutate_fill(buf_str(&text), name, &body);
            mutate_fill(buf_str(&text), rename ? "\"up\\\"1\"" : name, &want);
            forward(bodies[i].dialect, buf_str(&body), rename ? "up\"1" : "old", &got);
            assert_str(buf_str(&got), buf_str(&want));
            buf_fini(&text);
            buf_fini(&body);
            buf_fini(&want);
            buf_fini(&got);
        }
    }
}

/* ---- translated ------------------------------------------------------------------------------ */

static void
translate(const struct body *from, const struct dialect *to, uint32_t seed, bool more,
          struct buf *ret_out)
{
    struct mutation m = {.seed = seed, .blank = " \t\r\n", .order = seed != 0};
    const struct dialect_target target = {.model = STR("up"), .max_output = 8000, .lenient = true};
    struct json_doc doc;
    struct arena arena;
    struct chat_request request;
    struct err err = {0};
    struct buf text;
    struct buf body;
    buf_init(&text, 1u << 20);
    buf_init(&body, 1u << 20);
    arena_init(&arena, 1u << 20);
    write_body(from, &m, more, &text);
    mutate_fill(buf_str(&text), "\"old\"", &body);
    test_scan(&doc, buf_str(&body));
    if (from->dialect->request_in(&doc, &arena, &request, &err) != 0)
        fail_msg("%s: %s", from->dialect->name, err.text);
    request.tools = seed != 0 ? NULL : request.tools; /* a schema goes as it is written */
    if (to->request_out(&request, &target, &arena, ret_out, &err) != 0)
        fail_msg("%s to %s: %s", from->dialect->name, to->name, err.text);
    buf_fini(&text);
    buf_fini(&body);
    json_fini(&doc);
    arena_fini(&arena);
}

/* Two requests that say the same, however they are written, are one to the upstream's cache. */
static void
test_equal(void **state)
{
    (void)state;
    const struct dialect *to;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        for (size_t j = 0; (to = dialect_at(j)) != NULL; j++) {
            struct buf first;
            buf_init(&first, 1u << 20);
            translate(&bodies[i], to, 1, false, &first);
            for (uint32_t seed = 2; seed < 42; seed++) {
                struct buf again;
                buf_init(&again, 1u << 20);
                translate(&bodies[i], to, seed, false, &again);
                assert_str(buf_str(&again), buf_str(&first));
                buf_fini(&again);
            }
            buf_fini(&first);
        }
    }
}

/* The next turn's request begins with this one's, up to where it grows. */
static void
test_prefix(void **state)
{
    (void)state;
    const struct dialect *to;
    for (size_t i = 0; i < ARRAY_LEN(bodies); i++) {
        for (size_t j = 0; (to = dialect_at(j)) != NULL; j++) {
            struct buf one;
            struct buf two;
            size_t same = 0;
            buf_init(&one, 1u << 20);
            buf_init(&two, 1u << 20);
            translate(&bodies[i], to, 0, false, &one);
            translate(&bodies[i], to, 0, true, &two);
            while (same < one.len && same < two.len && one.ptr[same] == two.ptr[same])
                same++;
            size_t last = str_find(buf_str(&one), STR("LASTWORD"));
            assert_true(last != SIZE_MAX && two.len > one.len);
            if (same < last + 8)
                fail_msg("%s to %s: other bytes from %zu on", bodies[i].dialect->name, to->name,
                         same);
            buf_fini(&one);
            buf_fini(&two);
        }
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_forward),
        cmocka_unit_test(test_equal),
        cmocka_unit_test(test_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
