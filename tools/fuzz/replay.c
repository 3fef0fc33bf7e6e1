/* SPDX-License-Identifier: MIT
 * replay.c - runs a fuzz target over its kept inputs, as an ordinary test. x_fuzz FOLDER-OR-FILE...
 * Floor: tools; one thread.
 * Owns: the copy of each input, exactly as long as the input so that an over-read is seen.
 * Invariant: the empty input always runs; files run in the order of their names. */
#include <errno.h>
#include <fts.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define INPUT_BYTES_MAX (16u << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
/* Targets that have libFuzzer's optional entry point get it here too. */
int LLVMFuzzerInitialize(int *argc, char ***argv) __attribute__((weak));

static void
die(const char *what, const char *path, int number)
{
    (void)fprintf(stderr, "replay: %s %s: %s\n", what, path, strerror(number));
    exit(2);
}

static void
replay_file(const char *path, size_t size)
{
    if (size > INPUT_BYTES_MAX)
        die("cannot replay", path, EFBIG);
    uint8_t *bytes = malloc(size > 0 ? size : 1);
    FILE *file = fopen(path, "rbe");
    if (bytes == NULL || file == NULL || fread(bytes, 1, size, file) != size)
        die("cannot read", path, errno);
    (void)fclose(file);
    (void)LLVMFuzzerTestOneInput(bytes, size);
    free(bytes);
}

static int
by_name(const FTSENT **a, const FTSENT **b)
{
    return strcmp((*a)->fts_name, (*b)->fts_name);
}

static size_t
replay_tree(char *path)
{
    char *const roots[] = {path, NULL};
    size_t count = 0;
    FTS *tree = fts_open(roots, FTS_LOGICAL | FTS_NOCHDIR, by_name);
    if (tree == NULL)
        die("cannot open", path, errno);
    for (FTSENT *entry; (entry = fts_read(tree)) != NULL;) {
        if (entry->fts_info == FTS_NS && entry->fts_errno == ENOENT && entry->fts_level == 0)
            continue; /* no kept inputs yet */
        if (entry->fts_info == FTS_NS || entry->fts_info == FTS_DNR || entry->fts_info == FTS_ERR)
            die("cannot read", entry->fts_path, entry->fts_errno);
        if (entry->fts_info != FTS_F)
            continue;
        replay_file(entry->fts_accpath, (size_t)entry->fts_statp->st_size);
        count++;
    }
    (void)fts_close(tree);
    return count;
}

int
main(int argc, char **argv)
{
    static const uint8_t nothing[1];
    size_t count = 1;
    if (LLVMFuzzerInitialize != NULL)
        (void)LLVMFuzzerInitialize(&argc, &argv);
    (void)LLVMFuzzerTestOneInput(nothing, 0);
    for (int i = 1; i < argc; i++)
        count += replay_tree(argv[i]);
    (void)printf("replayed %zu inputs\n", count);
    return 0;
}
