/* SPDX-License-Identifier: MIT
 * archive.c - see archive.h.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: see archive.h. */
#include "cli/archive.h"

#include <errno.h>

#include "lib/base/check.h"

#define COPY_BYTES 65536u

/* A ustar head: offsets and widths of IEEE Std 1003.1, "ustar Interchange Format". */
enum {
    MODE_AT = 100,
    UID_AT = 108,
    GID_AT = 116,
    SIZE_AT = 124,
    MTIME_AT = 136,
    SUM_AT = 148,
    TYPE_AT = 156,
    MAGIC_AT = 257,
    PREFIX_AT = 345,
    PREFIX_BYTES = 155,
    SHORT_BYTES = 8,
    LONG_BYTES = 12
};
static const char magic[8] = {'u', 's', 't', 'a', 'r', '\0', '0', '0'};

static bool
part_valid(struct str part)
{
    if (part.len == 0 || part.ptr[0] == '.')
        return false;
    for (size_t i = 0; i < part.len; i++) {
        char c = part.ptr[i];
        bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
        if (!plain && c != '.' && c != '-' && c != '_')
            return false;
    }
    return true;
}

static bool
name_valid(struct str name)
{
    bool more = name.len > 0 && name.len <= ARCHIVE_NAME_BYTES;
    bool valid = more;
    for (size_t depth = 0; more && valid; depth++) {
        struct str part;
        more = str_cut(name, '/', &part, &name);
        valid = part_valid(part) && depth <= ARCHIVE_DEPTH;
    }
    return valid;
}

static unsigned
checksum(const uint8_t *block)
{
    unsigned sum = 0;
    for (size_t i = 0; i < ARCHIVE_BLOCK_BYTES; i++)
        sum += i >= SUM_AT && i < SUM_AT + SHORT_BYTES ? ' ' : block[i];
    return sum;
}

/* ---- writing ------------------------------------------------------------------------ */

static void
octal_put(uint8_t *block, size_t at, size_t bytes, uint64_t value)
{
    for (size_t i = bytes - 1; i > 0; i--) {
        block[at + i - 1] = (uint8_t)('0' + (value & 7u));
        value >>= 3;
    }
    ASSERT(value == 0);
}

static int
write_bytes(FILE *out, const void *bytes, size_t count, struct err *err)
{
    errno = 0;
    if (fwrite(bytes, 1, count, out) == count)
        return 0;
    return err_set_errno(err, errno, "the archive cannot be written");
}

static int
put_head(FILE *out, const char *name, uint64_t bytes, int64_t mtime_s, struct err *err)
{
    uint8_t block[ARCHIVE_BLOCK_BYTES] = {0};
    if (!name_valid(str_from(name)))
        return err_set(err, ERR_INVALID, "%s is no name for an archive", name);
    if (bytes > ARCHIVE_FILE_BYTES_MAX)
        return err_set(err, ERR_TOO_LARGE, "%s is larger than 8 GiB, which a tar file cannot hold",
                       name);
    memcpy(block, name, strlen(name));
    octal_put(block, MODE_AT, SHORT_BYTES, 0600);
    octal_put(block, UID_AT, SHORT_BYTES, 0);
    octal_put(block, GID_AT, SHORT_BYTES, 0);
    octal_put(block, SIZE_AT, LONG_BYTES, bytes);
    octal_put(block, MTIME_AT, LONG_BYTES,
              mtime_s > 0 ? MIN((uint64_t)mtime_s, ARCHIVE_FILE_BYTES_MAX) : 0);
    block[TYPE_AT] = '0';
    memcpy(block + MAGIC_AT, magic, sizeof(magic));
    octal_put(block, SUM_AT, SHORT_BYTES - 1, checksum(block));
    block[SUM_AT + SHORT_BYTES - 1] = ' ';
    return write_bytes(out, block, sizeof(block), err);
}

static size_t
padding(uint64_t bytes)
{
    return (size_t)((ARCHIVE_BLOCK_BYTES - bytes % ARCHIVE_BLOCK_BYTES) % ARCHIVE_BLOCK_BYTES);
}

static int
put_padding(FILE *out, uint64_t bytes, struct err *err)
{
    static const uint8_t zeros[ARCHIVE_BLOCK_BYTES];
    return write_bytes(out, zeros, padding(bytes), err);
}

/* count bytes of `in` to `out`. */
static int
copy(FILE *in, FILE *out, uint64_t count, struct err *err)
{
    static uint8_t part[COPY_BYTES];
    int rc = 0;
    while (count > 0 && rc == 0) {
        size_t want = (size_t)MIN(count, (uint64_t)sizeof(part));
        if (fread(part, 1, want, in) != want)
            return err_set(err, ERR_IO, "it ends in the middle");
        rc = write_bytes(out, part, want, err);
        count -= want;
    }
    return rc;
}

int
archive_put(FILE *out, const char *name, FILE *from, uint64_t bytes, int64_t mtime_s,
            struct err *err)
{
    int rc = put_head(out, name, bytes, mtime_s, err);
    if (rc == 0)
        rc = copy(from, out, bytes, err);
    return rc == 0 ? put_padding(out, bytes, err) : rc;
}

int
archive_put_text(FILE *out, const char *name, struct str text, int64_t mtime_s, struct err *err)
{
    int rc = put_head(out, name, text.len, mtime_s, err);
    if (rc == 0)
        rc = write_bytes(out, text.ptr, text.len, err);
    return rc == 0 ? put_padding(out, text.len, err) : rc;
}

int
archive_end(FILE *out, struct err *err)
{
    static const uint8_t zeros[2 * ARCHIVE_BLOCK_BYTES];
    return write_bytes(out, zeros, sizeof(zeros), err);
}

/* ---- reading ------------------------------------------------------------------------ */

/* Octal digits, then NUL or blank to the end of the field. */
static bool
octal_read(const uint8_t *field, size_t bytes, uint64_t *ret_value)
{
    uint64_t value = 0;
    size_t i = 0;
    while (i < bytes && field[i] >= '0' && field[i] <= '7')
        value = value << 3 | (uint64_t)(field[i++] - '0');
    if (i == 0)
        return false;
    for (; i < bytes; i++) {
        if (field[i] != '\0' && field[i] != ' ')
            return false;
    }
    *ret_value = value;
    return true;
}

static bool
is_empty(const uint8_t *block, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        if (block[i] != 0)
            return false;
    }
    return true;
}

int
archive_head_read(const uint8_t block[ARCHIVE_BLOCK_BYTES], struct archive_head *ret_head,
                  struct err *err)
{
    struct archive_head head = {.bytes = 0};
    uint64_t sum = 0;
    if (is_empty(block, ARCHIVE_BLOCK_BYTES))
        return -ERR_CLOSED;
    if (!octal_read(block + SUM_AT, SHORT_BYTES, &sum) || sum != checksum(block) ||
        memcmp(block + MAGIC_AT, magic, 5) != 0 ||
        !octal_read(block + SIZE_AT, LONG_BYTES, &head.bytes))
        return err_set(err, ERR_PARSE, "it is no tar file");
    memcpy(head.name, block, ARCHIVE_NAME_BYTES);
    if (block[TYPE_AT] != '0' || !is_empty(block + PREFIX_AT, PREFIX_BYTES) ||
        !name_valid(str_from(head.name)) || head.bytes > ARCHIVE_FILE_BYTES_MAX)
        return err_set(err, ERR_INVALID, "it holds something that berth backup does not write");
    *ret_head = head;
    return 0;
}

int
archive_next(FILE *in, struct archive_head *ret_head, struct err *err)
{
    uint8_t block[ARCHIVE_BLOCK_BYTES];
    if (fread(block, 1, sizeof(block), in) != sizeof(block))
        return err_set(err, ERR_IO, "it ends in the middle");
    return archive_head_read(block, ret_head, err);
}

int
archive_take(FILE *in, const struct archive_head *head, FILE *out, struct err *err)
{
    uint8_t rest[ARCHIVE_BLOCK_BYTES];
    size_t pad = padding(head->bytes);
    int rc = copy(in, out, head->bytes, err);
    if (rc == 0 && fread(rest, 1, pad, in) != pad)
        rc = err_set(err, ERR_IO, "it ends in the middle");
    return rc;
}
