#!/usr/bin/env bash
# SPDX-License-Identifier: MIT
# Paths: nothing of the machine that it was written on, and no key, goes into the repository.
# Usage: paths.sh SOURCE_DIR [BUILD_DIR]. Exit 0 clean, 1 findings.
set -euo pipefail
cd "$1"
findings=0
mapfile -t files < <({ git ls-files -co --exclude-standard 2>/dev/null ||
  find . -name .git -prune -o -type f -print | sed 's|^\./||'; } | grep -v '/node_modules/' | sort -u |
  while IFS= read -r file; do [[ ! -f $file ]] || echo "$file"; done)

say() {
  echo "$1: $2"
  findings=$((findings + 1))
}

# look PATTERN WHAT [EXCEPT]: every line with PATTERN and without EXCEPT is a finding.
look() {
  while IFS=: read -r file line text; do
    [[ $file != tools/check/paths.sh ]] || continue
    if [[ -n ${3:-} ]] && grep -qiE -e "$3" <<<"$text"; then
      continue
    fi
    say "$file:$line" "$2"
  done < <(printf '%s\0' "${files[@]}" | xargs -0 -r grep -nHIE -e "$1" -- 2>/dev/null || true)
}

look '(^|[^A-Za-z0-9_.-])/wor[k]/' "a path of one machine: write it from the root of the project"
look '(^|[^A-Za-z0-9_.-])/(home|Users)/[A-Za-z0-9_.-]+' \
  "somebody's home folder: write it from the root of the project, or use \$HOME" \
  '/home/(nonroot|node|user|berth|alice|bob|container)([/"'\'' ]|$)'
look '(^|[^A-Za-z0-9_.-])/root/' "root's home folder: write it from the root, or use \$HOME"
look '127\.0\.0\.53' "one machine's resolver: read /etc/resolv.conf"
look 'BEGIN ([A-Z]+ )?PRIVATE KEY' "a private key: make one when the test runs" 'regex|pattern|strstr|STR\('
look '(sk-(proj|ant|or)-|sk_live_|ghp_|github_pat_|xox[bp]-|AKIA|AIza)[A-Za-z0-9_-]{24,}' \
  "looks like a real key: revoke it, and use a made-up one" 'test|example|fake|dummy|x{8}|0{8}|1234'
look '^[[:space:]]*(export )?[A-Z0-9_]*(API_KEY|SECRET|PASSWORD|_TOKEN)=["'\'']?[A-Za-z0-9_+/-]{24,}' \
  "looks like a secret in an environment file: keep it out" 'test|example|fake|dummy|x{8}|0{8}'
for file in "${files[@]}"; do
  case ${file##*/} in
  .env.example | .env.sample) ;;
  .env | .env.*) say "$file:1" "an environment file: remove it and add it to .gitignore" ;;
  id_rsa | id_ed25519 | *.p12 | *.pfx) say "$file:1" "a private key: remove it" ;;
  esac
done
echo "paths: ${#files[@]} files, $findings findings"
((findings == 0))
