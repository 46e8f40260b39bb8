# SPDX-License-Identifier: Apache-2.0
"""One NetworkManager keyfile as libnm reads it, which is what NetworkManager itself reads it with: JSON on stdout.

usage: keyfile.py FILE      Ends with 1 when libnm refuses the file or warns about it.
"""
import json
import sys

try:
    import gi

    gi.require_version("NM", "1.0")
    from gi.repository import GLib, NM
except (ImportError, ValueError) as e:
    sys.exit(f"keyfile.py: {e}. Run scripts/deps")

warnings = []


def handle(keyfile, connection, kind, data, *rest):
    if kind == NM.KeyfileHandlerType.WARN:
        warnings.append(data.warn_get()[0])
    return False


def addresses(ip):
    return [f"{a.get_address()}/{a.get_prefix()}" for a in (ip.get_address(i) for i in range(ip.get_num_addresses()))]


def ip_config(ip):
    return {
        "method": ip.get_method(),
        "addresses": addresses(ip),
        "gateway": ip.get_gateway(),
        "dns": [ip.get_dns(i) for i in range(ip.get_num_dns())],
        "ignoreAutoDNS": ip.get_ignore_auto_dns(),
        "searches": [ip.get_dns_search(i) for i in range(ip.get_num_dns_searches())],
        "mayFail": ip.get_may_fail(),
    }


keyfile = GLib.KeyFile()
keyfile.load_from_file(sys.argv[1], GLib.KeyFileFlags.NONE)
connection = NM.keyfile_read(keyfile, "/", NM.KeyfileHandlerFlags.NONE, handle, None)
connection.normalize()  # the daemon does too: an [ethernet] without keys need not be there
connection.verify_secrets()
about = connection.get_setting_connection()
out = {
    "id": about.get_id(),
    "uuid": about.get_uuid(),
    "type": about.get_connection_type(),
    "interface": about.get_interface_name(),
    "autoconnect": about.get_autoconnect(),
    "retries": about.get_autoconnect_retries(),
    "ipv4": ip_config(connection.get_setting_ip4_config()),
    "ipv6": ip_config(connection.get_setting_ip6_config()),
}
vlan, wifi = connection.get_setting_vlan(), connection.get_setting_wireless()
if vlan:
    out["vlan"] = {"parent": vlan.get_parent(), "id": vlan.get_id()}
if wifi:
    security = connection.get_setting_wireless_security()
    out["wifi"] = {
        "ssid": wifi.get_ssid().get_data().decode(),
        "mode": wifi.get_mode(),
        "keyMgmt": security.get_key_mgmt(),
        "psk": security.get_psk(),
        "powersave": wifi.get_powersave(),
        "hidden": wifi.get_hidden(),
        "mtu": wifi.get_mtu(),
    }
wired = connection.get_setting_wired()
if wired:
    out["mtu"] = wired.get_mtu()
# Keys nobody knows are ignored in silence: what is written must be what libnm would write.
again = NM.keyfile_write(connection, NM.KeyfileHandlerFlags.NONE, None, None)
for group in keyfile.get_groups()[0]:
    for key in keyfile.get_keys(group)[0]:
        try:
            known = again.get_value(group, key)
        except GLib.Error:
            known = None
        if known is None:
            warnings.append(f"[{group}] {key}: libnm does not know this key or takes its value for the default")
json.dump(out, sys.stdout, ensure_ascii=False)
print()
if warnings:
    sys.exit("\n".join(warnings))
