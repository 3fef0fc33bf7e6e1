/* SPDX-License-Identifier: MIT
 * hooks.c - hooks as JSON, and splices into somebody else's config.json.
 * Floor: agent/oci; any thread.
 * Owns: nothing.
 * Invariant: see hooks.h.
 */
#include "agent/oci/hooks.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <unistd.h>

#include "lib/text/splice.h"

/* The runtime waits this long, seconds; the hook's own deadline is 2 s. */
#define HOOK_TIMEOUT_S 10
#define HOOK_BYTES_MAX 16384u

const char *const hooks_stages[HOOKS_STAGES] = {"createRuntime", "poststop"};

void
hooks_put(struct json_writer *writer, const struct hooks *hooks, const char *stage)
{
    const char *const args[] = {
        "berth-hook",     stage,      "--runtime",   hooks->runtime,      "--when-down",
        hooks->when_down, "--socket", hooks->socket, "--rootless-socket", hooks->rootless};
    size_t count = ARRAY_LEN(args) - (hooks->rootless == NULL ? 2 : 0);
    json_open_object(writer);
    json_member_str(writer, "path", str_from(hooks->path));
    json_key(writer, "args");
    json_open_array(writer);
    for (size_t i = 0; i < count; i++)
        json_value_str(writer, str_from(args[i]));
    json_close_array(writer);
    json_member_i64(writer, "timeout", HOOK_TIMEOUT_S);
    json_close_object(writer);
}

/* One edit of a config.json under way. */
struct edit {
    const struct hooks *hooks;
    struct json_doc doc;
    struct arena arena;
    struct splice splice;
    struct err *err;
    bool changed;
};

/* The hook as raw JSON, with `before` and `after` around it, in the arena. */
static int
hook_text(struct edit *edit, const char *stage, const char *before, const char *after,
          struct str *ret_text)
{
    struct json_writer writer;
    struct buf hook;
    struct buf text;
    buf_init(&hook, HOOK_BYTES_MAX);
    buf_init(&text, HOOK_BYTES_MAX);
    json_writer_init(&writer, &hook);
    hooks_put(&writer, edit->hooks, stage);
    (void)buf_put_str(&text, str_from(before));
    (void)buf_put_str(&text, buf_str(&hook));
    (void)buf_put_str(&text, str_from(after));
    int code = hook.failed || text.failed
                   ? err_set(edit->err, ERR_TOO_LARGE, "a path of the hook is too long")
                   : arena_dup(&edit->arena, buf_str(&text), ret_text);
    buf_fini(&text);
    buf_fini(&hook);
    return code;
}

static bool
is_ours(const struct edit *edit, uint32_t hook, const char *stage)
{
    uint32_t args = json_get(&edit->doc, hook, STR("args"));
    uint32_t first =
        json_is(&edit->doc, args, JSON_ARRAY) ? json_first(&edit->doc, args) : JSON_NONE;
    uint32_t second = first != JSON_NONE ? json_sibling(&edit->doc, args, first) : JSON_NONE;
    return json_string_eq(&edit->doc, json_get(&edit->doc, hook, STR("path")),
                          str_from(edit->hooks->path)) &&
           second != JSON_NONE && json_string_eq(&edit->doc, second, str_from(stage));
}

/* Behind the last hook of the stage: what the runtime itself set up comes first. */
static int
append(struct edit *edit, uint32_t list, const char *stage)
{
    struct str text = STR_EMPTY;
    uint32_t last = JSON_NONE;
    for (uint32_t node = json_first(&edit->doc, list); node != JSON_NONE;
         node = json_sibling(&edit->doc, list, node)) {
        if (is_ours(edit, node, stage))
            return 0;
        last = node;
    }
    int code = hook_text(edit, stage, last == JSON_NONE ? "" : ",", "", &text);
    uint32_t at = last == JSON_NONE ? edit->doc.nodes[list].end - 1 : edit->doc.nodes[last].end;
    if (code == 0)
        code = splice_replace(&edit->splice, at, at, text);
    edit->changed = true;
    return code;
}

static int
add_stage(struct edit *edit, uint32_t hooks, const char *stage)
{
    struct str text = STR_EMPTY;
    uint32_t list = json_get(&edit->doc, hooks, str_from(stage));
    if (json_is(&edit->doc, list, JSON_ARRAY))
        return append(edit, list, stage);
    if (list != JSON_NONE && !json_is(&edit->doc, list, JSON_NULL))
        return err_set(edit->err, ERR_INVALID, "hooks.%s of config.json is no list", stage);
    int code = hook_text(edit, stage, "[", "]", &text);
    if (code == 0)
        code = splice_member_set(&edit->splice, &edit->doc, hooks, str_from(stage), text);
    edit->changed = true;
    return code;
}

/* No "hooks" at all: both at once. */
static int
add_member(struct edit *edit)
{
    struct json_writer writer;
    struct buf text;
    struct str kept = STR_EMPTY;
    buf_init(&text, HOOK_BYTES_MAX);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    for (size_t i = 0; i < HOOKS_STAGES; i++) {
        json_key(&writer, hooks_stages[i]);
        json_open_array(&writer);
        hooks_put(&writer, edit->hooks, hooks_stages[i]);
        json_close_array(&writer);
    }
    json_close_object(&writer);
    int code = text.failed ? err_set(edit->err, ERR_TOO_LARGE, "a path of the hook is too long")
                           : arena_dup(&edit->arena, buf_str(&text), &kept);
    buf_fini(&text);
    if (code == 0)
        code = splice_member_set(&edit->splice, &edit->doc, 0, STR("hooks"), kept);
    edit->changed = true;
    return code;
}

static int
write_segments(const struct edit *edit, struct str config, struct buf *out)
{
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    int code = splice_segments(&edit->splice, config, &segments, &count, &bytes);
    for (size_t i = 0; i < count && code == 0; i++)
        code = buf_put_str(out, segments[i]);
    return code;
}

int
hooks_add(const struct hooks *hooks, struct str config, struct buf *out, bool *ret_changed,
          struct err *err)
{
    static const struct json_limits limits = {.depth_max = 64,
                                              .node_count_max = HOOKS_CONFIG_BYTES_MAX / 4,
                                              .text_bytes_max = HOOKS_CONFIG_BYTES_MAX};
    struct edit edit = {.hooks = hooks, .err = err};
    json_init(&edit.doc);
    arena_init(&edit.arena, 256u * 1024u);
    splice_init(&edit.splice, &edit.arena);
    int code = json_scan(&edit.doc, config, &limits, err);
    if (code == 0 && !json_is(&edit.doc, 0, JSON_OBJECT))
        code = err_set(err, ERR_INVALID, "config.json is no object");
    if (code == 0) {
        uint32_t member = json_get(&edit.doc, 0, STR("hooks"));
        if (member == JSON_NONE || json_is(&edit.doc, member, JSON_NULL))
            code = add_member(&edit);
        else if (!json_is(&edit.doc, member, JSON_OBJECT))
            code = err_set(err, ERR_INVALID, "\"hooks\" of config.json is no object");
        for (size_t i = 0; i < HOOKS_STAGES && code == 0 && json_is(&edit.doc, member, JSON_OBJECT);
             i++)
            code = add_stage(&edit, member, hooks_stages[i]);
    }
    if (code == 0 && edit.changed)
        code = write_segments(&edit, config, out);
    if (code == 0)
        *ret_changed = edit.changed;
    else if (err != NULL && err->code == 0)
        (void)err_set(err, (enum err_code) - code, "config.json: %s", err_text(code));
    arena_fini(&edit.arena);
    json_fini(&edit.doc);
    return code;
}

int
hooks_beside(const char *given, char *path, size_t size, struct err *err)
{
    if (given != NULL) {
        if (given[0] != '/' || !str_copy(path, size, str_from(given)))
            return err_set(err, ERR_INVALID, "--hook must be an absolute path");
    } else {
        char self[PATH_MAX];
        ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (len <= 0)
            return err_set_errno(err, errno, "cannot find this program's folder; use --hook");
        self[len] = '\0';
        const char *slash = strrchr(self, '/');
        int count = snprintf(path, size, "%.*s/berth-hook", (int)(slash - self), self);
        if (count < 0 || (size_t)count >= size)
            return err_set(err, ERR_TOO_LARGE, "the path of berth-hook is too long");
    }
    if (access(path, X_OK) != 0)
        return err_set_errno(err, errno, "%s is no program that can be run; use --hook", path);
    return 0;
}
