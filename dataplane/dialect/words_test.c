/* SPDX-License-Identifier: MIT
 * words_test.c - why an answer ended, in every word that a provider has for it (WIRE-FORMATS 4.1),
 *                and the word that each kind of client reads.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: must hold: a word nobody knows is a stop, and no word is none. */
#include "dataplane/dialect/test_int.h"

#define OAI &dialect_openai
#define ANT &dialect_anthropic
#define GEM &dialect_gemini
#define RSP &dialect_responses
#define OLL &dialect_ollama
#define COH &dialect_cohere
#define BED &dialect_bedrock

/* A whole answer of one text; `word` is where it says why it ended. */
static void
write_answer(const struct dialect *dialect, const char *word, struct buf *out)
{
    if (dialect == OAI) {
        buf_printf(out,
                   "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"%s\"}]}",
                   word);
    } else if (dialect == ANT) {
        buf_printf(out,
                   "{\"type\":\"message\",\"content\":[{\"type\":\"text\",\"text\":\"x\"}],"
                   "\"stop_reason\":\"%s\"}",
                   word);
    } else if (dialect == GEM) {
        buf_printf(out,
                   "{\"candidates\":[{\"content\":{\"parts\":[{\"text\":\"x\"}]},"
                   "\"finishReason\":\"%s\"}]}",
                   word);
    } else if (dialect == RSP) {
        buf_printf(out,
                   "{\"status\":\"%s\",\"incomplete_details\":{\"reason\":\"%s\"},\"output\":[{"
                   "\"type\":\"message\",\"role\":\"assistant\",\"content\":[{\"type\":"
                   "\"output_text\",\"text\":\"x\"}]}]}",
                   strcmp(word, "completed") == 0 ? word : "incomplete", word);
    } else if (dialect == OLL) {
        buf_printf(out, "{\"message\":{\"content\":\"x\"},\"done\":true,\"done_reason\":\"%s\"}",
                   word);
    } else if (dialect == COH) {
        buf_printf(out,
                   "{\"message\":{\"content\":[{\"type\":\"text\",\"text\":\"x\"}]},"
                   "\"finish_reason\":\"%s\"}",
                   word);
    } else {
        buf_printf(out,
                   "{\"output\":{\"message\":{\"content\":[{\"text\":\"x\"}]}},\"stopReason\":"
                   "\"%s\"}",
                   word);
    }
}

static const struct {
    const struct dialect *dialect;
    const char *word;
    enum chat_finish want;
} rows[] = {
    {OAI, "stop", CHAT_FINISH_STOP},
    {OAI, "length", CHAT_FINISH_LENGTH},
    {OAI, "model_length", CHAT_FINISH_LENGTH},
    {OAI, "tool_calls", CHAT_FINISH_TOOL_CALLS},
    {OAI, "function_call", CHAT_FINISH_TOOL_CALLS},
    {OAI, "content_filter", CHAT_FINISH_FILTER},
    {OAI, "sensitive", CHAT_FINISH_FILTER},
    {OAI, "insufficient_system_resource", CHAT_FINISH_ERROR},
    {OAI, "network_error", CHAT_FINISH_ERROR},
    {OAI, "eos", CHAT_FINISH_STOP},
    {ANT, "end_turn", CHAT_FINISH_STOP},
    {ANT, "stop_sequence", CHAT_FINISH_STOP},
    {ANT, "pause_turn", CHAT_FINISH_STOP},
    {ANT, "max_tokens", CHAT_FINISH_LENGTH},
    {ANT, "model_context_window_exceeded", CHAT_FINISH_LENGTH},
    {ANT, "tool_use", CHAT_FINISH_TOOL_CALLS},
    {ANT, "refusal", CHAT_FINISH_FILTER},
    {ANT, "tomorrow", CHAT_FINISH_STOP},
    {GEM, "STOP", CHAT_FINISH_STOP},
    {GEM, "MAX_TOKENS", CHAT_FINISH_LENGTH},
    {GEM, "SAFETY", CHAT_FINISH_FILTER},
    {GEM, "RECITATION", CHAT_FINISH_FILTER},
    {GEM, "BLOCKLIST", CHAT_FINISH_FILTER},
    {GEM, "PROHIBITED_CONTENT", CHAT_FINISH_FILTER},
    {GEM, "SPII", CHAT_FINISH_FILTER},
    {GEM, "IMAGE_SAFETY", CHAT_FINISH_FILTER},
    {GEM, "MALFORMED_FUNCTION_CALL", CHAT_FINISH_ERROR},
    {GEM, "UNEXPECTED_TOOL_CALL", CHAT_FINISH_ERROR},
    {GEM, "TOO_MANY_TOOL_CALLS", CHAT_FINISH_ERROR},
    {RSP, "completed", CHAT_FINISH_STOP},
    {RSP, "max_output_tokens", CHAT_FINISH_LENGTH},
    {RSP, "content_filter", CHAT_FINISH_FILTER},
    {OLL, "stop", CHAT_FINISH_STOP},
    {OLL, "length", CHAT_FINISH_LENGTH},
    {COH, "COMPLETE", CHAT_FINISH_STOP},
    {COH, "STOP_SEQUENCE", CHAT_FINISH_STOP},
    {COH, "MAX_TOKENS", CHAT_FINISH_LENGTH},
    {COH, "TOOL_CALL", CHAT_FINISH_TOOL_CALLS},
    {COH, "ERROR", CHAT_FINISH_ERROR},
    {COH, "TIMEOUT", CHAT_FINISH_ERROR},
    {BED, "end_turn", CHAT_FINISH_STOP},
    {BED, "stop_sequence", CHAT_FINISH_STOP},
    {BED, "max_tokens", CHAT_FINISH_LENGTH},
    {BED, "model_context_window_exceeded", CHAT_FINISH_LENGTH},
    {BED, "tool_use", CHAT_FINISH_TOOL_CALLS},
    {BED, "content_filtered", CHAT_FINISH_FILTER},
    {BED, "guardrail_intervened", CHAT_FINISH_FILTER},
    {BED, "malformed_tool_use", CHAT_FINISH_ERROR},
};

static void
test_words(void **state)
{
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct json_doc doc;
        struct arena arena;
        struct chat_answer answer;
        struct stream_look look;
        struct err err = {0};
        struct buf body;
        buf_init(&body, 4096);
        arena_init(&arena, 65536);
        write_answer(rows[i].dialect, rows[i].word, &body);
        test_scan(&doc, buf_str(&body));
        assert_int_equal(rows[i].dialect->answer_in(&doc, &arena, &answer, &err), 0);
        rows[i].dialect->answer_look(&doc, &look);
        if (answer.choices->finish != rows[i].want || look.finish != rows[i].want)
            fail_msg("%s: %s is %s, and %s in passing", rows[i].dialect->name, rows[i].word,
                     chat_finish_name(answer.choices->finish), chat_finish_name(look.finish));
        json_fini(&doc);
        arena_fini(&arena);
        buf_fini(&body);
    }
}

/* The other way: the canonical reason in the words of each client. */
static void
test_clients(void **state)
{
    (void)state;
    static const struct {
        const struct dialect *dialect;
        enum chat_finish finish;
        const char *want;
    } words[] = {
        {OAI, CHAT_FINISH_STOP, "\"finish_reason\":\"stop\""},
        {OAI, CHAT_FINISH_LENGTH, "\"finish_reason\":\"length\""},
        {OAI, CHAT_FINISH_TOOL_CALLS, "\"finish_reason\":\"tool_calls\""},
        {OAI, CHAT_FINISH_FILTER, "\"finish_reason\":\"content_filter\""},
        {ANT, CHAT_FINISH_STOP, "\"stop_reason\":\"end_turn\""},
        {ANT, CHAT_FINISH_LENGTH, "\"stop_reason\":\"max_tokens\""},
        {ANT, CHAT_FINISH_TOOL_CALLS, "\"stop_reason\":\"tool_use\""},
        {ANT, CHAT_FINISH_FILTER, "\"stop_reason\":\"refusal\""},
        {GEM, CHAT_FINISH_STOP, "\"finishReason\":\"STOP\""},
        {GEM, CHAT_FINISH_LENGTH, "\"finishReason\":\"MAX_TOKENS\""},
        {GEM, CHAT_FINISH_TOOL_CALLS, "\"finishReason\":\"STOP\""},
        {GEM, CHAT_FINISH_FILTER, "\"finishReason\":\"SAFETY\""},
        {RSP, CHAT_FINISH_STOP, "\"status\":\"completed\""},
        {RSP, CHAT_FINISH_LENGTH, "\"reason\":\"max_output_tokens\""},
        {RSP, CHAT_FINISH_FILTER, "\"reason\":\"content_filter\""},
        {COH, CHAT_FINISH_STOP, "\"finish_reason\":\"COMPLETE\""},
        {COH, CHAT_FINISH_LENGTH, "\"finish_reason\":\"MAX_TOKENS\""},
        {COH, CHAT_FINISH_TOOL_CALLS, "\"finish_reason\":\"TOOL_CALL\""},
        {OLL, CHAT_FINISH_STOP, "\"done_reason\":\"stop\""},
        {OLL, CHAT_FINISH_LENGTH, "\"done_reason\":\"length\""},
    };
    for (size_t i = 0; i < ARRAY_LEN(words); i++) {
        struct chat_part part = {.kind = CHAT_PART_TEXT, .text = STR("x")};
        struct chat_choice choice = {.finish = words[i].finish, .parts = &part};
        const struct chat_answer answer = {.choices = &choice};
        struct arena arena;
        struct buf out;
        buf_init(&out, 65536);
        arena_init(&arena, 65536);
        assert_int_equal(words[i].dialect->answer_out(&answer, &arena, &out), 0);
        if (str_find(buf_str(&out), str_from(words[i].want)) == SIZE_MAX)
            fail_msg("%s: no %s in %s", words[i].dialect->name, words[i].want, buf_cstr(&out));
        arena_fini(&arena);
        buf_fini(&out);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_clients),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
