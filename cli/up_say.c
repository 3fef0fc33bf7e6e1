/* SPDX-License-Identifier: MIT
 * up_say.c - what `berth up` prints: one block for people, JSON lines for programs.
 * Floor: cli; main thread.
 * Owns: nothing.
 * Invariant: secrets are named by their file, never printed. */
#include <stdio.h>

#include "cli/up_int.h"
#include "lib/base/clock.h"
#include "lib/text/json.h"

static uint64_t
start_ms(const struct up *up)
{
    return (clock_mono_ns() - up->started_ns) / 1000000u;
}

static void
put_url(struct json_writer *json, const struct stack *stack, const char *key, enum stack_port port,
        const char *path)
{
    char url[64];
    (void)snprintf(url, sizeof(url), "http://127.0.0.1:%u%s", stack_port(stack, port), path);
    json_member_str(json, key, str_from(url));
}

static void
put_file(struct json_writer *json, const struct up *up, const char *key, const char *name)
{
    char path[CLI_PATH_BYTES * 2];
    (void)snprintf(path, sizeof(path), "%s/%s", up->cli->data, name);
    json_member_str(json, key, str_from(path));
}

static void
say_ready_json(const struct up *up)
{
    const struct stack *stack = &up->stack;
    struct json_writer json;
    struct buf out;
    buf_init(&out, 65536);
    json_writer_init(&json, &out);
    json_open_object(&json);
    json_member_bool(&json, "ready", true);
    json_member_u64(&json, "start_ms", start_ms(up));
    json_member_str(&json, "data", str_from(up->cli->data));
    json_member_bool(&json, "offline", stack->offline);
    json_member_bool(&json, "containers", stack->wanted[STACK_AGENT]);
    if (stack->wanted[STACK_AGENT])
        put_url(&json, stack, "containers_url", STACK_PORT_CONTAINERS, "/v1");
    put_url(&json, stack, "host_url", STACK_PORT_KEYS, "/v1");
    put_file(&json, up, "host_key_file", "keys/host.key");
    put_url(&json, stack, "admin_url", STACK_PORT_ADMIN, "");
    put_file(&json, up, "admin_token_file", "controlplane/admin.token");
    json_member_str(&json, "providers", up->providers);
    json_member_str(&json, "general_balance", cli_text(up->balances, "general_balance"));
    json_member_str(&json, "ai_remaining", cli_text(up->balances, "ai_remaining"));
    json_member_bool(&json, "demo_deposit", up->demo);
    json_close_object(&json);
    (void)printf("%s\n", buf_cstr(&out));
    buf_fini(&out);
}

static void
say_money(const struct up *up)
{
    struct str general = cli_text(up->balances, "general_balance");
    struct str ai = cli_text(up->balances, "ai_remaining");
    (void)printf("  wallet      default: AI %.*s USD, General %.*s USD%s\n", STR_ARG(ai),
                 STR_ARG(general), up->demo ? " (demo money, booked by this start)" : "");
}

static void
say_next(const struct up *up)
{
    const struct stack *stack = &up->stack;
    bool broke = str_eq(cli_text(up->balances, "ai_remaining"), STR("0.00"));
    char data[CLI_PATH_BYTES + 16];
    (void)snprintf(data, sizeof(data), " --data %s", up->cli->data);
    (void)printf("\nNext\n");
    if (broke)
        (void)printf("  berth wallet deposit 10.00%s && berth wallet transfer 10.00%s\n", data,
                     data);
    (void)printf("  curl http://127.0.0.1:%u/v1/chat/completions \\\n"
                 "    -H \"Authorization: Bearer $(cat %s/keys/host.key)\" \\\n"
                 "    --json '{\"model\":\"openai/gpt-4o-mini\",\"messages\":[{\"role\":\"user\","
                 "\"content\":\"hello\"}]}'\n",
                 stack_port(stack, STACK_PORT_KEYS), up->cli->data);
    if (stack->wanted[STACK_AGENT]) {
        (void)printf(
            "  berth install-hooks%s\n"
            "                              (then containers of podman get their identity;\n"
            "                              --docker: those of Docker)\n",
            data);
    }
    (void)printf("  berth models%s\n  berth usage%s\n", data, data);
}

static void
say_ready_text(const struct up *up)
{
    const struct stack *stack = &up->stack;
    uint64_t ms = start_ms(up);
    (void)printf("Berth is ready after %llu.%03llu s; %s stops it.\n\n",
                 (unsigned long long)(ms / 1000), (unsigned long long)(ms % 1000),
                 up->detach ? "berth down" : "Ctrl-C");
    if (stack->wanted[STACK_AGENT]) {
        (void)printf("  containers  http://127.0.0.1:%u/v1   key: container-NAME, inside container "
                     "NAME\n",
                     stack_port(stack, STACK_PORT_CONTAINERS));
    } else {
        (void)printf("  containers  off: their identities need root (%s)\n",
                     stack->no_agent ? "--no-agent" : "this is not root");
    }
    (void)printf("  this host   http://127.0.0.1:%u/v1   key: in %s/keys/host.key%s\n",
                 stack_port(stack, STACK_PORT_KEYS), up->cli->data,
                 up->no_key ? " (gone: berth keys create makes another)" : "");
    (void)printf("  admin       http://127.0.0.1:%u      token: in %s/controlplane/admin.token\n",
                 stack_port(stack, STACK_PORT_ADMIN), up->cli->data);
    say_money(up);
    (void)printf("  providers   %.*s%s\n", STR_ARG(up->providers),
                 stack->offline ? " (simulated; nothing leaves this host)" : "");
    (void)printf("  logs        %s\n",
                 stack->log_stderr ? "on standard error" : cli_path(up->cli, "logs"));
    say_next(up);
}

void
up_say_ready(const struct up *up)
{
    if (up->json)
        say_ready_json(up);
    else
        say_ready_text(up);
    (void)fflush(stdout);
}

void
up_say(const struct up *up, const char *event, const char *name, const char *text)
{
    if (up->json) {
        struct json_writer json;
        struct buf out;
        buf_init(&out, 65536);
        json_writer_init(&json, &out);
        json_open_object(&json);
        json_member_str(&json, "event", str_from(event));
        json_member_str(&json, "daemon", str_from(name));
        json_member_str(&json, "message", str_from(text));
        json_close_object(&json);
        (void)printf("%s\n", buf_cstr(&out));
        buf_fini(&out);
    } else {
        (void)printf("%s %s\n", name, text);
    }
    (void)fflush(stdout);
}
