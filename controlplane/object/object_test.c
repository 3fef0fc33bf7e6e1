/* SPDX-License-Identifier: MIT
 * object_test.c - apply, read, list, delete, and what never leaves.
 * Floor: controlplane/object tests.
 * Owns: nothing.
 * Invariant: see object.h. */
#include "controlplane/object/object.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#include "controlplane/object/condition.h"
#include "lib/base/digest.h"

#define HEAD "apiVersion: berth.dev/v1alpha1\n"

struct fixture {
    struct store *store;
    struct arena arena;
    struct err err;
    struct object object;
    enum object_change change;
    char key[API_KEY_BYTES + 1];
};

static int
setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){0};
    arena_init(&fixture.arena, 16u << 20);
    *state = &fixture;
    return store_open("memory:", NULL, &fixture.store, &fixture.err);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    store_close(&f->store);
    arena_fini(&f->arena);
    return 0;
}

static int
apply(struct fixture *f, const char *yaml, const char *managed_by)
{
    struct tree *list = NULL;
    struct manifest manifest;
    f->err = (struct err){0};
    assert_int_equal(tree_from_yaml(str_from(yaml), &f->arena, &list, &f->err), 0);
    int code = schema_check(list->first, &f->arena, &manifest, &f->err);
    if (code == 0)
        code = object_apply(f->store, &manifest, managed_by, &f->arena, &f->object, &f->change,
                            f->key, &f->err);
    return code;
}

static void
test_create_update_unchanged(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply(f, HEAD "kind: Wallet\nmetadata: {name: w}\n", ""), 0);
    assert_int_equal(f->change, OBJECT_CREATED);
    assert_true(f->object.generation == 1 && f->object.uid.len == 32);
    uint64_t revision = f->object.revision;
    assert_int_equal(
        apply(f, HEAD "kind: Wallet\nmetadata: {name: w}\nspec: {frozen: false}\n", ""), 0);
    assert_int_equal(f->change, OBJECT_UNCHANGED);
    assert_true(store_revision(f->store) == revision);
    assert_int_equal(apply(f, HEAD "kind: Wallet\nmetadata: {name: w}\nspec: {frozen: true}\n", ""),
                     0);
    assert_int_equal(f->change, OBJECT_CONFIGURED);
    assert_true(f->object.generation == 2 && f->object.revision > revision);
    struct object read;
    assert_int_equal(
        object_get(f->store, kind_at(KIND_WALLET), STR("w"), &f->arena, &read, &f->err), 0);
    assert_true(schema_true(read.spec, "frozen") && read.revision == f->object.revision);
    assert_true(str_eq(read.uid, f->object.uid));
}

static void
test_expected_revision(void **state)
{
    struct fixture *f = *state;
    char yaml[512];
    assert_int_equal(apply(f, HEAD "kind: Wallet\nmetadata: {name: w}\n", ""), 0);
    uint64_t revision = f->object.revision;
    (void)snprintf(yaml, sizeof yaml,
                   HEAD
                   "kind: Wallet\nmetadata: {name: w, revision: '%llu'}\nspec: {frozen: true}\n",
                   (unsigned long long)revision);
    assert_int_equal(apply(f, yaml, ""), 0);
    assert_int_equal(apply(f, yaml, ""), -ERR_CONFLICT);
    assert_non_null(strstr(f->err.text, "read it again"));
    assert_int_equal(object_delete(f->store, kind_at(KIND_WALLET), STR("w"), revision, &f->err),
                     -ERR_CONFLICT);
    assert_int_equal(object_delete(f->store, kind_at(KIND_WALLET), STR("w"), 0, &f->err), 0);
    assert_int_equal(apply(f, yaml, ""), -ERR_CONFLICT);
    assert_int_equal(object_delete(f->store, kind_at(KIND_WALLET), STR("w"), 0, &f->err),
                     -ERR_NOT_FOUND);
}

static void
test_secret_is_write_only(void **state)
{
    struct fixture *f = *state;
    struct str secret;
    struct buf out;
#define PROVIDER \
    HEAD "kind: Provider\nmetadata: {name: p}\nspec: {dialect: openai, baseUrl: 'http://h/'"
    assert_int_equal(apply(f, PROVIDER ", key: {value: '********'}}\n", ""), -ERR_INVALID);
    assert_int_equal(apply(f, PROVIDER ", key: {value: hunter2}}\n", ""), 0);
    buf_init(&out, 65536);
    assert_int_equal(object_put_json(&f->object, &out), 0);
    assert_null(strstr(buf_cstr(&out), "hunter2"));
    assert_non_null(strstr(buf_cstr(&out), SECRET_SHOWN));
    buf_fini(&out);
    assert_int_equal(object_secret(f->store, &f->object, &f->arena, &secret), 0);
    assert_true(str_eq(secret, STR("hunter2")));
    /* what was read can be applied again and keeps the secret */
    assert_int_equal(apply(f, PROVIDER ", key: {value: '********'}}\n", ""), 0);
    assert_int_equal(f->change, OBJECT_UNCHANGED);
    assert_int_equal(apply(f, PROVIDER ", key: {value: hunter3}}\n", ""), 0);
    assert_int_equal(f->change, OBJECT_CONFIGURED);
    assert_int_equal(apply(f, PROVIDER ", key: {env: X}}\n", ""), 0);
    assert_int_equal(object_secret(f->store, &f->object, &f->arena, &secret), -ERR_NOT_FOUND);
    assert_int_equal(apply(f, PROVIDER ", key: {value: again}}\n", ""), 0);
    assert_int_equal(object_delete(f->store, kind_at(KIND_PROVIDER), STR("p"), 0, &f->err), 0);
    assert_int_equal(object_secret(f->store, &f->object, &f->arena, &secret), -ERR_NOT_FOUND);
}

static void
test_api_key_is_shown_once(void **state)
{
    struct fixture *f = *state;
    uint8_t digest[SHA256_BYTES];
    char hex[2 * SHA256_BYTES + 1];
    struct buf out;
    assert_int_equal(apply(f, HEAD "kind: ApiKey\nmetadata: {name: ci}\n", ""), 0);
    assert_true(api_key_plausible(str_from(f->key)));
    digest_sha256(str_from(f->key), digest);
    hex_encode(digest, sizeof digest, hex);
    assert_true(str_eq(schema_text(f->object.status, "hash", STR_EMPTY), str_from(hex)));
    buf_init(&out, 65536);
    assert_int_equal(object_put_json(&f->object, &out), 0);
    assert_null(strstr(buf_cstr(&out), f->key));
    buf_fini(&out);
    assert_int_equal(
        apply(f, HEAD "kind: ApiKey\nmetadata: {name: ci}\nspec: {disabled: true}\n", ""), 0);
    assert_string_equal(f->key, "");
    assert_true(str_eq(schema_text(f->object.status, "hash", STR_EMPTY), str_from(hex)));
}

static void
test_list_and_near_miss(void **state)
{
    struct fixture *f = *state;
    struct object *objects;
    size_t count;
    static const char *const names[] = {"b", "a", "dev-env"};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        char yaml[256];
        (void)snprintf(yaml, sizeof yaml, HEAD "kind: Container\nmetadata: {name: %s}\n", names[i]);
        assert_int_equal(apply(f, yaml, ""), 0);
    }
    const struct kind *kind = kind_at(KIND_CONTAINER);
    assert_int_equal(
        object_list(f->store, kind, STR_EMPTY, 2, &f->arena, &objects, &count, &f->err), 0);
    assert_int_equal(count, 2);
    assert_true(str_eq(objects[0].name, STR("a")) && str_eq(objects[1].name, STR("b")));
    assert_int_equal(object_list(f->store, kind, STR("b"), 0, &f->arena, &objects, &count, &f->err),
                     0);
    assert_int_equal(count, 1);
    struct object object;
    assert_int_equal(object_get(f->store, kind, STR("dev-evn"), &f->arena, &object, &f->err),
                     -ERR_NOT_FOUND);
    assert_string_equal(f->err.text,
                        "there is no Container \"dev-evn\"; did you mean \"dev-env\"?");
}

static void
test_conditions(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(apply(f, HEAD "kind: Wallet\nmetadata: {name: w}\n", "env"), 0);
    assert_true(str_eq(schema_text(f->object.status, "managedBy", STR_EMPTY), STR("env")));
    assert_int_equal(condition_write(f->store, &f->object, "Ready", false, "KeyMissing", "no"), 0);
    uint64_t revision = store_revision(f->store);
    assert_int_equal(condition_write(f->store, &f->object, "Ready", false, "KeyMissing", "no"), 0);
    assert_true(store_revision(f->store) == revision);
    assert_int_equal(condition_write(f->store, &f->object, "Ready", true, "Offered", ""), 0);
    assert_true(store_revision(f->store) == revision + 1);
    /* a person's apply takes it over and keeps the conditions */
    assert_int_equal(apply(f, HEAD "kind: Wallet\nmetadata: {name: w}\n", ""), 0);
    assert_true(schema_text(f->object.status, "managedBy", STR_EMPTY).len == 0);
    const struct tree *conditions = tree_get(f->object.status, STR("conditions"));
    assert_non_null(conditions);
    assert_int_equal(conditions->count, 1);
    assert_true(f->object.generation == 1);
}

static void
test_store_failure_changes_nothing(void **state)
{
    struct fixture *f = *state;
    struct object object;
    store_fail_commit(f->store, 1, false);
    assert_int_equal(apply(f, HEAD "kind: Wallet\nmetadata: {name: w}\n", ""), -ERR_STORE);
    assert_int_equal(
        object_get(f->store, kind_at(KIND_WALLET), STR("w"), &f->arena, &object, &f->err),
        -ERR_NOT_FOUND);
    assert_int_equal(apply(f, HEAD "kind: Wallet\nmetadata: {name: w}\n", ""), 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_create_update_unchanged, setup, teardown),
        cmocka_unit_test_setup_teardown(test_expected_revision, setup, teardown),
        cmocka_unit_test_setup_teardown(test_secret_is_write_only, setup, teardown),
        cmocka_unit_test_setup_teardown(test_api_key_is_shown_once, setup, teardown),
        cmocka_unit_test_setup_teardown(test_list_and_near_miss, setup, teardown),
        cmocka_unit_test_setup_teardown(test_conditions, setup, teardown),
        cmocka_unit_test_setup_teardown(test_store_failure_changes_nothing, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
