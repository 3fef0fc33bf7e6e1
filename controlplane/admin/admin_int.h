/* SPDX-License-Identifier: MIT
 * admin_int.h - one call of the admin API, and how its handlers read and answer.
 * Floor: controlplane/admin, private.
 * Owns: see struct call.
 * Invariant: every call is answered exactly once. */
#ifndef BERTH_CONTROLPLANE_ADMIN_ADMIN_INT_H
#define BERTH_CONTROLPLANE_ADMIN_ADMIN_INT_H

#include "controlplane/admin/admin.h"
#include "lib/base/metrics.h"

#define CALL_ARENA_BYTES_MAX (64u * 1024u * 1024u)
#define CALL_PARAMS_MAX 2u
#define REPLY_BYTES_MAX (32u * 1024u * 1024u)

struct admin_listener {
    struct admin_listener *next;
    struct admin *admin;
    struct http_server *server;
    bool trusted;
};
/* The copy of the store: backup.c. */
enum backup_state { BACKUP_NONE, BACKUP_RUNNING, BACKUP_DONE, BACKUP_FAILED };
struct copying {
    enum backup_state state;
    struct store_backup *backup; /* while it is running */
    struct timer timer;
    struct err err;    /* why it failed */
    int64_t done_ms;   /* since 1970 */
    uint64_t revision; /* of the store, in the copy */
};
struct admin {
    struct admin_conf conf;
    struct copying copying;
    struct admin_listener *listeners;
    struct metrics *metrics;
};

/* From `request` to `closed`. params: decoded path parameters. All texts in the arena or the
 * stream. */
struct call {
    struct admin *admin;
    struct http_stream *stream;
    struct arena arena;
    const struct endpoint *endpoint;
    struct str query;
    struct str params[CALL_PARAMS_MAX];
    struct str signature; /* of a webhook; empty: none, or more than one */
    bool yaml_in;         /* content-type of the body */
    bool answered;
};
struct endpoint {
    void (*handle)(struct call *call);
    const char *method;
    const char *path;
    bool open;
};
#define ENDPOINT_ROW(handler, method, path, open, text) void endpoint_##handler(struct call *call);
#include "controlplane/admin/endpoints.def"
#undef ENDPOINT_ROW

/* ---- reply.c --------------------------------------------------------------------------------- */
/* A JSON reply under construction; wiped when sent: it may hold a new API key. */
struct reply {
    struct buf text;
    struct json_writer writer;
};
struct json_writer *reply_begin(struct reply *reply);
void reply_send(struct call *call, unsigned status, struct reply *reply);
void reply_text(struct call *call, unsigned status, const char *type, struct str text);
/* code: symbolic, as in NOT_FOUND. reply_err: status and code from err. */
void reply_error(struct call *call, unsigned status, const char *code, const char *message);
void reply_err(struct call *call, int code, const struct err *err);
void reply_money(struct json_writer *writer, const char *key, struct money money);
void reply_digits(struct json_writer *writer, const char *key, uint64_t value);
unsigned reply_status_of(int code);

/* ---- wallet.c, webhooks.c -------------------------------------------------------------------- */
/* wallet_exists - is there such a Wallet; else false, and answered. */
bool wallet_exists(struct call *call, struct str wallet);
/* wallet_deletable - it is there, is not the default one and holds no money; else answered. */
bool wallet_deletable(struct call *call, struct str wallet);
/* read_purse - member "purse" of a body; false when answered. reply_receipt - of a deposit or a
 * correction; what: the amount's member. Both of movements.c. */
bool read_purse(struct call *call, const struct tree *body, struct str fallback,
                enum ledger_purse *ret_purse);
void reply_receipt(struct call *call, struct str wallet, const char *what,
                   const struct ledger_receipt *receipt);
/* webhook_head - keep the signature, once the path's parameters are known. */
void webhook_head(struct call *call, const struct http_head *head);

/* ---- body.c ---------------------------------------------------------------------------------- */
/* body_tree - the body as a list of documents (YAML stream) or as one (JSON). Answers itself and
 * returns NULL when it is malformed. */
const struct tree *body_tree(struct call *call);
/* body_object - a JSON object with no keys but known[]; answers itself and returns NULL. */
const struct tree *body_object(struct call *call, const char *const *known);
/* Text of a string member, `fallback` when absent; false (and answered) when it is no string. */
bool body_text(struct call *call, const struct tree *body, const char *key, struct str fallback,
               struct str *ret);
/* query_text - decoded value, or fallback; false and answered when malformed. */
bool query_text(struct call *call, const char *key, struct str fallback, struct str *ret);
bool query_u64(struct call *call, const char *key, uint64_t max, uint64_t fallback, uint64_t *ret);
/* query_limit - ?limit=, 1 to max; false and answered when it is another. */
bool query_limit(struct call *call, uint64_t max, uint64_t fallback, uint64_t *ret_limit);
/* query_page - a list's ?wallet=, ?before= (0: from the newest) and ?limit= (1 to 100), and no
 * others. */
bool query_page(struct call *call, struct str fallback, struct str *ret_wallet,
                uint64_t *ret_before, uint64_t *ret_limit);
/* query_known - no keys but known[] (NULL-terminated); answers itself. */
bool query_known(struct call *call, const char *const *known);

/* ---- identity.c ------------------------------------------------------------------------------ */
/* identity_show - add status.binding, the signed one, to a Container that has one in force. */
int identity_show(struct call *call, struct object *object) MUST_USE;

/* ---- caps.c ---------------------------------------------------------------------------------- */
/* caps_show - add status.cap, what is spent, to a Container or an ApiKey that has caps. */
int caps_show(struct call *call, struct object *object) MUST_USE;

/* ---- backup.c -------------------------------------------------------------------------------- */
void copying_init(struct admin *admin);
void copying_fini(struct admin *admin);

/* ---- metrics of this room: rows of metrics.def ----------------------------------------------- */
enum admin_metric {
#define METRIC_ROW(name, kind, label, help) ADMIN_METRIC_##name,
#include "controlplane/admin/metrics.def"
#undef METRIC_ROW
    ADMIN_METRIC_COUNT
};
int admin_metrics_new(struct metrics **ret_metrics) MUST_USE;

#endif
