/* SPDX-License-Identifier: MIT
 * hook_state.c - the request of a hook, read strictly.
 * Floor: agent/daemon; loop thread.
 * Owns: nothing.
 * Invariant: see hook_state.h.
 * runc, crun, podman and containerd say the same fields with small differences (IDENTITY 1). */
#include "agent/daemon/hook_state.h"

#include "api/binding.h"
#include "lib/text/json.h"

#define ARENA_BYTES (256u * 1024u)

struct reader {
    struct json_doc doc;
    struct arena arena;
    struct err *err;
};

static bool
is_plain(struct str text)
{
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] <= 0x20 || text.ptr[i] > 0x7e || text.ptr[i] == '"' || text.ptr[i] == '\\')
            return false;
    }
    return text.len > 0;
}

/* A string member, or empty when absent. */
static int
read_text(struct reader *reader, uint32_t object, const char *key, struct str *ret_text)
{
    uint32_t node = json_get(&reader->doc, object, str_from(key));
    *ret_text = STR_EMPTY;
    if (node == JSON_NONE)
        return 0;
    if (json_string(&reader->doc, node, &reader->arena, ret_text) < 0)
        return err_set(reader->err, ERR_INVALID, "\"%s\" in the container's state is no string",
                       key);
    return 0;
}

static int
read_annotations(struct reader *reader, struct hook_state *state)
{
    uint32_t object = json_get(&reader->doc, 0, STR("annotations"));
    struct str text = STR_EMPTY;
    int code = read_text(reader, object, "io.berth.name", &text);
    if (code == 0 && text.len > 0) {
        if (!binding_valid_name(text) || !str_copy(state->name, sizeof(state->name), text))
            return err_set(reader->err, ERR_INVALID,
                           "annotation io.berth.name is not 1 to 100 of A-Z a-z 0-9 - _");
    }
    if (code == 0)
        code = read_text(reader, object, "io.berth.ai", &text);
    state->ai_off = str_eq(text, STR("false"));
    if (code == 0)
        code = read_text(reader, object, "io.container.manager", &text);
    if (str_eq(text, STR("libpod")))
        (void)!str_copy(state->runtime, sizeof(state->runtime), STR("podman"));
    if (code == 0)
        code = read_text(reader, object, "io.kubernetes.cri.container-type", &text);
    state->infra = str_eq(text, STR("sandbox"));
    if (code == 0)
        code = read_text(reader, object, "io.kubernetes.cri-o.ContainerType", &text);
    state->infra = state->infra || str_eq(text, STR("sandbox"));
    return code;
}

static int
read_members(struct reader *reader, struct hook_state *state)
{
    struct str text = STR_EMPTY;
    int code = read_text(reader, 0, "id", &text);
    if (code < 0)
        return code;
    if (!is_plain(text) || !str_copy(state->id, sizeof(state->id), text))
        return err_set(reader->err, ERR_INVALID, "the container's state has no usable id");
    code = read_text(reader, 0, "bundle", &text);
    if (code < 0)
        return code;
    if (str_find_byte(text, '\0') != SIZE_MAX ||
        !str_copy(state->bundle, sizeof(state->bundle), text))
        return err_set(reader->err, ERR_INVALID, "\"bundle\" is no path");
    uint32_t node = json_get(&reader->doc, 0, STR("pid"));
    int64_t pid = 0;
    if (node != JSON_NONE && json_i64(&reader->doc, node, 0, INT32_MAX, &pid) < 0)
        return err_set(reader->err, ERR_INVALID, "\"pid\" is no process id");
    state->pid = (pid_t)pid;
    if (state->stage == HOOK_CREATE_RUNTIME && pid == 0)
        return err_set(reader->err, ERR_INVALID, "the container's state has no pid");
    return read_annotations(reader, state);
}

/* What is registered: "pid" or "cgroup". */
static int
read_target(struct reader *reader, struct str name, struct str cgroup, struct hook_state *state)
{
    uint32_t node = json_get(&reader->doc, 0, STR("pid"));
    int64_t pid = 0;
    if (!binding_valid_name(name))
        return err_set(reader->err, ERR_INVALID,
                       "a name is 1 to 100 of A-Z a-z 0-9 - _ and not all digits");
    if ((node == JSON_NONE) == (cgroup.len == 0))
        return err_set(reader->err, ERR_INVALID, "register needs a pid or a cgroup");
    if (node != JSON_NONE && json_i64(&reader->doc, node, 1, INT32_MAX, &pid) < 0)
        return err_set(reader->err, ERR_INVALID, "\"pid\" is no process id");
    state->pid = (pid_t)pid;
    if (cgroup.len > 0 && (cgroup.ptr[0] != '/' || str_find_byte(cgroup, '\0') != SIZE_MAX ||
                           str_find(cgroup, STR("/..")) != SIZE_MAX ||
                           !str_copy(state->cgroup, sizeof(state->cgroup), cgroup)))
        return err_set(reader->err, ERR_INVALID, "\"cgroup\" is no absolute path");
    return 0;
}

static int
read_head(struct str line, struct hook_state *state, struct err *err)
{
    struct str stage = STR_EMPTY;
    struct str runtime = STR_EMPTY;
    (void)str_cut(line, ' ', &stage, &runtime);
    if (str_eq(stage, STR("createRuntime")))
        state->stage = HOOK_CREATE_RUNTIME;
    else if (str_eq(stage, STR("poststop")))
        state->stage = HOOK_POSTSTOP;
    else
        return err_set(err, ERR_INVALID, "unknown hook stage");
    if (!is_plain(runtime) || !str_copy(state->runtime, sizeof(state->runtime), runtime))
        return err_set(err, ERR_INVALID, "the runtime's name is not usable");
    return 0;
}

/* {"op":...}: every member is known, or it is refused. */
static int
read_order(struct reader *reader, struct hook_state *state)
{
    static const char *const members[] = {"op", "name", "id", "pid", "cgroup"};
    struct str text[ARRAY_LEN(members)];
    size_t known = 0;
    for (size_t i = 0; i < ARRAY_LEN(members); i++) {
        uint32_t node = json_get(&reader->doc, 0, str_from(members[i]));
        known += node != JSON_NONE;
        text[i] = STR_EMPTY;
        int code = i == 3 ? 0 : read_text(reader, 0, members[i], &text[i]);
        if (code < 0)
            return code;
    }
    if (known != json_count(&reader->doc, 0))
        return err_set(reader->err, ERR_INVALID, "an order has op, name, id, pid and cgroup only");
    state->stage = str_eq(text[0], STR("register")) ? HOOK_REGISTER : HOOK_RELEASE;
    if (state->stage == HOOK_RELEASE && !str_eq(text[0], STR("release")))
        return err_set(reader->err, ERR_INVALID, "\"op\" is neither register nor release");
    (void)!str_copy(state->runtime, sizeof(state->runtime), STR(HOOK_REGISTERED));
    struct str id = text[2].len > 0 ? text[2] : text[1];
    if (!is_plain(id) || !str_copy(state->id, sizeof(state->id), id))
        return err_set(reader->err, ERR_INVALID, "an order needs a usable name or id");
    if (text[1].len > 0 && !str_copy(state->name, sizeof(state->name), text[1]))
        return err_set(reader->err, ERR_INVALID, "a name has at most 100 bytes");
    return state->stage == HOOK_RELEASE ? 0 : read_target(reader, text[1], text[4], state);
}

int
hook_state_parse(struct str request, struct hook_state *ret_state, struct err *err)
{
    static const struct json_limits limits = {
        .depth_max = 16, .node_count_max = 10000, .text_bytes_max = HOOK_REQUEST_BYTES_MAX};
    struct hook_state state = {.pid = 0};
    struct reader reader = {.err = err};
    struct str line = STR_EMPTY;
    bool order = str_starts(request, STR("{"));
    if (!order && !str_cut(request, '\n', &line, &request))
        return err_set(err, ERR_PARSE, "a hook's request has no first line");
    int code = order ? 0 : read_head(line, &state, err);
    if (code < 0)
        return code;
    json_init(&reader.doc);
    arena_init(&reader.arena, ARENA_BYTES);
    code = json_scan(&reader.doc, request, &limits, err);
    if (code == 0 && !json_is(&reader.doc, 0, JSON_OBJECT))
        code = err_set(err, ERR_PARSE, "the container's state is no JSON object");
    if (code == 0)
        code = order ? read_order(&reader, &state) : read_members(&reader, &state);
    arena_fini(&reader.arena);
    json_fini(&reader.doc);
    if (code == 0)
        *ret_state = state;
    return code;
}
