# SPDX-License-Identifier: MIT
"""Ratios and the table."""
import os
import platform
import statistics

SATURATED = 0.95  # of its core
NOISE = 0.05      # of the proxy's core taken by others: requests a second are not comparable

# name in "ratios": case, target, against what instead of nginx
RATIOS = {
    "h1_400_64": ("h1_400_64", "berth_h1"),
    "h2up_400_64": ("h1_400_64", "berth_h2"),
    "h1_8k": ("h1_8k_64", "berth_h1"),
    "h2up_8k": ("h1_8k_64", "berth_h2"),
    "h1_100k": ("h1_100k_64", "berth_h1"),
    "h1_1m": ("h1_1m_64", "berth_h1"),
    "h1_100k_mem": ("h1_100k_64", "berth_h1", "nginx_mem"),
    "h1_1m_mem": ("h1_1m_64", "berth_h1", "nginx_mem"),
    "h1_400_1000": ("h1_400_1000", "berth_h1"),
    "h2up_400_1000": ("h1_400_1000", "berth_h2"),
    "h2down_400_64": ("h2down_400_64", "berth_h1"),
    "h2both_400_64": ("h2down_400_64", "berth_h2"),
    "h2down_400_256": ("h2down_400_256", "berth_h1"),
    "h2both_400_256": ("h2down_400_256", "berth_h2"),
    "h2down_8k_64": ("h2down_8k_64", "berth_h1"),
}
# name: (least ratio)
BARS = {"h1_400_64": 1.15, "h2up_400_64": 1.6, "h1_8k": 1.1, "h1_100k": 0.9, "h1_1m": 1.4,
        "h2down_400_64": 2.0}


def per_core(sample, basis):
    if basis == "rps":
        own = sample["proxy_cpu_s"] - sample.get("upload_cpu_s", 0)
        return sample["rps"] * own / sample["proxy_cpu_s"]  # what was uploaded later counts, too
    return sample["requests"] / sample["proxy_cpu_s"]


def basis_of(nginx, berth):
    """Both saturate their core and had it for themselves: requests a second. Otherwise the generator or
    upstream was the limit: requests a CPU second of the proxy's processes."""
    alike = all(each["proxy_cpu"] >= SATURATED and each["foreign_cpu"] <= NOISE
                for each in (nginx, berth))
    return "rps" if alike else "cpu"


def ratios(results):
    """{"name": ratio}; and results["ratio_basis"], results["bars"]."""
    cases = {case["name"]: case["targets"] for case in results["cases"]}
    values, basis = {}, {}
    for name, (case, target, *against) in RATIOS.items():
        if case not in cases or target not in cases[case]:  # --quick, --only
            continue
        nginx, berth = cases[case][against[0] if against else "nginx"], cases[case][target]
        basis[name] = basis_of(nginx, berth)
        values[name] = round(per_core(berth, basis[name]) / per_core(nginx, basis[name]), 3)
    results["ratio_basis"] = basis
    results["bars"] = bars(values, cases, results["idle_rss_kib"])
    return values


def bars(values, cases, idle):
    rows = [{"what": f"{name} over nginx", "value": values[name], "bar": f">= {least}",
             "met": values[name] >= least} for name, least in BARS.items() if name in values]

    def at_most(what, value, limit, unit):
        rows.append({"what": what, "value": round(value, 2), "bar": f"<= {limit:.2f} {unit}",
                     "met": value <= limit})

    rate = cases.get("rate_400_3000")
    if rate:
        for name in ("berth_h1", "berth_h2"):
            at_most(f"p99 at 3,000 rps, {name}", rate[name]["latency_us"]["p99"],
                    rate["nginx"]["latency_us"]["p99"], "us (nginx)")
    for name in ("sse_1000", "sse_5000"):
        if name in cases:
            at_most(f"{name}: CPU a chunk", cases[name]["berth_sse"]["cpu_us"],
                    cases[name]["nginx"]["cpu_us"], "us (nginx)")
            at_most(f"{name}: RSS a stream", cases[name]["berth_sse"]["kib_per_stream"], 8, "KiB")
    for name, kib in idle.items():
        if name != "nginx":
            at_most(f"idle RSS, {'data plane' if name == 'berth' else 'control plane'}", kib / 1024,
                    25, "MiB")
    return rows


def percent(value):
    return f"{value * 100:.0f}"


def quartiles(samples):
    """The CPU us/request between which half of the rounds lie: how quiet the machine was."""
    values = [sample["cpu_us"] for sample in samples]
    if len(values) < 2 or not values[0]:
        return "-"
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return f"{low:.1f}-{high:.1f}"


def request_rows(case):
    nginx = case["targets"].get("nginx")
    lines = []
    for name, one in case["targets"].items():
        ratio = cpu_ratio = ""
        if nginx:
            ratio = f"{one['rps'] / nginx['rps']:.2f}"
            if one["proxy_cpu_s"] > 0:
                cpu_ratio = f"{nginx['cpu_us'] / one['cpu_us']:.2f}"
        own = one["proxy_cpu_s"] > 0
        lines.append(f"| {case['name']} | {name} | {one['rps']:,.0f} | {ratio} | "
                     f"{one['cpu_us']:.2f} | {quartiles(case['samples'][name])} | ".replace("| 0.00 |", "| - |") +
                     (f"{one['requests'] / one['proxy_cpu_s']:,.0f}" if own else "-") +
                     f" | {cpu_ratio or '-'} | {percent(one['proxy_cpu'])} | "
                     f"{percent(one['upstream_cpu'])} | {percent(one['generator_cpu'])} | "
                     f"{percent(one['control_cpu'])} | {percent(one['foreign_cpu'] if own else 0)} |")
    return lines


def markdown(results):
    cases = results["cases"]
    lines = [f"# {results['command']}: {results['seconds']} s, {os.cpu_count()} cores, "
             f"{platform.system()} {platform.release()}", "",
             "Proxy alone on CPU 0, generator, upstream and control plane on CPU 1; medians of "
             "interleaved rounds. CPU columns are percent of one core; `foreign` is what other "
             "programs took of the proxy's core.", ""]
    closed = [case for case in cases if case["kind"] in ("wrk", "h2")]
    if closed:
        lines += ["| case | target | requests/s | over nginx | CPU us/request | half of the rounds | "
                  "requests/CPU s | over nginx | proxy | upstream | generator | control | foreign |",
                  "|---|---|---|---|---|---|---|---|---|---|---|---|---|"]
        for case in closed:
            lines += request_rows(case)
        lines.append("")
    rate = [case for case in cases if case["kind"] == "rate"]
    if rate:
        lines += ["| fixed rate | target | p50 us | p90 | p99 | p99.9 | max | CPU us/request | "
                  "foreign % |", "|---|---|---|---|---|---|---|---|---|"]
        for case in rate:
            for name, one in case["targets"].items():
                values = " | ".join(f"{one['latency_us'][q]:.0f}"
                                    for q in ("p50", "p90", "p99", "p99.9", "max"))
                lines.append(f"| {case['rate']}/s, {case['size']} B | {name} | {values} | "
                             f"{one['cpu_us']:.1f} | {percent(one['foreign_cpu'])} |")
        lines.append("")
    streams = [case for case in cases if case["kind"] == "sse"]
    if streams:
        lines += ["| streams | target | chunks/s | CPU us/chunk | RSS KiB/stream | proxy % | "
                  "upstream % | foreign % |", "|---|---|---|---|---|---|---|---|"]
        for case in streams:
            for name, one in case["targets"].items():
                lines.append(f"| {case['streams']}, a chunk each {case['chunk_ms']} ms | {name} | "
                             f"{one['chunks_per_s']:,.0f} | {one['cpu_us']:.1f} | "
                             f"{one['kib_per_stream']:.1f} | {percent(one['proxy_cpu'])} | "
                             f"{percent(one['upstream_cpu'])} | {percent(one['foreign_cpu'])} |")
        lines.append("")
    lines += ["Idle RSS, MiB: " + ", ".join(f"{name} {kib / 1024:.1f}" for name, kib in
                                            results["idle_rss_kib"].items()), ""]
    if results.get("metered"):
        lines += [f"Metered: {results['metered']['in_ledger']:,} usage records in the ledger, "
                  f"{results['metered']['answered']:,} answers seen by the generators (the rest were "
                  "cut off when a round ended).", ""]
    lines += ["| bar | measured | wanted | |", "|---|---|---|---|"]
    for row in results["bars"]:
        lines.append(f"| {row['what']} | {row['value']} | {row['bar']} | "
                     f"{'met' if row['met'] else '**missed**'} |")
    by_cpu = [name for name, basis in results["ratio_basis"].items() if basis == "cpu"]
    if by_cpu:
        lines += ["", "By requests a CPU second of the proxy, because it (or nginx) did not have or "
                  "did not fill its core: " + ", ".join(by_cpu) + "."]
    return "\n".join(lines) + "\n"
