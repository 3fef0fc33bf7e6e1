/* SPDX-License-Identifier: MIT
 * carry.h - calls that are no conversation, carried to a vendor who says them otherwise: out of
 *           OpenAI's shape and back into it.
 * Floor: dataplane/media, on dialect; any thread, no I/O.
 * Owns: nothing.
 * Invariant: what a vendor cannot do is refused naming the field; numbers pass as the very text
 *            that they came in. embed_test.c, picture_test.c, carry_fuzz.c. */
#ifndef BERTH_DATAPLANE_MEDIA_CARRY_H
#define BERTH_DATAPLANE_MEDIA_CARRY_H

#include "dataplane/dialect/dialect.h"
#include "dataplane/media/letter.h"
#include "dataplane/media/ticket.h"

/* What the answer has to keep of the request. model: as the caller said it, id: the request's, both
 * borrowed. created_s:
 * of the answer, since 1970. count: answers that are due. tokens: of the prompt, by estimate, told
 * where the vendor tells none. dropped: members that he has no place for, comma separated, in the
 * arena. */
struct carry_wish {
    struct str model;
    struct str id;
    uint64_t created_s;
    bool base64;
    uint64_t count;
    uint64_t tokens;
    struct str dropped;
};
/* Both take an object: media_facts, and whoever reads the answer, have refused all else.
 * request: doc is the caller's body in OpenAI's shape; model the target's name. *ret_wish without
 * model, id and created_s. 0; -ERR_INVALID, -ERR_RANGE, -ERR_UNSUPPORTED with the field in err,
 * -ERR_NOMEM.
 * answer: a 200 of the vendor, scanned, into OpenAI's shape; *ret_usage evidence NONE where nothing
 * was reported or counted. 0; -ERR_INVALID: it is none; -ERR_NOT_FOUND: nothing was made
 * (*ret_usage is set); -ERR_TIMEOUT: it is not done; -ERR_NOMEM. */
struct carrier {
    int (*request)(const struct json_doc *doc, struct str model, struct arena *arena,
                   struct buf *out, struct carry_wish *ret_wish, struct err *err);
    int (*answer)(const struct json_doc *doc, const struct carry_wish *wish, struct buf *out,
                  struct usage *ret_usage);
    const char *content_type; /* of the request; NULL = JSON */
    /* doc: an answer that is not done. 0; -ERR_INVALID: it does not say where to ask; -ERR_NOMEM.
     * NULL: there is no asking twice. */
    int (*ticket)(const struct json_doc *doc, struct arena *arena, struct ticket *ret_ticket);
    /* In place of request, of a whole form: doc are its letter's fields, the body goes to draft,
     * which is ended by the caller. is_form: that is a form, too, with the letter's boundary. */
    int (*draft)(const struct json_doc *doc, const struct letter *letter, struct str model,
                 struct arena *arena, struct draft *draft, struct carry_wish *ret_wish,
                 struct err *err);
    bool is_form;
};
/* carrier_find - who carries calls of this endpoint to providers of this dialect, or NULL. base:
 * the path of the provider's address: Vertex is Gemini at another one. */
const struct carrier *carrier_find(const struct dialect *target, enum chat_endpoint endpoint,
                                   struct str base);

/* carry_same - bodies of this endpoint pass unchanged between caller and target. */
bool carry_same(const struct dialect *target, const struct dialect *caller,
                enum chat_endpoint endpoint, struct str base);

/* carry_report - what an answer with embeddings says of its usage, whoever wrote it; false:
 * nothing. */
bool carry_report(const struct json_doc *doc, struct usage *ret_usage);

#endif
