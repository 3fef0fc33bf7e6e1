/* SPDX-License-Identifier: MIT
 * agent_options.c - command line and environment of berth-agent: one table.
 * Floor: agent/daemon; main thread.
 * Owns: nothing.
 * Invariant: see agent_options.h.
 * Every value option NAME is also the environment's BERTH_AGENT_NAME; the command line wins. */
#include "agent/daemon/agent_options.h"

#include <arpa/inet.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/base/num.h"

#include "agent/kernel/attest.h"

const char agent_options_help[] =
    "berth-agent - gives containers of this host their identity\n"
    "\n"
    "Usage:\n"
    "  berth-agent --control HOST:PORT --pki DIR --dataplane SOCKET [options]\n"
    "  berth-agent install-hooks [--dir DIR] [--hook PATH] [--when-down deny|allow]\n"
    "  berth-agent install-hooks --docker [--docker-config FILE]   berth-runc for Docker\n"
    "  berth-agent install-hooks --uninstall [--docker] [--dir DIR]\n"
    "  berth-agent runc-hooks [--hook PATH]     print the \"hooks\" member for a config.json\n"
    "\n"
    "Options:\n"
    "  --control HOST:PORT   the control plane's listener for nodes\n"
    "  --pki DIR             ca.crt, agent.crt, agent.key\n"
    "  --dataplane SOCKET    the local data plane's hand-over socket\n"
    "  --run-dir DIR         hook.sock, holder.sock (default /run/berth)\n"
    "  --port PORT           offered on 127.0.0.1 and ::1 inside containers (default 4180)\n"
    "  --policy POLICY       deny: a container that cannot get a token does not start (default)\n"
    "                        allow-untokened: it starts without one\n"
    "  --attestors LIST      what may tell containers apart (default netns+cgroup,netns,\n"
    "                        hostnet+cgroup,unix+pidfd)\n"
    "  --link-local ADDRESS  also give lo in containers this address, 169.254.x.y\n"
    "  --unix                also listen on the abstract unix socket @berth in containers\n"
    "  --bridge-address ADDRESS  with attestor ip+nft: listen here too, and know callers by their\n"
    "                        addresses, pinned to their ports by nft (weak)\n"
    "  --docker-socket PATH  follow Docker's events (default /run/docker.sock, when it is there)\n"
    "  --podman-socket PATH  follow Podman's (default /run/podman/podman.sock); \"none\": neither\n"
    "                        reads names, renames and pauses and finds what runs without a hook\n"
    "  --rootless USER,...   whose rootless containers get tokens, too (default nobody's); names\n"
    "                        and wallets are one for all users of a host\n"
    "  --rootless-socket PATH  where they ask (default /run/berth/rootless.sock)\n"
    "  --boot-id ID          (default: /proc/sys/kernel/random/boot_id)\n"
    "  --host-id ID          name of this host in bindings (default: /etc/machine-id)\n"
    "  --no-holder           do not keep listeners across restarts of the agent\n"
    "  --release-on-exit     on SIGTERM end all identities (default: the holder keeps them for "
    "the\n"
    "                        next agent)\n"
    "  --when-down ANSWER    what the installed hooks do when no agent runs (default deny)\n"
    "\n"
    "Every option is also read from BERTH_AGENT_NAME (BERTH_AGENT_PORT=4180). Needs root, or\n"
    "CAP_SYS_ADMIN, CAP_NET_ADMIN, CAP_NET_RAW, CAP_DAC_READ_SEARCH and CAP_SYS_PTRACE.\n"
    "\n"
    "Examples:\n"
    "  berth-agent --control 127.0.0.1:4190 --pki /var/lib/berth/pki \\\n"
    "              --dataplane /run/berth/handoff.sock\n"
    "  berth install-hooks && podman run --rm --name dev-env busybox \\\n"
    "      wget -qO- --header 'Authorization: Bearer container-dev-env' \\\n"
    "      http://127.0.0.1:4180/v1/models\n";

enum value_kind {
    VALUE_TEXT,
    VALUE_PORT,
    VALUE_POLICY,
    VALUE_ANSWER,
    VALUE_FD,
    VALUE_NONE,
    VALUE_ATTESTORS,
    VALUE_ADDRESS,
    VALUE_USERS
};
struct row {
    const char *name;
    const char *env;
    enum value_kind kind;
    size_t offset;
};
#define AT(member) offsetof(struct agent_options, member)
static const struct row rows[] = {
    {"--run-dir", "BERTH_AGENT_RUN_DIR", VALUE_TEXT, AT(run_dir)},
    {"--control", "BERTH_AGENT_CONTROL", VALUE_TEXT, AT(control)},
    {"--pki", "BERTH_AGENT_PKI", VALUE_TEXT, AT(pki)},
    {"--dataplane", "BERTH_AGENT_DATAPLANE", VALUE_TEXT, AT(dataplane)},
    {"--host-id", "BERTH_AGENT_HOST_ID", VALUE_TEXT, AT(host_id)},
    {"--boot-id", "BERTH_AGENT_BOOT_ID", VALUE_TEXT, AT(boot_id)},
    {"--attestors", "BERTH_AGENT_ATTESTORS", VALUE_ATTESTORS, AT(attestors)},
    {"--link-local", "BERTH_AGENT_LINK_LOCAL", VALUE_ADDRESS, AT(link_local)},
    {"--docker-socket", "BERTH_AGENT_DOCKER_SOCKET", VALUE_TEXT, AT(docker_socket)},
    {"--podman-socket", "BERTH_AGENT_PODMAN_SOCKET", VALUE_TEXT, AT(podman_socket)},
    {"--bridge-address", "BERTH_AGENT_BRIDGE_ADDRESS", VALUE_ADDRESS, AT(bridge_address)},
    {"--dir", "BERTH_AGENT_DIR", VALUE_TEXT, AT(hooks_dir)},
    {"--hook", "BERTH_AGENT_HOOK", VALUE_TEXT, AT(hook)},
    {"--port", "BERTH_AGENT_PORT", VALUE_PORT, AT(port)},
    {"--policy", "BERTH_AGENT_POLICY", VALUE_POLICY, AT(allow_untokened)},
    {"--when-down", "BERTH_AGENT_WHEN_DOWN", VALUE_ANSWER, AT(when_down)},
    {"--holder-fd", NULL, VALUE_FD, AT(holder_fd)},
    {"--docker", NULL, VALUE_NONE, AT(docker)},
    {"--docker-config", "BERTH_AGENT_DOCKER_CONFIG", VALUE_TEXT, AT(docker_config)},
    {"--rootless", "BERTH_AGENT_ROOTLESS", VALUE_USERS, AT(rootless)},
    {"--rootless-socket", "BERTH_AGENT_ROOTLESS_SOCKET", VALUE_TEXT, AT(rootless_socket)},
    {"--unix", "BERTH_AGENT_UNIX", VALUE_NONE, AT(with_unix)},
    {"--no-holder", NULL, VALUE_NONE, AT(no_holder)},
    {"--release-on-exit", NULL, VALUE_NONE, AT(release_on_exit)},
};

static int
set_address(const struct row *row, uint32_t *ret_address, const char *value, struct err *err)
{
    struct in_addr address;
    bool local = row->offset == AT(link_local);
    if (inet_pton(AF_INET, value, &address) != 1 || address.s_addr == 0 ||
        (local && ntohl(address.s_addr) >> 16 != 0xa9fe))
        return err_set(err, ERR_INVALID, "%s must be %s, not \"%s\"", row->name,
                       local ? "169.254.x.y" : "an IPv4 address", value);
    *ret_address = address.s_addr;
    return 0;
}

static int
set_users(struct agent_options *options, struct str list, struct err *err)
{
    options->rootless_count = 0;
    while (list.len > 0) {
        struct str item = STR_EMPTY;
        char name[64];
        uint64_t uid = 0;
        (void)str_cut(list, ',', &item, &list);
        item = str_trim(item);
        if (num_u64(item, UINT32_MAX - 1u, &uid) < 0) {
            const struct passwd *user = str_copy(name, sizeof(name), item) ? getpwnam(name) : NULL;
            uid = user != NULL ? user->pw_uid : 0;
        }
        if (uid == 0)
            return err_set(err, ERR_INVALID, "--rootless: \"%.*s\" is not a user, or is root",
                           (int)MIN(item.len, (size_t)40), item.ptr);
        if (options->rootless_count == OPTIONS_USERS_MAX)
            return err_set(err, ERR_INVALID, "--rootless takes at most %u users",
                           OPTIONS_USERS_MAX);
        options->rootless[options->rootless_count++] = (uid_t)uid;
    }
    return 0;
}

static int
set_value(struct agent_options *options, const struct row *row, const char *value, struct err *err)
{
    char *at = (char *)options + row->offset;
    struct str text = str_from(value);
    uint64_t number = 0;
    switch (row->kind) {
    case VALUE_TEXT:
        if (text.len == 0 || text.len > 4096)
            return err_set(err, ERR_INVALID, "%s needs a value", row->name);
        memcpy(at, &value, sizeof(value));
        return 0;
    case VALUE_PORT:
        if (num_u64(text, UINT16_MAX, &number) < 0 || number == 0)
            return err_set(err, ERR_INVALID, "%s must be 1 to 65535, not \"%s\"", row->name, value);
        memcpy(at, &(uint16_t){(uint16_t)number}, sizeof(uint16_t));
        return 0;
    case VALUE_POLICY:
        if (!str_eq(text, STR("deny")) && !str_eq(text, STR("allow-untokened")))
            return err_set(err, ERR_INVALID, "%s must be deny or allow-untokened, not \"%s\"",
                           row->name, value);
        *(bool *)at = text.ptr[0] == 'a';
        return 0;
    case VALUE_ANSWER:
        if (!str_eq(text, STR("deny")) && !str_eq(text, STR("allow")))
            return err_set(err, ERR_INVALID, "%s must be deny or allow, not \"%s\"", row->name,
                           value);
        memcpy(at, &value, sizeof(value));
        return 0;
    case VALUE_FD:
        if (num_u64(text, INT32_MAX, &number) < 0)
            return err_set(err, ERR_INVALID, "%s must be a descriptor", row->name);
        memcpy(at, &(int){(int)number}, sizeof(int));
        options->command = COMMAND_HOLDER;
        return 0;
    case VALUE_NONE:
        if (text.len > 0 && !str_eq(text, STR("1")) && !str_eq(text, STR("0")))
            return err_set(err, ERR_INVALID, "%s is 1 or 0", row->env);
        *(bool *)at = !str_eq(text, STR("0"));
        return 0;
    case VALUE_ATTESTORS:
        return attest_parse(text, &options->attestors, err);
    case VALUE_ADDRESS:
        return set_address(row, (uint32_t *)(void *)at, value, err);
    case VALUE_USERS:
        return set_users(options, text, err);
    }
    return 0;
}

static const struct row *
find_row(const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (strcmp(rows[i].name, name) == 0)
            return &rows[i];
    }
    return NULL;
}

static int
unknown(const char *name, struct err *err)
{
    const char *nearest = NULL;
    unsigned best = str_near_max(str_from(name)) + 1u;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        unsigned distance = str_distance(str_from(name), str_from(rows[i].name));
        if (distance < best) {
            best = distance;
            nearest = rows[i].name;
        }
    }
    return err_set(err, ERR_INVALID, "unknown option %s%s%s; see --help", name,
                   nearest != NULL ? ", did you mean " : "", nearest != NULL ? nearest : "");
}

static int
check(const struct agent_options *options, struct err *err)
{
    if (options->command != COMMAND_RUN)
        return 0;
    if (options->control == NULL)
        return err_set(err, ERR_INVALID, "--control HOST:PORT is missing; see --help");
    if (options->pki == NULL)
        return err_set(err, ERR_INVALID, "--pki DIR is missing; see --help");
    if (options->dataplane == NULL)
        return err_set(err, ERR_INVALID, "--dataplane SOCKET is missing; see --help");
    return 0;
}

int
agent_options_parse(int argc, char **argv, struct agent_options *ret_options, struct err *err)
{
    struct agent_options options = {.run_dir = "/run/berth",
                                    .hooks_dir = "/usr/share/containers/oci/hooks.d",
                                    .when_down = "deny",
                                    .holder_fd = -1,
                                    .docker_config = "/etc/docker/daemon.json",
                                    .docker_socket = "/run/docker.sock",
                                    .podman_socket = "/run/podman/podman.sock",
                                    .attestors = ATTESTORS_DEFAULT,
                                    .port = 4180};
    int code = 0;
    for (size_t i = 0; i < ARRAY_LEN(rows) && code == 0; i++) {
        const char *value = rows[i].env != NULL ? getenv(rows[i].env) : NULL;
        if (value != NULL)
            code = set_value(&options, &rows[i], value, err);
    }
    for (int i = 1; i < argc && code == 0; i++) {
        const struct row *row = find_row(argv[i]);
        if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0)
            options.command = COMMAND_HELP;
        else if (i == 1 && strcmp(argv[i], "install-hooks") == 0)
            options.command = COMMAND_INSTALL_HOOKS;
        else if (i == 1 && strcmp(argv[i], "runc-hooks") == 0)
            options.command = COMMAND_RUNC_HOOKS;
        else if (strcmp(argv[i], "--uninstall") == 0 && options.command == COMMAND_INSTALL_HOOKS)
            options.command = COMMAND_UNINSTALL_HOOKS;
        else if (row == NULL)
            return unknown(argv[i], err);
        else if (row->kind == VALUE_NONE)
            code = set_value(&options, row, "", err);
        else if (i + 1 >= argc)
            return err_set(err, ERR_INVALID, "%s needs a value", argv[i]);
        else
            code = set_value(&options, row, argv[++i], err);
    }
    if (code == 0)
        code = check(&options, err);
    if (code < 0)
        return code;
    *ret_options = options;
    return 0;
}
