/* SPDX-License-Identifier: MIT
 * claude.c - thinking of Claude's.
 * Floor: dataplane/dialect; any thread.
 * Owns: nothing.
 * Invariant: see claude_int.h. */
#include "dataplane/dialect/claude_int.h"

#define BUDGET_MIN 1024u

/* Thinking inside a tool loop needs the signed blocks of the call's turn; without them the upstream
 * answers 400 (WIRE-FORMATS trap 5), so thinking is left out for this request. */
static bool
loop_lost_thinking(const struct chat_message *message)
{
    const struct chat_message *assistant = NULL;
    bool results = false;
    for (; message != NULL; message = message->next) {
        if (emit_is_system(message))
            continue;
        if (message->role == CHAT_ROLE_ASSISTANT) {
            assistant = message;
            results = false;
            continue;
        }
        for (const struct chat_part *part = message->parts; part != NULL; part = part->next)
            results = results || part->kind == CHAT_PART_TOOL_RESULT;
    }
    if (!results || assistant == NULL)
        return false;
    for (const struct chat_part *part = assistant->parts; part != NULL; part = part->next)
        if ((part->kind == CHAT_PART_REASONING || part->kind == CHAT_PART_REDACTED) &&
            emit_is_signed(part))
            return false;
    return true;
}

static bool
must_call(const struct chat_request *request)
{
    return request->tools != NULL && (request->tool_choice == CHAT_CHOICE_REQUIRED ||
                                      request->tool_choice == CHAT_CHOICE_NAMED);
}

struct claude_thinking
claude_thinking(const struct emit *emit, uint64_t max_output)
{
    const struct chat_request *request = emit->request;
    struct claude_thinking thinking = {.effort = STR_EMPTY};
    struct str effort = request->effort;
    bool wanted = request->thinking == CHAT_THINKING_BUDGET ||
                  request->thinking == CHAT_THINKING_ADAPTIVE ||
                  (effort.len > 0 && !str_eq(effort, STR("none")));
    if (!wanted || request->thinking == CHAT_THINKING_OFF)
        return thinking;
    bool can = !emit->target->no_reasoning_control && !must_call(request) &&
               !loop_lost_thinking(request->messages);
    if (can && emit->target->adaptive_thinking) {
        if (effort.len == 0 && request->thinking_budget > 0)
            effort = reasoning_effort(request->thinking_budget);
        thinking.on = true;
        thinking.effort = str_eq(effort, STR("minimal")) ? STR("low") : effort;
    } else if (can) {
        thinking.budget = request->thinking_budget > 0 ? request->thinking_budget
                                                       : reasoning_budget(effort, max_output);
        thinking.on = thinking.budget >= BUDGET_MIN && thinking.budget < max_output;
    }
    if (!thinking.on)
        emit_note(emit, "reasoning_effort");
    return thinking;
}

void
claude_put_thinking(struct emit *emit, const struct claude_thinking *thinking)
{
    if (!thinking->on)
        return;
    json_key_object(&emit->writer, "thinking");
    json_member_str(&emit->writer, "type", thinking->budget > 0 ? STR("enabled") : STR("adaptive"));
    emit_limit(emit, "budget_tokens", thinking->budget);
    json_close_object(&emit->writer);
}

void
claude_put_sampling(struct emit *emit, const struct claude_thinking *thinking, const char *key,
                    struct str raw, const char *field)
{
    if (thinking->on && raw.len > 0)
        emit_note(emit, field);
    else
        emit_raw(emit, key, raw);
}
