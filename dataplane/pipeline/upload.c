/* SPDX-License-Identifier: MIT
 * upload.c - see upload.h.
 * Floor: dataplane/pipeline; the worker's thread.
 * Owns: see upload.h.
 * Invariant: see upload.h. */
#include "dataplane/pipeline/upload.h"

#include "dataplane/pipeline/carried.h"
#include "lib/base/check.h"
#include "lib/base/clock.h"

/* A form that is no longer is kept whole, so that it can be sent again; of a longer one that flows
 * nothing is, and one that cannot flow yet goes to a file. */
#define KEPT_BYTES ((uint64_t)64u * 1024u)
/* So much of one that flows may have left before any of it is forgotten: what HTTP/2's usual window
 * lets go unread, and the queue before it. */
#define UNREAD_BYTES ((uint64_t)112u * 1024u)
/* Kept back of a form that flows: more than the delimiter that ends it. */
#define LAST_BYTES ((uint64_t)128u)
#define QUEUE_BYTES ((size_t)32u * 1024u) /* for the provider */
#define STEP_BYTES ((size_t)16u * 1024u)

struct upload {
    struct form *form;
    struct spool kept;
    struct form_edit edit;
    uint64_t announced; /* HTTP_LENGTH_UNKNOWN; of what comes here, so never of a coded body */
    uint64_t sent;      /* of the body: given to the call, or left out */
    uint64_t sent_ns;   /* all of it was; 0 = not yet */
    bool edited;
    bool whole;       /* all of it came */
    bool proved;      /* and it is what is held for */
    bool flows;       /* bytes left that nobody has any more */
    bool blocked;     /* the call takes no more */
    bool put_off;     /* no target is tried before it is proved */
    uint32_t refused; /* by the target before this one */
    bool drafted;     /* the target gets `draft` in its place */
    struct draft draft;
};

/* A container's life, or a key. */
static struct str
owner_of(const struct exchange *x)
{
    if (x->binding != NULL)
        return str_make((const char *)x->binding->binding.incarnation, INCARNATION_BYTES);
    return x->key != NULL ? x->key->name : STR_EMPTY;
}

int
upload_begin(struct exchange *x)
{
    struct str boundary;
    struct err err = {0};
    bool plain = x->coding == CODING_IDENTITY;
    struct upload *u = ARENA_NEW(&x->arena, struct upload);
    if (u == NULL)
        return -ERR_NOMEM;
    if (!multipart_boundary(x->form_type, &boundary))
        return -ERR_INVALID;
    u->announced = plain ? x->content_length : HTTP_LENGTH_UNKNOWN;
    int rc = form_new(&x->arena, boundary, u->announced, &u->form, &err);
    if (rc != 0)
        return rc;
    spool_init(&u->kept, &x->worker->spool, owner_of(x));
    draft_init(&u->draft);
    x->upload = u;
    return 0;
}

void
upload_end(struct exchange *x)
{
    if (x->upload == NULL)
        return;
    spool_fini(&x->upload->kept);
    draft_fini(&x->upload->draft);
}

const struct form *
upload_form(const struct exchange *x)
{
    return x->upload->form;
}

size_t
upload_kept_bytes(const struct exchange *x)
{
    return x->upload->kept.memory.len;
}

/* Our own no, however far it got: the provider never has a whole form, so nobody pays, unless for
 * an answer that came before the question's end. */
static void
give_up(struct exchange *x)
{
    if (!x->attempt.committed) {
        attempt_stop(x);
        x->status = http_error_row(x->refusal)->status;
        pipeline_settle(x, OUTCOME_refused);
    }
    pipeline_refuse(x);
}

static void
refuse(struct exchange *x, enum http_error refusal, const char *text)
{
    struct str copy = STR_EMPTY;
    if (text != NULL)
        (void)!arena_dup(&x->arena, str_from(text), &copy);
    (void)exchange_fail(x, refusal, copy);
    give_up(x);
}

/* ---- a body of another shape ----------------------------------------------------------------- */

static int
source_read(void *user, uint64_t at, char *piece, size_t size, struct str *ret_bytes)
{
    return spool_read(user, at, piece, size, ret_bytes);
}

int
upload_draft(struct exchange *x, struct err *err)
{
    struct upload *u = x->upload;
    struct attempt *a = &x->attempt;
    struct json_doc *doc = &x->worker->doc;
    const struct draft_source source = {source_read, &u->kept};
    struct letter letter;
    ASSERT(u->proved && u->kept.base == 0);
    draft_fini(&u->draft);
    draft_init(&u->draft);
    int rc = letter_read(u->form, &source, &x->arena, &letter, err);
    if (rc == 0)
        rc = json_scan(doc, letter.json, NULL, err);
    if (rc == 0)
        rc = a->carrier->draft(doc, &letter, exchange_model(x)->upstream, &x->arena, &u->draft,
                               &a->wish, err);
    if (rc == 0 && draft_end(&u->draft) != 0)
        rc = err_set(err, ERR_NOMEM, "Berth has no memory for this request.");
    return rc;
}

int
upload_digest(struct exchange *x, uint8_t ret_digest[SHA256_BYTES])
{
    struct upload *u = x->upload;
    const struct draft_source source = {source_read, &u->kept};
    struct str piece;
    struct digest_run *run = digest_begin();
    int rc = run == NULL ? -ERR_NOMEM : 0;
    do {
        piece = STR_EMPTY;
        if (rc == 0)
            rc = draft_next(&u->draft, &source, &piece);
        if (rc == 0)
            digest_more(run, piece);
    } while (piece.len > 0 && rc == 0);
    draft_rewind(&u->draft);
    digest_end(&run, ret_digest);
    return rc;
}

/* What waits may be a form that is whole, and looked at again when it was paid for. */
bool
upload_put_off(struct exchange *x)
{
    struct upload *u = x->upload;
    if (u == NULL || u->proved || !carried_waits(x))
        return false;
    u->put_off = true;
    if (u->whole) {
        x->parked = true;
        attempt_arm(x, 1);
    } else {
        http_stream_pause(x->stream, false);
    }
    return true;
}

/* ---- towards the provider -------------------------------------------------------------------- */

int
upload_call(struct exchange *x, struct http_call_conf *conf)
{
    struct upload *u = x->upload;
    u->drafted = x->attempt.carrier != NULL;
    if (form_edit_model(u->form, exchange_model(x)->upstream, &u->edit) != 0)
        return -ERR_NOMEM;
    uint64_t bytes = u->whole ? u->kept.bytes : u->announced;
    u->sent = 0;
    u->sent_ns = 0;
    u->edited = false;
    u->blocked = false;
    conf->streaming = true;
    conf->fresh = true; /* a connection that dies in the middle could not be forgiven */
    conf->upload_high = QUEUE_BYTES;
    if (u->drafted)
        conf->upload_bytes = u->draft.bytes;
    else if (bytes != HTTP_LENGTH_UNKNOWN)
        conf->upload_bytes = bytes - (u->edit.end - u->edit.start) + u->edit.text.len;
    return 0;
}

/* The next piece: of what is kept, or the model's name in place of the caller's. */
static int
send_piece(struct exchange *x, uint64_t limit)
{
    UNINIT char room[STEP_BYTES];
    struct upload *u = x->upload;
    struct str piece = u->edit.text;
    const struct draft_source source = {source_read, &u->kept};
    if (u->drafted) {
        int rc = draft_next(&u->draft, &source, &piece);
        if (rc != 0)
            return rc;
        u->sent += piece.len;
    } else if (!u->edited && u->sent == u->edit.start) {
        u->edited = true;
        u->sent = u->edit.end;
    } else {
        uint64_t end = u->edited ? limit : MIN(limit, u->edit.start);
        size_t size = (size_t)MIN(end - u->sent, (uint64_t)STEP_BYTES);
        int rc = spool_read(&u->kept, u->sent, room, size, &piece);
        if (rc != 0)
            return rc;
        u->sent += piece.len;
    }
    u->blocked = !http_call_write(x->attempt.call, piece);
    return 0;
}

/* Nobody can want it again once more of it left than is kept. */
static void
forget_sent(struct exchange *x)
{
    struct upload *u = x->upload;
    bool gone = http_call_phase(x->attempt.call) >= HTTP_SENDING && u->sent > UNREAD_BYTES;
    if (u->kept.fd >= 0 || u->proved || (!u->flows && !gone))
        return;
    u->flows = true;
    spool_drop(&u->kept, u->sent);
}

static void
flow(struct exchange *x)
{
    struct upload *u = x->upload;
    struct attempt *a = &x->attempt;
    if (x->settled || x->stream == NULL || u->put_off)
        return;
    if (a->call == NULL || a->mode == REPLY_ERROR) { /* it waits, or may be sent elsewhere */
        http_stream_pause(x->stream, !u->whole);
        return;
    }
    uint64_t all = u->drafted ? u->draft.bytes : u->kept.bytes;
    uint64_t limit = u->proved ? all : all - MIN(all, LAST_BYTES);
    uint64_t before = u->sent;
    while (u->sent < limit && !u->blocked) {
        if (send_piece(x, limit) != 0) {
            refuse(x, HTTP_ERROR_internal, NULL);
            return;
        }
    }
    if (u->proved && u->sent == all && u->sent_ns == 0) {
        u->sent_ns = loop_now_ns(x->worker->loop);
        http_call_end(a->call);
    }
    if (!x->parked && (u->sent != before || u->sent_ns != 0))
        attempt_arm(x, exchange_ttft_ms(x));
    forget_sent(x);
    http_stream_pause(x->stream, u->blocked && !u->whole);
}

/* The form is whole, and its beginning may have left: is it what we took it for? true: it is. */
static bool
prove(struct exchange *x)
{
    struct upload *u = x->upload;
    struct err err = {0};
    x->parked = false;
    int rc = exchange_read_form(x, &err);
    if (rc != 0) {
        refuse(x, chat_error_row(rc), err.text);
        return false;
    }
    switch (layer_hold.request(x)) {
    case LAYER_NEXT:
    case LAYER_ANSWER:
        u->proved = true;
        return true;
    case LAYER_WAIT:
        x->parked = true;
        return false;
    case LAYER_FAIL:
        give_up(x);
        break;
    }
    return false;
}

static void
prove_and_flow(struct exchange *x)
{
    if (!prove(x))
        return;
    attempt_arm(x, exchange_ttft_ms(x)); /* it may have been the hold's */
    flow(x);
}

/* The same, of one whose targets were put off. */
static void
prove_and_go_on(struct exchange *x)
{
    if (!x->upload->put_off) {
        prove_and_flow(x);
    } else if (prove(x)) {
        x->upload->put_off = false;
        attempt_start(x);
    }
}

void
upload_started(struct exchange *x)
{
    struct upload *u = x->upload;
    flow(x);
    if (u->whole && !u->proved && !x->settled)
        prove_and_flow(x);
}

void
upload_writable(struct exchange *x)
{
    x->upload->blocked = false;
    flow(x);
}

bool
upload_resume(struct exchange *x)
{
    const struct upload *u = x->upload;
    if (u == NULL || (x->attempt.call == NULL && !u->put_off))
        return false;
    prove_and_go_on(x);
    return true;
}

bool
upload_again(const struct exchange *x)
{
    return x->upload == NULL || !x->upload->flows;
}

bool
upload_refused(struct exchange *x)
{
    struct upload *u = x->upload;
    if (u == NULL || u->flows || x->stream == NULL || u->refused == x->target_at + 1)
        return false;
    if (x->attempt.poll.origin != NULL) /* it was taken long ago: sent again it is made twice */
        return false;
    u->refused = x->target_at + 1;
    attempt_stop(x);
    attempt_start(x);
    return true;
}

bool
upload_timer(struct exchange *x)
{
    struct upload *u = x->upload;
    if (u == NULL || u->sent_ns != 0 || x->attempt.mode != REPLY_NONE)
        return false;
    if (u->blocked)
        attempt_failed(x, HTTP_ERROR_upstream_timeout,
                       STR("The provider did not take the request in time."));
    else /* the caller is slow, which is the server's to judge */
        attempt_arm(x, exchange_ttft_ms(x));
    return true;
}

uint64_t
upload_sent_ns(const struct exchange *x)
{
    return x->upload != NULL && x->upload->sent_ns != 0 ? x->upload->sent_ns : x->started_ns;
}

/* ---- from the caller ------------------------------------------------------------------------- */

static bool
keep(struct exchange *x, struct str bytes)
{
    struct upload *u = x->upload;
    struct err err = {0};
    int rc = form_take(u->form, bytes, &err);
    if (rc != 0) {
        refuse(x, chat_error_row(rc), err.text);
        return false;
    }
    rc = spool_put(&u->kept, bytes);
    bool stays = !x->body_ready || u->put_off;
    if (rc == 0 && stays && u->kept.fd < 0 && u->kept.bytes > KEPT_BYTES)
        rc = spool_file(&u->kept);
    if (rc == 0)
        return true;
    x->retry_after_s = 5;
    if (rc == -ERR_IN_USE)
        refuse(x, HTTP_ERROR_rate_limited,
               "Your other forms that wait here leave no room for this one; send it when they are "
               "through.");
    else
        refuse(x, HTTP_ERROR_overloaded,
               "Berth has no room for this form at the moment; try again.");
    return false;
}

void
upload_bytes(struct exchange *x, struct str bytes)
{
    struct upload *u = x->upload;
    if (x->settled)
        return;
    if (bytes.len > x->worker->form_bytes_max - u->form->reader.at) {
        (void)exchange_fail(x, HTTP_ERROR_too_large,
                            pipeline_too_large(x, x->worker->form_bytes_max));
        give_up(x);
        return;
    }
    while (bytes.len > 0) {
        struct str step = str_make(bytes.ptr, MIN(bytes.len, STEP_BYTES));
        bytes = str_skip(bytes, step.len);
        if (!keep(x, step))
            return;
        /* A coded body cannot be stopped in the middle of a piece: it waits for its end. */
        if (!x->body_ready && x->coding == CODING_IDENTITY && u->kept.fd < 0 &&
            form_flows(u->form, media_is_heard(x->endpoint->kind)))
            pipeline_body(x);
        if (x->settled)
            return;
    }
    if (x->body_ready)
        flow(x);
}

void
upload_complete(struct exchange *x)
{
    struct upload *u = x->upload;
    struct err err = {0};
    if (x->settled)
        return;
    int rc = form_end(u->form, &err);
    if (rc == 0 && u->announced != HTTP_LENGTH_UNKNOWN && u->announced != u->kept.bytes)
        rc = err_set(&err, ERR_PARSE, "form data: it is not as long as was announced");
    if (rc != 0) {
        refuse(x, chat_error_row(rc), err.text);
        return;
    }
    u->whole = true;
    if (!x->body_ready) {
        u->proved = true;
        pipeline_body(x);
    } else if (x->attempt.call != NULL || u->put_off) {
        prove_and_go_on(x);
    }
}
