/* SPDX-License-Identifier: MIT
 * seen_test.c - scan after scan: what is added, missing, taken away, returned, repriced.
 * Floor: controlplane/catalog tests.
 * Owns: nothing.
 * Invariant: see seen.h. */
#include "controlplane/catalog/seen.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>

#include <cmocka.h>

#define TEN "a b c d e f g h i j"

static void
note(enum seen_news news, struct str name, void *user)
{
    static const char signs[] = {'+', '^', '-', '$', '~', '?'};
    char *said = user;
    size_t len = strlen(said);
    (void)snprintf(said + len, 256 - len, "%c%.*s ", signs[news], STR_ARG(name));
}

/* names: "a b=0.1 c@8000" (with a price, with a context). */
static void
list_of(const char *names, struct listing *listing, struct arena *arena)
{
    struct buf page;
    struct str rest = str_from(names);
    struct str cursor;
    struct err err = {0};
    buf_init(&page, 65536);
    buf_put_byte(&page, '[');
    while (rest.len > 0) {
        struct str word;
        struct str name;
        struct str price;
        struct str context;
        str_cut(rest, ' ', &word, &rest);
        str_cut(word, '=', &name, &price);
        str_cut(name, '@', &name, &context);
        buf_printf(&page, "%s{\"id\":\"%.*s\"", page.len > 1 ? "," : "", STR_ARG(name));
        if (price.len > 0)
            buf_printf(&page, ",\"pricing\":{\"prompt\":\"%.*s\",\"completion\":\"1\"}",
                       STR_ARG(price));
        if (context.len > 0)
            buf_printf(&page, ",\"context_length\":%.*s", STR_ARG(context));
        buf_put_byte(&page, '}');
    }
    buf_put_byte(&page, ']');
    listing_init(listing);
    assert_int_equal(listing_read(listing, buf_str(&page), listing_shape(STR("bare-array")), arena,
                                  &cursor, &err),
                     0);
    listing_seal(listing);
    buf_fini(&page);
}

/* Through its row in the store and back, as between two scans. */
static void
reload(struct seen *seen)
{
    struct buf row;
    struct json_writer writer;
    struct seen again;
    buf_init(&row, 1u << 20);
    json_writer_init(&writer, &row);
    json_open_object(&writer);
    seen_put(seen, &writer);
    json_close_object(&writer);
    seen_init(&again);
    assert_int_equal(seen_read(&again, buf_str(&row)), 0);
    seen_fini(seen);
    *seen = again;
    buf_fini(&row);
}

struct scan {
    const char *names;
    const char *want;
    bool by_hand;
    bool suspect;
};

static void
scans(const char *title, const struct scan *steps, size_t count)
{
    struct seen seen;
    seen_init(&seen);
    for (size_t i = 0; i < count; i++) {
        struct listing listing;
        struct arena arena;
        char said[256] = "";
        bool suspect = false;
        arena_init(&arena, 1u << 20);
        list_of(steps[i].names, &listing, &arena);
        assert_int_equal(
            seen_apply(&seen, &listing, steps[i].by_hand, (int64_t)i + 1, note, said, &suspect), 0);
        listing_fini(&listing);
        arena_fini(&arena); /* what was seen has copies of its own */
        reload(&seen);
        if (strcmp(said, steps[i].want) != 0 || suspect != steps[i].suspect)
            fail_msg("%s, scan %zu: '%s' suspect %d", title, i + 1, said, suspect);
    }
    seen_fini(&seen);
}
#define SCANS(title, ...)                                 \
    do {                                                  \
        static const struct scan steps[] = {__VA_ARGS__}; \
        scans(title, steps, ARRAY_LEN(steps));            \
    } while (0)

static void
sequences(void **state)
{
    (void)state;
    SCANS("gone after two, back at once", {"a b", "+a +b ", false, false},
          {"a", "?b ", false, false}, {"a", "-b ", false, false}, {"a", "", false, false},
          {"a b", "^b ", false, false}, {"a", "?b ", false, false});
    SCANS("one scan in between starts the count anew", {"a b", "+a +b ", false, false},
          {"a", "?b ", false, false}, {"a b", "", false, false}, {"a", "?b ", false, false},
          {"a", "-b ", false, false});
    SCANS("never by hand", {"a b", "+a +b ", true, false}, {"a", "?b ", true, false},
          {"a", "?b ", true, false}, {"a", "?b ", true, false}, {"a", "?b ", false, false},
          {"a", "-b ", false, false}, {"a b", "^b ", true, false});
    SCANS("most of them vanish: nothing is counted",
          {TEN, "+a +b +c +d +e +f +g +h +i +j ", false, false},
          {"a b c", "?d ?e ?f ?g ?h ?i ?j ", false, true},
          {"a b c", "?d ?e ?f ?g ?h ?i ?j ", false, true},
          {"a b c", "?d ?e ?f ?g ?h ?i ?j ", false, true},
          {"a b c d e f g h i", "?j ", false, false}, {"a b c d e f g h i", "-j ", false, false});
    SCANS("half of them is not most", {TEN, "+a +b +c +d +e +f +g +h +i +j ", false, false},
          {"a b c d e", "?f ?g ?h ?i ?j ", false, false},
          {"a b c d e", "-f -g -h -i -j ", false, false});
    SCANS("few are taken at their word", {"a b c", "+a +b +c ", false, false},
          {"a", "?b ?c ", false, false}, {"a", "-b -c ", false, false});
    SCANS("prices", {"a=0.1 b", "+a +b ", false, false}, {"a=0.2 b", "$a ", false, false},
          {"a b=0.3", "", false, false}, {"a=0.2 b=0.3", "", false, false});
    SCANS("contexts", {"a@8000 b", "+a +b ", false, false}, {"a@16000 b", "~a ", false, false},
          {"a b@8000", "", false, false}, {"a@8000 b@8000", "", false, false});
}

static void
suspects(void **state)
{
    (void)state;
    struct seen seen;
    bool suspect;
    seen_init(&seen);
    for (unsigned i = 0; i <= SEEN_SUSPECT_EVENT_MAX; i++) {
        struct listing listing;
        struct arena arena;
        arena_init(&arena, 1u << 20);
        list_of(i == 0 ? TEN : "a", &listing, &arena);
        assert_int_equal(seen_apply(&seen, &listing, false, 1, NULL, NULL, &suspect), 0);
        assert_int_equal(seen.suspect, i);
        assert_int_equal(seen.count, 10);
        assert_false(seen_find(&seen, STR("j"))->gone);
        listing_fini(&listing);
        arena_fini(&arena);
    }
    seen_fini(&seen);
}

static void
rows(void **state)
{
    (void)state;
    static const char *const bad[] = {
        "", "{}", "[]", "{\"models\":1}", "{\"models\":[{}]}", "{\"models\":[{\"name\":1}]}"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct seen seen;
        seen_init(&seen);
        if (seen_read(&seen, str_from(bad[i])) == 0)
            fail_msg("%s was read", bad[i]);
        assert_int_equal(seen.count, 0);
        seen_fini(&seen);
    }
}

/* Taken away on another proof than a list's; one that no list had is known from then on; the next
 * list that has them brings both back. */
static void
retired(void **state)
{
    (void)state;
    struct arena arena;
    struct seen seen;
    struct listing listing;
    char said[256] = "";
    bool suspect = false;
    arena_init(&arena, 1u << 20);
    seen_init(&seen);
    list_of("b d", &listing, &arena);
    assert_int_equal(seen_apply(&seen, &listing, false, 1, note, said, &suspect), 0);
    listing_fini(&listing);
    assert_int_equal(seen_retire(&seen, STR("d"), 2), 0);
    assert_int_equal(seen_retire(&seen, STR("a"), 2), 0);
    assert_int_equal(seen_retire(&seen, STR("c"), 2), 0);
    reload(&seen);
    assert_int_equal(seen.count, 4);
    assert_true(seen_find(&seen, STR("a"))->gone && seen_find(&seen, STR("c"))->gone);
    assert_true(seen_find(&seen, STR("d"))->gone && !seen_find(&seen, STR("b"))->gone);
    list_of("a b d", &listing, &arena);
    assert_int_equal(seen_missing(&seen, &listing), 0);
    said[0] = '\0';
    assert_int_equal(seen_apply(&seen, &listing, false, 3, note, said, &suspect), 0);
    assert_string_equal(said, "^a ^d ");
    assert_true(seen_find(&seen, STR("c"))->gone);
    listing_fini(&listing);
    seen_fini(&seen);
    arena_fini(&arena);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {cmocka_unit_test(sequences), cmocka_unit_test(suspects),
                                       cmocka_unit_test(rows), cmocka_unit_test(retired)};
    return cmocka_run_group_tests(tests, NULL, NULL);
}
