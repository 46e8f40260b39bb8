#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Same inputs, same bytes; the cache is used, and heals.

load ../lib/image

setup_file() {
	cd "$BATS_FILE_TMPDIR"
	write_cluster
	build -o out >/dev/null
	# An input, as it is called.
	mkdir locks
	sandbox -- bash -c 'cp "$PIBUILD_LOCK" locks/pibuild.lock'
}

setup() {
	cd "$BATS_FILE_TMPDIR"
}

# On another base with `make test-repeat`.
if [ -n "${REPEAT_BASE:-}" ]; then
	sandbox() {
		own_sandbox --base "$REPEAT_BASE" "$@"
	}
fi

# again DIR: the same cluster in another folder, with the first one's secrets.
again() {
	mkdir -p "$1"
	cp cluster.yaml secrets.yaml "$1/"
}

# same_images DIR: the images and all that stands beside them.
same_images() {
	diff -r out "$1"
}

@test "another folder with spaces, another time zone and locale: the same bytes" {
	again "a folder/with spaces"
	cd "a folder/with spaces"
	(TZ=Asia/Tokyo LC_ALL=C CACHE=$PWD/"my cache" build -o "the out" >/dev/null)
	cd "$BATS_FILE_TMPDIR"
	same_images "a folder/with spaces/the out"
}

@test "diffoscope finds no difference to that build" {
	run diffoscope --exclude-directory-metadata=recursive out "a folder/with spaces/the out"
	[ "$status" = 0 ]
	[ -z "$output" ]
}

@test "a path of 200 characters and umasks 000, 022 and 077: the same bytes" {
	local mask long
	long=$(printf 'x%.0s' {1..200})
	for mask in 000 022 077; do
		again "$long/$mask"
		(cd "$long/$mask" && umask $mask && TZ=America/St_Johns CACHE=$PWD/cache build -o out >/dev/null)
		same_images "$long/$mask/out"
		[ "$(stat -c %a "$long/$mask/out/cp-1.img")" = 600 ]
		rm -rf "$long"
	done
}

@test "a plain user without loop devices builds the same bytes" {
	[ "$(id -u)" -eq 0 ] || skip "needs root to become another user"
	dir=$(mktemp -d /tmp/pibuild-test.XXXXXX)
	again "$dir"
	mkdir "$dir/cache" && cp -r cache/objects "$dir/cache/"
	cp locks/pibuild.lock "$PIBUILD" "$dir/"
	cp -r "$top/boards" "$top/configs" "$top/overlays" "$dir/"
	chown -R nobody "$dir"
	# A mount namespace with a bare /dev, as a container has.
	unshare -m bash -c '
		mount -t tmpfs none /mnt && ln -s /proc/self/fd /mnt/fd
		for d in null urandom random zero full tty; do touch /mnt/$d; mount --bind /dev/$d /mnt/$d; done
		mount --move /mnt /dev && ! ls /dev/loop* 2>/dev/null
		cd "$0" && exec setpriv --reuid=65534 --regid=65534 --clear-groups env HOME="$0" PIBUILD_DATA="$0" \
			PIBUILD_LOCK=pibuild.lock ./pibuild --offline --progress none --cache cache -o out' "$dir" >/dev/null
	same_images "$dir/out"
	rm -rf "$dir"
}

@test "a clock ten years on or ten years back changes nothing" {
	command -v faketime >/dev/null || skip "faketime is not installed"
	for shift in +3650d -3650d; do
		again "clock$shift"
		mkdir "clock$shift/cache" && cp -r cache/objects "clock$shift/cache/"
		(cd "clock$shift" && PIBUILD_LOCK=../locks/pibuild.lock at_clock "$shift" "$PIBUILD" --offline --progress none --cache cache -o out >/dev/null)
		same_images "clock$shift/out"
	done
}

# many DIR: nine workers more.
many() {
	again "$1"
	for i in {2..9}; do
		echo "  - {name: w-$i, role: worker, board: rpi5, address: 192.168.1.2$i/24}" >>"$1/cluster.yaml"
	done
}

@test "nodes that are made together are the bytes that each is alone" {
	many together
	cd together
	build >/dev/null
	build --node w-7 -o alone >/dev/null
	for file in alone/*; do
		cmp "$file" "out/${file##*/}"
	done
	[ "$(find out -name '*.img' | wc -l)" -eq 10 ]
}

@test "of several nodes that fail, the first is told" {
	many failing
	cd failing
	build --node w-1 >/dev/null
	mkdir out/{w-4,w-6,w-8}.img
	for _ in {1..3}; do
		fails 5 'w-4: ' build
		[[ "$output" != *w-6* ]]
		[ ! -e out/w-9.img ]
		find out -name 'w-[2-9].*' -type f -delete
	done
	[ -z "$(find out -name '.*.part')" ]
}

@test "one processor gives the same bytes as two, cold" {
	again single
	cd single
	sandbox -- taskset -c 0 "$PIBUILD" --progress none --cache "$PWD/cache" -o out >/dev/null
	cd ..
	same_images single/out
}

@test "SOURCE_DATE_EPOCH decides the time of what is written" {
	again dated
	cd dated
	SOURCE_DATE_EPOCH=1600000000 build -o out --node w-1 >/dev/null
	on_root out/w-1.img stat /etc/hostname | grep -q 'mtime: 0x5f5e1000'
}

@test "a SOURCE_DATE_EPOCH that is no number is refused" {
	SOURCE_DATE_EPOCH=yesterday fails 2 "SOURCE_DATE_EPOCH is 'yesterday'" "$PIBUILD" plan
}

@test "a second build downloads nothing" {
	own_sandbox --base "${REPEAT_BASE:-tiny}" -- bash -c '"$0" --progress none --cache cache -o out2 >/dev/null && [ ! -s "$PIBUILD_SANDBOX/access.log" ]' "$PIBUILD"
	same_images out2
}

@test "a second build works offline" {
	"$PIBUILD" --help >/dev/null
	build --offline -o out3 >/dev/null
	same_images out3
}

@test "a cold cache offline lists all that is missing at once" {
	run sandbox -- "$PIBUILD" --offline --cache none -o out4
	[ "$status" -ne 0 ]
	for name in raspios k3s cilium-cli hubble-cli helm cilium-chart gateway-api; do
		[[ "$output" == *$name* ]]
	done
	[ ! -e out4/cp-1.img ]
}

@test "--node builds that node only" {
	build --node w-1 -o one >/dev/null
	[ "$(ls one/*.img)" = one/w-1.img ]
	cmp one/w-1.img out/w-1.img
}

@test "--role control-plane builds the servers" {
	build --role control-plane -o servers >/dev/null
	[ "$(ls servers/*.img)" = servers/cp-1.img ]
}

@test "an unknown --node is a usage error that names the nearest" {
	fails 2 "has no node 'cp-l'; did you mean cp-1?" "$PIBUILD" --node cp-l
}

@test "a damaged download in the cache is found, thrown away, and fetched anew" {
	cp -r --sparse=always cache damaged
	rm -rf damaged/layers
	k3s=$(sandbox -- "$PIBUILD" plan --json | jq -r '.artifacts[] | select(.name == "k3s").sha256')
	object=damaged/objects/${k3s:0:2}/$k3s
	[ -f "$object" ]
	chmod u+w "$object"
	printf 'X' | dd of="$object" bs=1 seek=100 conv=notrunc status=none
	CACHE=damaged fails 4 'is damaged' build --offline -o out5
	[ ! -e out5/cp-1.img ]
	[ ! -e "$object" ]
	CACHE=damaged build -o out5 >/dev/null
	same_images out5
}

@test "a damaged base in the cache is found and thrown away" {
	cp -r --sparse=always cache damaged-base
	rm -rf damaged-base/layers
	base=$(sandbox -- "$PIBUILD" plan --json | jq -r '.artifacts[] | select(.name == "raspios").sha256')
	object=damaged-base/objects/${base:0:2}/$base
	chmod u+w "$object"
	printf 'X' | dd of="$object" bs=1 seek=300000 conv=notrunc status=none
	CACHE=damaged-base fails 4 'the damaged copy was thrown away' build --offline -o out6
	[ ! -e out6/cp-1.img ]
	[ ! -e "$object" ]
	CACHE=damaged-base build -o out6 >/dev/null
	same_images out6
}

@test "a layer that is not the one its record speaks of is made again" {
	cp -r --sparse=always cache torn
	for layer in torn/layers/*.img; do truncate -s 1M "$layer"; done
	CACHE=torn build -o out7 >/dev/null
	same_images out7
}

@test "killed at 25 moments, nothing stands under a final name that is not whole, and the next run completes" {
	again killed
	cd killed
	for i in $(seq 25); do
		rm -rf cache/layers out
		sandbox -- timeout -s KILL "0.$(printf '%02d' $((i * 3)))" "$PIBUILD" --progress none --cache cache -o out >/dev/null 2>&1 || true
		for img in out/*.img; do
			[ ! -e "$img" ] || cmp "$img" "../out/${img##*/}"
		done
		for object in cache/objects/*/*; do
			[ ! -e "$object" ] || [ "$(sha256sum <"$object" | cut -d' ' -f1)" = "${object##*/}" ]
		done
	done
	build -o out >/dev/null
	cd ..
	same_images killed/out
	# What the killed runs left is gone.
	[ -z "$(find killed/out killed/cache/layers -name '.*.part')" ]
}

@test "Ctrl-C ends with 130 and leaves no image" {
	again stopped
	cd stopped
	# Stopped while the base is being decoded: that its file is there says that it has begun.
	run sandbox -- bash -c '"$@" & pid=$!
		until ls cache/layers/.*.part; do sleep 0.01; done >/dev/null 2>&1
		kill -INT $pid; wait $pid' _ env --default-signal=INT "$PIBUILD" --progress none --cache cache -o out
	[ "$status" -eq 130 ]
	[[ "$output" == *interrupted* ]]
	[ ! -e out/cp-1.img ]
	[ -z "$(find out cache/layers -name '.*.part' 2>/dev/null)" ]
}

@test "Ctrl-C ends a run that waits for another's layer" {
	again waiting
	cd waiting
	build --node w-1 >/dev/null
	rm cache/layers/*.img
	for lock in cache/layers/*.lock; do
		(flock 9 && exec sleep 100) 9>"$lock" 3>&- &
		holders+=($!)
	done
	run sandbox -- bash -c '"$@" 2>err & pid=$!
		until grep -q "waiting for it" err; do sleep 0.05; done
		kill -INT $pid; wait $pid' _ env --default-signal=INT timeout --foreground 60 "$PIBUILD" --progress none --cache cache --node w-1
	kill "${holders[@]}"
	[ "$status" -eq 130 ]
}

@test "two builds at once on one cache both end well with the same bytes" {
	again first
	again second
	(cd first && CACHE=../shared-cache build -o out >/dev/null) &
	(cd second && CACHE=../shared-cache build -o out >/dev/null)
	wait $!
	same_images first/out
	same_images second/out
}
