/* SPDX-License-Identifier: MIT
 * install.c - hooks.d files (containers/common, oci-hooks(5)) and config.json hooks (runtime-spec).
 * Floor: agent/daemon; main thread.
 * Owns: nothing.
 * Invariant: see install.h; a file appears whole or not at all.
 */
#include "agent/daemon/install.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/text/json.h"

/* The runtime waits this long, seconds; the hook's own deadline is 2 s. */
#define HOOK_TIMEOUT_S 10

static const struct {
    const char *stage;
    const char *file;
} hooks[] = {
    {"createRuntime", "50-berth-create.json"},
    {"poststop", "50-berth-poststop.json"},
};

static int
hook_path(const struct agent_options *options, char *path, size_t size, struct err *err)
{
    if (options->hook != NULL) {
        if (options->hook[0] != '/' || !str_copy(path, size, str_from(options->hook)))
            return err_set(err, ERR_INVALID, "--hook must be an absolute path");
    } else {
        char self[PATH_MAX];
        ssize_t len = readlink("/proc/self/exe", self, sizeof(self) - 1);
        if (len <= 0)
            return err_set_errno(err, errno, "cannot find this program's folder; use --hook");
        self[len] = '\0';
        char *slash = strrchr(self, '/');
        int count = snprintf(path, size, "%.*s/berth-hook", (int)(slash - self), self);
        if (count < 0 || (size_t)count >= size)
            return err_set(err, ERR_TOO_LARGE, "the path of berth-hook is too long");
    }
    if (access(path, X_OK) != 0)
        return err_set_errno(err, errno, "%s is no program that can be run; use --hook", path);
    return 0;
}

/* {"path":...,"args":[...],"timeout":10} */
static void
put_hook(struct json_writer *writer, const struct agent_options *options, const char *path,
         const char *stage, const char *runtime)
{
    const char *const args[] = {"berth-hook",       stage,     "--runtime", runtime, "--when-down",
                                options->when_down, "--socket"};
    char socket[PATH_MAX];
    (void)snprintf(socket, sizeof(socket), "%s/hook.sock", options->run_dir);
    json_open_object(writer);
    json_member_str(writer, "path", str_from(path));
    json_key(writer, "args");
    json_open_array(writer);
    for (size_t i = 0; i < ARRAY_LEN(args); i++)
        json_value_str(writer, str_from(args[i]));
    json_value_str(writer, str_from(socket));
    json_close_array(writer);
    json_member_i64(writer, "timeout", HOOK_TIMEOUT_S);
    json_close_object(writer);
}

static int
write_file(const char *folder, const char *file, struct str text, struct err *err)
{
    char path[PATH_MAX];
    char part[PATH_MAX + 8];
    int count = snprintf(path, sizeof(path), "%s/%s", folder, file);
    if (count < 0 || (size_t)count >= sizeof(path))
        return err_set(err, ERR_TOO_LARGE, "the path of --dir is too long");
    (void)snprintf(part, sizeof(part), "%s.new", path);
    int fd = open(part, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0644);
    if (fd < 0)
        return err_set_errno(err, errno, "cannot write %s", part);
    bool written = write(fd, text.ptr, text.len) == (ssize_t)text.len;
    int number = errno;
    if (close(fd) != 0 || !written || rename(part, path) != 0) {
        number = written ? errno : number;
        (void)unlink(part);
        return err_set_errno(err, number, "cannot write %s", path);
    }
    return 0;
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

int
install_hooks(const struct agent_options *options, struct err *err)
{
    char path[PATH_MAX];
    int code = hook_path(options, path, sizeof(path), err);
    if (code == 0)
        code = make_folders(options->hooks_dir, err);
    for (size_t i = 0; i < ARRAY_LEN(hooks) && code == 0; i++) {
        struct json_writer writer;
        struct buf text;
        buf_init(&text, 64u * 1024u);
        json_writer_init(&writer, &text);
        json_open_object(&writer);
        json_member_str(&writer, "version", STR("1.0.0"));
        json_key(&writer, "hook");
        put_hook(&writer, options, path, hooks[i].stage, "podman");
        json_member_raw(&writer, "when", STR("{\"always\":true}"));
        json_key(&writer, "stages");
        json_open_array(&writer);
        json_value_str(&writer, str_from(hooks[i].stage));
        json_close_array(&writer);
        json_close_object(&writer);
        buf_put_byte(&text, '\n');
        code = text.failed ? err_set(err, ERR_TOO_LARGE, "a path is too long")
                           : write_file(options->hooks_dir, hooks[i].file, buf_str(&text), err);
        buf_fini(&text);
    }
    return code;
}

int
install_remove(const struct agent_options *options, struct err *err)
{
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
        char path[PATH_MAX];
        int count = snprintf(path, sizeof(path), "%s/%s", options->hooks_dir, hooks[i].file);
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
    struct json_writer writer;
    int code = hook_path(options, path, sizeof(path), err);
    if (code < 0)
        return code;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    for (size_t i = 0; i < ARRAY_LEN(hooks); i++) {
        json_key(&writer, hooks[i].stage);
        json_open_array(&writer);
        put_hook(&writer, options, path, hooks[i].stage, "runc");
        json_close_array(&writer);
    }
    json_close_object(&writer);
    return out->failed ? err_set(err, ERR_TOO_LARGE, "a path is too long") : 0;
}
