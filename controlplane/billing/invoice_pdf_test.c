/* SPDX-License-Identifier: MIT
 * invoice_pdf_test.c - what pdftotext reads of an invoice is what the document says.
 * Floor: controlplane/billing tests.
 * Owns: nothing.
 * Invariant: see invoice_pdf.c. */
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "controlplane/billing/invoice.h"

#define HEAD                                                                                       \
    "{\"number\":\"B-1a2b3c4d-000007\",\"sequence\":\"7\",\"wallet\":\"team-a\","                  \
    "\"currency\":\"USD\",\"from\":\"2025-11-01T00:01:00.000Z\",\"to\":\"2025-12-01T00:01:"        \
    "00.000Z\",\"general\":{\"opening\":\"1.00\",\"topped_up\":\"100.00\",\"adjusted\":\"-1.00\"," \
    "\"closing\":\"60.00\"},\"ai\":{\"opening\":\"0.00\",\"topped_up\":\"0.00\",\"adjusted\":"     \
    "\"0.00\",\"closing\":\"39.599556007\"},\"transferred\":\"40.00\",\"fees\":\"0.40\","          \
    "\"credited\":\"39.60\",\"allowed\":\"0.00\",\"usage\":\"0.000443993\",\"server\":"            \
    "\"1a2b3c4d\",\"lines\":["
#define TOP_UP                                                                        \
    "{\"kind\":\"top_up\",\"at\":\"2025-11-02T10:00:00.000Z\",\"transaction\":\"1\"," \
    "\"reference\":"                                                                  \
    "\"bank:\\u00dcberweisung 4711 \\u4e2d\",\"balance\":\"general\",\"amount\":\"100.00\"}"
#define USAGE                                                                                      \
    "{\"kind\":\"usage\",\"subject\":\"container/dev-env\",\"model\":\"openai/gpt-4o-mini\","      \
    "\"provider\":\"openai\",\"requests\":\"2\",\"units\":{\"input\":\"2001\",\"output\":\"201\"}" \
    ","                                                                                            \
    "\"prices\":{\"input\":\"0.15\",\"output\":\"0.60\"},\"cost\":\"0.00042075\",\"markup\":"      \
    "\"0.000021038\",\"amount\":\"0.000441788\"}"

struct fixture {
    char path[64];
    struct buf pdf;
    struct buf text;
    struct err err;
};

static int
setup(void **state)
{
    static struct fixture fixture;
    fixture = (struct fixture){.path = "/tmp/berth-invoice-XXXXXX"};
    buf_init(&fixture.pdf, 8u << 20);
    buf_init(&fixture.text, 8u << 20);
    *state = &fixture;
    int fd = mkstemp(fixture.path);
    return fd < 0 ? -1 : close(fd);
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    unlink(f->path);
    buf_fini(&f->pdf);
    buf_fini(&f->text);
    return 0;
}

/* false: this machine has no pdftotext. */
static bool
read_pdf(struct fixture *f)
{
    int pipes[2];
    int status = 0;
    FILE *file = fopen(f->path, "we");
    assert_non_null(file);
    assert_int_equal(fwrite(f->pdf.ptr, 1, f->pdf.len, file), f->pdf.len);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    pid_t pid = fork();
    assert_true(pid >= 0);
    if (pid == 0) {
        dup2(pipes[1], STDOUT_FILENO);
        execlp("pdftotext", "pdftotext", "-layout", f->path, "-", (char *)NULL);
        _exit(127);
    }
    close(pipes[1]);
    f->text.len = 0;
    for (;;) {
        assert_int_equal(buf_reserve(&f->text, 65536), 0);
        ssize_t count = read(pipes[0], f->text.ptr + f->text.len, 65536);
        if (count <= 0)
            break;
        f->text.len += (size_t)count;
    }
    close(pipes[0]);
    assert_int_equal(waitpid(pid, &status, 0), pid);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 127)
        return false;
    assert_int_equal(status, 0);
    return true;
}

static void
must_have(struct fixture *f, const char *part)
{
    if (!strstr(buf_cstr(&f->text), part))
        fail_msg("no \"%s\" in\n%s", part, buf_cstr(&f->text));
}

static void
test_text(void **state)
{
    struct fixture *f = *state;
    assert_int_equal(
        invoice_pdf(
            STR(HEAD TOP_UP "," USAGE ",{\"kind\":\"late_usage\",\"amount\":\"0.000002205\"}]}"),
            &f->pdf, &f->err),
        0);
    assert_memory_equal(f->pdf.ptr, "%PDF-", 5);
    if (!read_pdf(f))
        skip();
    static const char *const parts[] = {
        "Invoice",
        "B-1a2b3c4d-000007",
        "team-a",
        "2025-11-01T00:01:00.000Z to 2025-12-01T00:01:00.000Z",
        "Opening balance",
        "-40.00",
        "-0.40",
        "-0.000443993",
        "39.599556007",
        "Top-up of General",
        "bank:\303\234berweisung 4711 ?",
        "100.00",
        "container/dev-env",
        "openai/gpt-4o-mini",
        "input 2001 at 0.15, output 201 at 0.60",
        "0.000021038",
        "0.000441788",
        "(of earlier periods)",
        "0.000002205",
        "page 1 of 1",
    };
    for (size_t i = 0; i < ARRAY_LEN(parts); i++)
        must_have(f, parts[i]);
}

/* The same document gives the same bytes; many lines make many pages with a heading each. */
static void
test_pages(void **state)
{
    struct fixture *f = *state;
    CLEANUP(buf_fini) struct buf document;
    CLEANUP(buf_fini) struct buf again;
    buf_init(&document, 1u << 20);
    buf_init(&again, 8u << 20);
    buf_put_str(&document, STR(HEAD TOP_UP));
    for (unsigned i = 0; i < 1500; i++)
        buf_put_str(&document, STR("," USAGE));
    buf_put_str(&document, STR("]}"));
    assert_int_equal(invoice_pdf(buf_str(&document), &f->pdf, &f->err), 0);
    assert_int_equal(invoice_pdf(buf_str(&document), &again, &f->err), 0);
    assert_true(str_eq(buf_str(&f->pdf), buf_str(&again)));
    if (!read_pdf(f))
        skip();
    must_have(f, "page 1 of ");
    size_t lines = 0;
    for (const char *at = buf_cstr(&f->text); (at = strstr(at, "container/dev-env")); at++)
        lines++;
    assert_int_equal(lines, 1500);
}

/* Long words are cut, what is missing is empty, what is no invoice is refused. */
static void
test_odd(void **state)
{
    struct fixture *f = *state;
    static const struct {
        const char *text;
        int want;
    } rows[] = {{"{}", 0},          {"{\"lines\":[{}]}", 0}, {"{\"lines\":{},\"general\":[]}", 0},
                {"[]", -ERR_STORE}, {"", -ERR_STORE},        {"{\"lines\":", -ERR_STORE}};
    char text[2048];
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        f->pdf.len = 0;
        assert_int_equal(invoice_pdf(str_from(rows[i].text), &f->pdf, &f->err), rows[i].want);
    }
    (void)snprintf(text, sizeof text, "{\"number\":\"%01000d\",\"wallet\":\"%0500d\\n\\u0000(\"}",
                   7, 8);
    f->pdf.len = 0;
    assert_int_equal(invoice_pdf(str_from(text), &f->pdf, &f->err), 0);
    CLEANUP(buf_fini) struct buf small;
    buf_init(&small, 100);
    assert_int_equal(invoice_pdf(STR("{}"), &small, &f->err), -ERR_TOO_LARGE);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_text, setup, teardown),
        cmocka_unit_test_setup_teardown(test_pages, setup, teardown),
        cmocka_unit_test_setup_teardown(test_odd, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
