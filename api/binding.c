/* SPDX-License-Identifier: MIT
 * binding.c - the text of a binding: written in one fixed order, read strictly, signed and
 *             verified.
 * Floor: api; any thread.
 * Owns: nothing.
 * Invariant: put(parse(put(b))) == put(b), so a signature over the text is one over the fields;
 *            binding_test.c, binding_fuzz.c. */
#include "api/binding.h"

#include "lib/base/check.h"
#include "lib/base/num.h"

#define BINDING_BYTES_MAX 8192u
#define TEXT_BYTES_MAX 256u
#define NAME_BYTES_MAX 100u

/* One row a field. PLAIN: required everywhere; SERVER: the control plane's, absent in a request. */
enum field_kind { FIELD_TEXT, FIELD_U64, FIELD_I64, FIELD_HEX };
struct field {
    const char *key;
    enum field_kind kind;
    bool server;
    size_t offset;
    size_t bytes; /* HEX only */
};
#define TEXT(member, server_)                                             \
    {                                                                     \
#member, FIELD_TEXT, server_, offsetof(struct binding, member), 0 \
    }
#define U64(member, server_)                                             \
    {                                                                    \
#member, FIELD_U64, server_, offsetof(struct binding, member), 0 \
    }
static const struct field fields[] = {
    TEXT(server, true),
    TEXT(host, false),
    TEXT(boot, false),
    TEXT(runtime, false),
    TEXT(container_id, false),
    {"incarnation", FIELD_HEX, false, offsetof(struct binding, incarnation), INCARNATION_BYTES},
    TEXT(name, true),
    U64(number, true),
    TEXT(wallet, true),
    TEXT(attestors, false),
    U64(netns_cookie, false),
    U64(cgroup_id, false),
    {"issued_ms", FIELD_I64, true, offsetof(struct binding, issued_ms), 0},
    {"sig", FIELD_HEX, true, offsetof(struct binding, signature), ED25519_SIGNATURE_BYTES},
};
#define FIELD_COUNT ARRAY_LEN(fields)

static const void *
field_at(const struct binding *binding, const struct field *field)
{
    return (const char *)binding + field->offset;
}

int
binding_put_json(const struct binding *binding, bool with_signature, struct buf *out)
{
    struct json_writer writer;
    json_writer_init(&writer, out);
    json_open_object(&writer);
    for (size_t i = 0; i < FIELD_COUNT - (with_signature ? 0u : 1u); i++) {
        const struct field *field = &fields[i];
        const void *at = field_at(binding, field);
        char text[2 * ED25519_SIGNATURE_BYTES + 1];
        json_key(&writer, field->key);
        switch (field->kind) {
        case FIELD_TEXT:
            json_value_str(&writer, *(const struct str *)at);
            break;
        case FIELD_U64:
            json_value_str(&writer, str_make(text, num_write_u64(text, *(const uint64_t *)at)));
            break;
        case FIELD_I64:
            json_value_i64(&writer, *(const int64_t *)at);
            break;
        case FIELD_HEX:
            hex_encode(at, field->bytes, text);
            json_value_str(&writer, str_from(text));
            break;
        }
    }
    json_close_object(&writer);
    return out->failed ? -ERR_TOO_LARGE : 0;
}

bool
binding_valid_tag(struct str text)
{
    if (text.len == 0 || text.len > NAME_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        char c = text.ptr[i];
        if (!((c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
              c == '-' || c == '_'))
            return false;
    }
    return true;
}

static bool
is_plain_text(struct str text)
{
    if (text.len > TEXT_BYTES_MAX)
        return false;
    for (size_t i = 0; i < text.len; i++) {
        if (text.ptr[i] < 0x20 || text.ptr[i] > 0x7e)
            return false;
    }
    return true;
}

static int
parse_field(const struct json_doc *doc, uint32_t node, const struct field *field,
            struct arena *arena, struct binding *binding)
{
    char *at = (char *)binding + field->offset;
    if (field->kind == FIELD_I64)
        return json_i64(doc, node, 0, INT64_MAX, (int64_t *)(void *)at);
    struct str text = STR_EMPTY;
    int code = json_string(doc, node, arena, &text);
    if (code < 0)
        return code;
    if (field->kind == FIELD_U64)
        return num_u64(text, UINT64_MAX, (uint64_t *)(void *)at);
    if (field->kind == FIELD_HEX)
        return hex_decode(text, at, field->bytes);
    if (!is_plain_text(text))
        return -ERR_INVALID;
    *(struct str *)(void *)at = text;
    return 0;
}

static const struct field *
field_find(const struct json_doc *doc, uint32_t key)
{
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (json_string_eq(doc, key, str_from(fields[i].key)))
            return &fields[i];
    }
    return NULL;
}

static int
parse(const struct json_doc *doc, uint32_t object, struct arena *arena, bool request,
      struct binding *ret_binding, struct err *err)
{
    struct binding binding = {0};
    uint32_t seen = 0;
    if (!json_is(doc, object, JSON_OBJECT))
        return err_set(err, ERR_INVALID, "a binding must be an object");
    for (uint32_t key = json_first(doc, object); key != JSON_NONE;
         key = json_sibling(doc, object, key)) {
        const struct field *field = field_find(doc, key);
        if (!field)
            return err_set(err, ERR_UNKNOWN_KEY, "unknown key %.*s in a binding",
                           (int)MIN(json_raw(doc, key).len, (size_t)64), json_raw(doc, key).ptr);
        if (parse_field(doc, key + 1, field, arena, &binding) < 0)
            return err_set(err, ERR_INVALID, "binding: bad value of \"%s\"", field->key);
        seen |= 1u << (field - fields);
    }
    for (size_t i = 0; i < FIELD_COUNT; i++) {
        if (!(seen & (1u << i)) && !(request && fields[i].server))
            return err_set(err, ERR_INVALID, "binding: \"%s\" is missing", fields[i].key);
    }
    if (!request && (!binding_valid_tag(binding.name) || binding.number == 0))
        return err_set(err, ERR_INVALID, "binding: bad name or number");
    if (binding.host.len == 0 || binding.container_id.len == 0)
        return err_set(err, ERR_INVALID, "binding: empty host or container_id");
    *ret_binding = binding;
    return 0;
}

int
binding_parse(const struct json_doc *doc, uint32_t object, struct arena *arena,
              struct binding *ret_binding, struct err *err)
{
    return parse(doc, object, arena, false, ret_binding, err);
}

int
binding_parse_request(const struct json_doc *doc, uint32_t object, struct arena *arena,
                      struct binding *ret_binding, struct err *err)
{
    return parse(doc, object, arena, true, ret_binding, err);
}

int
binding_sign(struct binding *binding, const struct ed25519_key *key)
{
    struct buf text;
    buf_init(&text, BINDING_BYTES_MAX);
    int code = binding_put_json(binding, false, &text);
    if (code == 0)
        code = ed25519_sign(key, buf_str(&text), binding->signature);
    buf_fini(&text);
    return code;
}

int
binding_verify(const struct binding *binding, const uint8_t server_key[ED25519_KEY_BYTES])
{
    struct buf text;
    buf_init(&text, BINDING_BYTES_MAX);
    int code = binding_put_json(binding, false, &text);
    if (code == 0)
        code = ed25519_verify(server_key, buf_str(&text), binding->signature);
    buf_fini(&text);
    return code < 0 ? -ERR_SIGNATURE : 0;
}

bool
binding_valid_name(struct str name)
{
    bool digits = true;
    if (!binding_valid_tag(name))
        return false;
    for (size_t i = 0; i < name.len; i++)
        digits = digits && name.ptr[i] >= '0' && name.ptr[i] <= '9';
    return !digits;
}
