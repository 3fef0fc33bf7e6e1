/* SPDX-License-Identifier: MIT
 * control.c - records between the agent and the control plane.
 * Floor: agent/daemon; loop thread.
 * Owns: see control.h.
 * Invariant: see control.h; records that are not understood are skipped, never guessed.
 */
#include "agent/daemon/control.h"

#include <stdio.h>
#include <stdlib.h>

#include "api/link.h"
#include "lib/base/check.h"
#include "lib/base/log.h"
#include "lib/base/num.h"
#include "lib/base/rand.h"

#include "agent/daemon/agent.h"
#include "agent/daemon/lifecycle.h"
#include "agent/daemon/sandbox.h"

#define RECORD_BYTES_MAX (8u * 1024u * 1024u)
#define PATIENCE_MS 1000u
#define KEYS_MAX 8u
#define LEASE_MS_DEFAULT 15000u
/* A data plane that heard the same last tick a little later refuses first, and says why. */
#define LEASE_SLACK_MS 500u

struct control {
    struct agent *agent;
    struct link *link;
    char host[256];
    char path[3][PATH_MAX];
    uint64_t epoch;
    uint64_t next_id;
    uint64_t down_since_ms;
    bool welcomed;
    uint64_t lease_ms;
    uint64_t heard_ms;                         /* the last tick */
    uint8_t keys[KEYS_MAX][ED25519_KEY_BYTES]; /* of the server, the signing one first */
    size_t key_count;
    struct arena arena; /* of the record at hand */
};

/* ---- up ------------------------------------------------------------------------------------- */

static void
send_record(struct control *control, struct buf *text)
{
    if (text->failed)
        LOG_ERROR("a record for the control plane is too large, ignoring");
    else
        (void)link_send(control->link, buf_str(text));
    buf_fini(text);
}

static void
member_digits(struct json_writer *writer, const char *key, uint64_t value)
{
    char digits[20];
    json_member_str(writer, key, str_make(digits, num_write_u64(digits, value)));
}

static void
open_record(struct json_writer *writer, struct buf *text, const char *type)
{
    buf_init(text, RECORD_BYTES_MAX);
    json_writer_init(writer, text);
    json_open_object(writer);
    json_member_str(writer, "type", str_from(type));
}

static void
send_hello(struct control *control)
{
    struct json_writer writer;
    struct buf text;
    open_record(&writer, &text, "hello");
    json_member_u64(&writer, "protocol", 1);
    json_member_str(&writer, "role", STR("agent"));
    json_member_str(&writer, "boot", str_from(control->agent->boot));
    member_digits(&writer, "epoch", control->epoch);
    json_key(&writer, "have");
    json_open_object(&writer);
    json_close_object(&writer);
    json_close_object(&writer);
    send_record(control, &text);
}

/* All of them: a record that was lost, or came twice, changes nothing. */
static void
send_incarnations(struct control *control, const char *type, bool only_paused)
{
    struct json_writer writer;
    struct buf text;
    open_record(&writer, &text, type);
    json_key(&writer, "rows");
    json_open_array(&writer);
    LIST_FOREACH (node, &control->agent->instances) {
        const struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (only_paused ? instance->state == INSTANCE_FROZEN : instance_lives(instance))
            json_value_str(&writer, str_from(instance->hex));
    }
    json_close_array(&writer);
    json_close_object(&writer);
    send_record(control, &text);
}

void
control_paused(struct control *control)
{
    if (control->welcomed)
        send_incarnations(control, "paused", true);
}

static void
member_by(struct json_writer *writer, const struct instance *instance)
{
    if (instance->by != NULL)
        json_member_str(writer, "by", str_from(instance->by));
}

static void
send_bind(struct control *control, struct instance *instance)
{
    char attestors[128];
    struct json_writer writer;
    struct buf text;
    attest_names(instance->attestors, attestors);
    instance->bind_id = ++control->next_id;
    open_record(&writer, &text, "bind");
    json_member_u64(&writer, "id", instance->bind_id);
    json_key(&writer, "binding");
    json_open_object(&writer);
    json_member_str(&writer, "host", str_from(control->agent->host));
    json_member_str(&writer, "boot", str_from(control->agent->boot));
    json_member_str(&writer, "runtime", str_from(instance->runtime));
    json_member_str(&writer, "container_id", str_from(instance->container_id));
    json_member_str(&writer, "incarnation", str_from(instance->hex));
    if (instance->name[0] != '\0')
        json_member_str(&writer, "name", str_from(instance->name));
    json_member_str(&writer, "attestors", str_from(attestors));
    member_digits(&writer, "netns_cookie", instance->sandbox->cookie);
    member_digits(&writer, "cgroup_id", instance->cgroup_id);
    json_close_object(&writer);
    member_by(&writer, instance);
    json_close_object(&writer);
    send_record(control, &text);
}

void
control_bind(struct control *control, struct instance *instance)
{
    ASSERT(instance->state == INSTANCE_BINDING && instance->bind_id == 0);
    if (control->welcomed)
        send_bind(control, instance);
}

static void
send_rename(struct control *control, struct instance *instance)
{
    struct json_writer writer;
    struct buf text;
    instance->bind_id = ++control->next_id;
    open_record(&writer, &text, "rename");
    json_member_u64(&writer, "id", instance->bind_id);
    json_member_str(&writer, "incarnation", str_from(instance->hex));
    json_member_str(&writer, "name", str_from(instance->wanted));
    json_close_object(&writer);
    send_record(control, &text);
}

void
control_rename(struct control *control, struct instance *instance)
{
    ASSERT(instance_lives(instance) && instance->wanted[0] != '\0');
    if (control->welcomed)
        send_rename(control, instance);
}

void
control_unbind(struct control *control, const struct instance *instance, const char *reason)
{
    struct json_writer writer;
    struct buf text;
    if (!control->welcomed)
        return;
    open_record(&writer, &text, "unbind");
    json_member_str(&writer, "incarnation", str_from(instance->hex));
    json_member_str(&writer, "reason", str_from(reason));
    member_by(&writer, instance);
    json_close_object(&writer);
    send_record(control, &text);
}

/* ---- down ----------------------------------------------------------------------------------- */

static bool
read_text(struct control *control, const struct json_doc *doc, const char *key,
          struct str *ret_text)
{
    uint32_t node = json_get(doc, 0, str_from(key));
    return json_string(doc, node, &control->arena, ret_text) == 0;
}

/* "server_key", and "server_keys" while one replaces another. */
static bool
take_keys(struct control *control, const struct json_doc *doc)
{
    struct str key = STR_EMPTY;
    uint32_t list = json_get(doc, 0, STR("server_keys"));
    if (!read_text(control, doc, "server_key", &key) ||
        hex_decode(key, control->keys[0], sizeof(control->keys[0])) < 0)
        return false;
    control->key_count = 1;
    for (uint32_t node = json_is(doc, list, JSON_ARRAY) ? json_first(doc, list) : JSON_NONE;
         node != JSON_NONE && control->key_count < KEYS_MAX; node = json_sibling(doc, list, node)) {
        if (json_string(doc, node, &control->arena, &key) == 0 &&
            hex_decode(key, control->keys[control->key_count], sizeof(control->keys[0])) == 0)
            control->key_count++;
    }
    return true;
}

static void
on_keys(struct control *control, const struct json_doc *doc)
{
    if (!take_keys(control, doc))
        LOG_ERROR("the control plane sent no usable server key, ignoring");
}

static void
on_tick(struct control *control, const struct json_doc *doc)
{
    (void)doc;
    control->heard_ms = loop_now_ms(control->agent->loop);
}

static void
on_welcome(struct control *control, const struct json_doc *doc)
{
    if (!take_keys(control, doc)) {
        LOG_ERROR("the control plane's welcome has no server key, ignoring");
        return;
    }
    control->lease_ms = LEASE_MS_DEFAULT;
    (void)!json_u64(doc, json_get(doc, 0, STR("lease_ms")), 3600000, &control->lease_ms);
    control->welcomed = true;
    on_tick(control, doc);
    LOG_INFO("connected to the control plane");
    send_incarnations(control, "hosting", false);
    control_paused(control);
    LIST_FOREACH (node, &control->agent->instances) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (instance->state == INSTANCE_BINDING)
            send_bind(control, instance);
        else if (instance_lives(instance) && instance->wanted[0] != '\0')
            send_rename(control, instance);
    }
}

static struct instance *
find_bind(struct control *control, const struct json_doc *doc)
{
    struct str text = STR_EMPTY;
    uint64_t id = 0;
    uint32_t node = json_get(doc, 0, STR("id"));
    if (json_u64(doc, node, UINT64_MAX, &id) < 0 &&
        (json_string(doc, node, &control->arena, &text) < 0 || num_u64(text, UINT64_MAX, &id) < 0))
        return NULL;
    LIST_FOREACH (at, &control->agent->instances) {
        struct instance *instance = LIST_ENTRY(at, struct instance, node);
        bool asked = instance->state == INSTANCE_BINDING ||
                     (instance_lives(instance) && instance->wanted[0] != '\0');
        if (asked && instance->bind_id == id && id != 0)
            return instance;
    }
    return NULL;
}

static bool
is_signed(const struct control *control, const struct binding *binding)
{
    for (size_t i = 0; i < control->key_count; i++) {
        if (binding_verify(binding, control->keys[i]) == 0)
            return true;
    }
    return false;
}

/* NULL, or what is wrong with it. */
static const char *
check_bound(struct control *control, const struct json_doc *doc, struct instance *instance)
{
    struct binding binding;
    uint32_t node = json_get(doc, 0, STR("binding"));
    if (binding_parse(doc, node, &control->arena, &binding, NULL) < 0)
        return "the control plane sent a malformed binding";
    if (memcmp(binding.incarnation, instance->incarnation, INCARNATION_BYTES) != 0 ||
        binding.netns_cookie != instance->sandbox->cookie ||
        binding.cgroup_id != instance->cgroup_id ||
        !str_eq(binding.container_id, str_from(instance->container_id)))
        return "the control plane sent a binding of something else";
    if (!is_signed(control, &binding))
        return "the signature of the binding does not verify";
    instance->number = binding.number;
    if (!str_copy(instance->name, sizeof(instance->name), binding.name))
        return "the control plane sent a name that is too long";
    return NULL;
}

static void
on_bound(struct control *control, const struct json_doc *doc)
{
    struct instance *instance = find_bind(control, doc);
    if (instance == NULL)
        return; /* too late: it was undone, and unbound */
    const char *problem = check_bound(control, doc, instance);
    if (instance_lives(instance)) {
        lifecycle_renamed(instance, problem);
        return;
    }
    (void)instance_step(instance, problem == NULL ? EVENT_bound : EVENT_refused,
                        problem == NULL ? "bound" : problem);
}

static void
on_refused(struct control *control, const struct json_doc *doc)
{
    struct instance *instance = find_bind(control, doc);
    struct str reason = STR("refused by the control plane");
    char text[ERR_TEXT_BYTES_MAX];
    if (instance == NULL)
        return;
    (void)read_text(control, doc, "reason", &reason);
    (void)snprintf(text, sizeof(text), "%.*s", (int)MIN(reason.len, sizeof(text) - 1), reason.ptr);
    if (instance_lives(instance)) {
        lifecycle_renamed(instance, text);
        return;
    }
    instance->bind_id = 0; /* nothing to undo there */
    (void)instance_step(instance, EVENT_refused, text);
}

static void
on_revoke(struct control *control, const struct json_doc *doc)
{
    struct str hex = STR_EMPTY;
    struct str revision = STR_EMPTY;
    if (!read_text(control, doc, "incarnation", &hex))
        return;
    LIST_FOREACH_SAFE (node, &control->agent->instances) {
        struct instance *instance = LIST_ENTRY(node, struct instance, node);
        if (str_eq(hex, str_from(instance->hex)))
            (void)instance_step(instance, EVENT_ordered, "revoked by the control plane");
    }
    if (read_text(control, doc, "rev", &revision)) {
        struct json_writer writer;
        struct buf text;
        open_record(&writer, &text, "ack");
        json_member_str(&writer, "part", STR("revoke"));
        json_member_str(&writer, "rev", revision);
        json_close_object(&writer);
        send_record(control, &text);
    }
}

static const struct {
    const char *type;
    void (*take)(struct control *control, const struct json_doc *doc);
} records[] = {
    {"welcome", on_welcome}, {"keys", on_keys},       {"tick", on_tick},
    {"bound", on_bound},     {"refused", on_refused}, {"revoke", on_revoke},
};

static void
link_record(struct link *link, struct str type, const struct json_doc *doc, void *user)
{
    struct control *control = user;
    (void)link;
    arena_init(&control->arena, RECORD_BYTES_MAX);
    for (size_t i = 0; i < ARRAY_LEN(records); i++) {
        if (str_eq(type, str_from(records[i].type)))
            records[i].take(control, doc);
    }
    arena_fini(&control->arena);
}

static void
link_up(struct link *link, void *user)
{
    (void)link;
    send_hello(user);
}

static void
link_down(struct link *link, const char *reason, void *user)
{
    struct control *control = user;
    struct agent *agent = control->agent;
    (void)link;
    if (control->welcomed || control->down_since_ms == 0) {
        control->down_since_ms = loop_now_ms(agent->loop);
        LOG_WARN("the control plane is not reachable; trying again", LOG_C("reason", reason));
    }
    control->welcomed = false;
    LIST_FOREACH (node, &agent->instances) {
        /* asked again, with a new id, when it is back before the deadline */
        LIST_ENTRY(node, struct instance, node)->bind_id = 0;
    }
}

static const struct link_ops ops = {.up = link_up, .record = link_record, .down = link_down};

/* ---- making --------------------------------------------------------------------------------- */

/* "host:port", "[::1]:port" */
static int
parse_control(const char *text, char *host, size_t size, uint16_t *ret_port, struct err *err)
{
    struct str all = str_from(text);
    const char *colon = strrchr(text, ':');
    uint64_t port = 0;
    if (colon == NULL ||
        num_u64(str_skip(all, (size_t)(colon - text) + 1), UINT16_MAX, &port) < 0 || port == 0)
        return err_set(err, ERR_INVALID, "--control must be HOST:PORT, not \"%s\"", text);
    struct str name = str_make(text, (size_t)(colon - text));
    if (name.len > 2 && name.ptr[0] == '[' && name.ptr[name.len - 1] == ']')
        name = str_make(name.ptr + 1, name.len - 2);
    if (name.len == 0 || !str_copy(host, size, name))
        return err_set(err, ERR_INVALID, "--control must be HOST:PORT, not \"%s\"", text);
    *ret_port = (uint16_t)port;
    return 0;
}

int
control_new(struct agent *agent, struct control **ret_control, struct err *err)
{
    static const char *const files[] = {"ca.crt", "agent.crt", "agent.key"};
    CLEANUP(control_free) struct control *control = calloc(1, sizeof(*control));
    uint16_t port = 0;
    if (control == NULL)
        return err_set(err, ERR_NOMEM, "no memory");
    control->agent = agent;
    control->epoch = rand_u64();
    control->lease_ms = LEASE_MS_DEFAULT;
    control->heard_ms = loop_now_ms(agent->loop);
    int code =
        parse_control(agent->options->control, control->host, sizeof(control->host), &port, err);
    for (size_t i = 0; i < ARRAY_LEN(files) && code == 0; i++) {
        int count = snprintf(control->path[i], sizeof(control->path[i]), "%s/%s",
                             agent->options->pki, files[i]);
        if (count < 0 || (size_t)count >= sizeof(control->path[i]))
            code = err_set(err, ERR_TOO_LARGE, "the path of --pki is too long");
    }
    struct link_conf conf = {.loop = agent->loop,
                             .host = control->host,
                             .port = port,
                             .ca_file = control->path[0],
                             .cert_file = control->path[1],
                             .key_file = control->path[2],
                             .ops = &ops,
                             .user = control};
    if (code == 0)
        code = link_new(&conf, &control->link, err);
    if (code < 0)
        return code;
    *ret_control = TAKE(control);
    return 0;
}

void
control_free(struct control **ref)
{
    struct control *control = TAKE(*ref);
    if (control == NULL)
        return;
    link_free(&control->link);
    free(control);
}

bool
control_is_up(const struct control *control)
{
    return control->welcomed;
}

bool
control_lease_is_over(const struct control *control)
{
    return loop_now_ms(control->agent->loop) - control->heard_ms >
           control->lease_ms + LEASE_SLACK_MS;
}

bool
control_is_down(const struct control *control)
{
    return !control->welcomed && control->down_since_ms != 0 &&
           loop_now_ms(control->agent->loop) - control->down_since_ms > PATIENCE_MS;
}
