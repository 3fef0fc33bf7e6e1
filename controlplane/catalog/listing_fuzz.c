/* SPDX-License-Identifier: MIT
 * listing_fuzz.c - any page in any shape: what it names could be asked for, and its row reads back.
 * Floor: controlplane/catalog tests.
 * Owns: nothing.
 * Invariant: see listing.h and seen.h. */
#include "controlplane/catalog/seen.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* The second scan finds what the first one noted. */
static void
check_seen(const struct listing *listing)
{
    struct seen seen;
    struct seen again;
    struct buf row;
    struct json_writer writer;
    bool suspect;
    seen_init(&seen);
    seen_init(&again);
    ASSERT(seen_apply(&seen, listing, false, 1, NULL, NULL, &suspect) == 0 && !suspect);
    buf_init(&row, 64u << 20);
    json_writer_init(&writer, &row);
    json_open_object(&writer);
    seen_put(&seen, &writer);
    json_close_object(&writer);
    ASSERT(seen_read(&again, buf_str(&row)) == 0 && again.count == seen.count);
    ASSERT(seen_missing(&again, listing) == 0);
    for (size_t i = 0; i < listing->count; i++)
        ASSERT(seen_find(&again, listing->models[i].name) != NULL);
    buf_fini(&row);
    seen_fini(&seen);
    seen_fini(&again);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static const char *const names[] = {"openai", "anthropic", "gemini",
                                        "cohere", "ollama",    "bare-array"};
    struct listing listing;
    struct arena arena;
    struct err err = {0};
    struct str cursor;
    if (size == 0)
        return 0;
    const struct listing_shape *shape = listing_shape(str_from(names[bytes[0] % ARRAY_LEN(names)]));
    listing_init(&listing);
    arena_init(&arena, 64u << 20);
    int code = listing_read(&listing, str_make((const char *)bytes + 1, size - 1), shape, &arena,
                            &cursor, &err);
    listing_seal(&listing);
    for (size_t i = 0; i < listing.count; i++) {
        ASSERT(listing.models[i].name.len > 0);
        ASSERT(listing_find(&listing, listing.models[i].name) == &listing.models[i]);
    }
    if (code == 0) {
        struct str url = listing_url(STR("https://h/v1"), STR("/models"), shape, cursor, &arena);
        ASSERT(str_starts(url, STR("https://h/v1/models")));
        check_seen(&listing);
    }
    listing_fini(&listing);
    arena_fini(&arena);
    return 0;
}
