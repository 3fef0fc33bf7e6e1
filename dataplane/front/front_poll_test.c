/* SPDX-License-Identifier: MIT
 * front_poll_test.c - pictures that a vendor makes later: asked for until they are there, canceled
 *                     when nobody waits, and paid once they came.
 * Floor: test.
 * Owns: the rig.
 * Invariant: proves poll.h. */
#include "dataplane/front/front_test_rig.h"

static const char *const models[] = {
    "{\"id\":\"b/flux\",\"provider\":\"b\",\"upstream\":\"flux-dev\",\"kind\":\"image\","
    "\"price\":{\"version\":1,\"image\":\"25000000000\"}}",
    "{\"id\":\"r/flux\",\"provider\":\"r\",\"upstream\":\"o/flux\",\"kind\":\"image\","
    "\"price\":{\"version\":1,\"image\":\"3000000000\"}}"};
static const struct rig_provider providers[] = {
    {"o", "openai", "/v1"}, {"b", "black-forest-labs", ""}, {"r", "replicate", ""}};

static int
poll_open(void **state)
{
    int rc = rig_open(state);
    rig_configure("\"stall_timeout_ms\":300", providers, ARRAY_LEN(providers), models,
                  ARRAY_LEN(models));
    return rc;
}
static int
poll_open_hasty(void **state)
{
    int rc = rig_open(state);
    rig_configure("\"request_timeout_ms\":1000,\"stall_timeout_ms\":300,\"ttft_timeout_ms\":200",
                  providers, ARRAY_LEN(providers), models, ARRAY_LEN(models));
    return rc;
}

#define JSON "application/json"
#define IMAGES "/v1/images/generations"
#define PENDING "{\"id\":\"7\",\"status\":\"Pending\",\"result\":null}"
#define READY "{\"id\":\"7\",\"status\":\"Ready\",\"result\":{\"sample\":\"https://x/y.png\"}}"

/* Addresses at the rig's provider. */
static const char *
at_provider(const char *format)
{
    static char text[2][512];
    static unsigned which;
    char base[64];
    char *out = text[which++ % 2];
    (void)snprintf(base, sizeof(base), "http://127.0.0.1:%u",
                   rig.worker.config->providers[0].base.port);
    size_t used = 0;
    for (; *format != '\0'; format++) {
        const char one[2] = {*format, '\0'};
        used +=
            (size_t)snprintf(out + used, sizeof(text[0]) - used, "%s", *format == '@' ? base : one);
    }
    return out;
}

static void
says(size_t step, unsigned status, const char *body)
{
    rig.steps[step] = (struct upstream_step){.status = status, .type = JSON, .body = body};
    rig.step_count = step + 1;
    rig.step_at = 0;
    rig.seen_all[0] = '\0';
}

#define TICKET "{\"id\":\"7\",\"polling_url\":\"@/v1/get_result?id=7\"}"
#define ASKED "GET /v1/get_result?id=7\n"

static void
asked_for_until_it_is_there(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    says(0, 200, at_provider(TICKET));
    says(1, 200, PENDING);
    says(2, 503, "{\"detail\":\"busy\"}");
    says(3, 200, READY);
    ask(&reply, IMAGES, "{\"model\":\"b/flux\",\"prompt\":\"a boat\"}");
    want_body(&reply, 200, "\"data\":[{\"url\":\"https://x/y.png\"}]}");
    assert_string_equal(rig.seen_all, "POST /v1/flux-dev\n" ASKED ASKED ASKED);
    want_journal(before, "\"image\":1},\"charge\":\"25000000\"");
}

#define LATER                                                                         \
    "{\"id\":\"p\",\"status\":\"starting\",\"urls\":{\"get\":\"@/v1/predictions/p\"," \
    "\"cancel\":\"@/v1/predictions/p/cancel\"}}"

static void
replicate_is_asked_too(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    says(0, 201, at_provider(LATER));
    says(1, 200, "{\"id\":\"p\",\"status\":\"succeeded\",\"output\":\"https://x/z.png\"}");
    ask(&reply, IMAGES, "{\"model\":\"r/flux\",\"prompt\":\"a boat\"}");
    want_body(&reply, 200, "https://x/z.png");
    assert_string_equal(rig.seen_all,
                        "POST /v1/models/o/flux/predictions\nGET /v1/predictions/p\n");
    want_journal(before, "\"image\":1},\"charge\":\"3000000\"");
}

static bool
seen_cancel(void *arg)
{
    (void)arg;
    return strstr(rig.seen_all, "POST /v1/predictions/p/cancel\n") != NULL;
}
static bool
seen_poll(void *arg)
{
    (void)arg;
    return strstr(rig.seen_all, "GET /v1/predictions/p\n") != NULL;
}
static bool
waits(void *arg)
{
    (void)arg;
    struct list *first = rig.worker.exchanges.next;
    return !list_empty(&rig.worker.exchanges) &&
           LIST_ENTRY(first, struct exchange, node)->attempt.poll.waiting;
}

/* In each of the two states of waiting. */
static void
who_leaves_cancels_and_pays_nothing(void **state)
{
    (void)state;
    for (int asking = 0; asking < 2; asking++) {
        struct reply reply;
        uint64_t before = mark();
        says(0, 201, at_provider(LATER));
        says(1, 200, "{\"status\":");
        rig.steps[1].hang = asking != 0;
        ask_with(&reply, IMAGES, KEY, JSON, "{\"model\":\"r/flux\",\"prompt\":\"a boat\"}");
        step_until(asking ? seen_poll : waits, NULL);
        rig.steps[1] = (struct upstream_step){.status = 200, .type = JSON, .body = "{}"};
        http_call_cancel(&reply.call);
        step_until(all_settled, NULL);
        step_until(seen_cancel, NULL);
        buf_fini(&reply.body);
        want_journal(before, "\"charge\":\"0\"");
    }
    step_until(all_settled, NULL);
}

static void
what_ends_it(void **state)
{
    (void)state;
    static const struct {
        const char *model;
        const char *first;
        const char *then;
        unsigned then_status;
        unsigned want_status;
        const char *want;
        const char *want_seen; /* after the first call */
    } rows[] = {
        {"b/flux", TICKET, "{\"status\":\"Content Moderated\"}", 200, 502, "made nothing", ASKED},
        {"b/flux", TICKET, "{\"status\":\"Task not found\"}", 200, 502, "made nothing", ASKED},
        {"b/flux", TICKET, "{\"detail\":\"no\"}", 403, 502, "refused the key", ASKED},
        {"b/flux", TICKET, "{}", 200, 502, "cannot be read", ASKED},
        {"b/flux", "{\"polling_url\":7}", "", 200, 502, "cannot be read", ""},
        {"b/flux", "{\"polling_url\":\"http://10.0.0.1/x\"}", "", 200, 502, "elsewhere", ""},
        {"b/flux", "{\"polling_url\":\"http://169.254.169.254/latest\"}", "", 200, 502, "elsewhere",
         ""},
        {"b/flux", "{\"polling_url\":\"http://127.0.0.1:1/x\"}", "", 200, 502, "elsewhere", ""},
        {"r/flux", "{\"status\":\"processing\"}", "", 200, 502, "cannot be read", ""},
        /* nothing is canceled at an address elsewhere either */
        {"r/flux",
         "{\"status\":\"processing\",\"urls\":{\"get\":\"http://10.0.0.1/x\",\"cancel\":"
         "\"http://10.0.0.1/x\"}}",
         "", 200, 502, "elsewhere", ""},
        {"r/flux", LATER, "{\"status\":\"failed\"}", 200, 502, "made nothing",
         "GET /v1/predictions/p\n"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct reply reply;
        char body[128];
        uint64_t before = mark();
        says(0, 200, at_provider(rows[i].first));
        says(1, rows[i].then_status, rows[i].then);
        (void)snprintf(body, sizeof(body), "{\"model\":\"%s\",\"prompt\":\"a\"}", rows[i].model);
        ask(&reply, IMAGES, body);
        want_body(&reply, rows[i].want_status, rows[i].want);
        assert_string_equal(strchr(rig.seen_all, '\n') + 1, rows[i].want_seen);
        want_journal(before, "\"charge\":\"0\"");
    }
}

/* A vendor who never gets there is told so; one who falls silent is asked again, not for ever. */
static void
there_is_a_deadline(void **state)
{
    (void)state;
    struct reply reply;
    uint64_t before = mark();
    says(0, 201, at_provider(LATER));
    says(1, 200, "{\"status\":\"processing\"}");
    ask(&reply, IMAGES, "{\"model\":\"r/flux\",\"prompt\":\"a\"}");
    want_body(&reply, 504, "did not finish in time");
    step_until(seen_cancel, NULL);
    want_journal(before, "\"charge\":\"0\"");
    before = mark();
    says(0, 200, at_provider(TICKET));
    says(1, 500, "{}");
    ask(&reply, IMAGES, "{\"model\":\"b/flux\",\"prompt\":\"a\"}");
    want_body(&reply, 504, "in time");
    want_journal(before, "\"charge\":\"0\"");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(asked_for_until_it_is_there, poll_open, rig_close),
        cmocka_unit_test_setup_teardown(replicate_is_asked_too, poll_open, rig_close),
        cmocka_unit_test_setup_teardown(who_leaves_cancels_and_pays_nothing, poll_open, rig_close),
        cmocka_unit_test_setup_teardown(what_ends_it, poll_open, rig_close),
        cmocka_unit_test_setup_teardown(there_is_a_deadline, poll_open_hasty, rig_close),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
