/* SPDX-License-Identifier: MIT
 * archive_fuzz.c - any bytes as a tar file: names stay inside, sizes add up, it ends.
 * Floor: cli; one thread.
 * Owns: nothing.
 * Invariant: proves archive.h. */
#include "cli/archive.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_name(const char *name)
{
    ASSERT(name[0] != '\0' && name[0] != '/' && strstr(name, "..") != name &&
           strstr(name, "/.") == NULL && strstr(name, "//") == NULL);
    ASSERT(strlen(name) <= ARCHIVE_NAME_BYTES);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct archive_head head;
    struct err err = {0};
    if (size == 0)
        return 0;
    FILE *in = fmemopen((void *)(uintptr_t)data, size, "r");
    FILE *out = fopen("/dev/null", "we");
    ASSERT(in != NULL && out != NULL);
    while (archive_next(in, &head, &err) == 0) {
        check_name(head.name);
        ASSERT(head.bytes <= ARCHIVE_FILE_BYTES_MAX);
        if (archive_take(in, &head, out, &err) != 0)
            break;
        ASSERT(head.bytes <= size);
    }
    (void)fclose(out);
    (void)fclose(in);
    return 0;
}
