/* SPDX-License-Identifier: MIT
 * embed.c - the two data files as read-only bytes of the program.
 * Floor: controlplane/catalog; any thread.
 * Owns: the bytes; pages come from the executable when they are touched and cost no private memory.
 * Invariant: the sizes are those of the files at build time (CMake rebuilds when they change). */
#include "controlplane/catalog/embed_int.h"

#define EMBED(symbol, file)                                                                   \
    __asm__(".pushsection .rodata\n"                                                          \
            ".balign 16\n"                                                                    \
            ".global " #symbol "_begin\n.hidden " #symbol "_begin\n"                          \
            ".global " #symbol "_end\n.hidden " #symbol "_end\n" #symbol                      \
            "_begin:\n.incbin \"" CATALOG_DATA_DIR "/" file "\"\n" #symbol "_end:\n.byte 0\n" \
            ".popsection\n")

EMBED(catalog_models, "models.json");
EMBED(catalog_providers_file, "providers.json");

extern const char catalog_models_begin[];
extern const char catalog_models_end[];
extern const char catalog_providers_file_begin[];
extern const char catalog_providers_file_end[];

struct str
embed_models(void)
{
    return str_make(catalog_models_begin, (size_t)(catalog_models_end - catalog_models_begin));
}

struct str
embed_providers(void)
{
    return str_make(catalog_providers_file_begin,
                    (size_t)(catalog_providers_file_end - catalog_providers_file_begin));
}
