/* SPDX-License-Identifier: MIT
 * money_fuzz.c - whatever is read as money prints, and reads back, as the same money.
 * Floor: api tests.
 * Owns: nothing.
 * Invariant: see money.h. */
#include "api/money.h"

#include "lib/base/check.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct money money;
    struct str text = str_make((const char *)data, size);
    if (money_parse(text, 9, &money) < 0)
        return 0;
    char printed[32];
    money_format(money, printed);
    struct money again = {-1};
    ASSERT(money_parse(str_from(printed), 9, &again) == 0 && again.nano == money.nano);
    return 0;
}
