/* SPDX-License-Identifier: MIT
 * request_rows_test_int.h - the rows of request_test.c: one request a row, and what becomes of it.
 * Floor: dataplane/dialect, tests only.
 * Owns: nothing.
 * Invariant: see request_test.c. */
static const struct translation translations[] = {
    {"plain", OAI, ANT, "{\"model\":\"m\"," HI "}", 0, HI_ANT ",\"max_tokens\":8000", ""},
    {"settings", OAI, ANT,
     "{\"model\":\"m\"," HI ",\"max_completion_tokens\":50,\"temperature\":0.70,\"top_p\":1e-1,"
     "\"stop\":[\"a\",\"b\"],\"user\":\"u\",\"stream\":true}",
     0,
     HI_ANT ",\"max_tokens\":50,\"temperature\":0.70,\"top_p\":1e-1,\"stop_sequences\":[\"a\","
            "\"b\"],\"metadata\":{\"user_id\":\"u\"},\"stream\":true",
     ""},
    {"system and developer are hoisted, in order, with their cache marks", OAI, ANT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"system\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"one\",\"cache_control\":{\"type\":\"ephemeral\"}}]},{\"role\":\"user\",\"content\":\"hi\"},"
     "{\"role\":\"developer\",\"content\":\"two\"}]}",
     0,
     "\"system\":[{\"type\":\"text\",\"text\":\"one\",\"cache_control\":{\"type\":\"ephemeral\"}},"
     "{\"type\":\"text\",\"text\":\"two\"}]," HI_ANT ",\"max_tokens\":8000",
     ""},
    {"equal neighbours merge, empty texts go, a prefill loses its blanks", OAI, ANT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"a\"},{\"role\":\"user\","
     "\"content\":\"\"},{\"role\":\"user\",\"name\":\"bob\",\"content\":\"b\"},{\"role\":"
     "\"assistant\",\"content\":\"so \\n\"}]}",
     0,
     "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"a\"},{\"type\":"
     "\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":"
     "\"so\"}]}],\"max_tokens\":8000",
     "name"},
    {"parallel calls and their results", OAI, ANT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
     "\"assistant\","
     "\"content\":null,\"tool_calls\":[{\"id\":\"call.1\",\"type\":\"function\",\"function\":{"
     "\"name\":\"f\",\"arguments\":\"{\\\"a\\\":1}\"}},{\"id\":\"c2\",\"type\":\"function\","
     "\"function\":{\"name\":\"g\",\"arguments\":\"\"}},{\"id\":\"c3\",\"type\":\"function\","
     "\"function\":{\"name\":\"g\",\"arguments\":\"{oops\"}}]},{\"role\":\"tool\",\"tool_call_id\":"
     "\"call.1\",\"content\":\"r1\"},{\"role\":\"tool\",\"tool_call_id\":\"c2\",\"content\":[{"
     "\"type\":\"text\",\"text\":\"r2\"}]},{\"role\":\"user\",\"content\":\"go\"}],\"tools\":[{"
     "\"type\":\"function\",\"function\":{\"name\":\"f\",\"description\":\"d\",\"parameters\":{"
     "\"type\":\"object\"},\"strict\":true}},{\"type\":\"function\",\"name\":\"flat\"}],"
     "\"tool_choice\":\"required\",\"parallel_tool_calls\":false}",
     0,
     HI_ANT_OPEN
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"tool_use\",\"id\":\"call_1\",\"name\":\"f\","
     "\"input\":{\"a\":1}},{\"type\":\"tool_use\",\"id\":\"c2\",\"name\":\"g\",\"input\":{}},{"
     "\"type\":\"tool_use\",\"id\":\"c3\",\"name\":\"g\",\"input\":{\"raw_arguments\":\"{oops\"}}]}"
     ","
     "{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"call_1\","
     "\"content\":[{\"type\":\"text\",\"text\":\"r1\"}]},{\"type\":\"tool_result\",\"tool_use_id\":"
     "\"c2\",\"content\":[{\"type\":\"text\",\"text\":\"r2\"}]},{\"type\":\"text\",\"text\":\"go\"}"
     "]}],\"tools\":[{\"name\":\"f\",\"description\":\"d\",\"input_schema\":{\"type\":\"object\"},"
     "\"strict\":true},{\"name\":\"flat\",\"input_schema\":{\"type\":\"object\",\"properties\":{}}}"
     "],\"tool_choice\":{\"type\":\"any\",\"disable_parallel_tool_use\":true},\"max_tokens\":8000",
     ""},
    {"pictures and files", OAI, ANT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image_url\","
     "\"image_url\":{\"url\":\"data:image/jpg;base64,QUJD\",\"detail\":\"low\"}},{\"type\":"
     "\"image_url\",\"image_url\":\"https://x/y.png\"},{\"type\":\"file\",\"file\":{\"filename\":"
     "\"a.pdf\",\"file_data\":\"data:application/pdf;base64,QUJD\"}}]}]}",
     0,
     "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"image\",\"source\":{\"type\":"
     "\"base64\",\"media_type\":\"image/jpeg\",\"data\":\"QUJD\"}},{\"type\":\"image\",\"source\":{"
     "\"type\":\"url\",\"url\":\"https://x/y.png\"}},{\"type\":\"document\",\"source\":{\"type\":"
     "\"base64\",\"media_type\":\"application/pdf\",\"data\":\"QUJD\"},\"title\":\"a.pdf\"}]}],"
     "\"max_tokens\":8000",
     "image_url.detail"},
    {"schema and effort", OAI, ANT,
     "{\"model\":\"m\"," HI ",\"reasoning_effort\":\"low\",\"response_format\":{\"type\":"
     "\"json_schema\",\"json_schema\":{\"name\":\"n\",\"schema\":{\"type\": \"object\"},\"strict\":"
     "true}}}",
     0,
     HI_ANT ",\"max_tokens\":8000,\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":1024},"
            "\"output_config\":{\"format\":{\"type\":\"json_schema\",\"schema\":{\"type\": "
            "\"object\"}}}",
     ""},
    {"signed thinking comes back; unsigned reasoning is not sent", OAI, ANT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":"
     "\"assistant\","
     "\"content\":\"a\",\"reasoning_content\":\"t\",\"thinking_blocks\":[{\"type\":\"thinking\","
     "\"thinking\":\"t\",\"signature\":\"s=\"},{\"type\":\"redacted_thinking\",\"data\":\"d=\"}]},{"
     "\"role\":\"user\",\"content\":\"b\"},{\"role\":\"assistant\",\"content\":\"c\","
     "\"reasoning_content\":\"u\"},{\"role\":\"user\",\"content\":\"d\"}]}",
     0,
     HI_ANT_OPEN
     "{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":"
     "\"s=\"},{\"type\":\"redacted_thinking\",\"data\":\"d=\"},{\"type\":\"text\",\"text\":\"a\"}]}"
     ","
     "{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"b\"}]},{\"role\":\"assistant\","
     "\"content\":[{\"type\":\"text\",\"text\":\"c\"}]},{\"role\":\"user\",\"content\":[{\"type\":"
     "\"text\",\"text\":\"d\"}]}],\"max_tokens\":8000",
     "reasoning_content"},
    {"advice is dropped and named, silence is not worth a word", OAI, ANT,
     "{\"model\":\"m\"," HI ",\"store\":true,\"metadata\":{\"a\":\"b\"},\"logprobs\":false,"
     "\"frequency_penalty\":0,\"logit_bias\":{},\"stop\":null}",
     0, HI_ANT ",\"max_tokens\":8000", "store,metadata"},
    {"logit_bias is refused", OAI, ANT, "{\"model\":\"m\"," HI ",\"logit_bias\":{\"1\":2}}",
     -ERR_UNSUPPORTED, "field `logit_bias` cannot be carried to anthropic", ""},
    {"seed is refused", OAI, ANT, "{\"model\":\"m\"," HI ",\"seed\":0}", -ERR_UNSUPPORTED, "`seed`",
     ""},
    {"n is refused", OAI, ANT, "{\"model\":\"m\"," HI ",\"n\":2}", -ERR_UNSUPPORTED, "`n`", ""},
    {"unknown fields are refused", OAI, ANT, "{\"model\":\"m\"," HI ",\"zzz\":1}", -ERR_UNSUPPORTED,
     "`zzz`", ""},
    {"audio is refused", OAI, ANT,
     "{\"model\":\"m\",\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"input_audio\","
     "\"input_audio\":{\"data\":\"QQ==\",\"format\":\"wav\"}}]}]}",
     -ERR_UNSUPPORTED, "`input_audio`", ""},
    {"custom tools are refused", OAI, ANT,
     "{\"model\":\"m\"," HI ",\"tools\":[{\"type\":\"custom\",\"custom\":{\"name\":\"x\"}}]}",
     -ERR_UNSUPPORTED, "`tools.custom`", ""},
    {"json_object is refused", OAI, ANT,
     "{\"model\":\"m\"," HI ",\"response_format\":{\"type\":\"json_object\"}}", -ERR_UNSUPPORTED,
     "response_format.json_object", ""},
    {"bad role", OAI, ANT, "{\"model\":\"m\",\"messages\":[{\"role\":\"x\"}]}", -ERR_INVALID,
     "messages.role", ""},

    {"plain", ANT, OAI, "{\"model\":\"m\",\"max_tokens\":5," HI "}", 0,
     HI ",\"max_completion_tokens\":5", ""},
    {"Claude Code", ANT, OAI,
     "{\"model\":\"m\",\"max_tokens\":5,\"system\":[{\"type\":\"text\",\"text\":"
     "\"x-anthropic-billing-header: cc_version=1; cch=abcde;\"},{\"type\":\"text\",\"text\":\"s\","
     "\"cache_control\":{\"type\":\"ephemeral\"}}]," HI
     ",\"stream\":true,\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"}"
     ",\"metadata\":{\"user_id\":\"{\\\"a\\\":\\\"bbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbbb"
     "bbbbbbbbbbbbbb\\\"}\"},\"context_management\":{\"edits\":[1]}}",
     0,
     "\"messages\":[{\"role\":\"system\",\"content\":\"s\"},{\"role\":\"user\",\"content\":\"hi\"}]"
     ","
     "\"max_completion_tokens\":5,\"reasoning_effort\":\"high\",\"stream\":true,\"stream_options\":"
     "{\"include_usage\":true}",
     "context_management,cache_control,metadata.user_id"},
    {"a tool loop with thinking, an error and a picture", ANT, OAI,
     "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{"
     "\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"t\",\"signature\":"
     "\"s\"},{\"type\":\"text\",\"text\":\"x\"},{\"type\":\"tool_use\",\"id\":\"t1\",\"name\":"
     "\"f\","
     "\"input\":{\"a\" : 1}}]},{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\","
     "\"tool_use_id\":\"t1\",\"is_error\":true,\"content\":[{\"type\":\"text\",\"text\":\"r\"},{"
     "\"type\":\"image\",\"source\":{\"type\":\"base64\",\"media_type\":\"image/png\",\"data\":"
     "\"QQ==\"}}]},{\"type\":\"text\",\"text\":\"and?\"}]}],\"tools\":[{\"name\":\"f\","
     "\"input_schema\":{\"type\":\"object\"}}],\"tool_choice\":{\"type\":\"tool\",\"name\":\"f\","
     "\"disable_parallel_tool_use\":true},\"stop_sequences\":[\"z\"],\"top_k\":3}",
     0,
     "\"messages\":[{\"role\":\"user\",\"content\":\"hi\"},{\"role\":\"assistant\",\"content\":"
     "\"x\""
     ",\"tool_calls\":[{\"id\":\"t1\",\"type\":\"function\",\"function\":{\"name\":\"f\","
     "\"arguments\":\"{\\\"a\\\" : 1}\"}}]},{\"role\":\"tool\",\"tool_call_id\":\"t1\",\"content\":"
     "\"r\"},{\"role\":\"user\",\"content\":[{\"type\":\"image_url\",\"image_url\":{\"url\":"
     "\"data:image/png;base64,QQ==\"}},{\"type\":\"text\",\"text\":\"and?\"}]}],\"tools\":[{"
     "\"type\":\"function\",\"function\":{\"name\":\"f\",\"parameters\":{\"type\":\"object\"}}}],"
     "\"tool_choice\":{\"type\":\"function\",\"function\":{\"name\":\"f\"}},\"parallel_tool_"
     "calls\":"
     "false,\"max_completion_tokens\":5,\"stop\":[\"z\"]",
     "thinking,is_error,top_k"},
    {"budget becomes effort; schema", ANT, OAI,
     "{\"model\":\"m\",\"max_tokens\":20000," HI
     ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":6000},\"output_config\":{\"format\":{"
     "\"type\":\"json_schema\",\"schema\":{\"type\":\"object\"}}}}",
     0,
     HI ",\"max_completion_tokens\":20000,\"response_format\":{\"type\":\"json_schema\","
        "\"json_schema\":{\"name\":\"answer\",\"schema\":{\"type\":\"object\"},\"strict\":true}},"
        "\"reasoning_effort\":\"medium\"",
     ""},
    {"text document", ANT, OAI,
     "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"document\",\"title\":\"T\",\"source\":{\"type\":\"text\",\"media_type\":\"text/plain\","
     "\"data\":\"body\"}}]}]}",
     0,
     "\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"T\\n\\nbody\"}]}]"
     ","
     "\"max_completion_tokens\":5",
     ""},
    {"server tools are refused", ANT, OAI,
     "{\"model\":\"m\",\"max_tokens\":5," HI
     ",\"tools\":[{\"type\":\"web_search_20250305\",\"name\":\"web_search\"}]}",
     -ERR_UNSUPPORTED, "`web_search_20250305`", ""},
    {"containers are refused", ANT, OAI,
     "{\"model\":\"m\",\"max_tokens\":5," HI ",\"container\":\"c\"}", -ERR_UNSUPPORTED,
     "field `container` cannot be carried to openai", ""},
    {"files by id are refused", ANT, OAI,
     "{\"model\":\"m\",\"max_tokens\":5,\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":"
     "\"image\",\"source\":{\"type\":\"file\",\"file_id\":\"f\"}}]}]}",
     -ERR_UNSUPPORTED, "file_id", ""},
};
