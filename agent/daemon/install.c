/* SPDX-License-Identifier: MIT
 * install.c - hooks.d files (containers/common, oci-hooks(5)) and config.json hooks (runtime-spec).
 * Floor: agent/daemon; main thread.
 * Owns: nothing.
 * Invariant: see install.h; a file appears whole or not at all.
 */
#include "agent/daemon/install.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/text/splice.h"

#include "agent/oci/file.h"
#include "agent/oci/hooks.h"

static const char *const files[HOOKS_STAGES] = {"50-berth-create.json", "50-berth-poststop.json"};

/* What the hooks are told; path and socket are the caller's. */
static int
describe(const struct agent_options *options, const char *runtime, char path[PATH_MAX],
         char socket[PATH_MAX], struct hooks *ret_hooks, struct err *err)
{
    int count = snprintf(socket, PATH_MAX, "%s/hook.sock", options->run_dir);
    if (count < 0 || count >= PATH_MAX)
        return err_set(err, ERR_TOO_LARGE, "the path of --run-dir is too long");
    *ret_hooks = (struct hooks){.path = path,
                                .socket = socket,
                                .runtime = runtime,
                                .when_down = options->when_down,
                                .rootless = options->rootless_socket};
    return hooks_beside(options->hook, path, PATH_MAX, err);
}

static int
make_folders(const char *folder, struct err *err)
{
    char path[PATH_MAX];
    if (!str_copy(path, sizeof(path), str_from(folder)))
        return err_set(err, ERR_TOO_LARGE, "the path of --dir is too long");
    for (char *at = path + 1; at != NULL && *at != '\0'; at++) {
        at = strchr(at, '/');
        if (at != NULL)
            *at = '\0';
        if (mkdir(path, 0755) != 0 && errno != EEXIST)
            return err_set_errno(err, errno, "cannot make %s", path);
        if (at == NULL)
            break;
        *at = '/';
    }
    return 0;
}

static int
write_hook(const char *folder, const struct hooks *hooks, size_t stage, struct err *err)
{
    char path[PATH_MAX];
    struct json_writer writer;
    struct buf text;
    int count = snprintf(path, sizeof(path), "%s/%s", folder, files[stage]);
    if (count < 0 || (size_t)count >= sizeof(path))
        return err_set(err, ERR_TOO_LARGE, "the path of --dir is too long");
    buf_init(&text, 64u * 1024u);
    json_writer_init(&writer, &text);
    json_open_object(&writer);
    json_member_str(&writer, "version", STR("1.0.0"));
    json_key(&writer, "hook");
    hooks_put(&writer, hooks, hooks_stages[stage]);
    json_member_raw(&writer, "when", STR("{\"always\":true}"));
    json_key(&writer, "stages");
    json_open_array(&writer);
    json_value_str(&writer, str_from(hooks_stages[stage]));
    json_close_array(&writer);
    json_close_object(&writer);
    buf_put_byte(&text, '\n');
    int code = text.failed ? err_set(err, ERR_TOO_LARGE, "a path is too long")
                           : file_replace(path, buf_str(&text), 0644, err);
    buf_fini(&text);
    return code;
}

int
install_hooks(const struct agent_options *options, struct err *err)
{
    char path[PATH_MAX];
    char socket[PATH_MAX];
    struct hooks hooks;
    int code = describe(options, "podman", path, socket, &hooks, err);
    if (code == 0)
        code = make_folders(options->hooks_dir, err);
    for (size_t i = 0; i < HOOKS_STAGES && code == 0; i++)
        code = write_hook(options->hooks_dir, &hooks, i, err);
    return code;
}

int
install_remove(const struct agent_options *options, struct err *err)
{
    for (size_t i = 0; i < HOOKS_STAGES; i++) {
        char path[PATH_MAX];
        int count = snprintf(path, sizeof(path), "%s/%s", options->hooks_dir, files[i]);
        if (count < 0 || (size_t)count >= sizeof(path))
            return err_set(err, ERR_TOO_LARGE, "the path of --dir is too long");
        if (unlink(path) != 0 && errno != ENOENT)
            return err_set_errno(err, errno, "cannot remove %s", path);
    }
    return 0;
}

int
install_runc_hooks(const struct agent_options *options, struct buf *out, struct err *err)
{
    char path[PATH_MAX];
    char socket[PATH_MAX];
    struct hooks hooks;
    struct json_writer writer;
    int code = describe(options, "runc", path, socket, &hooks, err);
    if (code < 0)
        return code;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    for (size_t i = 0; i < HOOKS_STAGES; i++) {
        json_key(&writer, hooks_stages[i]);
        json_open_array(&writer);
        hooks_put(&writer, &hooks, hooks_stages[i]);
        json_close_array(&writer);
    }
    json_close_object(&writer);
    return out->failed ? err_set(err, ERR_TOO_LARGE, "a path is too long") : 0;
}

/* ---- Docker --------------------------------------------------------------------------------- */

#define DOCKER_BYTES_MAX (1024u * 1024u)

/* {"path":".../berth-runc","runtimeArgs":["--berth-socket",...]} */
static int
describe_docker(const struct agent_options *options, struct buf *out, struct err *err)
{
    char path[PATH_MAX];
    char socket[PATH_MAX];
    struct hooks hooks;
    struct json_writer writer;
    int code = describe(options, "docker", path, socket, &hooks, err);
    if (code < 0)
        return code;
    const char *const args[] = {
        "--berth-socket", socket, "--berth-hook", path, "--berth-when-down", options->when_down};
    char wrapper[PATH_MAX];
    const char *slash = strrchr(path, '/');
    int count = snprintf(wrapper, sizeof(wrapper), "%.*s/berth-runc", (int)(slash - path), path);
    if (count < 0 || (size_t)count >= sizeof(wrapper) || access(wrapper, X_OK) != 0)
        return err_set(err, ERR_NOT_FOUND, "there is no berth-runc beside %s", path);
    json_writer_init(&writer, out);
    json_open_object(&writer);
    json_member_str(&writer, "path", str_from(wrapper));
    json_key(&writer, "runtimeArgs");
    json_open_array(&writer);
    for (size_t i = 0; i < ARRAY_LEN(args); i++)
        json_value_str(&writer, str_from(args[i]));
    json_close_array(&writer);
    json_close_object(&writer);
    return out->failed ? err_set(err, ERR_TOO_LARGE, "a path is too long") : 0;
}

/* daemon.json with runtimes.berth set, or (runtime empty) without it, appended to out. */
static int
edit_docker(struct str text, struct str runtime, struct buf *out, struct err *err)
{
    struct json_doc doc;
    struct arena arena;
    struct splice splice;
    struct str *segments = NULL;
    size_t count = 0;
    size_t bytes = 0;
    json_init(&doc);
    arena_init(&arena, 256u * 1024u);
    splice_init(&splice, &arena);
    int code = json_scan(&doc, text, NULL, err);
    uint32_t runtimes = code == 0 ? json_get(&doc, 0, STR("runtimes")) : JSON_NONE;
    if (code == 0 && (!json_is(&doc, 0, JSON_OBJECT) ||
                      (runtimes != JSON_NONE && !json_is(&doc, runtimes, JSON_OBJECT))))
        code = err_set(err, ERR_INVALID, "Docker's configuration is not as it should be");
    if (code == 0 && runtime.len == 0)
        code = splice_member_remove(&splice, &doc, runtimes, STR("berth"));
    else if (code == 0 && runtimes != JSON_NONE)
        code = splice_member_set(&splice, &doc, runtimes, STR("berth"), runtime);
    else if (code == 0) {
        struct str whole = arena_printf(&arena, "{\"berth\":%.*s}", STR_ARG(runtime));
        code = splice_member_set(&splice, &doc, 0, STR("runtimes"), whole);
    }
    if (code == 0)
        code = splice_segments(&splice, text, &segments, &count, &bytes);
    for (size_t i = 0; i < count && code == 0; i++)
        code = buf_put_str(out, segments[i]);
    arena_fini(&arena);
    json_fini(&doc);
    return code;
}

int
install_docker(const struct agent_options *options, bool remove, struct err *err)
{
    struct buf text;
    struct buf runtime;
    struct buf edited;
    buf_init(&text, DOCKER_BYTES_MAX);
    buf_init(&runtime, 64u * 1024u);
    buf_init(&edited, 2 * DOCKER_BYTES_MAX);
    int code = file_read(options->docker_config, &text, err);
    bool absent = code == -ERR_NOT_FOUND;
    if (absent)
        code = buf_put_str(&text, STR("{}\n"));
    if (code == 0 && !remove)
        code = describe_docker(options, &runtime, err);
    if (code == 0)
        code = edit_docker(buf_str(&text), buf_str(&runtime), &edited, err);
    if (code == 0 && !(remove && absent))
        code = file_replace(options->docker_config, buf_str(&edited), 0644, err);
    buf_fini(&edited);
    buf_fini(&runtime);
    buf_fini(&text);
    return code;
}
