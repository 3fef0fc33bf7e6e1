/* SPDX-License-Identifier: MIT
 * options.c - see options.h.
 * Floor: dataplane/node; main thread.
 * Owns: nothing.
 * Invariant: a flag wins over its BERTH_DATAPLANE_* variable. */
#include "dataplane/node/options.h"

#include <stdlib.h>
#include <unistd.h>

#include "lib/base/num.h"

const char options_help[] =
    "berth-dataplane - proxies model requests, meters them, keeps no state of its own but a "
    "journal\n"
    "\n"
    "Usage: berth-dataplane --data DIR [--control HOST:PORT --pki DIR] [options]\n"
    "\n"
    "  --data DIR           journal and last good configuration (created, mode 0700)\n"
    "  --control HOST:PORT  the control plane's node listener; without it the last good\n"
    "                       configuration in DIR is served until its validity lease ends\n"
    "  --pki DIR            ca.crt, dataplane.crt and dataplane.key, as made by the control plane\n"
    "  --listen ADDR        clear HTTP/1.1 and HTTP/2, for API keys; repeatable\n"
    "                       (default 127.0.0.1:4181; \"none\" for none)\n"
    "  --listen-tls ADDR    the same over TLS; repeatable; with --tls-cert FILE --tls-key FILE\n"
    "  --handoff PATH       unix socket on which the local agent hands over containers' "
    "connections\n"
    "  --admin ADDR         /healthz /livez /readyz /metrics (default 127.0.0.1:4182)\n"
    "  --workers N          loops (default: one a core)\n"
    "  --journal-mib N      bound of the usage journal on disk, a worker (default 1024)\n"
    "  --form-mib N         largest form: a sound file, pictures (default 128)\n"
    "  --spool-mib N        disk for forms that wait, a worker; of one caller a quarter at most\n"
    "                       (default 1024)\n"
    "  --help               this text\n"
    "\n"
    "Every option is also read from the environment: --listen-tls = BERTH_DATAPLANE_LISTEN_TLS.\n"
    "BERTH_LOG=debug|info|warn|error sets what is logged.\n"
    "\n"
    "Examples:\n"
    "  berth-dataplane --data /var/lib/berth/dataplane --control 127.0.0.1:4183 --pki "
    "/var/lib/berth/pki\n"
    "  curl -s http://127.0.0.1:4181/v1/models -H \"Authorization: Bearer $BERTH_KEY\"\n";

struct option_row {
    const char *flag;
    const char *env;
    const char **text; /* one of these two */
    uint32_t *number;
    uint32_t *count; /* repeatable: text[] of OPTIONS_LISTEN_MAX */
    uint32_t min, max;
};

static int
option_set(const struct option_row *row, const char *value, struct err *err)
{
    if (row->number != NULL) {
        uint64_t number = 0;
        if (num_u64(str_from(value), row->max, &number) != 0 || number < row->min)
            return err_set(err, ERR_RANGE, "%s wants a number from %u to %u, not '%s'.", row->flag,
                           row->min, row->max, value);
        *row->number = (uint32_t)number;
        return 0;
    }
    if (row->count == NULL) {
        *row->text = value;
        return 0;
    }
    if (*row->count == OPTIONS_LISTEN_MAX)
        return err_set(err, ERR_RANGE, "%s can be given %u times at most.", row->flag,
                       OPTIONS_LISTEN_MAX);
    row->text[(*row->count)++] = value;
    return 0;
}

static int
options_from_args(const struct option_row *rows, size_t count, int argc, char **argv, bool *given,
                  struct err *err)
{
    for (int i = 1; i < argc; i += 2) {
        size_t r = 0;
        while (r < count && !str_eq(str_from(argv[i]), str_from(rows[r].flag)))
            r++;
        if (r == count)
            return err_set(err, ERR_UNKNOWN_KEY, "unknown option '%s'; see --help.", argv[i]);
        if (i + 1 >= argc)
            return err_set(err, ERR_INVALID, "%s wants a value; see --help.", argv[i]);
        int rc = option_set(&rows[r], argv[i + 1], err);
        if (rc != 0)
            return rc;
        given[r] = true;
    }
    return 0;
}

static int
options_from_env(const struct option_row *rows, size_t count, const bool *given, struct err *err)
{
    for (size_t r = 0; r < count; r++) {
        const char *value = given[r] ? NULL : getenv(rows[r].env);
        int rc = value != NULL ? option_set(&rows[r], value, err) : 0;
        if (rc != 0)
            return rc;
    }
    return 0;
}

static int
options_check(const struct options *o, struct err *err)
{
    if (o->data == NULL)
        return err_set(err, ERR_INVALID, "--data DIR is needed; see --help.");
    if (o->control != NULL && o->pki == NULL)
        return err_set(err, ERR_INVALID, "--control wants --pki DIR; see --help.");
    if (o->listen_tls_count > 0 && (o->tls_cert == NULL || o->tls_key == NULL))
        return err_set(err, ERR_INVALID, "--listen-tls wants --tls-cert and --tls-key.");
    return 0;
}

static void
options_default(struct options *o)
{
    if (o->listen_count == 0)
        o->listen[o->listen_count++] = "127.0.0.1:4181";
    if (str_eq(str_from(o->listen[0]), STR("none")))
        o->listen_count = 0;
    if (o->admin == NULL)
        o->admin = "127.0.0.1:4182";
    if (o->journal_mib == 0)
        o->journal_mib = 1024;
    if (o->form_mib == 0)
        o->form_mib = 128;
    if (o->spool_mib == 0)
        o->spool_mib = 1024;
    if (o->workers == 0) {
        long cores = sysconf(_SC_NPROCESSORS_ONLN);
        o->workers = cores < 1 ? 1 : cores > 64 ? 64 : (uint32_t)cores;
    }
}

int
options_parse(int argc, char **argv, struct options *ret_options, struct err *err)
{
    struct options o = {0};
    const struct option_row rows[] = {
        {.flag = "--data", .env = "BERTH_DATAPLANE_DATA", .text = &o.data},
        {.flag = "--control", .env = "BERTH_DATAPLANE_CONTROL", .text = &o.control},
        {.flag = "--pki", .env = "BERTH_DATAPLANE_PKI", .text = &o.pki},
        {.flag = "--listen",
         .env = "BERTH_DATAPLANE_LISTEN",
         .text = o.listen,
         .count = &o.listen_count},
        {.flag = "--listen-tls",
         .env = "BERTH_DATAPLANE_LISTEN_TLS",
         .text = o.listen_tls,
         .count = &o.listen_tls_count},
        {.flag = "--tls-cert", .env = "BERTH_DATAPLANE_TLS_CERT", .text = &o.tls_cert},
        {.flag = "--tls-key", .env = "BERTH_DATAPLANE_TLS_KEY", .text = &o.tls_key},
        {.flag = "--admin", .env = "BERTH_DATAPLANE_ADMIN", .text = &o.admin},
        {.flag = "--handoff", .env = "BERTH_DATAPLANE_HANDOFF", .text = &o.handoff},
        {.flag = "--workers",
         .env = "BERTH_DATAPLANE_WORKERS",
         .number = &o.workers,
         .min = 1,
         .max = 64},
        {.flag = "--journal-mib",
         .env = "BERTH_DATAPLANE_JOURNAL_MIB",
         .number = &o.journal_mib,
         .min = 8,
         .max = 1048576},
        {.flag = "--form-mib",
         .env = "BERTH_DATAPLANE_FORM_MIB",
         .number = &o.form_mib,
         .min = 1,
         .max = 4096},
        {.flag = "--spool-mib",
         .env = "BERTH_DATAPLANE_SPOOL_MIB",
         .number = &o.spool_mib,
         .min = 1,
         .max = 1048576},
    };
    bool given[ARRAY_LEN(rows)] = {false};
    for (int i = 1; i < argc; i++) {
        if (str_eq(str_from(argv[i]), STR("--help"))) {
            ret_options->help = true;
            return 0;
        }
    }
    int rc = options_from_args(rows, ARRAY_LEN(rows), argc, argv, given, err);
    if (rc == 0)
        rc = options_from_env(rows, ARRAY_LEN(rows), given, err);
    if (rc == 0)
        rc = options_check(&o, err);
    if (rc != 0)
        return rc;
    options_default(&o);
    *ret_options = o;
    return 0;
}
