/* SPDX-License-Identifier: MIT
 * collect.c - a streamed answer put together again.
 * Floor: dataplane/chat; one thread at a time.
 * Owns: the texts collected so far (heap).
 * Invariant: see collect.h. */
#include "dataplane/chat/collect.h"

#include <stdlib.h>

#include "lib/base/check.h"

#define COLLECT_PARTS_MAX 4096u
#define COLLECT_ARENA_BYTES_MAX (4u << 20)

struct collect_part {
    enum chat_part_kind kind;
    uint32_t choice;
    uint32_t tool;
    bool custom;
    bool closed; /* a signed block: what follows is another one */
    struct str id;
    struct str name;
    struct str signature;
    struct buf text;
};

void
collect_init(struct collect *collect, size_t bytes_max)
{
    *collect = (struct collect){.bytes_max = bytes_max};
    arena_init(&collect->arena, COLLECT_ARENA_BYTES_MAX);
}

void
collect_fini(struct collect *collect)
{
    for (size_t i = 0; i < collect->part_count; i++)
        buf_fini(&collect->parts[i].text);
    free(collect->parts);
    arena_fini(&collect->arena);
    *collect = (struct collect){0};
}

static struct collect_part *
part_new(struct collect *collect, enum chat_part_kind kind, uint32_t choice)
{
    if (collect->part_count == collect->part_cap) {
        size_t cap = collect->part_cap == 0 ? 8 : collect->part_cap * 2;
        struct collect_part *grown = NULL;
        if (cap <= COLLECT_PARTS_MAX)
            grown = realloc(collect->parts, cap * sizeof(*grown));
        if (grown == NULL)
            return NULL;
        collect->parts = grown;
        collect->part_cap = cap;
    }
    struct collect_part *part = &collect->parts[collect->part_count++];
    *part = (struct collect_part){.kind = kind, .choice = choice};
    buf_init(&part->text, collect->bytes_max);
    return part;
}

/* The part of this choice that grows now, when it is of this kind; else a new one. */
static struct collect_part *
part_growing(struct collect *collect, enum chat_part_kind kind, uint32_t choice)
{
    for (size_t i = collect->part_count; i-- > 0;) {
        struct collect_part *part = &collect->parts[i];
        if (part->choice != choice)
            continue;
        if (part->kind == kind && !part->closed)
            return part;
        break;
    }
    return part_new(collect, kind, choice);
}

static struct collect_part *
part_of_tool(struct collect *collect, uint32_t choice, uint32_t tool)
{
    for (size_t i = collect->part_count; i-- > 0;) {
        struct collect_part *part = &collect->parts[i];
        if (part->kind == CHAT_PART_TOOL_CALL && part->choice == choice && part->tool == tool)
            return part;
    }
    return NULL;
}

static int
grow(struct collect *collect, struct collect_part *part, struct str text)
{
    if (part == NULL)
        return -ERR_TOO_LARGE;
    if (text.len > collect->bytes_max - collect->bytes)
        return -ERR_TOO_LARGE;
    collect->bytes += text.len;
    return buf_put_str(&part->text, text);
}

static struct chat_choice *
choice_of(struct collect *collect, uint32_t index)
{
    struct chat_choice **at = &collect->answer.choices;
    while (*at != NULL && (*at)->index < index)
        at = &(*at)->next;
    if (*at != NULL && (*at)->index == index)
        return *at;
    struct chat_choice *choice = ARENA_NEW(&collect->arena, struct chat_choice);
    if (choice == NULL)
        return NULL;
    choice->index = index;
    choice->next = *at;
    *at = choice;
    return choice;
}

static int
take_start(struct collect *collect, const struct chat_event *event)
{
    collect->answer.created = event->created;
    int rc = arena_dup(&collect->arena, event->id, &collect->answer.id);
    return rc < 0 ? rc : arena_dup(&collect->arena, event->model, &collect->answer.model);
}

static int
take_tool_start(struct collect *collect, const struct chat_event *event)
{
    struct collect_part *part = part_new(collect, CHAT_PART_TOOL_CALL, event->choice);
    if (part == NULL)
        return -ERR_TOO_LARGE;
    part->tool = event->tool;
    part->custom = event->custom;
    int rc = arena_dup(&collect->arena, event->id, &part->id);
    return rc < 0 ? rc : arena_dup(&collect->arena, event->name, &part->name);
}

static int
take_finish(struct collect *collect, const struct chat_event *event)
{
    struct chat_choice *choice = choice_of(collect, event->choice);
    if (choice == NULL)
        return -ERR_NOMEM;
    choice->finish = event->finish;
    int rc = arena_dup(&collect->arena, event->text, &choice->stop_text);
    return rc < 0 ? rc : arena_dup(&collect->arena, event->id, &choice->refusal);
}

static int
take_citation(struct collect *collect, const struct chat_event *event)
{
    struct chat_citation copy = *event->citation;
    struct str *const texts[] = {&copy.url, &copy.title, &copy.id, &copy.quote, &copy.raw};
    struct chat_choice *choice = choice_of(collect, event->choice);
    int rc = choice == NULL ? -ERR_NOMEM : 0;
    for (size_t i = 0; i < ARRAY_LEN(texts) && rc == 0; i++)
        rc = arena_dup(&collect->arena, *texts[i], texts[i]);
    return rc < 0 ? rc : chat_citation_add(&choice->citations, &copy, &collect->arena);
}

static int
take_error(struct collect *collect, const struct chat_error *error)
{
    struct str *const copies[] = {&collect->error.type, &collect->error.code, &collect->error.param,
                                  &collect->error.message, &collect->error.request_id};
    const struct str texts[] = {error->type, error->code, error->param, error->message,
                                error->request_id};
    collect->error = *error;
    collect->failed = true;
    for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
        *copies[i] = STR_EMPTY;
        int rc = arena_dup(&collect->arena, texts[i], copies[i]);
        if (rc < 0)
            return rc;
    }
    return 0;
}

static int
take_signed(struct collect *collect, const struct chat_event *event)
{
    struct collect_part *part = event->kind == CHAT_EVENT_SIGNATURE
                                    ? part_growing(collect, CHAT_PART_REASONING, event->choice)
                                    : part_new(collect, CHAT_PART_REDACTED, event->choice);
    if (part == NULL)
        return -ERR_TOO_LARGE;
    part->closed = true;
    return arena_dup(&collect->arena, event->text, &part->signature);
}

int
collect_event(struct collect *collect, const struct chat_event *event)
{
    uint32_t choice = event->choice;
    switch (event->kind) {
    case CHAT_EVENT_START:
        return take_start(collect, event);
    case CHAT_EVENT_TEXT:
        return grow(collect, part_growing(collect, CHAT_PART_TEXT, choice), event->text);
    case CHAT_EVENT_REASONING:
        return grow(collect, part_growing(collect, CHAT_PART_REASONING, choice), event->text);
    case CHAT_EVENT_REFUSAL:
        return grow(collect, part_growing(collect, CHAT_PART_REFUSAL, choice), event->text);
    case CHAT_EVENT_SIGNATURE:
    case CHAT_EVENT_REDACTED:
        return take_signed(collect, event);
    case CHAT_EVENT_TOOL_START:
        return take_tool_start(collect, event);
    case CHAT_EVENT_TOOL_DELTA:
        return grow(collect, part_of_tool(collect, choice, event->tool), event->text);
    case CHAT_EVENT_CITATION:
        return take_citation(collect, event);
    case CHAT_EVENT_FINISH:
        return take_finish(collect, event);
    case CHAT_EVENT_USAGE:
        collect->usage = event->usage;
        return 0;
    case CHAT_EVENT_ERROR:
        return take_error(collect, &event->error);
    case CHAT_EVENT_END:
        collect->ended = true;
        return 0;
    case CHAT_EVENT_TOOL_END:
    case CHAT_EVENT_LOGPROBS: /* an answer has them whole, a stream in pieces: left to streams */
    case CHAT_EVENT_PING:
        return 0;
    }
    return 0;
}

int
collect_answer(struct collect *collect, struct chat_answer *ret_answer)
{
    for (struct chat_choice *choice = collect->answer.choices; choice; choice = choice->next)
        choice->parts = NULL;
    for (size_t i = 0; i < collect->part_count; i++) {
        const struct collect_part *from = &collect->parts[i];
        struct chat_choice *choice = choice_of(collect, from->choice);
        if (choice == NULL)
            return -ERR_NOMEM;
        struct chat_part *part = chat_part_add(&choice->parts, from->kind, &collect->arena);
        if (part == NULL)
            return -ERR_NOMEM;
        part->text = buf_str(&from->text);
        part->signature = from->signature;
        part->id = from->id;
        part->name = from->name;
        part->custom = from->custom;
    }
    *ret_answer = collect->answer;
    ret_answer->usage = collect->usage;
    return 0;
}
