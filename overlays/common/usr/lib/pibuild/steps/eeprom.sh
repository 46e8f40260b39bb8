# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=sh disable=SC2154,SC2034
#
# title: The bootloader is set as cluster.yaml says
# bound: 600
#
# /etc/pibuild/eeprom holds "KEY=VALUE" of each setting of boot.eeprom. The bootloader's own settings are read; where they
# differ they are set by rpi-eeprom-config, the tool of the base, and the machine is restarted, once. Nothing here holds
# K3s back: what cannot be done is a note.
#
# Power may go at any time: before the tool is done nothing has begun, and this step begins anew; afterwards the next
# start brings the settings into force, and they are found to be right. Only then is it known that they were taken, or
# were not: `eeprom.tried` says that they have been set, so that a board that does not take them is not restarted again.

wanted=$etc/eeprom tried=$stamps/eeprom.tried

# differs: one of the wanted settings is not in force, or also there for a condition ([...]) with another value
differs() {
	while IFS='=' read -r key value; do
		[ "$(printf '%s\n' "$current" | grep "^$key=")" = "$key=$value" ] || return 0
	done <"$wanted"
	return 1
}

# The digit that the medium of the root file system has in BOOT_ORDER; empty when it is none of them.
own_medium() {
	case $(findmnt -no SOURCE "$root/") in
	/dev/mmcblk*) printf '1\n' ;;
	/dev/sd*) printf '4\n' ;;
	/dev/nvme*) printf '6\n' ;;
	esac
}

# boots_from_here: the wanted order has the medium that this system runs from
boots_from_here() {
	order=$(sed -n 's/^BOOT_ORDER=0x//p' "$wanted")
	[ -n "$order" ] || return 0
	medium=$(own_medium)
	case $order in
	*"${medium:-none}"*) return 0 ;;
	esac
	return 1
}

# older_image: the tool would put an older bootloader there than the board has
older_image() {
	has=$(od -A n -t x1 "$proc/device-tree/chosen/bootloader/build-timestamp" 2>/dev/null | tr -d ' \n')
	brings=$(strings "$(rpi-eeprom-update -l)" 2>/dev/null | sed -n 's/^BUILD_TIMESTAMP=//p')
	[ -n "$has" ] && [ -n "$brings" ] && [ $((0x$has)) -gt "$brings" ]
}

# The settings in force, with the wanted ones in their places; what is under a condition goes.
merged() {
	printf '%s\n' "$current" | LC_ALL=C awk -F = '
		FNR == NR { want[$1] = 1; lines = lines $0 "\n"; next }
		!($1 in want) { print }
		/^\[/ { section = $0 }
		END { if (section != "" && section != "[all]") print "[all]"; printf "%s", lines }' "$wanted" -
}

set_bootloader() {
	merged >"$run/eeprom.conf" &&
		timeout 300 rpi-eeprom-config --apply "$run/eeprom.conf" >"$run/log/eeprom" 2>&1
}

# settle: 0 when the bootloader is set as wanted, else 1 with `why`
settle() {
	for file in rpi-eeprom-config rpi-eeprom-update; do
		command -v "$file" >/dev/null || {
			why "the base has no $file" "Use a base with the package rpi-eeprom, as Raspberry Pi OS is"
			return 1
		}
	done
	current=$(timeout 60 rpi-eeprom-config 2>"$run/log/eeprom") || {
		why "its settings cannot be read: $(tail -n 1 "$run/log/eeprom")" "Look what it says: sudo rpi-eeprom-config"
		return 1
	}
	differs || {
		rm -f "$tried"
		return 0
	}
	boots_from_here || {
		why "BOOT_ORDER lacks the medium that this system runs from" "Add it to BOOT_ORDER of cluster.yaml: sd, usb or nvme"
		return 1
	}
	digest=$(sha256sum <"$wanted")
	if [ -r "$tried" ] && [ "$(cat "$tried")" = "$digest" ]; then
		why "the board did not take the settings after a restart" "Look what it says: sudo rpi-eeprom-update"
		return 1
	fi
	if older_image; then
		why "the board's bootloader is newer than that of the base's package" "Update the package, and restart: sudo apt-get install --only-upgrade rpi-eeprom"
		return 1
	fi
	set_bootloader || {
		why "$(tail -n 1 "$run/log/eeprom")" "All it says is in $run/log/eeprom"
		return 1
	}
	printf '%s\n' "$digest" | keep "$tried" 2>"$run/log/eeprom" || {
		why "it takes the settings at the next start; no restart is made for it, since the card cannot be written: $(tail -n 1 "$run/log/eeprom")" \
			"Look what fills the card: df -h / and du -xhd1 /var; one that is read-only is worn out, flash a new one"
		return 1
	}
	show running "The bootloader was set; this machine restarts once"
	systemctl reboot && sleep infinity
	why "it takes the settings at the next start, and the restart failed" "Restart it: sudo systemctl reboot"
	return 1
}

finished() {
	unnote eeprom
	settle || note eeprom "The bootloader was not set as boot.eeprom says: $cause" "$cure"
	why ''
	return 0
}
