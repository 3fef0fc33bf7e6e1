/* SPDX-License-Identifier: MIT
 * address.c - the rows of endpoints.def, and the ways in which clients write them.
 * Floor: dataplane/front; any thread.
 * Owns: nothing.
 * Invariant: see address.h. */
#include "dataplane/front/address.h"

#include "lib/base/check.h"
#include "lib/text/uri.h"

static const struct endpoint endpoints[] = {
#define ENDPOINT_ROW(method_, version_, path_, speaks, kind_, list_, stream_) \
    {.method = {method_, sizeof(method_) - 1},                                \
     .version = {version_, sizeof(version_) - 1},                             \
     .path = {path_, sizeof(path_) - 1},                                      \
     .dialect = &dialect_##speaks,                                            \
     .kind = (kind_),                                                         \
     .list_models = (list_),                                                  \
     .stream = (stream_)},
#include "dataplane/front/endpoints.def"
#undef ENDPOINT_ROW
};

static const struct str models_path = {"/models/", 8};
static const struct str model_name = {"{model}", 7};

/* "openai/gpt:generateContent" is a name and a verb, "openai/chat/completions" is a path. */
static bool
ends_in_verb(struct str path)
{
    size_t slash = path.len;
    while (slash > 0 && path.ptr[slash - 1] != '/')
        slash--;
    return str_find_byte(str_skip(path, slash), ':') != SIZE_MAX;
}

/* What vendors and other gateways put before their versions, some in their SDKs: Azure and Groq
 * ("/openai/v1/x", "/openai/x"), Gemini's endpoint for OpenAI's clients ("/v1beta/openai/x"),
 * Foundry and pass-through routes ("/anthropic/v1/messages"). */
static struct str
below_vendor(struct str path)
{
    static const struct str openai[] = {{"/v1beta/openai/", 15}, {"/openai/", 8}};
    static const struct str others[] = {{"/anthropic/v1/", 14}, {"/gemini/v1", 10},
                                        {"/vertex_ai/v1", 13},  {"/cohere/v2/", 11},
                                        {"/mistral/v1/", 12},   {"/ollama/api/", 12}};
    for (size_t i = 0; i < ARRAY_LEN(openai); i++) {
        if (str_starts(path, openai[i]) && !ends_in_verb(path))
            return str_skip(path, openai[i].len - 1);
    }
    for (size_t i = 0; i < ARRAY_LEN(others); i++) {
        if (str_starts(path, others[i]))
            return str_skip(path, str_find_byte(str_skip(path, 1), '/') + 1);
    }
    return path;
}

/* "/v1/x", "/api/v1/x", "/v1/v1/x" (a base URL that was doubled) and plain "/x" all mean "/x". */
static struct str
below_version(struct str path, struct str *ret_version)
{
    static const struct str beta[] = {{"/v1beta1/", 9}, {"/v1beta/", 8}, {"/v1alpha/", 9}};
    static const struct str ollama[] = {/* which has no versions */
                                        {"/api/chat", 9},
                                        {"/api/tags", 9},
                                        {"/api/embed", 10},
                                        {"/api/embeddings", 15}};
    *ret_version = STR("/v1");
    for (size_t i = 0; i < ARRAY_LEN(ollama); i++) {
        if (str_eq(path, ollama[i]))
            *ret_version = STR("/api");
    }
    if (str_starts(path, STR("/api/")))
        path = str_skip(path, 4);
    while (str_starts(path, STR("/v1/")))
        path = str_skip(path, 3);
    if (str_starts(path, STR("/v2/"))) {
        path = str_skip(path, 3);
        *ret_version = STR("/v2");
    }
    for (size_t i = 0; i < ARRAY_LEN(beta); i++) {
        if (!str_starts(path, beta[i]))
            continue;
        path = str_skip(path, beta[i].len - 1);
        *ret_version = STR("/v1beta");
    }
    return path;
}

/* Vertex' clients say whose project and region it is, too: "/projects/P/locations/L/publishers/
 * google/models/M:generateContent". Here that is all the same. */
static struct str
below_project(struct str path)
{
    bool vertex = str_starts(path, STR("/projects/")) || str_starts(path, STR("/publishers/"));
    size_t at = vertex ? str_find(path, models_path) : SIZE_MAX;
    return at == SIZE_MAX ? path : str_skip(path, at);
}

/* The path is the row's; *ret_model is what stands where the row says "{model}". Before a verb,
 * some clients leave out "models/" when the name has a slash itself. */
static bool
endpoint_matches(const struct endpoint *row, struct str version, struct str path,
                 struct str *ret_model)
{
    size_t at = str_find(row->path, model_name);
    *ret_model = STR_EMPTY;
    if (at == SIZE_MAX)
        return str_eq(path, row->path) && str_eq(version, row->version);
    struct str suffix = str_skip(row->path, at + model_name.len);
    if (!str_starts(path, str_make(row->path.ptr, at))) {
        if (suffix.len == 0)
            return false;
        at = 1;
    }
    if (!str_ends(path, suffix) || path.len <= at + suffix.len)
        return false;
    *ret_model = str_make(path.ptr + at, path.len - at - suffix.len);
    return true;
}

/* Azure's "/deployments/NAME/chat/completions": the longest row that the path ends in. */
static struct str
below_deployment(struct str path, struct str *ret_model)
{
    static const struct str deployments = {"/deployments/", 13};
    struct str below = path;
    struct str name = str_skip(path, MIN(path.len, deployments.len));
    if (!str_starts(path, deployments))
        return path;
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        struct str row = endpoints[i].path;
        bool longer = below.len == path.len || row.len > below.len;
        if (longer && name.len > row.len && str_ends(name, row) &&
            str_eq(endpoints[i].version, STR("/v1"))) {
            below = row;
            *ret_model = str_make(name.ptr, name.len - row.len);
        }
    }
    return below;
}

/* The address as the documentation has it: nothing in it needs a second look. */
static const struct endpoint *
endpoint_exact(struct str method, struct str target)
{
    if (!str_starts(target, STR("/v1/")))
        return NULL;
    struct str below = str_skip(target, 3);
    for (size_t i = 0; i < ARRAY_LEN(endpoints); i++) {
        if (str_eq(below, endpoints[i].path) && str_eq(method, endpoints[i].method) &&
            str_eq(endpoints[i].version, STR("/v1")))
            return &endpoints[i];
    }
    return NULL;
}

static void
endpoint_find(struct str method, struct address *address)
{
    struct str version;
    struct str deployed = STR_EMPTY;
    struct str below = below_project(below_version(below_vendor(address->path), &version));
    bool get = false;
    bool post = false;
    if (str_eq(method, STR("HEAD")))
        method = STR("GET");
    below = below_deployment(below, &deployed);
    for (size_t i = 0; i < ARRAY_LEN(endpoints) && address->endpoint == NULL; i++) {
        const struct endpoint *row = &endpoints[i];
        if (!endpoint_matches(row, version, below, &address->model))
            continue;
        get = get || str_eq(row->method, STR("GET"));
        post = post || str_eq(row->method, STR("POST"));
        if (str_eq(method, row->method))
            address->endpoint = row;
    }
    if (deployed.len > 0)
        address->model = deployed;
    if (get && post)
        address->allow = STR("GET, HEAD, POST, OPTIONS");
    else if (get || post)
        address->allow = get ? STR("GET, HEAD, OPTIONS") : STR("POST, OPTIONS");
}

/* Behind "/models/" and "/deployments/" stands a name, not a path: vendors' SDKs write its slashes
 * as %2F. */
static bool
path_is_plain(struct str path)
{
    static const struct str names[] = {{"/models/", 8}, {"/deployments/", 13}};
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        size_t at = str_find(path, names[i]);
        if (at != SIZE_MAX && at + names[i].len < path.len)
            path.len = at + names[i].len - 1;
    }
    return uri_path_is_plain(path);
}

int
address_read(struct str method, struct str target, struct address *ret_address)
{
    struct address address = {.path = target};
    address.endpoint = endpoint_exact(method, target);
    if (address.endpoint == NULL) {
        if (!uri_split_target(target, &address.path, &address.query))
            return -ERR_PARSE;
        if (address.path.len > 1 && str_ends(address.path, STR("/")))
            address.path.len--;
        if (!path_is_plain(address.path) ||
            (address.path.len > 1 && str_ends(address.path, STR("/"))))
            return -ERR_PARSE;
        endpoint_find(method, &address);
    }
    *ret_address = address;
    return 0;
}
