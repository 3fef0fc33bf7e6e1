/* SPDX-License-Identifier: MIT
 * push_bind_test.c - binds, renames and suspensions as agents and data planes see them.
 * Floor: controlplane/push tests.
 * Owns: nothing.
 * Invariant: what api/plane.md promises. */
#include "controlplane/push/push_test_rig.h"

#include "controlplane/reconcile/bind.h"

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

/* A container without AI starts, and no data plane hears of it before AI is switched on. */
static void
test_suspended(void **state)
{
    struct fixture *f = *state;
    apply(f, HEAD "kind: Container\nmetadata: {name: quiet}\nspec: {ai: false}\n");
    connect_both(f);
    send_bind(f, 1, "c1", "01010101", "quiet");
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":1");
    assert_false(seen(&f->dp, "\"name\":\"quiet\""));
    apply(f, HEAD "kind: Container\nmetadata: {name: quiet}\nspec: {ai: true}\n");
    WAIT_FOR(f, &f->dp, "\"name\":\"quiet\"");
    apply(f, HEAD "kind: Container\nmetadata: {name: quiet}\nspec: {ai: false}\n");
    WAIT_FOR(f, &f->dp, "\"suspend\":true");
    WAIT_FOR(f, &f->dp, "\"suspended\":true}],\"sum\":\"0\"");
    assert_false(seen(&f->agent, "\"type\":\"revoke\""));
}

static void
test_rename(void **state)
{
    struct fixture *f = *state;
    connect_both(f);
    send_bind(f, 1, "c1", "01010101", "dev");
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":1");
    say(&f->agent, "{\"type\":\"rename\",\"id\":2,\"incarnation\":"
                   "\"01010101010101010101010101010101\",\"name\":\"prod\"}");
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":2");
    WAIT_FOR(f, &f->dp, "\"name\":\"prod\"");
    say(&f->agent, "{\"type\":\"rename\",\"id\":3,\"incarnation\":"
                   "\"01010101010101010101010101010101\",\"name\":\"no.name\"}");
    WAIT_FOR(f, &f->agent, "\"id\":3,\"code\":\"invalid_name\"");
    say(&f->agent, "{\"type\":\"rename\",\"id\":4,\"incarnation\":"
                   "\"02020202020202020202020202020202\",\"name\":\"x\"}");
    WAIT_FOR(f, &f->agent, "\"id\":4,\"code\":\"revoked\"");
}

static bool
becomes_paused(struct fixture *f, const struct binding_row *row, bool want)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (row->paused != want && clock_mono_ms() < end)
        loop_step(f->loop, 10);
    return row->paused == want;
}

/* Paused: the status says so, the data plane does not care. */
static void
test_paused(void **state)
{
    struct fixture *f = *state;
    connect_both(f);
    send_bind(f, 1, "c1", "01010101", "dev");
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":1");
    forget(&f->dp);
    say(&f->agent, "{\"type\":\"paused\",\"rows\":[\"01010101010101010101010101010101\"]}");
    struct binding_row *row =
        bindings_find(&f->engine->bindings, STR("01010101010101010101010101010101"));
    assert_non_null(row);
    assert_true(becomes_paused(f, row, true));
    assert_int_equal(row->suspended, 0);
    say(&f->agent, "{\"type\":\"paused\",\"rows\":[]}");
    assert_true(becomes_paused(f, row, false));
    assert_false(seen(&f->dp, "\"type\":\"bindings\""));
}

static void
test_refusals_reach_the_agent(void **state)
{
    struct fixture *f = *state;
    connect_both(f);
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

/* The data plane says no: so does the agent, with its reason, and nothing of it stays. */
static void
test_nack(void **state)
{
    struct fixture *f = *state;
    char nack[256];
    f->dp.mute = true;
    connect_both(f);
    send_bind(f, 1, "c1", "0b0b0b0b", "dev");
    send_bind(f, 2, "c2", "0c0c0c0c", "web");
    WAIT_FOR(f, &f->dp, "\"name\":\"web\"");
    uint64_t revision = 0;
    LIST_FOREACH (at, &f->push->pending) {
        const struct pending *pending = LIST_ENTRY(at, struct pending, in_push);
        revision = pending->id == 1 ? pending->revision : revision;
    }
    assert_true(revision > 0);
    (void)snprintf(nack, sizeof nack,
                   "{\"type\":\"nack\",\"part\":\"bindings\",\"rev\":\"%llu\",\"path\":\"rows[0]\","
                   "\"reason\":\"no room\"}",
                   (unsigned long long)revision);
    say(&f->dp, nack);
    WAIT_FOR(f, &f->agent, "\"type\":\"refused\",\"id\":1,\"code\":\"not_acknowledged\"");
    assert_true(seen(&f->agent, "no room"));
    assert_false(seen(&f->agent, "\"id\":2,"));
    assert_int_equal(f->engine->bindings.by_hex.count, 1);
}

static size_t
waiting(const struct fixture *f)
{
    size_t count = 0;
    LIST_FOREACH (at, &f->push->pending)
        count++;
    return count;
}

/* Who asked is gone, or what was asked for is: nobody waits any more. */
static void
test_nobody_waits(void **state)
{
    struct fixture *f = *state;
    size_t count;
    f->dp.mute = true;
    connect_both(f);
    send_bind(f, 1, "c1", "0b0b0b0b", "dev");
    send_bind(f, 2, "c2", "0c0c0c0c", "web");
    WAIT_FOR(f, &f->dp, "\"name\":\"web\"");
    assert_int_equal(waiting(f), 2);
    assert_int_equal(bind_revoke_name(f->engine, STR("dev"), "revoked", &count, &f->err), 0);
    WAIT_FOR(f, &f->agent, "\"type\":\"refused\",\"id\":1,\"code\":\"revoked\"");
    assert_int_equal(waiting(f), 1);
    link_free(&f->agent.link);
    uint64_t deadline = clock_mono_ms() + DEADLINE_MS;
    while (waiting(f) > 0 && clock_mono_ms() < deadline)
        loop_step(f->loop, 10);
    assert_int_equal(waiting(f), 0);
}

static bool
becomes_refused(struct fixture *f, const char *name)
{
    uint64_t end = clock_mono_ms() + DEADLINE_MS;
    while (clock_mono_ms() < end) {
        loop_step(f->loop, 10);
        LIST_FOREACH (at, &f->push->nodes) {
            const struct node *node = LIST_ENTRY(at, struct node, in_push);
            if (str_eq(str_from(node->name), str_from(name)) && node->nack[0] != '\0')
                return true;
        }
    }
    return false;
}

/* A data plane of another host is not told of the container: it is not waited for, and what it says
 * of that revision concerns nobody. */
static void
test_data_plane_of_another_host(void **state)
{
    static struct peer other;
    struct fixture *f = *state;
    char path[128];
    char nack[256];
    (void)snprintf(path, sizeof path, "%s/pki", f->dir);
    assert_int_equal(tls_pki_issue(path, "dataplane", "other", false, 1, &f->err), 0);
    other = (struct peer){.boot = "boot-2", .mute = true};
    f->dp.mute = true;
    connect_both(f);
    connect_peer(f, &other, "dataplane", "other");
    WAIT_FOR(f, &other, "\"type\":\"tick\"");
    send_bind(f, 1, "c1", "0b0b0b0b", "dev");
    WAIT_FOR(f, &f->dp, "\"name\":\"dev\"");
    const struct pending *pending = LIST_ENTRY(f->push->pending.next, struct pending, in_push);
    unsigned long long revision = pending->revision;
    (void)snprintf(nack, sizeof nack,
                   "{\"type\":\"nack\",\"part\":\"bindings\",\"rev\":\"%llu\",\"reason\":\"no\"}",
                   revision);
    say(&other, nack);
    assert_true(becomes_refused(f, "other"));
    assert_int_equal(waiting(f), 1);
    (void)snprintf(nack, sizeof nack, "{\"type\":\"ack\",\"part\":\"bindings\",\"rev\":\"%llu\"}",
                   revision);
    say(&f->dp, nack);
    WAIT_FOR(f, &f->agent, "\"type\":\"bound\",\"id\":1");
    assert_false(seen(&other, "\"name\":\"dev\""));
    free_peer(&other);
    for (size_t i = 0; i < 2; i++) {
        (void)snprintf(path, sizeof path, "%s/pki/other.%s", f->dir, i == 0 ? "crt" : "key");
        assert_int_equal(unlink(path), 0);
    }
}

/* The revocation of what was refused fails: the row stays for the agent's next word, and is said
 * in the log; the agent hears no less. */
static void
test_revocation_fails(void **state)
{
    struct fixture *f = *state;
    f->dp.mute = true;
    connect_both(f);
    send_bind(f, 1, "c1", "0b0b0b0b", "dev");
    WAIT_FOR(f, &f->dp, "\"name\":\"dev\"");
    store_fail_commit(f->store, 1, false);
    WAIT_FOR(f, &f->agent, "\"type\":\"refused\",\"id\":1,\"code\":\"not_acknowledged\"");
    for (unsigned i = 0; i < 10; i++)
        loop_step(f->loop, 1);
    assert_int_equal(f->engine->bindings.by_hex.count, 1);
    say(&f->agent, "{\"type\":\"hosting\",\"rows\":[]}");
    WAIT_FOR(f, &f->dp, "\"type\":\"revoke\"");
    assert_int_equal(f->engine->bindings.by_hex.count, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_bind_waits_for_the_ack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_ack_no_container, setup, teardown),
        cmocka_unit_test_setup_teardown(test_no_data_plane_at_all, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nack, setup, teardown),
        cmocka_unit_test_setup_teardown(test_nobody_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(test_data_plane_of_another_host, setup, teardown),
        cmocka_unit_test_setup_teardown(test_revocation_fails, setup, teardown),
        cmocka_unit_test_setup_teardown(test_suspended, setup, teardown),
        cmocka_unit_test_setup_teardown(test_rename, setup, teardown),
        cmocka_unit_test_setup_teardown(test_paused, setup, teardown),
        cmocka_unit_test_setup_teardown(test_refusals_reach_the_agent, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
