/* SPDX-License-Identifier: MIT
 * journal_text.c - texts that many records have in common: written once a segment, then named by
 * number. Floor: dataplane/meter; journal_texts by the worker, text_table by the sync thread. Owns:
 * the copies of both. Invariant: a text's record stands in the same segment before the first record
 * that names it; numbers count from 1 in the order of the file. journal_test.c. */
#include "dataplane/meter/journal_int.h"

#include "lib/base/check.h"

#define TEXT_BYTES_MAX ((size_t)JOURNAL_OUTCOME_BYTES_MAX)

void
journal_texts_init(struct journal_texts *texts)
{
    *texts = (struct journal_texts){.turn = 1};
    for (size_t i = 0; i < TEXT_SLOTS; i++)
        buf_init(&texts->slots[i].copy, TEXT_BYTES_MAX);
}

void
journal_texts_fini(struct journal_texts *texts)
{
    for (size_t i = 0; i < TEXT_SLOTS; i++)
        buf_fini(&texts->slots[i].copy);
}

void
journal_texts_roll(struct journal_texts *texts)
{
    texts->turn++;
    texts->count = 0;
}

static inline bool
slot_holds(const struct text_slot *slot, uint32_t turn, struct str text)
{
    return slot->turn == turn && slot->copy.len == text.len &&
           memcmp(slot->copy.ptr, text.ptr, text.len) == 0;
}

/* By address, since callers keep such a text in one place; two slots for each. What finds both
 * taken is written again, which costs space and nothing else. */
static struct text_slot *
slot_of(struct journal_texts *texts, struct str text)
{
    uint64_t place = (uint64_t)(uintptr_t)text.ptr * 0x9e3779b97f4a7c15u;
    struct text_slot *pair = &texts->slots[(place >> (64 - TEXT_SLOT_BITS)) & ~(uint64_t)1];
    if (LIKELY(slot_holds(pair, texts->turn, text)))
        return pair;
    if (slot_holds(pair + 1, texts->turn, text))
        return pair + 1;
    for (size_t i = 0; i < 2; i++) {
        if (pair[i].turn != texts->turn)
            return pair + i;
    }
    return pair + (texts->count & 1u);
}

uint16_t
journal_text_number(struct journal *journal, struct str text)
{
    struct journal_texts *texts = &journal->texts;
    struct text_slot *slot = slot_of(texts, text);
    if (LIKELY(slot_holds(slot, texts->turn, text)))
        return slot->number;
    if (texts->count >= TEXTS_MAX)
        return 0;
    slot->turn = 0;
    slot->copy.len = 0;
    if (buf_put_str(&slot->copy, text) != 0) {
        slot->copy.failed = false;
        return 0;
    }
    slot->turn = texts->turn;
    slot->number = ++texts->count;
    const struct record_head head = {.kind = RECORD_TEXT, .request = slot->number};
    record_put(&journal->pending, journal->current->salt, &head, &text, 1);
    return slot->number;
}

void
text_table_init(struct text_table *table)
{
    buf_init(&table->bytes, JOURNAL_SEGMENT_BYTES);
    buf_init(&table->ends, TEXTS_MAX * sizeof(uint32_t));
}

void
text_table_fini(struct text_table *table)
{
    buf_fini(&table->bytes);
    buf_fini(&table->ends);
}

void
text_table_clear(struct text_table *table)
{
    table->bytes.len = 0;
    table->ends.len = 0;
}

int
text_table_note(struct text_table *table, const struct record_head *head, struct str payload)
{
    if (head->request != table->ends.len / sizeof(uint32_t) + 1)
        return -ERR_PARSE;
    (void)buf_put_str(&table->bytes, payload);
    uint32_t end = (uint32_t)table->bytes.len;
    (void)buf_put(&table->ends, &end, sizeof(end));
    return table->bytes.failed || table->ends.failed ? -ERR_NOMEM : 0;
}

static uint32_t
text_end(const struct text_table *table, uint16_t number)
{
    uint32_t end = 0;
    if (number > 0)
        memcpy(&end, table->ends.ptr + (number - 1u) * sizeof(end), sizeof(end));
    return end;
}

struct str
text_table_get(const struct text_table *table, uint16_t number)
{
    ASSERT(number >= 1);
    if (number > table->ends.len / sizeof(uint32_t))
        return (struct str){NULL, 0};
    uint32_t start = text_end(table, (uint16_t)(number - 1u));
    return str_make(table->bytes.ptr + start, text_end(table, number) - start);
}

int
record_members(const struct text_table *table, const struct record_head *head, struct str payload,
               struct buf *out)
{
    (void)buf_put_str(out, payload);
    for (size_t i = 0; i < JOURNAL_SHARED_MAX; i++) {
        if (head->shared[i] == 0)
            continue;
        struct str text = text_table_get(table, head->shared[i]);
        if (text.ptr == NULL)
            return -ERR_PARSE;
        (void)buf_put_str(out, text);
    }
    return out->failed ? -ERR_NOMEM : 0;
}
