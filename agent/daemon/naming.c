/* SPDX-License-Identifier: MIT
 * naming.c - names from podman's storage (containers/storage: DRIVER-containers/containers.json).
 * Floor: agent/daemon; loop thread.
 * Owns: nothing.
 * Invariant: see naming.h; files over FILE_BYTES_MAX are not read.
 * Podman 4.4 and later keep containers made with --rm in volatile-containers.json beside it. */
#include "agent/daemon/naming.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/base/digest.h"
#include "api/binding.h"

#define FILE_BYTES_MAX (16u * 1024u * 1024u)

int
naming_find(struct str json, struct str id, char *raw, size_t size)
{
    static const struct json_limits limits = {
        .depth_max = 16, .node_count_max = FILE_BYTES_MAX / 4, .text_bytes_max = FILE_BYTES_MAX};
    struct json_doc doc;
    struct arena arena;
    struct str name = STR_EMPTY;
    json_init(&doc);
    arena_init(&arena, 64u * 1024u);
    int code = json_scan(&doc, json, &limits, NULL);
    if (code == 0 && !json_is(&doc, 0, JSON_ARRAY))
        code = -ERR_PARSE;
    if (code == 0) {
        uint32_t row = json_first(&doc, 0);
        while (row != JSON_NONE && !json_string_eq(&doc, json_get(&doc, row, STR("id")), id))
            row = json_sibling(&doc, 0, row);
        uint32_t names = json_get(&doc, row, STR("names"));
        uint32_t first = json_is(&doc, names, JSON_ARRAY) ? json_first(&doc, names) : JSON_NONE;
        if (json_string(&doc, first, &arena, &name) < 0 || str_find_byte(name, '\0') != SIZE_MAX ||
            !str_copy(raw, size, name))
            code = -ERR_NOT_FOUND;
    }
    arena_fini(&arena);
    json_fini(&doc);
    return code;
}

static int
read_file(const char *path, struct buf *out)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
    struct stat stat;
    int code = fd >= 0 ? 0 : -ERR_NOT_FOUND;
    if (code == 0 && (fstat(fd, &stat) != 0 || !S_ISREG(stat.st_mode)))
        code = -ERR_INVALID;
    while (code == 0) {
        code = buf_reserve(out, 64u * 1024u);
        ssize_t got = code == 0 ? read(fd, out->ptr + out->len, 64u * 1024u) : -1;
        if (got <= 0)
            break;
        out->len += (size_t)got;
    }
    if (fd >= 0)
        (void)close(fd);
    return code;
}

/* .../overlay-containers/ID/userdata -> .../overlay-containers/FILE */
static bool
podman_name(const struct hook_state *state, const char *file, char *raw, size_t size)
{
    char path[PATH_MAX + 64];
    struct str bundle = str_from(state->bundle);
    char tail[HOOK_ID_BYTES + 16];
    int count = snprintf(tail, sizeof(tail), "/%s/userdata", state->id);
    if (count < 0 || !str_ends(bundle, str_make(tail, (size_t)count)))
        return false;
    struct buf text;
    buf_init(&text, FILE_BYTES_MAX);
    count = snprintf(path, sizeof(path), "%.*s/%s", (int)(bundle.len - (size_t)count), bundle.ptr,
                     file);
    bool found = count > 0 && (size_t)count < sizeof(path) && read_file(path, &text) == 0 &&
                 naming_find(buf_str(&text), str_from(state->id), raw, size) == 0;
    buf_fini(&text);
    return found;
}

/* As podman calls a pod's sandbox: by the first 12 digits of the pod's id. Anybody may call a
 * container "web-infra". */
static bool
is_sandbox(struct str name)
{
    uint8_t id[6];
    return str_ends(name, STR("-infra")) &&
           hex_decode(str_make(name.ptr, name.len - STR("-infra").len), id, sizeof(id)) == 0;
}

void
naming_of(struct hook_state *state, char name[HOOK_NAME_BYTES])
{
    char raw[256] = "";
    name[0] = '\0';
    if (strcmp(state->runtime, "podman") == 0) {
        if (!podman_name(state, "containers.json", raw, sizeof(raw)))
            (void)podman_name(state, "volatile-containers.json", raw, sizeof(raw));
        state->infra = state->infra || is_sandbox(str_from(raw));
    } else if (strcmp(state->runtime, "docker") != 0) {
        /* Docker's ids are no names: its event stream tells the name (watch.h) */
        (void)!str_copy(raw, sizeof(raw), str_from(state->id));
    }
    struct str chosen = str_from(state->name[0] != '\0' ? state->name : raw);
    if (!binding_valid_name(chosen) || !str_copy(name, HOOK_NAME_BYTES, chosen))
        name[0] = '\0';
}
