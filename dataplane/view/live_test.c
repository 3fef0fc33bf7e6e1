/* SPDX-License-Identifier: MIT
 * live_test.c - only signed bindings are served, and a revoked one never comes back.
 * Floor: test.
 * Owns: nothing.
 * Invariant: see live.h. */
#include "dataplane/view/live.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include "lib/base/err.h"

struct rig {
    struct funds funds;
    struct live live;
    struct ed25519_key *key;
};

static void
rig_open(struct rig *rig)
{
    funds_init(&rig->funds);
    assert_int_equal(live_init(&rig->live, 2, &rig->funds), 0);
    assert_int_equal(ed25519_generate(&rig->key), 0);
    ed25519_public(rig->key, rig->live.server_keys[0]);
    rig->live.server_key_count = 1;
}

static void
rig_close(struct rig *rig)
{
    live_fini(&rig->live);
    funds_fini(&rig->funds);
    ed25519_free(&rig->key);
}

static struct binding
sample(uint8_t incarnation)
{
    struct binding binding = {.server = STR("00112233445566778899aabbccddeeff"),
                              .host = STR("host-1"),
                              .boot = STR("boot-1"),
                              .runtime = STR("runc"),
                              .container_id = STR("0123456789abcdef0123456789abcdef"),
                              .name = STR("dev-env"),
                              .number = 7,
                              .wallet = STR("default"),
                              .attestors = STR("netns+cgroup"),
                              .netns_cookie = 4711,
                              .cgroup_id = 815,
                              .issued_ms = 1};
    memset(binding.incarnation, incarnation, INCARNATION_BYTES);
    return binding;
}

/* old, new: as of live_put; the caller releases them. */
static int
put_over(struct rig *rig, struct binding binding, const struct ed25519_key *key, bool tamper,
         struct live_binding **ret_old, struct live_binding **ret_new)
{
    struct buf text;
    struct json_doc doc;
    struct err err = {0};
    buf_init(&text, 65536);
    json_init(&doc);
    assert_int_equal(binding_sign(&binding, key), 0);
    if (tamper)
        binding.name = STR("admin");
    assert_int_equal(binding_put_json(&binding, true, &text), 0);
    assert_int_equal(json_scan(&doc, buf_str(&text), NULL, &err), 0);
    int rc = live_put(&rig->live, &doc, 0, ret_old, ret_new, &err);
    json_fini(&doc);
    buf_fini(&text);
    return rc;
}

static int
put(struct rig *rig, struct binding binding, const struct ed25519_key *key, bool tamper)
{
    struct live_binding *old;
    struct live_binding *new;
    int rc = put_over(rig, binding, key, tamper, &old, &new);
    assert_null(old);
    assert_null(new);
    return rc;
}

static void
unsigned_rows_are_refused(void **state)
{
    (void)state;
    struct rig rig = {0};
    struct ed25519_key *other = NULL;
    rig_open(&rig);
    assert_int_equal(ed25519_generate(&other), 0);
    assert_int_equal(put(&rig, sample(1), other, false), -ERR_SIGNATURE);
    assert_int_equal(put(&rig, sample(1), rig.key, true), -ERR_SIGNATURE);
    assert_int_equal(live_count(&rig.live), 0);
    assert_int_equal(put(&rig, sample(1), rig.key, false), 0);
    assert_int_equal(live_count(&rig.live), 1);
    ed25519_free(&other);
    rig_close(&rig);
}

static void
only_its_own_bearer_agrees(void **state)
{
    (void)state;
    static const struct {
        const char *bearer;
        bool want;
    } rows[] = {
        {"container-dev-env", true},
        {"container-7", true},
        {"container-0123456789abcdef0123456789abcdef", true},
        {"container-0123456789ab", true},
        {"container-0123456789abc", false},
        {"container-dev-env2", false},
        {"container-dev-en", false},
        {"container-70", false},
        {"container-", false},
        {"CONTAINER-dev-env", false},
        {"container-DEV-ENV", false},
        {"dev-env", false},
        {"", false},
    };
    struct rig rig = {0};
    rig_open(&rig);
    assert_int_equal(put(&rig, sample(3), rig.key, false), 0);
    uint8_t incarnation[INCARNATION_BYTES];
    memset(incarnation, 3, sizeof(incarnation));
    struct live_binding *binding = live_find(&rig.live, incarnation);
    assert_non_null(binding);
    for (size_t i = 0; i < ARRAY_LEN(rows); i++)
        assert_int_equal(live_matches(binding, str_from(rows[i].bearer)), rows[i].want);
    live_release(&binding);
    rig_close(&rig);
}

static void
revoked_stays_revoked(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    uint8_t incarnation[INCARNATION_BYTES];
    memset(incarnation, 5, sizeof(incarnation));
    assert_int_equal(put(&rig, sample(5), rig.key, false), 0);
    struct live_binding *held = live_find(&rig.live, incarnation); /* a connection's reference */
    struct live_binding *revoked = live_revoke(&rig.live, incarnation);
    assert_ptr_equal(held, revoked);
    assert_true(atomic_load(&held->revoked)); /* seen by whoever holds it */
    assert_null(live_find(&rig.live, incarnation));
    assert_int_equal(put(&rig, sample(5), rig.key, false), -ERR_REVOKED); /* a late row */
    live_release(&revoked);
    live_release(&held);

    memset(incarnation, 6, sizeof(incarnation)); /* revoked before it was known */
    assert_null(live_revoke(&rig.live, incarnation));
    assert_int_equal(put(&rig, sample(6), rig.key, false), -ERR_REVOKED);
    assert_int_equal(live_count(&rig.live), 0);
    /* a full resync that still names one of them must not bring it back */
    live_mark_begin(&rig.live);
    live_mark(&rig.live, incarnation);
    live_forget_unmarked(&rig.live);
    assert_int_equal(rig.live.by_incarnation.count, 1);
    assert_int_equal(put(&rig, sample(6), rig.key, false), -ERR_REVOKED);
    live_mark_begin(&rig.live);
    live_forget_unmarked(&rig.live);
    assert_int_equal(rig.live.by_incarnation.count, 0);
    rig_close(&rig);
}

/* What the control plane ended leaves nothing behind, whoever says it first or again. */
static void
ended_leaves_no_tombstone(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    uint8_t incarnation[INCARNATION_BYTES];
    memset(incarnation, 5, sizeof(incarnation));
    assert_int_equal(put(&rig, sample(5), rig.key, false), 0);
    struct live_binding *revoked = live_revoke(&rig.live, incarnation);
    live_drop(&rig.live, incarnation, true);
    assert_int_equal(rig.live.by_incarnation.count, 0);
    assert_null(live_revoke(&rig.live, incarnation)); /* the agent, late */
    assert_int_equal(rig.live.by_incarnation.count, 0);
    live_release(&revoked);
    /* suspended: it may come back */
    assert_int_equal(put(&rig, sample(7), rig.key, false), 0);
    memset(incarnation, 7, sizeof(incarnation));
    revoked = live_revoke(&rig.live, incarnation);
    live_drop(&rig.live, incarnation, false);
    assert_int_equal(put(&rig, sample(7), rig.key, false), 0);
    assert_true(atomic_load(&revoked->revoked)); /* open connections stay cut */
    live_release(&revoked);
    assert_int_equal(live_count(&rig.live), 1);
    rig_close(&rig);
}

static void
a_change_replaces(void **state)
{
    (void)state;
    struct rig rig = {0};
    struct live_binding *old = NULL;
    struct live_binding *new = NULL;
    struct binding renamed = sample(3);
    struct binding moved = sample(3);
    struct binding again = sample(3);
    rig_open(&rig);
    assert_int_equal(put(&rig, sample(3), rig.key, false), 0);
    again.issued_ms = 2; /* signed anew: nothing changes */
    assert_int_equal(put(&rig, again, rig.key, false), 0);
    moved.netns_cookie = 1;
    assert_int_equal(put(&rig, moved, rig.key, false), -ERR_CONFLICT);
    renamed.name = STR("prod");
    renamed.number = 8;
    assert_int_equal(put_over(&rig, renamed, rig.key, false, &old, &new), 0);
    assert_non_null(old);
    assert_ptr_equal(new->before, old);
    assert_true(live_matches(new, STR("container-prod")));
    assert_false(live_matches(new, STR("container-dev-env")));
    live_release(&old);
    struct live_binding *found = live_find(&rig.live, renamed.incarnation);
    assert_ptr_equal(found, new);
    live_release(&found);
    live_release(&new);
    assert_int_equal(live_count(&rig.live), 1);
    rig_close(&rig);
}

static void
both_keys_are_accepted_while_one_replaces_the_other(void **state)
{
    (void)state;
    struct rig rig = {0};
    struct ed25519_key *next = NULL;
    rig_open(&rig);
    assert_int_equal(ed25519_generate(&next), 0);
    assert_int_equal(put(&rig, sample(1), next, false), -ERR_SIGNATURE);
    ed25519_public(next, rig.live.server_keys[1]);
    rig.live.server_key_count = 2;
    assert_int_equal(put(&rig, sample(1), next, false), 0);
    assert_int_equal(put(&rig, sample(2), rig.key, false), 0);
    ed25519_public(next, rig.live.server_keys[0]);
    rig.live.server_key_count = 1;
    assert_int_equal(put(&rig, sample(3), rig.key, false), -ERR_SIGNATURE);
    ed25519_free(&next);
    rig_close(&rig);
}

static void
a_resync_tells_who_is_not_named(void **state)
{
    (void)state;
    struct rig rig = {0};
    uint8_t gone[8][INCARNATION_BYTES];
    rig_open(&rig);
    for (uint8_t i = 1; i <= 5; i++)
        assert_int_equal(put(&rig, sample(i), rig.key, false), 0);
    live_mark_begin(&rig.live);
    for (uint8_t i = 1; i <= 4; i++)
        live_mark(&rig.live, sample(i).incarnation);
    assert_int_equal(live_unmarked(&rig.live, gone, 8), 1);
    assert_int_equal(gone[0][0], 5);
    live_mark_begin(&rig.live);
    assert_int_equal(live_unmarked(&rig.live, gone, 2), 2);
    rig_close(&rig);
}

static void
nothing_is_valid_without_a_tick(void **state)
{
    (void)state;
    struct rig rig = {0};
    rig_open(&rig);
    assert_false(live_valid(&rig.live, 1));
    atomic_store(&rig.live.valid_until_ms, 100);
    assert_true(live_valid(&rig.live, 99));
    assert_false(live_valid(&rig.live, 100));
    rig_close(&rig);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unsigned_rows_are_refused),
        cmocka_unit_test(only_its_own_bearer_agrees),
        cmocka_unit_test(revoked_stays_revoked),
        cmocka_unit_test(ended_leaves_no_tombstone),
        cmocka_unit_test(a_change_replaces),
        cmocka_unit_test(both_keys_are_accepted_while_one_replaces_the_other),
        cmocka_unit_test(a_resync_tells_who_is_not_named),
        cmocka_unit_test(nothing_is_valid_without_a_tick),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
