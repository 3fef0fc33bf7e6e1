/* SPDX-License-Identifier: MIT
 * facts_fuzz.c - whatever a runtime's socket may say.
 * Floor: agent/source, fuzz.
 * Owns: nothing.
 * Invariant: no crash; ids that come out are safe in a path.
 */
#include "agent/source/facts.h"
#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void
check_row(const struct facts *facts, void *user)
{
    (void)user;
    ASSERT(strcspn(facts->id, "/?#%. ") == strlen(facts->id) && facts->id[0] != '\0');
    ASSERT(strlen(facts->name) < FACTS_NAME_BYTES && facts->pid >= 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    struct str text = str_make((const char *)bytes, count);
    struct facts facts;
    bool created = false;
    if (facts_parse_event(text, &facts, &created) == 0)
        check_row(&facts, NULL);
    if (facts_parse_inspect(text, &facts) == 0)
        check_row(&facts, NULL);
    (void)!facts_parse_list(text, check_row, NULL);
    return 0;
}
