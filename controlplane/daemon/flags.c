/* SPDX-License-Identifier: MIT
 * flags.c - see flags.h.
 * Floor: controlplane/daemon; main thread.
 * Owns: nothing.
 * Invariant: see flags.h. */
#include "controlplane/daemon/flags.h"

#include <stdlib.h>

const char flags_help[] =
    "berth-controlplane - keeps objects, identities and money; tells nodes what holds\n"
    "\n"
    "Usage: berth-controlplane --data DIR [options]\n"
    "\n"
    "  --data DIR            database, keys, certificates, admin token (created, mode 0700)\n"
    "  --listen-admin ADDR   admin API with the token of DIR/admin.token; loopback only\n"
    "                        (default 127.0.0.1:4184; \"none\" = only the socket DIR/admin.sock)\n"
    "  --listen-planes ADDR  data planes and agents, mutual TLS (default 127.0.0.1:4183)\n"
    "  --store URL           sqlite:/PATH or memory: (default sqlite:DIR/berth.db)\n"
    "  --server-name NAME    DNS name that nodes connect to, for the certificate\n"
    "                        (default controlplane; localhost and this host's name are always in "
    "it)\n"
    "  --help                this text\n"
    "\n"
    "Every option is also read from the environment: --listen-admin = BERTH_LISTEN_ADMIN.\n"
    "Provider keys under their usual names (OPENAI_API_KEY, ANTHROPIC_API_KEY, ...) make "
    "Providers.\n"
    "BERTH_OFFLINE_SIM=http://127.0.0.1:9100 points openai and anthropic at berth-sim.\n"
    "BERTH_LOG=debug|info|warn|error sets what is logged.\n"
    "\n"
    "Examples:\n"
    "  OPENAI_API_KEY=sk-... berth-controlplane --data /var/lib/berth/controlplane\n"
    "  curl -s --unix-socket /var/lib/berth/controlplane/admin.sock "
    "http://localhost/apis/berth.dev/v1alpha1/providers\n"
    "  curl -s -H \"Authorization: Bearer $(cat /var/lib/berth/controlplane/admin.token)\" \\\n"
    "       http://127.0.0.1:4184/api/v1/wallet/balances\n";

struct row {
    const char *flag;
    const char *env;
    const char *fallback;
    size_t offset;
};
#define ROW(flag_, env_, fallback_, member)                \
    {                                                      \
        .flag = flag_, .env = env_, .fallback = fallback_, \
        .offset = offsetof(struct flags, member)           \
    }
static const struct row rows[] = {
    ROW("--data", "BERTH_DATA", NULL, data),
    ROW("--listen-admin", "BERTH_LISTEN_ADMIN", "127.0.0.1:4184", listen_admin),
    ROW("--listen-planes", "BERTH_LISTEN_PLANES", "127.0.0.1:4183", listen_planes),
    ROW("--store", "BERTH_STORE", NULL, store),
    ROW("--server-name", "BERTH_SERVER_NAME", "controlplane", server_name),
    ROW("", "BERTH_OFFLINE_SIM", NULL, offline_sim),
};

static const char **
value_of(struct flags *options, const struct row *row)
{
    return (const char **)(void *)((char *)options + row->offset);
}

static const struct row *
find(struct str flag, const struct row **ret_nearest)
{
    unsigned best = 4;
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        if (rows[i].flag[0] && str_eq(flag, str_from(rows[i].flag)))
            return &rows[i];
        if (rows[i].flag[0] && str_distance(flag, str_from(rows[i].flag)) < best) {
            best = str_distance(flag, str_from(rows[i].flag));
            *ret_nearest = &rows[i];
        }
    }
    return NULL;
}

int
flags_parse(int argc, char **argv, struct flags *ret_options, struct err *err)
{
    struct flags options = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        const char *value = getenv(rows[i].env);
        *value_of(&options, &rows[i]) = value && value[0] ? value : rows[i].fallback;
    }
    for (int i = 1; i < argc; i++) {
        struct str flag = str_from(argv[i]);
        struct str value;
        const struct row *nearest = NULL;
        if (str_eq(flag, STR("--help")) || str_eq(flag, STR("-h"))) {
            options.help = true;
            break;
        }
        bool joined = str_cut(flag, '=', &flag, &value);
        const struct row *row = find(flag, &nearest);
        if (!row)
            return err_set(err, ERR_UNKNOWN_KEY, "unknown option %.*s%s%s; see --help",
                           STR_ARG(flag), nearest ? ", did you mean " : "",
                           nearest ? nearest->flag : "");
        if (!joined && i + 1 >= argc)
            return err_set(err, ERR_INVALID, "%s wants a value; see --help", row->flag);
        *value_of(&options, row) = joined ? value.ptr : argv[++i];
    }
    if (!options.help && (!options.data || !options.data[0]))
        return err_set(err, ERR_INVALID, "--data DIR is missing; see --help");
    *ret_options = options;
    return 0;
}
