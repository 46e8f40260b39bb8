#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# What the documents say of the tree is so: folders, files and functions they name, links between them.

top=$BATS_TEST_DIRNAME/../..

setup() {
	cd "$top"
}

# The first column of the table whose head is $1, without backticks.
column() {
	awk -v head="| $1 " 'index($0, head) == 1 {on = 1; next} on && !/^\|/ {exit} on && !/^\|---/ {split($0, f, "`"); print f[2]}' "$2"
}

@test "ARCHITECTURE.md has a line for each folder, and none for what is gone" {
	diff <(column folder ARCHITECTURE.md | sort) \
		<({ ls -d builder/*/ | sed 's|/$||' && echo boards && echo configs && echo overlays && echo scripts && echo tests; } | sort)
}

@test "ARCHITECTURE.md lists the folders in the order of who may include whom" {
	awk '/^allowed=/ {on = 1; next} on && /^.$/ {exit} on {sub(/:.*/, ""); print}' scripts/check-layers | sort >"$BATS_TEST_TMPDIR/allowed"
	column folder ARCHITECTURE.md | sed -n 's|^builder/||p' | sort | diff "$BATS_TEST_TMPDIR/allowed" -
}

@test "docs/first-boot.md has a line for each step of first boot, with its bound" {
	local file
	diff <(for file in overlays/*/usr/lib/pibuild/steps/*.sh; do
		echo "$(basename "$file" .sh) $(($(sed -n 's/^# bound: //p' "$file") / 60)) min"
	done | sort) <(sed -n 's/^| `\([a-z0-9-]*\)` .*| \([0-9]* min\) |$/\1 \2/p' docs/first-boot.md | sort)
}

@test "files and functions that recipes and documents name are there" {
	local bad=0
	while read -r file name; do
		case $name in
		*'()') grep -rqE "\b${name%??}\(" builder overlays || { echo "$file: no function $name" && bad=1; } ;;
		*) [ -e "$name" ] || { echo "$file: no $name" && bad=1; } ;;
		esac
	done < <(for file in ARCHITECTURE.md CONTRIBUTING.md; do
		grep -oE '`(builder|boards|configs|overlays|scripts|tests|docs)/[A-Za-z0-9_./-]*`|`[a-z0-9_]+\(\)`' "$file" | tr -d '`' | sed "s|^|$file |"
	done)
	[ "$bad" -eq 0 ]
}

@test "the tests that docs/security.md names are there" {
	local bad=0
	while IFS=' ' read -r file name; do
		grep -qF -- "$name" "$file" || { echo "docs/security.md: no test '$name' in $file" && bad=1; }
	done < <(grep '^| .*`tests/' docs/security.md | grep -oE '`tests/[^|;]*' | sed 's/`//g; s/: / /; s/ *$//')
	[ "$bad" -eq 0 ]
	[ "$(grep -c '^| .*`tests/' docs/security.md)" -ge 20 ]
}

@test "what documents tell people to rotate, and the schemas they ask for, are there" {
	local bad=0 kinds
	"$PIBUILD" secrets rotate 2>"$BATS_TEST_TMPDIR/said" || true
	kinds=$(sed -n 's/^  \([a-z-]*\) .*/\1/p' "$BATS_TEST_TMPDIR/said")
	while read -r word; do
		grep -qxF -- "$word" <<<"$kinds" || { echo "secrets rotate $word" && bad=1; }
	done < <(grep -rhoE 'secrets rotate [a-z-]+' README.md docs/*.md overlays configs | cut -d ' ' -f 3)
	while read -r word; do
		"$PIBUILD" schema "$word" >"$BATS_TEST_TMPDIR/said" || { echo "schema $word" && bad=1; }
	done < <(grep -hoE 'pibuild schema [a-z-]+' README.md docs/*.md | cut -d ' ' -f 3)
	[ "$bad" -eq 0 ]
}

@test "links between documents lead somewhere" {
	local bad=0
	for file in ./*.md docs/*.md; do
		while read -r link; do
			[ -e "$(dirname "$file")/$link" ] || { echo "$file: $link" && bad=1; }
		done < <(grep -oE '\]\([^)#]+' "$file" | cut -c3- | grep -v ^https:)
	done
	[ "$bad" -eq 0 ]
}

@test "README's picture is made of what a first boot said, and all of it is in there" {
	scripts/session-picture docs/first-boot.session | cmp - docs/first-boot.svg
	grep -q '(docs/first-boot.svg)' README.md
	python3 - docs/first-boot.svg docs/first-boot.session <<-'EOT'
		import sys, xml.etree.ElementTree as tree
		drawn = " ".join("".join(text.itertext()) for text in tree.parse(sys.argv[1]).iter("{http://www.w3.org/2000/svg}text"))
		said = open(sys.argv[2], encoding="utf-8").read()
		assert drawn.split() == said.split(), (drawn.split(), said.split())
	EOT
}

@test "check-layers refuses files of one folder that need each other" {
	mkdir -p "$BATS_TEST_TMPDIR"/{scripts,builder/disk}
	cp scripts/check-layers "$BATS_TEST_TMPDIR/scripts"
	echo 'int disk_a(void) { return disk_b(); }' >"$BATS_TEST_TMPDIR/builder/disk/a.c"
	echo 'int disk_b(void) { return 0; }' >"$BATS_TEST_TMPDIR/builder/disk/b.c"
	"$BATS_TEST_TMPDIR/scripts/check-layers"
	echo '/* disk_a() is told of in a comment, "disk_a" in a text */ int disk_c(void) { return 0; }' >>"$BATS_TEST_TMPDIR/builder/disk/b.c"
	"$BATS_TEST_TMPDIR/scripts/check-layers"
	echo 'int disk_d(void) { return disk_a(); }' >>"$BATS_TEST_TMPDIR/builder/disk/b.c"
	run "$BATS_TEST_TMPDIR/scripts/check-layers"
	[ "$status" -eq 1 ]
	[[ $output == *"files of disk need each other"*"disk/a.c uses disk_b() of disk/b.c"*"disk/b.c uses disk_a() of disk/a.c"* ]]
}

@test "check-layers refuses a static function, and a tag, that another file has for something else" {
	mkdir -p "$BATS_TEST_TMPDIR"/{scripts,builder/{disk,base}}
	cp scripts/check-layers "$BATS_TEST_TMPDIR/scripts"
	echo 'static int find(void) { return 0; }' >"$BATS_TEST_TMPDIR/builder/disk/a.c"
	printf '%s\n' 'static VEC(int) list;' 'static int find_all(int (*find)(void)) { return find(); }' >"$BATS_TEST_TMPDIR/builder/base/b.c"
	"$BATS_TEST_TMPDIR/scripts/check-layers"
	echo '__attribute__((format(printf, 3, 0))) static void find(int n, const char *text,' >>"$BATS_TEST_TMPDIR/builder/base/b.c"
	run "$BATS_TEST_TMPDIR/scripts/check-layers"
	[ "$status" -eq 1 ]
	[[ $output == *"find() is static in "*"/disk/a.c"* ]]
	sed -i '$d' "$BATS_TEST_TMPDIR/builder/base/b.c"
	echo 'struct part { int n; };' >>"$BATS_TEST_TMPDIR/builder/disk/a.c"
	echo 'int size_of(const struct part *p);' >>"$BATS_TEST_TMPDIR/builder/base/b.c"
	"$BATS_TEST_TMPDIR/scripts/check-layers"
	echo 'enum part { FIRST };' >>"$BATS_TEST_TMPDIR/builder/base/b.c"
	run "$BATS_TEST_TMPDIR/scripts/check-layers"
	[ "$status" -eq 1 ]
	[[ $output == *" part is something in "*" and something else in "* ]]
}
