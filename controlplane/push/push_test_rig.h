/* SPDX-License-Identifier: MIT
 * push_test_rig.h - a control plane's push with real mTLS and HTTP/2, and fake nodes that speak to
 *                   it.
 * Floor: controlplane/push tests.
 * Owns: the fixture of one test.
 * Invariant: none of its own. */
#ifndef BERTH_CONTROLPLANE_PUSH_PUSH_TEST_RIG_H
#define BERTH_CONTROLPLANE_PUSH_PUSH_TEST_RIG_H

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

static UNUSED void
on_up(struct link *link, void *user)
{
    struct peer *peer = user;
    char hello[512];
    peer->up = true;
    (void)snprintf(
        hello, sizeof hello,
        "{\"type\":\"hello\",\"protocol\":1,\"role\":\"%s\",\"boot\":\"%s\",\"epoch\":\"7\","
        "\"have\":{\"config\":\"0\",\"bindings\":\"0\",\"funds\":\"0\"}}",
        peer->role, peer->boot);
    link_send(link, str_from(hello));
}

static UNUSED void
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
    (void)snprintf(ack, sizeof ack, "{\"type\":\"ack\",\"part\":\"%.*s\",\"rev\":%.*s}",
                   STR_ARG(type), STR_ARG(rev));
    link_send(link, str_from(ack));
}

static UNUSED void
on_down(struct link *link, const char *reason, void *user)
{
    struct peer *peer = user;
    (void)link;
    (void)reason;
    peer->up = false;
    peer->downs++;
}
static const struct link_ops link_ops = {.up = on_up, .record = on_record, .down = on_down};

static UNUSED void
connect_peer(struct fixture *f, struct peer *peer, const char *role, const char *cert)
{
    char paths[3][256];
    (void)snprintf(paths[0], sizeof paths[0], "%s/pki/ca.crt", f->dir);
    (void)snprintf(paths[1], sizeof paths[1], "%s/pki/%s.crt", f->dir, cert);
    (void)snprintf(paths[2], sizeof paths[2], "%s/pki/%s.key", f->dir, cert);
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

static UNUSED bool
seen(struct peer *peer, const char *text)
{
    return strstr(buf_cstr(&peer->log), text) != NULL;
}

static UNUSED bool
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

static UNUSED void
say(struct peer *peer, const char *text)
{
    assert_true(link_send(peer->link, str_from(text)));
}

static UNUSED void
forget(struct peer *peer)
{
    peer->log.len = 0;
}

/* ---- the control plane ----------------------------------------------------------------------- */

static UNUSED void
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

static UNUSED int
make_tls(struct fixture *f)
{
    char paths[3][256];
    char pki[128];
    (void)snprintf(pki, sizeof pki, "%s/pki", f->dir);
    (void)snprintf(paths[0], sizeof paths[0], "%s/ca.crt", pki);
    (void)snprintf(paths[1], sizeof paths[1], "%s/controlplane.crt", pki);
    (void)snprintf(paths[2], sizeof paths[2], "%s/controlplane.key", pki);
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

static UNUSED int
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

static UNUSED int
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

static UNUSED void
free_peer(struct peer *peer)
{
    link_free(&peer->link);
    buf_fini(&peer->log);
}

static UNUSED int
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
        (void)snprintf(command, sizeof command, "%s/pki/%s", f->dir, names[i]);
        unlink(command);
    }
    (void)snprintf(command, sizeof command, "%s/pki", f->dir);
    rmdir(command);
    rmdir(f->dir);
    return 0;
}

static UNUSED void
connect_both(struct fixture *f)
{
    connect_peer(f, &f->dp, "dataplane", "dataplane");
    connect_peer(f, &f->agent, "agent", "agent");
    WAIT_FOR(f, &f->dp, "\"type\":\"tick\"");
    WAIT_FOR(f, &f->agent, "\"type\":\"tick\"");
    say(&f->agent, "{\"type\":\"hosting\",\"rows\":[]}");
}

static UNUSED void
send_bind(struct fixture *f, unsigned id, const char *container, const char *digits,
          const char *name)
{
    char text[1024];
    (void)snprintf(
        text, sizeof text,
        "{\"type\":\"bind\",\"id\":%u,\"binding\":{\"host\":\"h\",\"boot\":\"boot-1\","
        "\"runtime\":\"podman\",\"container_id\":\"%s\","
        "\"incarnation\":\"%s%s%s%s\",\"attestors\":\"netns+cgroup\",\"netns_cookie\":\"1\","
        "\"cgroup_id\":\"2\"},\"name\":\"%s\"}",
        id, container, digits, digits, digits, digits, name);
    say(&f->agent, text);
}

#endif
