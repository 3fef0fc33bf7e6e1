/* SPDX-License-Identifier: MIT
 * push_test.c - the stream as a node sees it: real mTLS, real HTTP/2, fake data planes and agents.
 * Floor: controlplane/push tests.
 * Owns: nothing.
 * Invariant: what api/plane.md promises. */
#include "controlplane/push/push.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "api/link.h"
#include "controlplane/push/push_int.h"
#include "lib/base/clock.h"
#include "lib/net/sock.h"

#define HEAD "apiVersion: berth.dev/v1alpha1\n"
#define DEADLINE_MS 10000u
#define LOG_BYTES_MAX (8u << 20)

/* A fake node. log: every record as a line. */
struct peer {
    struct link *link;
    const char *role;
    const char *boot;
    bool mute; /* answers no ack */
    bool up;
    unsigned downs;
    struct buf log;
};
struct fixture {
    char dir[64];
    struct loop *loop;
    struct store *store;
    struct ledger *ledger;
    struct ed25519_key *key;
    struct tls_context *tls;
    struct push *push;
    struct engine *engine;
    int fd;
    uint16_t port;
    struct err err;
    struct peer dp;
    struct peer agent;
};

/* ---- the fake node --------------------------------------------------------------------------- */

static void
on_up(struct link *link, void *user)
{
    struct peer *peer = user;
    char hello[512];
    peer->up = true;
    snprintf(hello, sizeof hello,
             "{\"type\":\"hello\",\"protocol\":1,\"role\":\"%s\",\"boot\":\"%s\",\"epoch\":\"7\","
             "\"have\":{\"config\":\"0\",\"bindings\":\"0\",\"funds\":\"0\"}}",
             peer->role, peer->boot);
    link_send(link, str_from(hello));
}

static void
on_record(struct link *link, struct str type, const struct json_doc *doc, void *user)
{
    struct peer *peer = user;
    char ack[256];
    buf_put_str(&peer->log, json_raw(doc, 0));
    buf_put_byte(&peer->log, '\n');
    if (peer->mute || !(str_eq(type, STR("config")) || str_eq(type, STR("bindings")) ||
                        str_eq(type, STR("funds"))))
        return;
    struct str rev = json_raw(doc, json_get(doc, 0, STR("rev")));
    snprintf(ack, sizeof ack, "{\"type\":\"ack\",\"part\":\"%.*s\",\"rev\":%.*s}", STR_ARG(type),
             STR_ARG(rev));
    link_send(link, str_from(ack));
}

static void
on_down(struct link *link, const char *reason, void *user)
{
    struct peer *peer = user;
    (void)link;
    (void)reason;
    peer->up = false;
    peer->downs++;
}
static const struct link_ops link_ops = {.up = on_up, .record = on_record, .down = on_down};

static void
connect_peer(struct fixture *f, struct peer *peer, const char *role, const char *cert)
{
    char paths[3][256];
    snprintf(paths[0], sizeof paths[0], "%s/pki/ca.crt", f->dir);
    snprintf(paths[1], sizeof paths[1], "%s/pki/%s.crt", f->dir, cert);
    snprintf(paths[2], sizeof paths[2], "%s/pki/%s.key", f->dir, cert);
    const struct link_conf conf = {.loop = f->loop,
                                   .host = "127.0.0.1",
                                   .port = f->port,
                                   .ca_file = paths[0],
                                   .cert_file = paths[1],
                                   .key_file = paths[2],
                                   .ops = &link_ops,
                                   .user = peer};
    peer->role = role;
    if (!peer->boot)
        peer->boot = "boot-1";
    buf_init(&peer->log, LOG_BYTES_MAX);
    if (link_new(&conf, &peer->link, &f->err) < 0)
        fail_msg("%s", f->err.text);
}

static bool
seen(struct peer *peer, const char *text)
{
    return strstr(buf_cstr(&peer->log), text) != NULL;
}

static bool
wait_for(struct fixture *f, struct peer *peer, const char *text)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (!seen(peer, text) && clock_mono_ms() < end)
        loop_step(f->loop, 10);
    return seen(peer, text);
}

#define WAIT_FOR(f, peer, text)                                      \
    do {                                                             \
        if (!wait_for(f, peer, text))                                \
            fail_msg("no %s in:\n%s", text, buf_cstr(&(peer)->log)); \
    } while (0)

static void
say(struct peer *peer, const char *text)
{
    assert_true(link_send(peer->link, str_from(text)));
}

static void
forget(struct peer *peer)
{
    peer->log.len = 0;
}

/* ---- the control plane ----------------------------------------------------------------------- */

static void
apply(struct fixture *f, const char *yaml)
{
    struct arena arena;
    struct tree *list = NULL;
    struct manifest manifest;
    struct object object;
    enum object_change change;
    char key[API_KEY_BYTES + 1];
    arena_init(&arena, 4u << 20);
    assert_int_equal(tree_from_yaml(str_from(yaml), &arena, &list, &f->err), 0);
    assert_int_equal(schema_check(list->first, &arena, &manifest, &f->err), 0);
    assert_int_equal(object_apply(f->store, &manifest, "", &arena, &object, &change, key, &f->err),
                     0);
    arena_fini(&arena);
}

static int
make_tls(struct fixture *f)
{
    char paths[3][256];
    char pki[128];
    snprintf(pki, sizeof pki, "%s/pki", f->dir);
    snprintf(paths[0], sizeof paths[0], "%s/ca.crt", pki);
    snprintf(paths[1], sizeof paths[1], "%s/controlplane.crt", pki);
    snprintf(paths[2], sizeof paths[2], "%s/controlplane.key", pki);
    const struct tls_server_conf conf = {.client_ca_file = paths[0],
                                         .cert_file = paths[1],
                                         .key_file = paths[2],
                                         .alpn_h2 = true,
                                         .internal = true};
    if (tls_pki_init(pki, &f->err) < 0 ||
        tls_pki_issue(pki, "controlplane", "controlplane", true, 1, &f->err) < 0 ||
        tls_pki_issue(pki, "dataplane", "dataplane", false, 1, &f->err) < 0 ||
        tls_pki_issue(pki, "agent", "agent", false, 1, &f->err) < 0 ||
        tls_pki_issue(pki, "visitor", "visitor", false, 1, &f->err) < 0)
        return -1;
    return tls_server_new(&conf, &f->tls, &f->err);
}

static int
listen_any(struct fixture *f)
{
    struct sock_addr addr;
    if (sock_addr_parse(STR("127.0.0.1:0"), &addr, &f->err) < 0 ||
        sock_listen(&addr, 16, false, 0, &f->fd, &f->err) < 0)
        return -1;
    addr.len = sizeof addr.u;
    if (getsockname(f->fd, &addr.u.any, &addr.len) < 0)
        return -1;
    f->port = ntohs(addr.u.in4.sin_port);
    return 0;
}

static int
setup(void **state)
{
    static struct fixture fixture;
    struct fixture *f = &fixture;
    *f = (struct fixture){.dir = "/tmp/berth-push-test-XXXXXX"};
    *state = f;
    if (!mkdtemp(f->dir) || loop_new(&f->loop, &f->err) < 0 ||
        store_open("memory:", f->loop, &f->store, &f->err) < 0 || ed25519_generate(&f->key) < 0 ||
        make_tls(f) < 0 || listen_any(f) < 0)
        return -1;
    const struct ledger_config ledger_config = {0};
    if (ledger_new(f->store, &ledger_config, &f->ledger, &f->err) < 0)
        return -1;
    apply(f, HEAD "kind: Wallet\nmetadata: {name: default}\n");
    const struct push_conf push_conf = {.loop = f->loop, .tls = f->tls, .ledger = f->ledger};
    if (push_new(&push_conf, &f->push, &f->err) < 0)
        return -1;
    const struct engine_conf conf = {.loop = f->loop,
                                     .store = f->store,
                                     .ledger = f->ledger,
                                     .key = f->key,
                                     .settings = SNAPSHOT_SETTINGS_DEFAULT,
                                     .ops = &push_engine_ops,
                                     .user = f->push};
    if (engine_new(&conf, &f->engine, &f->err) < 0)
        return -1;
    return push_start(f->push, f->engine, f->fd, &f->err);
}

static void
free_peer(struct peer *peer)
{
    link_free(&peer->link);
    buf_fini(&peer->log);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    char command[128];
    free_peer(&f->dp);
    free_peer(&f->agent);
    for (unsigned i = 0; i < 5; i++)
        loop_step(f->loop, 1);
    push_free(&f->push);
    engine_free(&f->engine);
    ledger_free(&f->ledger);
    store_close(&f->store);
    tls_context_free(&f->tls);
    close(f->fd);
    loop_free(&f->loop);
    ed25519_free(&f->key);
    static const char *const names[] = {"ca.crt",           "ca.key",           ".lock",
                                        "controlplane.crt", "controlplane.key", "dataplane.crt",
                                        "dataplane.key",    "agent.crt",        "agent.key",
                                        "visitor.crt",      "visitor.key"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        snprintf(command, sizeof command, "%s/pki/%s", f->dir, names[i]);
        unlink(command);
    }
    snprintf(command, sizeof command, "%s/pki", f->dir);
    rmdir(command);
    rmdir(f->dir);
    return 0;
}

static void
connect_both(struct fixture *f)
{
    connect_peer(f, &f->dp, "dataplane", "dataplane");
    connect_peer(f, &f->agent, "agent", "agent");
    WAIT_FOR(f, &f->dp, "\"type\":\"tick\"");
    WAIT_FOR(f, &f->agent, "\"type\":\"tick\"");
    say(&f->agent, "{\"type\":\"hosting\",\"rows\":[]}");
}

static void
send_bind(struct fixture *f, unsigned id, const char *container, const char *digits,
          const char *name)
{
    char text[1024];
    snprintf(text, sizeof text,
             "{\"type\":\"bind\",\"id\":%u,\"binding\":{\"host\":\"h\",\"boot\":\"boot-1\","
             "\"runtime\":\"podman\",\"container_id\":\"%s\","
             "\"incarnation\":\"%s%s%s%s\",\"attestors\":\"netns+cgroup\",\"netns_cookie\":\"1\","
             "\"cgroup_id\":\"2\"},\"name\":\"%s\"}",
             id, container, digits, digits, digits, digits, name);
    say(&f->agent, text);
}

/* ---- tests ----------------------------------------------------------------------------------- */

static void
test_full_state(void **state)
{
    struct fixture *f = *state;
    connect_peer(f, &f->dp, "dataplane", "dataplane");
    WAIT_FOR(f, &f->dp, "\"type\":\"tick\"");
    WAIT_FOR(f, &f->dp, "\"type\":\"welcome\",\"server\":\"");
    assert_true(seen(&f->dp, f->engine->server));
    assert_true(seen(&f->dp, "\"lease_ms\":15000,\"node\":\"dataplane\""));
    assert_true(seen(&f->dp, f->engine->snapshot.hash));
    assert_true(seen(&f->dp, "\"full\":true,\"rows\":[],\"sum\":\"0\""));
    assert_true(seen(&f->dp, "\"rows\":[{\"wallet\":\"default\",\"granted\":\"0\","
                             "\"status\":\"empty\"}]"));
    /* the hash is that of the raw text of doc */
    const char *doc = strstr(buf_cstr(&f->dp.log), "\"doc\":");
    assert_non_null(doc);
    assert_memory_equal(doc + 6, f->engine->snapshot.text.ptr, f->engine->snapshot.text.len);
}

static void
test_bind_waits_for_the_ack(void **state)
{
    struct fixture *f = *state;
    connect_both(f);
    send_bind(f, 5, "c1", "0a0a0a0a", "dev-env");
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":5,\"binding\":{");
    /* the data plane had it before the agent heard */
    assert_true(seen(&f->dp, "\"full\":false,\"rows\":[{\"server\":"));
    assert_true(seen(&f->dp, "\"sum\":\"1\""));
    assert_true(seen(&f->agent, "\"name\":\"dev-env\",\"number\":\"1\",\"wallet\":\"default\""));
    forget(&f->dp);
    say(&f->agent, "{\"type\":\"unbind\",\"incarnation\":\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\","
                   "\"reason\":\"died\"}");
    WAIT_FOR(f, &f->agent,
             "{\"type\":\"unbound\",\"incarnation\":\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\"}");
    WAIT_FOR(f, &f->dp, "\"sum\":\"0\"");
    const char *revoke = strstr(buf_cstr(&f->dp.log), "\"type\":\"revoke\"");
    assert_non_null(revoke);
    assert_true(revoke < strstr(buf_cstr(&f->dp.log), "\"deleted\":true"));
}

static void
test_no_ack_no_container(void **state)
{
    struct fixture *f = *state;
    f->dp.mute = true;
    connect_both(f);
    uint64_t start = clock_mono_ms();
    send_bind(f, 1, "c1", "0b0b0b0b", "dev");
    WAIT_FOR(f, &f->agent, "\"type\":\"refused\",\"id\":1,\"code\":\"not_acknowledged\"");
    assert_true(clock_mono_ms() - start >= PUSH_BIND_DEADLINE_MS);
    assert_true(seen(&f->agent, "did not acknowledge"));
    WAIT_FOR(f, &f->dp, "\"type\":\"revoke\"");
    assert_int_equal(f->engine->bindings.by_hex.count, 0);
}

static void
test_no_data_plane_at_all(void **state)
{
    struct fixture *f = *state;
    connect_peer(f, &f->agent, "agent", "agent");
    WAIT_FOR(f, &f->agent, "\"type\":\"tick\"");
    send_bind(f, 1, "c1", "0c0c0c0c", "dev");
    WAIT_FOR(f, &f->agent, "no data plane is connected");
    assert_int_equal(f->engine->bindings.by_hex.count, 0);
    /* one that comes while the bind waits will do */
    send_bind(f, 2, "c1", "0d0d0d0d", "dev");
    connect_peer(f, &f->dp, "dataplane", "dataplane");
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":2");
}

static void
test_refusals_reach_the_agent(void **state)
{
    struct fixture *f = *state;
    apply(f, HEAD "kind: Container\nmetadata: {name: quiet}\nspec: {ai: false}\n");
    connect_both(f);
    send_bind(f, 1, "c1", "01010101", "quiet");
    WAIT_FOR(f, &f->agent, "\"type\":\"refused\",\"id\":1,\"code\":\"ai_off\"");
    send_bind(f, 2, "c2", "02020202", "not.valid");
    WAIT_FOR(f, &f->agent, "\"id\":2,\"code\":\"invalid_name\"");
    send_bind(f, 3, "c3", "03030303", "dev");
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":3");
    send_bind(f, 4, "c4", "04040404", "dev");
    WAIT_FOR(f, &f->agent, "\"id\":4,\"code\":\"name_in_use\"");
    /* the agent's truth ends what it does not host */
    forget(&f->dp);
    say(&f->agent, "{\"type\":\"hosting\",\"rows\":[]}");
    WAIT_FOR(f, &f->dp, "\"type\":\"revoke\"");
    assert_int_equal(f->engine->bindings.by_hex.count, 0);
}

static void
test_money(void **state)
{
    struct fixture *f = *state;
    struct ledger_receipt receipt;
    connect_both(f);
    forget(&f->dp);
    assert_int_equal(ledger_deposit(f->ledger, STR("default"), LEDGER_AI,
                                    (struct money){5000000000}, STR("k"), &receipt, &f->err),
                     0);
    WAIT_FOR(f, &f->dp, "{\"wallet\":\"default\",\"granted\":\"0\",\"status\":\"ok\"}");
    say(&f->dp, "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":\"default\",\"granted\":\"0\","
                "\"want\":\"1000000000\"}");
    WAIT_FOR(f, &f->dp, "{\"wallet\":\"default\",\"granted\":\"1000000000\",\"status\":\"ok\"}");
    static const char *const usage =
        "{\"type\":\"usage\",\"epoch\":\"7\",\"stream\":\"0\",\"first\":\"1\",\"records\":["
        "{\"seq\":\"1\",\"id\":\"req_1\",\"at_ms\":1790000000000,\"wallet\":\"default\","
        "\"subject\":\"container/dev\",\"incarnation\":\"0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a\","
        "\"model\":\"openai/gpt-4o-mini\",\"provider\":\"openai\",\"outcome\":\"completed\","
        "\"evidence\":\"provider_usage\",\"status\":200,\"stream\":true,\"usage\":{\"input\":12},"
        "\"charge\":\"1050\",\"cost\":\"1000\",\"price_version\":1,\"ttft_us\":1,\"total_us\":2,"
        "\"attempts\":1}]}";
    say(&f->dp, usage);
    WAIT_FOR(f, &f->dp, "{\"type\":\"posted\",\"stream\":\"0\",\"epoch\":\"7\",\"seq\":\"1\"}");
    forget(&f->dp);
    say(&f->dp, usage); /* sent again: nothing moves twice */
    WAIT_FOR(f, &f->dp, "{\"type\":\"posted\",\"stream\":\"0\",\"epoch\":\"7\",\"seq\":\"1\"}");
    struct ledger_balances balances;
    assert_int_equal(ledger_balances(f->ledger, STR("default"), &balances, &f->err), 0);
    assert_true(balances.ai_usage.nano == 1050);
    forget(&f->dp);
    apply(f, HEAD "kind: Wallet\nmetadata: {name: default}\nspec: {frozen: true}\n");
    WAIT_FOR(f, &f->dp, "\"status\":\"frozen\"");
    forget(&f->dp);
    say(&f->dp, "{\"type\":\"lease\",\"epoch\":\"7\",\"wallet\":\"default\",\"granted\":"
                "\"1000000000\",\"want\":\"1000000000\"}");
    WAIT_FOR(f, &f->dp, "\"status\":\"frozen\"");
    assert_false(seen(&f->dp, "\"granted\":\"2000000000\""));
}

static void
test_config_changes_and_nack(void **state)
{
    struct fixture *f = *state;
    struct buf out;
    struct json_writer writer;
    connect_both(f);
    forget(&f->dp);
    apply(f, HEAD "kind: Provider\nmetadata: {name: p}\nspec: {dialect: openai, baseUrl: "
                  "'http://h/'}\n");
    WAIT_FOR(f, &f->dp, "\"name\":\"p\"");
    assert_false(seen(&f->agent, "\"type\":\"config\""));
    char nack[256];
    snprintf(nack, sizeof nack,
             "{\"type\":\"nack\",\"part\":\"config\",\"rev\":\"%llu\",\"path\":\"providers[0]\","
             "\"reason\":\"bad dialect\"}",
             (unsigned long long)f->engine->snapshot.revision);
    say(&f->dp, nack);
    buf_init(&out, 65536);
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    do {
        loop_step(f->loop, 10);
        out.len = 0;
        json_writer_init(&writer, &out);
        push_put_nodes(f->push, &writer);
    } while (!strstr(buf_cstr(&out), "providers[0]: bad dialect") && clock_mono_ms() < end);
    assert_non_null(strstr(buf_cstr(&out), "providers[0]: bad dialect"));
    assert_non_null(strstr(buf_cstr(&out), "\"role\":\"dataplane\",\"name\":\"dataplane\""));
    buf_fini(&out);
}

static void
expect_dropped(struct fixture *f, struct peer *peer)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (peer->downs == 0 && clock_mono_ms() < end)
        loop_step(f->loop, 10);
    assert_true(peer->downs > 0);
}

/* What a node may not say costs it the connection, and nothing else. */
static void
test_forbidden_records(void **state)
{
    struct fixture *f = *state;
    static const struct {
        bool agent;
        const char *text;
    } rows[] = {
        {true,
         "{\"type\":\"usage\",\"epoch\":\"7\",\"stream\":\"0\",\"first\":\"1\",\"records\":[]}"},
        {true, "{\"type\":\"lease\"}"},
        {false, "{\"type\":\"bind\",\"id\":1}"},
        {false, "{\"type\":\"hosting\",\"rows\":[]}"},
        {false, "{\"type\":\"hello\",\"protocol\":1,\"role\":\"dataplane\",\"boot\":\"b\","
                "\"epoch\":\"1\"}"},
        {false, "{\"type\":\"flushed\",\"epoch\":\"7\"}"},
        {false, "{\"type\":\"ack\",\"part\":\"moon\",\"rev\":\"1\"}"},
        {false, "{\"type\":\"nothing\"}"},
        {false, "{}"},
        {false, "[]"},
        {false, "{\"type\":\"ping\",\"type\":\"ping\"}"},
        {false, "not json"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        struct peer *peer = rows[i].agent ? &f->agent : &f->dp;
        peer->downs = 0;
        connect_peer(f, peer, rows[i].agent ? "agent" : "dataplane",
                     rows[i].agent ? "agent" : "dataplane");
        WAIT_FOR(f, peer, "\"type\":\"tick\"");
        say(peer, rows[i].text);
        expect_dropped(f, peer);
        free_peer(peer);
    }
    assert_int_equal(f->engine->bindings.by_hex.count, 0);
}

/* SN-12: a node that does not read is dropped at 8 MiB, and has everything when it comes back. */
static void
test_slow_node(void **state)
{
    struct fixture *f = *state;
    connect_peer(f, &f->dp, "dataplane", "dataplane");
    WAIT_FOR(f, &f->dp, "\"type\":\"tick\"");
    struct node *node = LIST_ENTRY(f->push->nodes.next, struct node, in_push);
    node->blocked = true; /* as if the transport were full */
    for (unsigned i = 0; i < 40000 && !node->doomed; i++)
        state_funds(node, STR("default"), true);
    assert_false(node->doomed); /* 40,000 small rows still fit */
    struct str config = buf_str(&f->engine->snapshot.text);
    size_t before = node->queued_bytes;
    for (unsigned i = 0; i < 100; i++)
        state_config(node, false);
    assert_true(node->queued_bytes <= before + config.len + 512); /* only the newest waits */
    for (unsigned i = 0; i < 200000 && !node->doomed; i++)
        state_funds(node, STR("default"), true);
    assert_true(node->doomed && node->queued_bytes <= PUSH_QUEUE_BYTES_MAX);
    forget(&f->dp);
    expect_dropped(f, &f->dp);
    WAIT_FOR(f, &f->dp, "\"type\":\"welcome\"");
    WAIT_FOR(f, &f->dp, "\"type\":\"tick\"");
    assert_true(seen(&f->dp, "\"full\":true,\"rows\":[{\"wallet\":\"default\""));
}

/* Role and name come from the certificate, not from what is said. */
static void
test_identity(void **state)
{
    struct fixture *f = *state;
    connect_peer(f, &f->agent, "agent", "dataplane");
    expect_dropped(f, &f->agent);
    free_peer(&f->agent);
    connect_peer(f, &f->dp, "dataplane", "visitor");
    expect_dropped(f, &f->dp);
    assert_int_equal(push_node_count(f->push, ""), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_full_state, setup, teardown),
        cmocka_unit_test_setup_teardown(test_bind_waits_for_the_ack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_ack_no_container, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_data_plane_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals_reach_the_agent, setup, teardown),
        cmocka_unit_test_setup_teardown(test_money, setup, teardown),
        cmocka_unit_test_setup_teardown(test_config_changes_and_nack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_forbidden_records, setup, teardown),
        cmocka_unit_test_setup_teardown(test_slow_node, setup, teardown),
        cmocka_unit_test_setup_teardown(test_identity, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
