/* SPDX-License-Identifier: MIT
 * schema.h - kinds of resources, their fields, and the check of a document against them.
 * Floor: controlplane/object; any thread.
 * Owns: nothing; results live in the caller's arena.
 * Invariant: what schema_check lets through holds only known fields of the right type and range, in
 *            the order of the table, defaults filled in; schema_test.c, schema_fuzz.c. */
#ifndef BERTH_CONTROLPLANE_OBJECT_SCHEMA_H
#define BERTH_CONTROLPLANE_OBJECT_SCHEMA_H

#include "api/money.h"
#include "lib/text/tree.h"

#define API_VERSION "berth.dev/v1alpha1"
#define SECRET_SHOWN "********"

enum kind_id {
#define KIND_ROW(name, text, plural, doc) KIND_##name,
#include "api/schema/kinds.def"
#undef KIND_ROW
    KIND_COUNT
};
struct kind {
    enum kind_id id;
    const char *name;
    const char *plural;
    const char *doc;
};
enum field_type {
    FIELD_STRING,
    FIELD_BOOL,
    FIELD_INT,
    FIELD_ENUM,
    FIELD_NAME,
    FIELD_URL,
    FIELD_PATH,
    FIELD_LIST,
    FIELD_PATTERNS,
    FIELD_SECRET,
    FIELD_USD_PER_MILLION,
    FIELD_USD,
    FIELD_MONEY
};
/* One row of api/schema/fields.def, where the meaning of each column stands. */
struct field {
    enum kind_id kind;
    const char *path;
    enum field_type type;
    bool required;
    int64_t min;
    int64_t max;
    const char *choices;
    const char *fallback;
    const char *doc;
};

const struct kind *kind_at(enum kind_id id);
/* By "Model" or by "models"; NULL when there is none. */
const struct kind *kind_by_name(struct str name);
const struct kind *kind_by_plural(struct str plural);
/* schema_fields - all rows, those of one kind together. */
const struct field *schema_fields(size_t *ret_count);

/* A checked document. revision: metadata.revision, 0 when absent. secret: the text of the kind's
 * SECRET field, or empty; in spec it is already replaced by SECRET_SHOWN. */
struct manifest {
    const struct kind *kind;
    struct str name;
    struct str uid;
    uint64_t revision;
    struct tree *spec;
    struct str secret;
};
/* schema_check - one document: apiVersion, kind, metadata, spec; status is ignored (it is ours).
 * 0; -ERR_INVALID, -ERR_UNKNOWN_KEY, -ERR_RANGE, -ERR_NOMEM with place and a hint in the text. */
int schema_check(const struct tree *doc, struct arena *arena, struct manifest *ret_manifest,
                 struct err *err) MUST_USE;
/* schema_valid_name - may an object of this kind be called that? Models have '/' in their names. */
bool schema_valid_name(const struct kind *kind, struct str name);
/* schema_name_max / schema_name_marks - most bytes of a name, and what it may have beside letters
 * and digits. */
size_t schema_name_max(const struct kind *kind);
const char *schema_name_marks(const struct kind *kind);
/* schema_pico - decimal dollars to pico-dollars, exactly. decimals: digits allowed behind the
 * point; the last of them counts single pico-dollars: with 6, "0.15" dollars a million are 150,000
 * pico a unit; with 12, "0.15" dollars a unit are 150,000,000,000. -ERR_PARSE, -ERR_RANGE (above
 * PRICE_PICO_MAX). */
int schema_pico(struct str text, unsigned decimals, int64_t *ret_pico) MUST_USE;
/* schema_get - node at a dotted path in a spec, or NULL. */
const struct tree *schema_get(const struct tree *spec, const char *path);
/* Text of a scalar at a path, or `fallback`. */
struct str schema_text(const struct tree *spec, const char *path, struct str fallback);
bool schema_true(const struct tree *spec, const char *path);

#endif
