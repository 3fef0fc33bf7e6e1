/* SPDX-License-Identifier: MIT
 * discover_test.c - providers are asked over real sockets; what they list changes the config
 * document, what they lose is taken away only when it is proved.
 * Floor: controlplane/reconcile tests.
 * Owns: nothing.
 * Invariant: see discover.h. */
#include "controlplane/reconcile/discover.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/reconcile/changes.h"
#include "lib/base/clock.h"
#include "lib/http/server.h"
#include "lib/net/sock.h"

#define DEADLINE_MS 10000u
#define HEAD "apiVersion: berth.dev/v1alpha1\n"

/* answers: of one fetch after the other, the last one for ever; "503" and the like: a status. */
struct rig {
    struct loop *loop;
    struct store *store;
    struct ed25519_key *key;
    struct engine *engine;
    struct discover *discover;
    struct http_server *server;
    int fd;
    int port;
    const char *const *answers;
    size_t asked;
    char seen_key[64];
    char seen_target[128];
    uint32_t strike_ms;
    uint32_t probe_ms;
    struct arena arena;
};
static struct rig rig;

static void
provider_request(struct http_stream *stream, const struct http_head *head)
{
    struct str auth = http_field_get(head, STR("authorization"));
    (void)snprintf(rig.seen_key, sizeof rig.seen_key, "%.*s", STR_ARG(auth));
    (void)snprintf(rig.seen_target, sizeof rig.seen_target, "%.*s", STR_ARG(head->target));
    http_stream_collect(stream, 65536);
}

static void
provider_complete(struct http_stream *stream)
{
    const struct http_field fields[] = {{STR("content-type"), STR("application/json")}};
    const char *text = rig.answers[rig.asked];
    rig.asked++;
    if (!rig.answers[rig.asked])
        rig.asked--;
    uint64_t status = 200;
    if (str_starts(str_from(text), STR("404"))) {
        status = 404;
        text += 3;
    } else if (text[0] == '5' || text[0] == '4') {
        status = text[0] == '5' ? 503 : 401;
        text = "{}";
    }
    http_stream_answer(stream, (uint16_t)status, fields, 1, str_from(text));
}

static void
provider_closed(struct http_stream *stream, enum http_close_reason reason)
{
    (void)stream;
    (void)reason;
}
static const struct http_handler provider_handler = {
    .request = provider_request, .complete = provider_complete, .closed = provider_closed};

static void
apply(const char *yaml)
{
    struct tree *list = NULL;
    struct err err = {0};
    if (tree_from_yaml(str_from(yaml), &rig.arena, &list, &err) != 0)
        fail_msg("%s", err.text);
    for (const struct tree *doc = list->first; doc; doc = doc->next) {
        struct manifest manifest;
        struct object object;
        enum object_change change;
        char key[API_KEY_BYTES + 1];
        if (schema_check(doc, &rig.arena, &manifest, &err) != 0 ||
            object_apply(rig.store, &manifest, "", &rig.arena, &object, &change, key, &err) != 0)
            fail_msg("%s", err.text);
    }
}

static void
apply_provider(const char *more)
{
    char yaml[512];
    (void)snprintf(yaml, sizeof yaml,
                   HEAD "kind: Provider\nmetadata: {name: house}\nspec: {dialect: openai, baseUrl: "
                        "'http://127.0.0.1:%d/v1', key: {value: sk-house}, allowPrivate: true%s}\n",
                   rig.port, more);
    apply(yaml);
}

/* A control plane (again): interval 0 = by hand only. */
static void
start(uint64_t interval_ms)
{
    struct err err = {0};
    const struct engine_conf conf = {.loop = rig.loop,
                                     .store = rig.store,
                                     .key = rig.key,
                                     .settings = SNAPSHOT_SETTINGS_DEFAULT};
    if (engine_new(&conf, &rig.engine, &err) != 0)
        fail_msg("%s", err.text);
    const struct discover_conf discover = {.engine = rig.engine,
                                           .interval_ms = interval_ms,
                                           .retry_ms = 1,
                                           .confirm_ms = {1, 1},
                                           .fresh_ms = 1,
                                           .strike_ms = rig.strike_ms,
                                           .probe_ms = rig.probe_ms};
    assert_int_equal(discover_new(&discover, &rig.discover, &err), 0);
}

static void
stop(void)
{
    discover_free(&rig.discover);
    engine_free(&rig.engine);
}

static int
open_rig(void **state)
{
    struct err err = {0};
    struct sock_addr addr;
    (void)state;
    memset(&rig, 0, sizeof rig);
    arena_init(&rig.arena, 64u << 20);
    assert_int_equal(loop_new(&rig.loop, &err), 0);
    assert_int_equal(store_open("memory:", rig.loop, &rig.store, &err), 0);
    assert_int_equal(ed25519_generate(&rig.key), 0);
    struct http_server_conf conf = {.loop = rig.loop, .handler = &provider_handler};
    assert_int_equal(http_server_new(&conf, &rig.server, &err), 0);
    assert_int_equal(sock_addr_parse(STR("127.0.0.1:0"), &addr, NULL), 0);
    assert_int_equal(sock_listen(&addr, 16, false, 0, &rig.fd, NULL), 0);
    addr.len = sizeof addr.u;
    assert_int_equal(getsockname(rig.fd, &addr.u.any, &addr.len), 0);
    rig.port = ntohs(addr.u.in4.sin_port);
    assert_int_equal(http_server_listen(rig.server, rig.fd), 0);
    return 0;
}

static int
close_rig(void **state)
{
    (void)state;
    stop();
    http_server_free(&rig.server);
    loop_step(rig.loop, 0);
    (void)close(rig.fd);
    store_close(&rig.store);
    ed25519_free(&rig.key);
    loop_free(&rig.loop);
    arena_fini(&rig.arena);
    return 0;
}

static bool
document_has(const char *part)
{
    return str_find(buf_str(&rig.engine->snapshot.text), str_from(part)) != SIZE_MAX;
}

static bool
document_lacks(const char *part)
{
    return !document_has(part);
}

/* The provider's row, as `berth models discover` shows it. */
static bool
row_has(const char *part)
{
    struct buf out;
    struct json_writer writer;
    buf_init(&out, 1u << 20);
    json_writer_init(&writer, &out);
    discover_put(rig.discover, &writer);
    bool found = str_find(buf_str(&out), str_from(part)) != SIZE_MAX &&
                 str_find(buf_str(&out), STR("\"idle\"")) != SIZE_MAX;
    buf_fini(&out);
    return found;
}

static void
until(bool (*fn)(const char *part), const char *part)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (!fn(part)) {
        if (clock_mono_ms() > end)
            fail_msg("never: %s", part);
        loop_step(rig.loop, 5);
    }
}

static void
scan_by_hand(const char *const *answers, const char *want)
{
    struct err err = {0};
    size_t count = 0;
    rig.answers = answers;
    rig.asked = 0;
    if (discover_start(rig.discover, STR("house"), DISCOVER_HAND, &count, &err) != 0)
        fail_msg("%s", err.text);
    assert_int_equal(count, 1);
    until(row_has, want);
}

#define MODELS(...) "{\"data\":[" __VA_ARGS__ "]}"
#define M(name) "{\"id\":\"" name "\"}"
#define PRICED(name, price) \
    "{\"id\":\"" name "\",\"pricing\":{\"prompt\":\"" price "\",\"completion\":\"0.000002\"}}"

static void
a_new_provider_is_asked(void **state)
{
    (void)state;
    static const char *const answers[] = {MODELS(M("m-1") "," PRICED("m-2", "0.0000015")), NULL};
    rig.answers = answers;
    start(3600000);
    apply_provider("");
    until(row_has, "\"added\":[\"m-1\",\"m-2\"]");
    assert_string_equal(rig.seen_target, "/v1/models");
    assert_string_equal(rig.seen_key, "Bearer sk-house");
    until(document_has, "{\"id\":\"house/m-1\",\"provider\":\"house\",\"upstream\":\"m-1\","
                        "\"kind\":\"chat\",\"context\":0,\"max_output\":0}");
    /* a price that the list names exactly: 0.0000015 dollars a token are 1,500,000 pico-dollars */
    until(document_has, "\"input\":\"1500000\",\"output\":\"2000000\"}");
    /* what the owner declares wins, and `models` narrows */
    apply(HEAD "kind: Model\nmetadata: {name: house/m-2}\nspec: {provider: house, upstream: other, "
               "free: true}\n");
    until(document_has, "\"upstream\":\"other\"");
    assert_false(document_has("\"upstream\":\"m-2\""));
    apply_provider(", models: [m-9]");
    until(document_lacks, "house/m-1");
    assert_true(document_has("\"upstream\":\"other\""));
}

/* Revision of the provider's row; 0 = none. */
static uint64_t
row_revision(void)
{
    struct arena arena;
    struct store_row row = {.mod_rev = 0};
    arena_init(&arena, 4u << 20);
    if (store_get(rig.store, STR("discovery/house"), &arena, &row) != 0)
        row.mod_rev = 0;
    arena_fini(&arena);
    return row.mod_rev;
}

static void
until_written_after(uint64_t revision)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (row_revision() <= revision) {
        if (clock_mono_ms() > end)
            fail_msg("no scan ended");
        loop_step(rig.loop, 5);
    }
}

/* Restarts of the control plane stand for the hours between two scans. */
static void
next_scan(const char *const *answers, const char *want)
{
    stop();
    rig.answers = answers;
    rig.asked = 0;
    uint64_t end = clock_mono_ms() + 3; /* fresh_ms */
    while (clock_mono_ms() <= end)
        loop_step(rig.loop, 1);
    uint64_t before = row_revision();
    start(3600000);
    until_written_after(before);
    until(row_has, want);
}

static void
taken_away_when_proved(void **state)
{
    (void)state;
    static const char *const both[] = {MODELS(M("m-1") "," M("m-2")), NULL};
    static const char *const one[] = {MODELS(M("m-1")), NULL};
    static const char *const flaky[] = {MODELS(M("m-1")), MODELS(M("m-1") "," M("m-2")), NULL};
    static const char *const broken[] = {"503", "503", MODELS(M("m-1") "," M("m-2")), NULL};
    static const char *const down[] = {"503", NULL};
    static const char *const refused[] = {"401", NULL};
    static const char *const empty[] = {MODELS(""), NULL};
    rig.answers = both;
    start(3600000);
    apply_provider("");
    until(row_has, "\"added\":[\"m-1\",\"m-2\"]");
    /* a fetch that fails twice is tried a third time */
    next_scan(broken, "\"listed\":2");
    assert_int_equal(rig.asked, 2);
    /* one that goes on failing, or lists nothing, proves nothing */
    next_scan(down, "\"problem\":\"the provider answers its list with status 503\"");
    next_scan(refused, "does not accept the key");
    next_scan(empty, "empty");
    assert_true(document_has("house/m-2"));
    /* what a confirming fetch finds is there */
    next_scan(flaky, "\"missing\":[]");
    assert_int_equal(rig.asked, 1);
    /* missing, by three fetches: once is not enough, and by hand it does not count */
    next_scan(one, "\"missing\":[\"m-2\"]");
    scan_by_hand(one, "\"trigger\":\"hand\"");
    until(row_has, "\"missing\":[\"m-2\"]");
    assert_true(document_has("house/m-2"));
    next_scan(one, "\"disabled\":[\"m-2\"]");
    until(document_lacks, "house/m-2");
    assert_true(document_has("house/m-1"));
    /* the owner's word keeps it */
    apply(HEAD "kind: Model\nmetadata: {name: house/m-2}\nspec: {provider: house, upstream: m-2, "
               "free: true}\n");
    until(document_has, "house/m-2");
    /* and it comes back, even by hand */
    scan_by_hand(both, "\"returned\":[\"m-2\"]");
}

static void
refusals(void **state)
{
    (void)state;
    struct err err = {0};
    size_t count;
    static const char *const any[] = {MODELS(M("m-1")), NULL};
    rig.answers = any;
    start(0);
    apply(HEAD "kind: Provider\nmetadata: {name: far}\nspec: {dialect: bedrock-converse, baseUrl: "
               "'https://h.example', key: {value: k}}\n---\n" HEAD
               "kind: Provider\nmetadata: {name: keyless}\nspec: {dialect: openai, baseUrl: "
               "'https://h.example', key: {env: NO_SUCH_VARIABLE}}\n---\n" HEAD
               "kind: Provider\nmetadata: {name: inside}\nspec: {dialect: openai, baseUrl: "
               "'https://127.0.0.1:1', key: {value: k}}\n");
    assert_int_equal(discover_start(rig.discover, STR("nobody"), DISCOVER_HAND, &count, &err),
                     -ERR_NOT_FOUND);
    assert_int_equal(discover_start(rig.discover, STR("far"), DISCOVER_HAND, &count, &err),
                     -ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "no list of models"));
    assert_int_equal(discover_start(rig.discover, STR("keyless"), DISCOVER_HAND, &count, &err),
                     -ERR_UNSUPPORTED);
    assert_non_null(strstr(err.text, "NO_SUCH_VARIABLE"));
    /* the guard against private addresses holds here, too */
    assert_int_equal(discover_start(rig.discover, STR("inside"), DISCOVER_HAND, &count, &err), 0);
    until(row_has, "may not be connected to");
    /* off by schedule: nobody asks by itself; with discover: false neither */
    apply_provider("");
    for (int i = 0; i < 20; i++)
        loop_step(rig.loop, 1);
    assert_int_equal(rig.seen_target[0], '\0');
    stop();
    apply_provider(", discover: false");
    start(3600000);
    for (int i = 0; i < 20; i++)
        loop_step(rig.loop, 1);
    assert_int_equal(rig.seen_target[0], '\0');
    scan_by_hand(any, "\"listed\":1");
}

/* A Provider that goes takes what it listed along, and one under way ends with the control plane.
 * */
static void
gone(void **state)
{
    (void)state;
    static const char *const any[] = {MODELS(M("m-1")), NULL};
    struct err err = {0};
    struct arena arena;
    struct store_row row;
    rig.answers = any;
    start(3600000);
    apply_provider("");
    until(row_has, "\"listed\":1");
    until(document_has, "house/m-1");
    assert_int_equal(object_delete(rig.store, kind_at(KIND_PROVIDER), STR("house"), 0, &err), 0);
    arena_init(&arena, 1u << 20);
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (store_get(rig.store, STR("discovery/house"), &arena, &row) == 0) {
        if (clock_mono_ms() > end)
            fail_msg("the row stays");
        loop_step(rig.loop, 5);
    }
    arena_fini(&arena);
    size_t count;
    apply_provider("");
    (void)!discover_start(rig.discover, STR("house"), DISCOVER_HAND, &count, &err);
    assert_int_equal(count, 1);
}

/* ---- what traffic finds out ------------------------------------------------------------------ */

#define GONE \
    "404{\"error\":{\"message\":\"The model does not exist\",\"code\":\"model_not_found\"}}"

static bool
was_asked(const char *target)
{
    return strcmp(rig.seen_target, target) == 0;
}

static bool
is_changed(const char *part)
{
    struct buf out;
    struct json_writer writer;
    buf_init(&out, 1u << 20);
    json_writer_init(&writer, &out);
    assert_int_equal(changes_put(rig.store, STR("house"), &writer), 0);
    bool found = str_find(buf_str(&out), str_from(part)) != SIZE_MAX;
    buf_fini(&out);
    return found;
}

/* Time passes: the loop's clock is what strikes are counted by. */
static void
wait_ms(uint64_t ms)
{
    uint64_t end = loop_now_ms(rig.loop) + ms;
    while (loop_now_ms(rig.loop) < end)
        loop_step(rig.loop, 1);
}

static void
strike(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        discover_strike(rig.discover, STR("house"), STR("m-1"));
}

static void
strikes_open(const char *const *answers)
{
    static const char *const listed[] = {MODELS(M("m-1") "," M("m-2")), NULL};
    start(0);
    apply_provider("");
    scan_by_hand(listed, "\"added\":[\"m-1\",\"m-2\"]");
    until(document_has, "house/m-1");
    rig.seen_target[0] = '\0';
    rig.answers = answers;
    rig.asked = 0;
}

static void
three_strikes_and_a_probe(void **state)
{
    (void)state;
    static const char *const answers[] = {GONE, NULL};
    static const char *const listed[] = {MODELS(M("m-1") "," M("m-2")), NULL};
    strikes_open(answers);
    strike(2);
    wait_ms(50);
    assert_string_equal(rig.seen_target, "");
    strike(1);
    until(was_asked, "/v1/chat/completions");
    assert_string_equal(rig.seen_key, "Bearer sk-house");
    until(document_lacks, "house/m-1");
    assert_true(document_has("house/m-2"));
    assert_true(is_changed("\"model\":\"m-1\",\"code\":\"retired\""));
    scan_by_hand(listed, "\"returned\":[\"m-1\"]");
    until(document_has, "house/m-1");
}

static void
an_answer_is_proof_of_life(void **state)
{
    (void)state;
    static const char *const answers[] = {
        "{}", "404{\"error\":{\"message\":\"This is not a chat model\"}}", GONE, NULL};
    rig.probe_ms = 100;
    strikes_open(answers);
    strike(3);
    until(was_asked, "/v1/chat/completions");
    wait_ms(20);
    rig.seen_target[0] = '\0';
    strike(3); /* too soon for another one */
    wait_ms(20);
    assert_string_equal(rig.seen_target, "");
    wait_ms(100);
    strike(1);
    until(was_asked, "/v1/chat/completions");
    wait_ms(20);
    assert_true(document_has("house/m-1"));
    assert_false(is_changed("retired"));
}

/* What a proxy answers, or a path that is not there, is no word on a model. */
static void
pages_are_no_proof(void **state)
{
    (void)state;
    static const char *const answers[] = {"404<html>404 page not found</html>",
                                          "404{\"detail\":\"path not found\"}",
                                          "404<p>/v1/models/m-1 was not found</p>", NULL};
    rig.probe_ms = 10;
    strikes_open(answers);
    for (unsigned i = 0; i < 3; i++) {
        rig.seen_target[0] = '\0';
        strike(3);
        until(was_asked, "/v1/chat/completions");
        wait_ms(30);
    }
    assert_true(document_has("house/m-1"));
    assert_false(is_changed("retired"));
}

/* A declared Model is called on, and told of once. */
static void
told_once(void **state)
{
    (void)state;
    static const char *const answers[] = {GONE, NULL};
    rig.probe_ms = 10;
    strikes_open(answers);
    strike(3);
    until(document_lacks, "house/m-1");
    assert_int_equal(discover_count(rig.discover).retired, 1);
    rig.seen_target[0] = '\0';
    wait_ms(20);
    strike(3);
    until(was_asked, "/v1/chat/completions");
    wait_ms(30);
    assert_int_equal(discover_count(rig.discover).retired, 1);
}

/* No scan would bring back what is taken away there. */
static void
left_alone(void **state)
{
    (void)state;
    static const char *const answers[] = {GONE, NULL};
    strikes_open(answers);
    apply_provider(", discover: false");
    strike(3);
    wait_ms(50);
    assert_string_equal(rig.seen_target, "");
    assert_true(document_has("house/m-1"));
}

static void
strikes_far_apart_are_none(void **state)
{
    (void)state;
    static const char *const answers[] = {GONE, NULL};
    rig.strike_ms = 10;
    strikes_open(answers);
    for (unsigned i = 0; i < 5; i++) {
        strike(1);
        wait_ms(15);
    }
    assert_string_equal(rig.seen_target, "");
    assert_true(document_has("house/m-1"));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_new_provider_is_asked, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(taken_away_when_proved, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(refusals, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(gone, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(three_strikes_and_a_probe, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(an_answer_is_proof_of_life, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(pages_are_no_proof, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(told_once, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(left_alone, open_rig, close_rig),
        cmocka_unit_test_setup_teardown(strikes_far_apart_are_none, open_rig, close_rig),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
