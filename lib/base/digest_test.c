/* SPDX-License-Identifier: MIT
 * digest_test.c - published vectors of every algorithm.
 * Floor: lib/base, test.
 * Owns: nothing.
 * Invariant: results equal the vectors, whole and in parts, on every thread. */
#include "lib/base/digest.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <pthread.h>

#include "lib/base/rand.h"

static void
assert_hex(const uint8_t *bytes, size_t count, const char *want)
{
    char text[2 * 64 + 1];
    hex_encode(bytes, count, text);
    assert_string_equal(text, want);
}

static void
test_sha256(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        const char *want;
    } rows[] = {
        {{"", 0}, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"},
        {{"abc", 3}, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},
        {{"abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56},
         "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t digest[SHA256_BYTES];
        digest_sha256(rows[i].in, digest);
        assert_hex(digest, sizeof(digest), rows[i].want);
    }
}

/* RFC 4231, cases 1, 2, 3 and 6 (a key longer than the block). */
static void
test_hmac(void **state)
{
    (void)state;
    static char many[131];
    memset(many, 0xaa, sizeof(many));
    static char fifty_dd[50];
    memset(fifty_dd, 0xdd, sizeof(fifty_dd));
    const struct {
        struct str key, in;
        const char *want;
    } rows[] = {
        {STR("\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b\x0b"),
         STR("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {STR("Jefe"), STR("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {str_make(many, 20), str_make(fifty_dd, 50),
         "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {str_make(many, 131), STR("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t mac[SHA256_BYTES];
        digest_hmac_sha256(rows[i].key, rows[i].in, mac);
        assert_hex(mac, sizeof(mac), rows[i].want);
    }
}

static void
test_crc32c(void **state)
{
    (void)state;
    uint8_t bytes[1000] = {0};
    assert_int_equal(digest_crc32c(0, "123456789", 9), 0xe3069283u);
    assert_int_equal(digest_crc32c(0, bytes, 32), 0x8a9136aau); /* RFC 3720 B.4 */
    assert_int_equal(digest_crc32c(0, "", 0), 0);
    rand_seed(99);
    rand_bytes(bytes, sizeof(bytes));
    uint32_t whole = digest_crc32c(0, bytes, sizeof(bytes));
    assert_int_equal(digest_crc32c_portable(0, bytes, sizeof(bytes)), whole);
    for (size_t cut = 0; cut <= sizeof(bytes); cut += 37) {
        uint32_t head = digest_crc32c(0, bytes, cut);
        assert_int_equal(digest_crc32c(head, bytes + cut, sizeof(bytes) - cut), whole);
        assert_int_equal(digest_crc32c_portable(0, bytes, cut), head);
    }
    rand_seed(0);
}

static void
test_hex(void **state)
{
    (void)state;
    static const struct {
        struct str in;
        int want_err;
    } rows[] = {
        {{"00aBfF", 6}, 0},          {{"00abf", 5}, -ERR_PARSE}, {{"00abff00", 8}, -ERR_PARSE},
        {{"00abfg", 6}, -ERR_PARSE}, {{"", 0}, -ERR_PARSE},      {{"0x00ab", 6}, -ERR_PARSE},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t out[3] = {1, 2, 3};
        assert_int_equal(hex_decode(rows[i].in, out, sizeof(out)), rows[i].want_err);
        assert_memory_equal(out, rows[i].want_err == 0 ? "\x00\xab\xff" : "\x01\x02\x03", 3);
    }
    assert_int_equal(hex_decode(STR_EMPTY, NULL, 0), 0);
}

/* RFC 8032, section 7.1, tests 1, 2 and 3. */
static void
test_ed25519_vectors(void **state)
{
    (void)state;
    static const struct {
        const char *private_key, *public_key;
        struct str message;
        const char *signature;
    } rows[] = {
        {"9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60",
         "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a",
         {"", 0},
         "e5564300c360ac729086e2cc806e828a84877f1eb8e5d974d873e065224901555fb8821590a33bacc61e39701"
         "c"
         "f9b46bd25bf5f0595bbe24655141438e7a100b"},
        {"4ccd089b28ff96da9db6c346ec114e0f5b8a319f35aba624da8cf6ed4fb8a6fb",
         "3d4017c3e843895a92b70aa74d1b7ebc9c982ccf2ec4968cc0cd55f12af4660c",
         {"\x72", 1},
         "92a009a9f0d4cab8720e820b5f642540a2b27b5416503f8fb3762223ebdb69da085ac1e43e15996e458f3613d"
         "0"
         "f11d8c387b2eaeb4302aeeb00d291612bb0c00"},
        {"c5aa8df43f9f837bedb7442f31dcb7b166d38535076f094b85ce3a2e0b4458f7",
         "fc51cd8e6218a1a38da47ed00230f0580816ed13ba3303ac5deb911548908025",
         {"\xaf\x82", 2},
         "6291d657deec24024827e69c3abe01a30ce548a284743a445e3680d7db5ac3ac18ff9b538d16f290ae67f7609"
         "8"
         "4dc6594a7c15e9716ed28dc027beceea1ec40a"},
    };
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        uint8_t bytes[ED25519_KEY_BYTES];
        uint8_t signature[ED25519_SIGNATURE_BYTES];
        struct ed25519_key *key = NULL;
        assert_int_equal(hex_decode(str_from(rows[i].private_key), bytes, sizeof(bytes)), 0);
        assert_int_equal(ed25519_from_private(bytes, &key), 0);
        ed25519_private(key, bytes);
        assert_hex(bytes, sizeof(bytes), rows[i].private_key);
        ed25519_public(key, bytes);
        assert_hex(bytes, sizeof(bytes), rows[i].public_key);
        assert_int_equal(ed25519_sign(key, rows[i].message, signature), 0);
        assert_hex(signature, sizeof(signature), rows[i].signature);
        assert_int_equal(ed25519_verify(bytes, rows[i].message, signature), 0);
        assert_int_equal(ed25519_verify(bytes, STR("another"), signature), -ERR_SIGNATURE);
        ed25519_free(&key);
        assert_null(key);
    }
}

static void
test_ed25519_any_bit_matters(void **state)
{
    (void)state;
    struct ed25519_key *key = NULL;
    uint8_t public_key[ED25519_KEY_BYTES];
    uint8_t signature[ED25519_SIGNATURE_BYTES];
    assert_int_equal(ed25519_generate(&key), 0);
    ed25519_public(key, public_key);
    assert_int_equal(ed25519_sign(key, STR("message"), signature), 0);
    for (size_t bit = 0; bit < 8 * sizeof(signature); bit++) {
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_int_equal(ed25519_verify(public_key, STR("message"), signature), -ERR_SIGNATURE);
        signature[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
    assert_int_equal(ed25519_verify(public_key, STR("message"), signature), 0);
    memset(public_key, 0xff, sizeof(public_key));
    assert_int_equal(ed25519_verify(public_key, STR("message"), signature), -ERR_SIGNATURE);
    ed25519_free(&key);
    ed25519_free(&key);
    ed25519_free(NULL);
}

static void *
hash_abc(void *user)
{
    for (int i = 0; i < 1000; i++)
        digest_sha256(STR("abc"), user);
    return NULL;
}

static void
test_threads(void **state)
{
    (void)state;
    pthread_t threads[4];
    uint8_t digests[4][SHA256_BYTES];
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, hash_abc, digests[i]), 0);
    for (size_t i = 0; i < 4; i++) {
        assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_hex(digests[i], SHA256_BYTES,
                   "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_sha256),          cmocka_unit_test(test_hmac),
        cmocka_unit_test(test_crc32c),          cmocka_unit_test(test_hex),
        cmocka_unit_test(test_ed25519_vectors), cmocka_unit_test(test_ed25519_any_bit_matters),
        cmocka_unit_test(test_threads),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
