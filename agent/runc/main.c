/* SPDX-License-Identifier: MIT
 * main.c - berth-runc: a runtime for Docker and containerd that is runc with Berth's hooks.
 * Floor: agent/runc; its own process, which becomes runc.
 * Owns: nothing for long.
 * Invariant: a container is created with the hooks, or not at all; every other command is runc's
 *            alone, with its very arguments. e2e/agent/docker.sh. */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "agent/oci/file.h"
#include "agent/oci/hooks.h"

#define SOCKET "/run/berth/hook.sock"
#define SOCKET_OF_UP "/var/lib/berth/run/hook.sock"

static const char help[] =
    "berth-runc - runc with Berth's hooks, for Docker, containerd and whatever else calls runc\n"
    "\n"
    "Usage: berth-runc [--berth-socket PATH] [--berth-hook PATH] [--berth-runtime PATH]\n"
    "                  [--berth-name NAME] [--berth-when-down deny|allow] RUNC-ARGUMENTS...\n"
    "  --berth-socket     the agent's hook socket (default /run/berth/hook.sock, else\n"
    "                     /var/lib/berth/run/hook.sock, that of `berth up`)\n"
    "  --berth-hook       berth-hook (default: beside this program)\n"
    "  --berth-runtime    the runc to become (default: runc of /usr/sbin, /usr/bin, ...)\n"
    "  --berth-name       the runtime's name in bindings (default: docker or containerd, by the\n"
    "                     bundle's path)\n"
    "  --berth-when-down  what the hooks do when no agent answers (default deny)\n"
    "Each is also read from the environment: BERTH_SOCKET, BERTH_HOOK, BERTH_RUNTIME, BERTH_NAME,\n"
    "BERTH_WHEN_DOWN.\n"
    "\n"
    "Example: dockerd --add-runtime berth=/usr/bin/berth-runc, then docker run --runtime berth "
    "...\n"
    "         ctr run --runc-binary /usr/bin/berth-runc ...\n";

enum { OPT_SOCKET, OPT_HOOK, OPT_RUNTIME, OPT_NAME, OPT_WHEN_DOWN, OPT_COUNT };
static const struct {
    const char *name;
    const char *env;
} options[OPT_COUNT] = {
    {"--berth-socket", "BERTH_SOCKET"},       {"--berth-hook", "BERTH_HOOK"},
    {"--berth-runtime", "BERTH_RUNTIME"},     {"--berth-name", "BERTH_NAME"},
    {"--berth-when-down", "BERTH_WHEN_DOWN"},
};

struct call {
    const char *value[OPT_COUNT];
    char **args; /* runc's, NULL-terminated */
    const char *command;
    const char *bundle;
    const char *log; /* --log FILE, where Docker looks for the reason */
};

/* "--flag VALUE" or "--flag=VALUE" at args[*at], which moves onto the value. NULL: another flag. */
static const char *
flag_value(char **args, size_t *at, const char *flag)
{
    size_t len = strlen(flag);
    if (strncmp(args[*at], flag, len) != 0)
        return NULL;
    if (args[*at][len] == '=')
        return args[*at] + len + 1;
    if (args[*at][len] != '\0' || args[*at + 1] == NULL)
        return NULL;
    return args[++*at];
}

/* runc [global flags] COMMAND [flags] ... */
static void
parse_runc(struct call *call)
{
    static const char *const valued[] = {"--log", "--log-format", "--root", "--criu", "--rootless"};
    size_t at = 0;
    for (; call->args[at] != NULL && call->args[at][0] == '-'; at++) {
        for (size_t i = 0; i < ARRAY_LEN(valued); i++) {
            const char *value = flag_value(call->args, &at, valued[i]);
            if (value != NULL && i == 0)
                call->log = value;
            if (value != NULL)
                break;
        }
    }
    call->command = call->args[at];
    for (at += call->args[at] != NULL; call->args[at] != NULL; at++) {
        const char *value = flag_value(call->args, &at, "--bundle");
        if (value == NULL)
            value = flag_value(call->args, &at, "-b");
        if (value != NULL)
            call->bundle = value;
    }
}

static bool
parse(int argc, char **argv, struct call *call)
{
    int at = 1;
    for (size_t i = 0; i < OPT_COUNT; i++)
        call->value[i] = getenv(options[i].env);
    while (at + 1 < argc) {
        size_t i = 0;
        while (i < OPT_COUNT && strcmp(argv[at], options[i].name) != 0)
            i++;
        if (i == OPT_COUNT)
            break;
        call->value[i] = argv[at + 1];
        at += 2;
    }
    call->args = argv + at;
    call->bundle = ".";
    parse_runc(call);
    return call->value[OPT_WHEN_DOWN] == NULL || strcmp(call->value[OPT_WHEN_DOWN], "deny") == 0 ||
           strcmp(call->value[OPT_WHEN_DOWN], "allow") == 0;
}

static int
add_hooks(const struct call *call, struct err *err)
{
    char config[PATH_MAX];
    char hook[PATH_MAX];
    struct hooks hooks = {.path = hook,
                          .socket = call->value[OPT_SOCKET],
                          .runtime = call->value[OPT_NAME],
                          .when_down = call->value[OPT_WHEN_DOWN]};
    struct buf text;
    struct buf edited;
    bool changed = false;
    if (hooks.socket == NULL)
        hooks.socket = access(SOCKET, F_OK) == 0 ? SOCKET : SOCKET_OF_UP;
    if (hooks.runtime == NULL)
        hooks.runtime = strstr(call->bundle, "/moby/") != NULL ? "docker" : "containerd";
    if (hooks.when_down == NULL)
        hooks.when_down = "deny";
    int count = snprintf(config, sizeof(config), "%s/config.json", call->bundle);
    if (count < 0 || (size_t)count >= sizeof(config))
        return err_set(err, ERR_TOO_LARGE, "the path of the bundle is too long");
    int code = hooks_beside(call->value[OPT_HOOK], hook, sizeof(hook), err);
    buf_init(&text, HOOKS_CONFIG_BYTES_MAX);
    buf_init(&edited, HOOKS_CONFIG_BYTES_MAX + 65536u);
    if (code == 0)
        code = file_read(config, &text, err);
    if (code == 0)
        code = hooks_add(&hooks, buf_str(&text), &edited, &changed, err);
    if (code == 0 && changed)
        code = file_replace(config, buf_str(&edited), 0600, err);
    buf_fini(&edited);
    buf_fini(&text);
    return code;
}

/* To whoever sees standard error, and as runc would say it to containerd's shim. */
static int
complain(const struct call *call, const char *text)
{
    struct json_writer writer;
    struct buf line;
    (void)fprintf(stderr, "berth-runc: %s\n", text);
    int fd =
        call->log != NULL ? open(call->log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600) : -1;
    if (fd < 0)
        return 1;
    buf_init(&line, 4096);
    json_writer_init(&writer, &line);
    json_open_object(&writer);
    json_member_str(&writer, "level", STR("error"));
    json_member_str(&writer, "msg", str_from(text));
    json_close_object(&writer);
    buf_put_byte(&line, '\n');
    (void)!write(fd, line.ptr, line.len);
    (void)close(fd);
    buf_fini(&line);
    return 1;
}

static const char *
find_runc(const struct call *call)
{
    static const char *const places[] = {"/usr/local/sbin/runc", "/usr/local/bin/runc",
                                         "/usr/sbin/runc", "/usr/bin/runc"};
    if (call->value[OPT_RUNTIME] != NULL)
        return call->value[OPT_RUNTIME];
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        if (access(places[i], X_OK) == 0)
            return places[i];
    }
    return NULL;
}

int
main(int argc, char **argv)
{
    struct call call = {.command = NULL};
    struct err err = {0};
    if (!parse(argc, argv, &call))
        return complain(&call, "--berth-when-down must be deny or allow");
    if (argc > 1 && strcmp(argv[1], "--berth-help") == 0)
        return fputs(help, stdout) < 0 ? 1 : 0;
    bool creates = call.command != NULL &&
                   (strcmp(call.command, "create") == 0 || strcmp(call.command, "run") == 0 ||
                    strcmp(call.command, "restore") == 0);
    const char *runc = find_runc(&call);
    if (runc == NULL)
        return complain(&call, "there is no runc; use --berth-runtime");
    if (creates && add_hooks(&call, &err) < 0)
        return complain(&call, err.text);
    call.args[-1] = (char[]){"runc"}; /* there is always one: our own name or option */
    (void)execv(runc, call.args - 1);
    return complain(&call, strerror(errno));
}
