/* SPDX-License-Identifier: MIT
 * kept.c - see kept.h. The store takes values of a mebibyte: a catalogue is parts and a head that
 *          names their serial number, length and hash.
 * Floor: controlplane/snapshot; engine thread.
 * Owns: see kept.h.
 * Invariant: parts of a serial are written before the head names it, and removed after it does
 * not. */
#include "controlplane/snapshot/kept.h"

#include <stdio.h>
#include <stdlib.h>

#include "lib/base/digest.h"
#include "lib/base/num.h"
#include "lib/text/json.h"

#define PARTS_PREFIX "catalog/part/"
#define PART_BYTES (512u * 1024u)
#define ARENA_BYTES_MAX (32u * 1024u * 1024u)

void
kept_init(struct kept *kept)
{
    *kept = (struct kept){0};
}

void
kept_fini(struct kept *kept)
{
    if (kept->text)
        catalog_use((struct str){NULL, 0});
    free(kept->text);
    kept_init(kept);
}

static void
digest_hex(struct str text, char hex[2 * SHA256_BYTES + 1])
{
    uint8_t digest[SHA256_BYTES];
    digest_sha256(text, digest);
    hex_encode(digest, sizeof digest, hex);
}

/* Takes over `text`; a newer shipped one wins over it. */
static void
use(struct kept *kept, char *text, size_t len, uint64_t serial)
{
    char *old = kept->text;
    *kept = (struct kept){.text = text, .len = len, .serial = serial};
    bool newer =
        text && catalog_version_of(str_make(text, len)) > catalog_version_of(catalog_shipped());
    catalog_use(newer ? str_make(text, len) : (struct str){NULL, 0});
    free(old);
}

static struct str
part_key(struct arena *arena, uint64_t serial, size_t index)
{
    return arena_printf(arena, PARTS_PREFIX "%llu/%04zu", (unsigned long long)serial, index);
}

/* Parts that no head names: of an older one, or of a try that was cut. */
static void
sweep(struct store *store, uint64_t keep)
{
    struct arena arena;
    struct store_row *rows = NULL;
    size_t count = 0;
    char kept[64];
    arena_init(&arena, 2 * ARENA_BYTES_MAX);
    (void)snprintf(kept, sizeof kept, PARTS_PREFIX "%llu/", (unsigned long long)keep);
    if (store_list(store, STR(PARTS_PREFIX), STR_EMPTY, 0, &arena, &rows, &count, NULL) < 0)
        count = 0;
    for (size_t i = 0; i < count; i++) {
        const struct store_op op = {.delete_ = true, .quiet = true, .key = rows[i].key};
        /* what stays is found by the next sweep */
        if (!str_starts(rows[i].key, str_from(kept)))
            (void)!store_commit(store, NULL, 0, &op, 1, NULL);
    }
    arena_fini(&arena);
}

/* ---- reading --------------------------------------------------------------------------------- */

struct head {
    uint64_t serial;
    uint64_t bytes;
    char hash[2 * SHA256_BYTES + 1];
};

static int
head_read(struct str text, struct head *ret_head)
{
    struct json_doc doc;
    struct arena arena;
    struct str hash;
    json_init(&doc);
    arena_init(&arena, 4096);
    int code = json_scan(&doc, text, NULL, NULL);
    if (code == 0)
        code = json_u64(&doc, json_get(&doc, 0, STR("serial")), INT64_MAX, &ret_head->serial);
    if (code == 0)
        code = json_u64(&doc, json_get(&doc, 0, STR("bytes")), EDITION_BYTES_MAX, &ret_head->bytes);
    if (code == 0)
        code = json_string(&doc, json_get(&doc, 0, STR("sha256")), &arena, &hash);
    if (code == 0 && !str_copy(ret_head->hash, sizeof ret_head->hash, hash))
        code = -ERR_INVALID;
    arena_fini(&arena);
    json_fini(&doc);
    return code;
}

static int
parts_read(struct store *store, const struct head *head, struct buf *out)
{
    int code = 0;
    for (size_t i = 0; code == 0 && out->len < head->bytes; i++) {
        struct arena arena;
        struct store_row row;
        arena_init(&arena, 2 * STORE_VALUE_BYTES_MAX);
        struct str key = part_key(&arena, head->serial, i);
        code = key.ptr ? store_get(store, key, &arena, &row) : -ERR_NOMEM;
        if (code == 0)
            code = buf_put_str(out, row.value);
        if (code == 0 && row.value.len == 0)
            code = -ERR_STORE;
        arena_fini(&arena);
    }
    char hash[2 * SHA256_BYTES + 1];
    digest_hex(buf_str(out), hash);
    return code == 0 && strcmp(hash, head->hash) != 0 ? -ERR_STORE : code;
}

int
kept_load(struct kept *kept, struct store *store, struct err *err)
{
    struct arena arena;
    struct store_row row;
    struct head head = {0};
    struct buf text;
    arena_init(&arena, STORE_VALUE_BYTES_MAX);
    buf_init(&text, EDITION_BYTES_MAX);
    int code = store_get(store, STR(KEPT_HEAD_KEY), &arena, &row);
    bool none = code == -ERR_NOT_FOUND;
    if (code == 0)
        code = head_read(row.value, &head);
    if (code == 0)
        code = parts_read(store, &head, &text);
    char *copy = code == 0 ? str_dup(buf_str(&text)) : NULL;
    if (copy)
        use(kept, copy, text.len, head.serial);
    else if (code == 0)
        code = -ERR_NOMEM;
    buf_fini(&text);
    arena_fini(&arena);
    sweep(store, head.serial);
    if (code < 0 && !none)
        return err_set(err, ERR_STORE, "the kept catalogue cannot be read (%s)", err_text(code));
    return 0;
}

/* ---- writing --------------------------------------------------------------------------------- */

static int
parts_write(struct store *store, struct str text, uint64_t serial)
{
    int code = 0;
    for (size_t i = 0; code == 0 && i * PART_BYTES < text.len; i++) {
        struct arena arena;
        struct str rest = str_skip(text, i * PART_BYTES);
        arena_init(&arena, 4096);
        const struct store_op op = {.quiet = true,
                                    .key = part_key(&arena, serial, i),
                                    .value = str_make(rest.ptr, MIN(rest.len, (size_t)PART_BYTES))};
        code = op.key.ptr ? store_commit(store, NULL, 0, &op, 1, NULL) : -ERR_NOMEM;
        arena_fini(&arena);
    }
    return code;
}

static int
head_write(struct store *store, struct str text, uint64_t serial)
{
    char hash[2 * SHA256_BYTES + 1];
    struct buf out;
    digest_hex(text, hash);
    buf_init(&out, 4096);
    buf_printf(&out, "{\"serial\":%llu,\"bytes\":%zu,\"sha256\":\"%s\"}",
               (unsigned long long)serial, text.len, hash);
    const struct store_op op = {.key = STR(KEPT_HEAD_KEY), .value = buf_str(&out)};
    int code = out.failed ? -ERR_NOMEM : store_commit(store, NULL, 0, &op, 1, NULL);
    buf_fini(&out);
    return code;
}

int
kept_refuse(uint32_t version, struct err *err)
{
    return err_set(err, ERR_CONFLICT,
                   "the catalogue in use is of %u, this one of %u: charges name the date of their "
                   "prices, so another one needs a later \"as_of\"",
                   catalog_version(), version);
}

int
kept_replace(struct kept *kept, struct store *store, struct str text, uint32_t version,
             struct err *err)
{
    if (version <= catalog_version())
        return kept_refuse(version, err);
    char *copy = str_dup(text);
    uint64_t serial = kept->serial + 1;
    int code = copy ? parts_write(store, text, serial) : -ERR_NOMEM;
    if (code == 0)
        code = head_write(store, text, serial);
    if (code < 0) {
        free(copy);
        return err_set(err, (enum err_code) - code, "storing the catalogue: %s", err_text(code));
    }
    use(kept, copy, text.len, serial);
    sweep(store, serial);
    return 0;
}

int
kept_drop(struct kept *kept, struct store *store, struct err *err)
{
    const struct store_op op = {.delete_ = true, .key = STR(KEPT_HEAD_KEY)};
    int code = store_commit(store, NULL, 0, &op, 1, NULL);
    if (code < 0)
        return err_set(err, (enum err_code) - code, "dropping the catalogue: %s", err_text(code));
    use(kept, NULL, 0, kept->serial);
    sweep(store, 0);
    return 0;
}
