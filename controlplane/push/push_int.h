/* SPDX-License-Identifier: MIT
 * push_int.h - what the files of this folder share: nodes, their queues, their rows.
 * Floor: controlplane/push, private.
 * Owns: see each struct.
 * Invariant: queued_bytes is the sum over both frame lists but for full-state frames. */
#ifndef BERTH_CONTROLPLANE_PUSH_PUSH_INT_H
#define BERTH_CONTROLPLANE_PUSH_PUSH_INT_H

#include "controlplane/push/push.h"
#include "controlplane/reconcile/caps.h"
#include "lib/http/server.h"

#define NODE_NAME_BYTES_MAX 64u
#define NODE_TEXT_BYTES_MAX 200u

enum node_part {
#define PART_ROW(name) PART_##name,
#include "controlplane/push/parts.def"
#undef PART_ROW
    PART_COUNT
};
const char *node_part_name(enum node_part part);

enum node_role { ROLE_DATAPLANE = 1, ROLE_AGENT = 2 };
/* The rows of records.c say what is allowed when. */
enum node_state { NODE_HELLO = 1, NODE_LIVE = 2 };

enum frame_kind {
    FRAME_URGENT, /* revoke: ahead of all others */
    FRAME_PLAIN,
    FRAME_CONFIG, /* replaced by a newer one while it waits */
    FRAME_FULL    /* first state: not counted against the queue's cap */
};
struct frame {
    struct list node;
    enum frame_kind kind;
    size_t sent;
    size_t len;
    char bytes[];
};

/* What a data plane was told about a wallet; key of the map is `wallet`. */
struct told_funds {
    int64_t granted;
    int64_t returned;
    const char *status;
    size_t wallet_len;
    char wallet[];
};

struct node {
    struct list in_push;
    struct push *push;
    struct http_stream *stream;
    enum node_role role;
    enum node_state state;
    char name[NODE_NAME_BYTES_MAX + 1];
    char boot[NODE_TEXT_BYTES_MAX + 1];
    uint64_t epoch;
    int64_t since_ms; /* by the wall, for people */
    uint64_t since_mono_ms;
    struct buf line;    /* an incomplete record */
    struct list urgent; /* frames */
    struct list frames;
    size_t queued_bytes;
    bool blocked; /* the stream has enough; `writable` will come */
    bool doomed;  /* aborted; closed() frees it */
    uint64_t sent[PART_COUNT];
    uint64_t acked[PART_COUNT];
    char nack[NODE_TEXT_BYTES_MAX + 1];
    struct map rows;  /* incarnation hex (heap) -> the same: bindings that it was told */
    struct map funds; /* wallet -> struct told_funds */
};

/* A bind that is committed and waits for acks. */
struct pending {
    struct list in_push;
    struct push *push;
    struct node *agent;
    uint64_t id;
    uint64_t revision;
    char hex[2 * INCARNATION_BYTES + 1];
    struct timer timer;
};

/* What is remembered of a node beyond its connections; key of the map is `name`. An agent that is
 * silent too long is away, and its containers are suspended. A data plane that is gone may serve
 * what it knew until its validity lease ends. Times are monotonic. */
struct presence {
    enum node_role role;
    uint64_t heard_ms;
    uint64_t ticked_ms;                 /* the last tick that it was sent */
    bool away;                          /* agents: suspended */
    char name[NODE_NAME_BYTES_MAX + 3]; /* "a/" or "d/" and the name */
};

struct push {
    struct push_conf conf;
    struct engine *engine;
    struct http_server *server;
    struct timer tick;
    struct timer watch; /* looks at presences and finished rotations */
    struct list nodes;
    struct list pending;
    struct map presences;
    struct map lost; /* orphan.c */
    uint64_t lost_round;
    uint64_t orphans_due_ms;
    struct buf head; /* scratch of records.c */
    struct buf list;
};

/* ---- presence.c: who is there, who was ------------------------------------------------------- */
/* presence_heard - bytes came from it. */
void presence_heard(struct node *node);
void presence_ticked(struct node *node);
/* presence_hosting - the agent has said what it hosts: what was suspended comes back. */
void presence_hosting(struct node *node);
/* presence_start - agents of loaded rows count as heard now. */
void presence_start(struct push *push);
void presence_look(struct push *push);
void presence_free(struct push *push);
/* presence_put_lost - data planes that are not connected and may still serve, as entries of
 * push_put_nodes. */
void presence_put_lost(const struct push *push, struct json_writer *writer);

/* ---- orphan.c: leases of data planes that are lost ------------------------------------------- */
/* orphan_look - cheap while it is not due. */
void orphan_look(struct push *push);
void orphan_free(struct push *push);

/* ---- node.c: one connection ------------------------------------------------------------------ */
int node_new(struct push *push, struct http_stream *stream, struct node **ret_node) MUST_USE;
void node_free(struct node *node);
/* node_send - queue one record without its newline and write what fits. Above the cap the
 * connection is dropped (the node resyncs when it comes back). */
void node_send(struct node *node, enum frame_kind kind, struct str record);
void node_pump(struct node *node);
/* node_drop - abort the connection; reason goes to the log. */
void node_drop(struct node *node, const char *reason);
/* node_feed - bytes from the node, cut into records. */
void node_feed(struct node *node, struct str bytes);
bool node_is_live(const struct node *node, enum node_role role);

/* ---- records.c: what nodes say --------------------------------------------------------------- */
void record_handle(struct node *node, struct str line);

/* ---- usage_list.c: nearly all that comes up is usage, and nearly all of that is its list ----- */
/* usage_list_cut - *ret_list: what stands between the brackets of line's `records`, so that no
 * document is made of it; head: the line with an empty list. false: it is written in another
 * way. */
bool usage_list_cut(struct str line, struct buf *head, struct str *ret_list);
/* usage_list_expand - out becomes "[list]", in which each "texts":[0,2] at the end of a record is
 * replaced by the members of those objects in doc's `texts`. list: from usage_list_cut, or ptr
 * NULL. -ERR_PARSE. api/plane.md "usage". */
int usage_list_expand(const struct json_doc *doc, struct str list, struct arena *arena,
                      struct buf *out, struct err *err) MUST_USE;

/* ---- state.c: what nodes are told ------------------------------------------------------------ */
void state_welcome(struct node *node);
void state_config(struct node *node, bool full);
void state_bindings_full(struct node *node);
void state_binding_add(struct node *node, const struct binding_row *row);
void state_binding_end(struct node *node, const struct binding_row *row, uint64_t revision);
void state_binding_suspend(struct node *node, const struct binding_row *row, uint64_t revision);
void state_keys(struct node *node);
/* all wallets when full, else one, and only when it differs from what was told; granted: the lease
 * of this epoch. */
void state_funds_full(struct node *node);
void state_funds(struct node *node, struct str wallet, bool always);
void state_tick(struct node *node);
/* state_serves - shall this data plane know bindings of that boot? Its own, and those that no
 * connected data plane is on the host of. */
bool state_serves(const struct node *node, struct str boot);

/* ---- pending.c: binds under way -------------------------------------------------------------- */
void pending_answer_bound(struct node *agent, uint64_t id, const struct binding_row *row);
void pending_add(struct node *agent, uint64_t id, const struct binding_row *row);
/* pending_look - after acks, hellos, losses: answer what is complete. */
void pending_look(struct push *push);
void pending_refuse(struct node *agent, uint64_t id, const char *code, const char *reason);
/* pending_nacked - a data plane refused these bindings. */
void pending_nacked(struct push *push, struct node *dataplane, uint64_t revision);
/* pending_forget - the agent, or the row, is gone. */
void pending_forget_agent(struct push *push, struct node *agent);
void pending_forget_row(struct push *push, const char *hex);

#endif
