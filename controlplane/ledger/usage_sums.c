/* SPDX-License-Identifier: MIT
 * usage_sums.c - posted usage by one name, added up over whole hours.
 * Floor: controlplane/ledger; the engine thread.
 * Owns: nothing.
 * Invariant: see usage_rollup.h. */
#include "controlplane/ledger/usage_rollup.h"

int
usage_sums(struct ledger *ledger, const struct usage_filter *filter, struct arena *arena,
           struct usage_sum **ret_sums, size_t *ret_count, struct err *err)
{
    static const unsigned by[] = {
        [USAGE_BY_SUBJECT] = USAGE_SUBJECT,
        [USAGE_BY_MODEL] = USAGE_MODEL,
        [USAGE_BY_WALLET] = USAGE_WALLET,
        [USAGE_BY_PROVIDER] = USAGE_PROVIDER,
    };
    if ((size_t)filter->group >= ARRAY_LEN(by))
        return err_set(err, ERR_INVALID, "usage is grouped by subject, model, wallet or provider");
    const struct usage_query query = {
        .since_s = filter->from_ms / 1000,
        .until_s = filter->to_ms / 1000 + (filter->to_ms % 1000 != 0),
        .by = by[filter->group],
        .wallet = filter->wallet,
        .subject = filter->subject,
    };
    struct usage_row *rows;
    size_t count;
    bool behind;
    int r = usage_query(ledger, &query, arena, &rows, &count, &behind, err);
    if (r < 0)
        return r;
    struct usage_sum *sums = arena_array(arena, count + 1, sizeof *sums);
    if (sums == NULL)
        return err_set(err, ERR_NOMEM, "no memory for the sums of usage");
    for (size_t i = 0; i < count; i++) {
        const struct usage_row *row = &rows[i];
        const struct str names[] = {row->subject, row->model, row->wallet, row->provider};
        sums[i] = (struct usage_sum){.name = names[filter->group],
                                     .requests = row->requests,
                                     .charge = row->charge,
                                     .cost = row->cost};
        memcpy(sums[i].count, row->count, sizeof sums[i].count);
    }
    *ret_sums = sums;
    *ret_count = count;
    return 0;
}
