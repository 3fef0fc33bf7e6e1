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
    "  --validity-lease TIME how long a node that hears nothing goes on serving containers\n"
    "                        (default 15s, 1s to 1h)\n"
    "  --container-tokens strict|tag  strict (default): what a container shows as its token has to "
    "be\n"
    "                        its own; tag: any container-... from inside a container is taken, "
    "who\n"
    "                        it is was proved before, and the word is in its usage records\n"
    "  --markup-bps N        what a call costs on top of its provider's price, basis points\n"
    "                        (default 500 = 5 %)\n"
    "  --transfer-fee-bps N  what a transfer from General to AI costs (default 0)\n"
    "  --orphan-lease TIME   when money lent to a data plane that is gone goes back to its wallet\n"
    "                        (default 1h, at least two validity leases)\n"
    "  --usage-retention TIME how long single usage records are kept; their sums by the hour stay\n"
    "                        (default 90d, at least 35d, or \"forever\")\n"
    "  --discovery-interval TIME how often each provider is asked for its list of models\n"
    "                        (default 6h; \"off\" = only by `berth models discover`, the default "
    "with\n"
    "                        BERTH_OFFLINE_SIM)\n"
    "  --seal-key-file FILE  master key that stored provider keys are sealed with (default\n"
    "                        DIR/seal.key, made by the first start, mode 0600; keep a copy)\n"
    "  --seal-passphrase-file FILE  a passphrase instead, mode 0600 (Argon2id)\n"
    "  --print-catalogue     print the catalogue of models that came with this version, as JSON\n"
    "  --help                this text\n"
    "\n"
    "Every option is also read from the environment: --listen-admin = BERTH_LISTEN_ADMIN.\n"
    "Provider keys under their usual names (OPENAI_API_KEY, ANTHROPIC_API_KEY, ...) make "
    "Providers.\n"
    "OPENAI_BASE_URL, OLLAMA_BASE_URL, VLLM_BASE_URL, ... say where; "
    "BERTH_ALLOW_HOSTS=HOST[:PORT],... which\n"
    "of them may be private and without TLS.\n"
    "BERTH_OFFLINE_SIM=http://127.0.0.1:9100 points openai and anthropic at berth-sim.\n"
    "BERTH_STRIPE_WEBHOOK_SECRET, BERTH_CRYPTO_WEBHOOK_SECRET (or ..._FILE) switch payment "
    "webhooks "
    "on.\n"
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
    ROW("--validity-lease", "BERTH_VALIDITY_LEASE", "15s", validity_lease),
    ROW("--container-tokens", "BERTH_CONTAINER_TOKENS", "strict", container_tokens),
    ROW("--markup-bps", "BERTH_MARKUP_BPS", "500", markup_bps),
    ROW("--transfer-fee-bps", "BERTH_TRANSFER_FEE_BPS", "0", fee_bps),
    ROW("--orphan-lease", "BERTH_ORPHAN_LEASE", "1h", orphan_lease),
    ROW("--usage-retention", "BERTH_USAGE_RETENTION", "90d", usage_retention),
    ROW("--discovery-interval", "BERTH_DISCOVERY_INTERVAL", NULL, discovery_interval),
    ROW("--seal-key-file", "BERTH_SEAL_KEY_FILE", NULL, seal_key_file),
    ROW("--seal-passphrase-file", "BERTH_SEAL_PASSPHRASE_FILE", NULL, seal_passphrase_file),
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
    unsigned best = str_near_max(flag) + 1u;
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

/* One option and its value; *at moves on when that is the next argument. */
static int
take(char **argv, int argc, int *at, struct flags *options, struct err *err)
{
    struct str flag;
    struct str value;
    const struct row *nearest = NULL;
    bool joined = str_cut(str_from(argv[*at]), '=', &flag, &value);
    const struct row *row = find(flag, &nearest);
    if (!row)
        return err_set(err, ERR_UNKNOWN_KEY, "unknown option %.*s%s%s; see --help", STR_ARG(flag),
                       nearest ? ", did you mean " : "", nearest ? nearest->flag : "");
    if (!joined && *at + 1 >= argc)
        return err_set(err, ERR_INVALID, "%s wants a value; see --help", row->flag);
    *value_of(options, row) = joined ? value.ptr : argv[++*at];
    return 0;
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
        if (str_eq(flag, STR("--help")) || str_eq(flag, STR("-h"))) {
            options.help = true;
            break;
        }
        if (str_eq(flag, STR("--print-catalogue"))) {
            options.print_catalogue = true;
            continue;
        }
        int code = take(argv, argc, &i, &options, err);
        if (code < 0)
            return code;
    }
    if (!options.help && !options.print_catalogue && (!options.data || !options.data[0]))
        return err_set(err, ERR_INVALID, "--data DIR is missing; see --help");
    *ret_options = options;
    return 0;
}
