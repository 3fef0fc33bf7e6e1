/* SPDX-License-Identifier: MIT
 * chat_test.c - data URLs, classes of errors, and answers collected from events.
 * Floor: dataplane/chat, tests only.
 * Owns: nothing.
 * Invariant: must hold: an answer is what its events said, up to the cap and not beyond. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "dataplane/chat/collect.h"

static void
test_data_url(void **state)
{
    (void)state;
    static const struct {
        const char *url;
        bool want;
        const char *type;
        const char *data;
    } rows[] = {
        {"data:image/png;base64,QQ==", true, "image/png", "QQ=="},
        {"data:image/jpg;base64,QQ==", true, "image/jpeg", "QQ=="},
        {"data:application/pdf;name=a;base64,QQ==", true, "application/pdf", "QQ=="},
        {"data:;base64,", true, "", ""},
        {"data:text/plain,hello", false, "", ""},
        {"data:image/png;base64", false, "", ""},
        {"https://x/data:image/png;base64,QQ==", false, "", ""},
        {"", false, "", ""},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct str type = STR_EMPTY;
        struct str data = STR_EMPTY;
        assert_int_equal(chat_data_url(str_from(rows[i].url), &type, &data), rows[i].want);
        assert_true(str_eq(type, str_from(rows[i].type)));
        assert_true(str_eq(data, str_from(rows[i].data)));
    }
}

static void
test_classify(void **state)
{
    (void)state;
    static const struct {
        uint16_t status;
        const char *type;
        const char *code;
        const char *message;
        enum chat_error_class want;
    } rows[] = {
        {429, "", "", "slow down", CHAT_ERROR_RATE},
        {429, "insufficient_quota", "insufficient_quota", "", CHAT_ERROR_QUOTA},
        {400, "invalid_request_error", "", "Your credit balance is too low to access",
         CHAT_ERROR_QUOTA},
        {402, "", "", "", CHAT_ERROR_QUOTA},
        {529, "overloaded_error", "", "", CHAT_ERROR_OVERLOADED},
        {503, "", "overloaded", "", CHAT_ERROR_OVERLOADED},
        {401, "", "", "", CHAT_ERROR_AUTH},
        {400, "", "context_length_exceeded", "", CHAT_ERROR_CONTEXT_LENGTH},
        {400, "", "", "prompt is too long: 5 tokens > 4 maximum", CHAT_ERROR_CONTEXT_LENGTH},
        {400, "", "unsupported_parameter", "", CHAT_ERROR_PARAMETER},
        {404, "", "model_not_found", "", CHAT_ERROR_MODEL},
        {410, "", "", "this model is retired", CHAT_ERROR_MODEL},
        {400, "", "", "Function tools are not supported here, please use /v1/responses",
         CHAT_ERROR_TOOLS_NEED_RESPONSES},
        {500, "", "", "", CHAT_ERROR_OTHER},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct chat_error error = {.status = rows[i].status,
                                   .type = str_from(rows[i].type),
                                   .code = str_from(rows[i].code),
                                   .message = str_from(rows[i].message)};
        chat_error_classify(&error);
        if (error.class_ != rows[i].want)
            fail_msg("row %zu: %d", i, (int)error.class_);
    }
}

static void
test_error_rows(void **state)
{
    (void)state;
    assert_int_equal(chat_error_row(-ERR_DUPLICATE), HTTP_ERROR_duplicate_key);
    assert_int_equal(chat_error_row(-ERR_RANGE), HTTP_ERROR_out_of_range);
    assert_int_equal(chat_error_row(-ERR_UNSUPPORTED), HTTP_ERROR_unsupported_field);
    assert_int_equal(chat_error_row(-ERR_PARSE), HTTP_ERROR_bad_request);
    struct chat_error error = chat_error_ours(HTTP_ERROR_no_funds, STR_EMPTY, STR_EMPTY);
    assert_int_equal(error.status, 402);
    assert_true(error.message.len > 0);
}

/* Text, a call and text again stay in order; a signed block is closed; the cap holds. */
static void
test_collect(void **state)
{
    (void)state;
    const struct chat_event events[] = {
        {.kind = CHAT_EVENT_START, .id = STR("i"), .model = STR("m"), .created = 4},
        {.kind = CHAT_EVENT_REASONING, .text = STR("r")},
        {.kind = CHAT_EVENT_SIGNATURE, .text = STR("s")},
        {.kind = CHAT_EVENT_REASONING, .text = STR("q")},
        {.kind = CHAT_EVENT_TEXT, .choice = 1, .text = STR("b")},
        {.kind = CHAT_EVENT_TEXT, .text = STR("a")},
        {.kind = CHAT_EVENT_TEXT, .text = STR("c")},
        {.kind = CHAT_EVENT_TOOL_START, .id = STR("t"), .name = STR("n")},
        {.kind = CHAT_EVENT_TOOL_DELTA, .text = STR("{}")},
        {.kind = CHAT_EVENT_TOOL_END},
        {.kind = CHAT_EVENT_FINISH, .finish = CHAT_FINISH_STOP, .text = STR(""), .id = STR("")},
        {.kind = CHAT_EVENT_END},
    };
    struct collect collect;
    struct chat_answer answer;
    collect_init(&collect, 8);
    for (size_t i = 0; i < ARRAY_LEN(events); i++)
        assert_int_equal(collect_event(&collect, &events[i]), 0);
    assert_int_equal(collect_answer(&collect, &answer), 0);
    const struct chat_part *part = answer.choices->parts;
    assert_true(str_eq(part->text, STR("r")) && str_eq(part->signature, STR("s")));
    part = part->next;
    assert_true(str_eq(part->text, STR("q")) && part->kind == CHAT_PART_REASONING);
    part = part->next;
    assert_true(str_eq(part->text, STR("ac")));
    part = part->next;
    assert_true(str_eq(part->name, STR("n")) && str_eq(part->text, STR("{}")));
    assert_null(part->next);
    assert_true(str_eq(answer.choices->next->parts->text, STR("b")));
    const struct chat_event more = {.kind = CHAT_EVENT_TEXT, .text = STR("xxx")};
    assert_int_equal(collect_event(&collect, &more), -ERR_TOO_LARGE);
    collect_fini(&collect);
}

/* A citation that names nothing is none; those beyond the limit are left out. */
static void
test_citations(void **state)
{
    (void)state;
    struct arena arena;
    struct chat_citation *list = NULL;
    const struct chat_citation nothing = {.end = 3};
    const struct chat_citation one = {.start = 5, .end = 3, .url = STR("https://u")};
    unsigned count = 0;
    arena_init(&arena, 1u << 20);
    assert_int_equal(chat_citation_add(&list, &nothing, &arena), 0);
    assert_null(list);
    for (unsigned i = 0; i < CHAT_CITATIONS_MAX + 2; i++)
        assert_int_equal(chat_citation_add(&list, &one, &arena), 0);
    for (const struct chat_citation *at = list; at != NULL; at = at->next, count++)
        assert_true(at->start == 5 && at->end == 5);
    assert_int_equal(count, CHAT_CITATIONS_MAX);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_data_url),   cmocka_unit_test(test_classify),
        cmocka_unit_test(test_error_rows), cmocka_unit_test(test_collect),
        cmocka_unit_test(test_citations),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
