/* SPDX-License-Identifier: MIT
 * invoice_pdf.c - an invoice for people: libharu draws what the JSON document says.
 * Floor: controlplane/billing; engine thread.
 * Owns: the PDF document under construction.
 * Invariant: a pure function of the document's bytes; every figure on paper is a text of the
 *            document, nothing is computed here. Proved in invoice_pdf_test.c. */
#include <hpdf.h>
#include <stdio.h>
#include <string.h>

#include "controlplane/billing/invoice_int.h"
#include "lib/base/check.h"
#include "lib/text/tree.h"
#include "lib/text/utf8.h"

#define PAGE_WIDTH 595.0f /* A4, points */
#define PAGE_HEIGHT 842.0f
#define MARGIN 48.0f
#define RIGHT (PAGE_WIDTH - MARGIN)
#define BOTTOM 64.0f
#define LINE 12.0f
#define SMALL 7.5f
#define NARROW 8.0f /* figures of fifteen digits side by side */
#define BODY 9.0f
#define CELL_BYTES 256u
#define PDF_BYTES_MAX (8u << 20)
#define ARENA_BYTES_MAX (32u << 20)

struct paper {
    HPDF_Doc doc;
    HPDF_Page page;
    HPDF_Font plain;
    HPDF_Font bold;
    float y;
    HPDF_UINT pages;
    HPDF_STATUS failure;
};

static void
on_error(HPDF_STATUS code, HPDF_STATUS detail, void *user)
{
    struct paper *paper = user;
    (void)detail;
    if (paper->failure == HPDF_OK)
        paper->failure = code;
}

/* ---- text ------------------------------------------------------------------------------------ */

/* WinAnsi, which is Latin-1 where it matters; what it lacks becomes '?'. */
static void
encode(struct str text, char out[CELL_BYTES])
{
    size_t at = 0;
    while (text.len > 0 && at < CELL_BYTES - 1) {
        uint32_t code = '?';
        size_t bytes = utf8_decode(text, &code);
        bool fine = bytes > 0 && ((code >= 0x20 && code < 0x7f) || (code >= 0xa0 && code <= 0xff));
        out[at++] = (char)(unsigned char)(fine ? code : '?');
        text = str_skip(text, bytes > 0 ? bytes : 1);
    }
    out[at] = '\0';
}

static void
put_at(struct paper *paper, HPDF_Font font, float size, float x, const char *text)
{
    HPDF_Page_BeginText(paper->page);
    HPDF_Page_SetFontAndSize(paper->page, font, size);
    HPDF_Page_TextOut(paper->page, x, paper->y, text);
    HPDF_Page_EndText(paper->page);
}

/* Cut at the width with dots behind. */
static void
put_left(struct paper *paper, HPDF_Font font, float size, float x, float width, struct str text)
{
    char cell[CELL_BYTES];
    encode(text, cell);
    HPDF_Page_SetFontAndSize(paper->page, font, size);
    size_t length = strlen(cell);
    while (length > 3 && HPDF_Page_TextWidth(paper->page, cell) > width) {
        length--;
        memcpy(cell + length - 3, "...", 4);
    }
    put_at(paper, font, size, x, cell);
}

static void
put_right(struct paper *paper, HPDF_Font font, float size, float x, struct str text)
{
    char cell[CELL_BYTES];
    encode(text, cell);
    HPDF_Page_SetFontAndSize(paper->page, font, size);
    put_at(paper, font, size, x - HPDF_Page_TextWidth(paper->page, cell), cell);
}

static void
rule(struct paper *paper)
{
    HPDF_Page_SetLineWidth(paper->page, 0.5f);
    HPDF_Page_MoveTo(paper->page, MARGIN, paper->y + LINE - 2);
    HPDF_Page_LineTo(paper->page, RIGHT, paper->y + LINE - 2);
    HPDF_Page_Stroke(paper->page);
}

static void
new_page(struct paper *paper)
{
    paper->page = HPDF_AddPage(paper->doc);
    paper->pages++;
    HPDF_Page_SetSize(paper->page, HPDF_PAGE_SIZE_A4, HPDF_PAGE_PORTRAIT);
    paper->y = PAGE_HEIGHT - MARGIN;
}

/* Room for so many lines, on a new page when this one has none. */
static void
need(struct paper *paper, float lines)
{
    if (paper->y - lines * LINE < BOTTOM)
        new_page(paper);
}

static struct str
text_of(const struct tree *map, const char *key)
{
    const struct tree *node = tree_get(map, str_from(key));
    return node && node->kind != TREE_MAP && node->kind != TREE_LIST ? node->text : STR_EMPTY;
}

/* ---- parts ----------------------------------------------------------------------------------- */

static void
put_pair(struct paper *paper, const char *name, struct str value)
{
    put_left(paper, paper->plain, BODY, MARGIN, 90, str_from(name));
    put_left(paper, paper->bold, BODY, MARGIN + 92, RIGHT - MARGIN - 92, value);
    paper->y -= LINE;
}

static void
put_head(struct paper *paper, const struct tree *root)
{
    struct str from = text_of(root, "from");
    struct str to = text_of(root, "to");
    char period[CELL_BYTES];
    (void)snprintf(period, sizeof period, "%.*s to %.*s", (int)MIN(from.len, (size_t)64), from.ptr,
                   (int)MIN(to.len, (size_t)64), to.ptr);
    put_left(paper, paper->bold, 18, MARGIN, 200, STR("Invoice"));
    paper->y -= 2 * LINE;
    put_pair(paper, "Number", text_of(root, "number"));
    put_pair(paper, "Wallet", text_of(root, "wallet"));
    put_pair(paper, "Period (UTC)", str_from(period));
    put_pair(paper, "Server", text_of(root, "server"));
    put_pair(paper, "Currency", text_of(root, "currency"));
    paper->y -= LINE;
}

static void
put_balance(struct paper *paper, const char *name, struct str general, struct str ai, bool strong)
{
    HPDF_Font font = strong ? paper->bold : paper->plain;
    put_left(paper, font, BODY, MARGIN, 240, str_from(name));
    put_right(paper, font, BODY, MARGIN + 350, general);
    put_right(paper, font, BODY, RIGHT, ai);
    paper->y -= LINE;
}

static struct str
minus(struct arena *arena, struct str amount)
{
    struct str text = arena_printf(arena, "-%.*s", STR_ARG(amount));
    return text.ptr && !str_eq(amount, STR("0.00")) ? text : amount;
}

static void
put_balances(struct paper *paper, const struct tree *root, struct arena *arena)
{
    const struct tree *general = tree_get(root, STR("general"));
    const struct tree *ai = tree_get(root, STR("ai"));
    put_balance(paper, "", STR("General USD"), STR("AI USD"), true);
    rule(paper);
    put_balance(paper, "Opening balance", text_of(general, "opening"), text_of(ai, "opening"),
                false);
    put_balance(paper, "Topped up", text_of(general, "topped_up"), text_of(ai, "topped_up"), false);
    put_balance(paper, "Transferred, before the fee", minus(arena, text_of(root, "transferred")),
                text_of(root, "transferred"), false);
    put_balance(paper, "Transfer fee", STR_EMPTY, minus(arena, text_of(root, "fees")), false);
    put_balance(paper, "Adjusted", text_of(general, "adjusted"), text_of(ai, "adjusted"), false);
    put_balance(paper, "From or to capped wallets", STR_EMPTY, text_of(root, "allowed"), false);
    put_balance(paper, "Usage", STR_EMPTY, minus(arena, text_of(root, "usage")), false);
    rule(paper);
    put_balance(paper, "Closing balance", text_of(general, "closing"), text_of(ai, "closing"),
                true);
    paper->y -= LINE;
}

static void
put_movement_head(struct paper *paper)
{
    put_left(paper, paper->bold, BODY, MARGIN, 110, STR("Moved at (UTC)"));
    put_left(paper, paper->bold, BODY, MARGIN + 116, 90, STR("What"));
    put_left(paper, paper->bold, BODY, MARGIN + 212, 200, STR("Reference"));
    put_right(paper, paper->bold, BODY, RIGHT, STR("Amount USD"));
    paper->y -= LINE;
    rule(paper);
}

static void
put_movement(struct paper *paper, const struct tree *line)
{
    struct str kind = text_of(line, "kind");
    struct str reason = text_of(line, "reason");
    bool ai = str_eq(text_of(line, "balance"), STR("ai"));
    struct str what = str_eq(kind, STR("transfer")) ? STR("General to AI")
                      : str_eq(kind, STR("top_up"))
                          ? (ai ? STR("Top-up of AI") : STR("Top-up of General"))
                      : str_eq(kind, STR("adjustment"))
                          ? (ai ? STR("Correction of AI") : STR("Correction of General"))
                      : str_eq(kind, STR("allowance")) ? STR("Allowance")
                                                       : STR("More movements");
    put_left(paper, paper->plain, BODY, MARGIN, 112, text_of(line, "at"));
    put_left(paper, paper->plain, BODY, MARGIN + 116, 94, what);
    put_left(paper, paper->plain, BODY, MARGIN + 212, 200,
             reason.len > 0 ? reason : text_of(line, "reference"));
    put_right(paper, paper->plain, BODY, RIGHT,
              str_eq(kind, STR("more_movements")) ? text_of(line, "count")
                                                  : text_of(line, "amount"));
    paper->y -= LINE;
}

static void
put_usage_head(struct paper *paper)
{
    put_left(paper, paper->bold, BODY, MARGIN, 116, STR("Who"));
    put_left(paper, paper->bold, BODY, MARGIN + 120, 126, STR("Model"));
    put_right(paper, paper->bold, BODY, MARGIN + 286, STR("Calls"));
    put_right(paper, paper->bold, BODY, MARGIN + 360, STR("Cost USD"));
    put_right(paper, paper->bold, BODY, MARGIN + 430, STR("Markup"));
    put_right(paper, paper->bold, BODY, RIGHT, STR("Amount"));
    paper->y -= LINE;
    rule(paper);
}

/* "input 1200 at 0.15, output 50 at 0.60": dollars a million tokens. */
static void
put_units(struct paper *paper, const struct tree *line)
{
    char text[CELL_BYTES * 2] = "";
    size_t at = 0;
    const struct tree *units = tree_get(line, STR("units"));
    const struct tree *prices = tree_get(line, STR("prices"));
    for (const struct tree *unit = units ? units->first : NULL; unit; unit = unit->next) {
        const struct tree *price = tree_get(prices, unit->key);
        int count = snprintf(text + at, sizeof text - at, "%s%.*s %.*s%s%.*s", at ? ", " : "",
                             (int)MIN(unit->key.len, (size_t)32), unit->key.ptr,
                             (int)MIN(unit->text.len, (size_t)20), unit->text.ptr,
                             price ? " at " : "", price ? (int)MIN(price->text.len, (size_t)32) : 0,
                             price ? price->text.ptr : "");
        if (count < 0 || (size_t)count >= sizeof text - at)
            break;
        at += (size_t)count;
    }
    if (at == 0)
        return;
    put_left(paper, paper->plain, SMALL, MARGIN + 120, RIGHT - MARGIN - 120, str_make(text, at));
    paper->y -= LINE;
}

static void
put_usage(struct paper *paper, const struct tree *line)
{
    bool late = str_eq(text_of(line, "kind"), STR("late_usage"));
    put_left(paper, paper->plain, BODY, MARGIN, 116,
             late ? STR("(of earlier periods)") : text_of(line, "subject"));
    put_left(paper, paper->plain, BODY, MARGIN + 120, 126, text_of(line, "model"));
    put_right(paper, paper->plain, NARROW, MARGIN + 286, text_of(line, "requests"));
    put_right(paper, paper->plain, NARROW, MARGIN + 360, text_of(line, "cost"));
    put_right(paper, paper->plain, NARROW, MARGIN + 430, text_of(line, "markup"));
    put_right(paper, paper->plain, NARROW, RIGHT, text_of(line, "amount"));
    paper->y -= LINE;
    put_units(paper, line);
}

static bool
is_usage(const struct tree *line)
{
    struct str kind = text_of(line, "kind");
    return str_eq(kind, STR("usage")) || str_eq(kind, STR("late_usage"));
}

/* All lines of one sort, their heading again on each page. */
static void
put_lines(struct paper *paper, const struct tree *root, bool usage)
{
    const struct tree *lines = tree_get(root, STR("lines"));
    void (*head)(struct paper *) = usage ? put_usage_head : put_movement_head;
    HPDF_Page headed = NULL;
    for (const struct tree *line = lines ? lines->first : NULL; line; line = line->next) {
        if (is_usage(line) != usage)
            continue;
        need(paper, headed == paper->page ? 2 : 4);
        if (headed != paper->page)
            head(paper);
        headed = paper->page;
        if (usage)
            put_usage(paper, line);
        else
            put_movement(paper, line);
    }
    if (headed)
        paper->y -= LINE;
}

static void
put_feet(struct paper *paper, const struct tree *root)
{
    struct str number = text_of(root, "number");
    for (HPDF_UINT i = 0; i < paper->pages; i++) {
        char text[CELL_BYTES];
        (void)snprintf(text, sizeof text, "%.*s, page %u of %u", (int)MIN(number.len, (size_t)64),
                       number.ptr, i + 1, paper->pages);
        paper->page = HPDF_GetPageByIndex(paper->doc, i);
        paper->y = BOTTOM - 2 * LINE;
        put_right(paper, paper->plain, SMALL, RIGHT, str_from(text));
        put_left(paper, paper->plain, SMALL, MARGIN, 380,
                 STR("Prices are US dollars a million tokens (or each: calls, images), as the "
                     "provider asks; the markup is beside them."));
    }
}

/* ---- document -------------------------------------------------------------------------------- */

static void
draw(struct paper *paper, const struct tree *root, struct arena *arena)
{
    HPDF_SetCompressionMode(paper->doc, HPDF_COMP_ALL);
    HPDF_SetInfoAttr(paper->doc, HPDF_INFO_TITLE, "Invoice");
    HPDF_SetInfoAttr(paper->doc, HPDF_INFO_CREATOR, "Berth");
    paper->plain = HPDF_GetFont(paper->doc, "Helvetica", "WinAnsiEncoding");
    paper->bold = HPDF_GetFont(paper->doc, "Helvetica-Bold", "WinAnsiEncoding");
    if (paper->failure != HPDF_OK)
        return;
    new_page(paper);
    put_head(paper, root);
    put_balances(paper, root, arena);
    put_lines(paper, root, false);
    put_lines(paper, root, true);
    if (paper->failure == HPDF_OK)
        put_feet(paper, root);
}

static int
save(struct paper *paper, struct buf *out)
{
    if (paper->failure == HPDF_OK)
        HPDF_SaveToStream(paper->doc);
    if (paper->failure != HPDF_OK)
        return -ERR_NOMEM;
    HPDF_UINT32 bytes = HPDF_GetStreamSize(paper->doc);
    if (bytes > PDF_BYTES_MAX)
        return -ERR_TOO_LARGE;
    int code = buf_reserve(out, bytes);
    if (code < 0)
        return code;
    HPDF_ReadFromStream(paper->doc, (HPDF_BYTE *)out->ptr + out->len, &bytes);
    out->len += bytes;
    return paper->failure == HPDF_OK ? 0 : -ERR_NOMEM;
}

int
invoice_pdf(struct str text, struct buf *out, struct err *err)
{
    CLEANUP(arena_fini) struct arena arena;
    struct paper paper = {.failure = HPDF_OK};
    struct tree *root = NULL;
    arena_init(&arena, ARENA_BYTES_MAX);
    int code = tree_from_json(text, &arena, &root, err);
    if (code < 0 || root->kind != TREE_MAP)
        return err_set(err, ERR_STORE, "the invoice is damaged");
    paper.doc = HPDF_New(on_error, &paper);
    if (!paper.doc)
        return invoice_fail(err, -ERR_NOMEM);
    draw(&paper, root, &arena);
    code = save(&paper, out);
    HPDF_Free(paper.doc);
    return code < 0 ? invoice_fail(err, code) : 0;
}
