/* SPDX-License-Identifier: MIT
 * bind_int.h - one commit about one identity under construction: its conditions, its writes, and
 *              the refusal when it comes to that.
 * Floor: controlplane/reconcile, private; engine thread.
 * Owns: the arena of struct bind.
 * Invariant: what is written together is one commit; nothing is changed in memory before it. */
#ifndef BERTH_CONTROLPLANE_RECONCILE_BIND_INT_H
#define BERTH_CONTROLPLANE_RECONCILE_BIND_INT_H

#include "controlplane/reconcile/bind.h"

/* A rename: number and next number, Container and log of both names, the row. */
#define BIND_OPS_MAX 8u

/* name_is_number: nobody named it, its number does. by: why, for the Container's log. code: for the
 * agent, when refused. */
struct bind {
    struct engine *engine;
    struct arena arena;
    struct str node;
    struct binding binding;
    struct object container;
    bool name_is_number;
    enum trigger by;
    struct store_cond conds[BIND_OPS_MAX];
    struct store_op ops[BIND_OPS_MAX];
    size_t cond_count;
    size_t op_count;
    const char *code;
    struct err *err;
};
void bind_init(struct bind *bind, struct engine *engine, enum trigger by, struct err *err);
void bind_fini(struct bind *bind);
/* bind_refuse, bind_store_failed - set the agent's code and the sentence; return -err_code. */
int bind_refuse(struct bind *bind, const char *code, enum err_code err_code, const char *text,
                struct str detail) MUST_USE;
int bind_store_failed(struct bind *bind, int code) MUST_USE;
void bind_add_op(struct bind *bind, struct str key, struct str value, bool gone);
void bind_add_cond(struct bind *bind, struct str key, uint64_t mod_rev);
int bind_add_object(struct bind *bind, const struct object *object) MUST_USE;
int bind_check_name(struct bind *bind) MUST_USE;
/* bind_take_number - the number that this name has, or the next one, with the writes for it. */
int bind_take_number(struct bind *bind) MUST_USE;
/* bind_load_container - the Container of that name, or a new one; the wallet of the binding. */
int bind_load_container(struct bind *bind) MUST_USE;
/* bind_set_status - all of status for a row with these suspensions, and its entry in the log.
 * "suspended" says more than "paused": what is paused keeps its token. */
int bind_set_status(struct bind *bind, const char *hex, unsigned suspended, bool paused) MUST_USE;
/* bind_end_status - "gone", when the status of that name is still this row's. */
int bind_end_status(struct bind *bind, const struct binding_row *row, const char *reason) MUST_USE;
/* bind_sign - date, sign and put the row's value; *ret_value is the caller's buf, initialised. */
int bind_sign(struct bind *bind, const char *hex, uint64_t mod_rev, struct buf *value) MUST_USE;
int bind_commit(struct bind *bind, uint64_t *ret_revision) MUST_USE;

#endif
