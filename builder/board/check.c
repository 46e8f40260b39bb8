/* SPDX-License-Identifier: Apache-2.0 */
/* Cross-checks that need to know the hardware. */
#include "board/announce.h"

#include <fnmatch.h>

#include "base/log.h"
#include "board/memory.h"
#include "config/values.h"

#define MIN_SERVER (2 * GIB)
#define MIN_WORKER (512 * MIB)

struct board_machine {
	const struct node_config *node;
	const struct board *board;
	const char *key; /* "nodes[0]" */
};

struct board_check {
	const struct config *config;
	struct faults *faults;
	VEC(struct board_machine) machines; /* nodes whose board is known */
};

static const char *base_name(const struct config *c)
{
	return config_base_named(c->os.base) ? c->os.base : "your own base";
}

/* ---- one machine at a time ---- */

static void check_kernel(struct board_check *x, const struct board_machine *m)
{
	if (!board_kernel_for(m->board, x->config->os.base))
		fault_key(
			x->faults, x->config, arena_printf("%s.board", m->key),
			"%s.board: %s does not boot with os.base: %s, whose kernel does not know this board; use os.base: raspios, or another board",
			m->key, m->board->title, base_name(x->config));
}

static uint64_t machine_memory(const struct board_machine *m)
{
	return m->node->memory ? m->node->memory : board_max_memory(m->board);
}

static uint64_t machine_least_memory(const struct board_machine *m)
{
	return m->node->role == ROLE_CONTROL_PLANE ? MIN_SERVER : MIN_WORKER;
}

static void check_memory(struct board_check *x, const struct board_machine *m)
{
	uint64_t memory = machine_memory(m), least = machine_least_memory(m);
	const char *key = arena_printf("%s.%s", m->key, m->node->memory ? "memory" : "board");
	_cleanup_strbuf_ struct strbuf sizes = { 0 };
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];
	bool sold = false;

	vec_foreach (v, &m->board->memory) {
		strbuf_item(&sizes, ", ", size_text(*v, a));
		sold |= *v == memory;
	}
	if (!sold)
		fault_key(x->faults, x->config, key, "%s: %s is not made with %s of memory, but with %s", key,
			  m->board->title, size_text(memory, a), sizes.s);
	if (memory < least)
		fault_key(
			x->faults, x->config, key,
			"%s: a %s needs %s of memory, and this %s has %s%s; the kernel would kill K3s again and again",
			key, m->node->role == ROLE_CONTROL_PLANE ? "server" : "worker", size_text(least, a),
			m->board->title, m->node->memory ? "" : "at most ", size_text(memory, b));
}

/* What the kubelet keeps from pods, in bytes. EVICTION: the kubelet's own when nobody says another (its
 * apis/config/v1beta1 defaults_linux.go). */
static double kept_memory(const struct config *c, uint64_t memory)
{
	static const char *const fields[] = { "systemReserved", "kubeReserved" };
	const struct yaml_node *n = yaml_find(c->k3s.kubelet, "evictionHard");
	double sum = 100.0 * MIB, v;

	n = n ? yaml_get(n, "memory.available") : NULL;
	if (n && ends_with(str_or(n->text, ""), "%")) /* none counts from 100% on */
		sum = strtod(n->text, NULL) < 100 ? (double)memory * strtod(n->text, NULL) / 100 : 0;
	else if (n && value_quantity(str_or(n->text, ""), &v) == 0)
		sum = v;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		n = yaml_find(c->k3s.kubelet, arena_printf("%s.memory", fields[i]));
		if (n && value_quantity(str_or(n->text, ""), &v) == 0)
			sum += v;
	}
	return sum;
}

/* kubernetes/kubernetes pkg/kubelet/cm/node_container_manager_linux.go, validateNodeAllocatable(). */
static void check_kept_memory(struct board_check *x, const struct board_machine *m)
{
	const struct config *c = x->config;
	uint64_t memory = machine_memory(m);
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX];
	double kept;

	if (!c->k3s.kubelet || !memory)
		return;
	kept = kept_memory(c, memory);
	if (kept >= (double)memory && kept < 0x1p62)
		fault_key(
			x->faults, c, "k3s.kubelet",
			"k3s.kubelet: systemReserved, kubeReserved and evictionHard keep %s of memory from pods, and %s (%s) has %s%s: the kubelet ends there, and K3s with it, at every start; keep less",
			size_text((uint64_t)kept, a), str_or(m->node->name, m->key), m->board->title,
			m->node->memory ? "" : "at most ", size_text(memory, b));
}

/* The same for processors, of which every Raspberry Pi here has four. */
enum { PI_CORES = 4 };

static void check_kept_processors(struct board_check *x, const struct board_machine *m)
{
	static const char *const fields[] = { "systemReserved.cpu", "kubeReserved.cpu" };
	const struct config *c = x->config;
	double sum = 0, v;

	if (!c->k3s.kubelet || !starts_with(str_or(m->board->soc, ""), "bcm"))
		return;
	for (size_t i = 0; i < ARRAY_SIZE(fields); i++) {
		const struct yaml_node *n = yaml_find(c->k3s.kubelet, fields[i]);

		if (n && value_quantity(str_or(n->text, ""), &v) == 0)
			sum += v;
	}
	if (sum > PI_CORES)
		fault_key(
			x->faults, c, "k3s.kubelet",
			"k3s.kubelet: systemReserved and kubeReserved keep %g processors from pods, and %s (%s) has %d: the kubelet ends there, and K3s with it, at every start; keep less",
			sum, str_or(m->node->name, m->key), m->board->title, PI_CORES);
}

static void check_link(struct board_check *x, const struct board_machine *m)
{
	const struct config *c = x->config;
	const char *key = arena_printf("%s.board", m->key), *interface = config_interface(c, m->node);
	bool own = m->node->interface != NULL; /* an adapter at its USB port, for all anybody knows */

	if (!m->board->nic && !own && !c->network.wifi.ssid && !yaml_find(c->doc, "network.wifi"))
		fault_key(
			x->faults, c, key,
			"%s: %s has no Ethernet; add network.wifi with ssid, passphrase and country, or name the interface of its adapter: interface: eth0",
			key, m->board->title);
	else if (!m->board->wifi && interface_is_wifi(interface))
		fault_key(x->faults, c, key, "%s: %s has no Wi-Fi, and %s is %s", key, m->board->title,
			  own ? arena_printf("%s.interface", m->key) : "network.interface", interface);
}

/* What the drivers take: macb of a Pi 5's RP1 has jumbo frames (drivers/net/ethernet/cadence/macb_main.c,
 * raspberrypi_rp1_config); genet of a Pi 4 none in a release (raspberrypi/linux issue 5561), smsc95xx of a Pi 3 none
 * ("hw max 1500", issue 2660), brcmfmac none. */
enum { ETHERNET_MTU = 1500 };

static void check_frames(struct board_check *x, const struct board_machine *m)
{
	const struct config *c = x->config;
	unsigned mtu = c->network.mtu;

	if (mtu <= ETHERNET_MTU)
		return;
	if (interface_is_wifi(board_lan_interface(m->board, c, m->node)))
		fault_key(
			x->faults, c, "network.mtu",
			"network.mtu: %s is on Wi-Fi, whose frames hold %d at most, and every node of the LAN has to use the same; set %d or less",
			str_or(m->node->name, m->key), ETHERNET_MTU, ETHERNET_MTU);
	else if (!m->node->interface && !streq(m->board->soc, "bcm2712") && !streq(m->board->soc, "virt"))
		note_key(
			x->faults, c, "network.mtu",
			"network.mtu: the Ethernet of %s (%s) takes no more than %d with the kernels that are out, and the first-boot report says so when it stays there; nodes that do not agree lose large packets",
			str_or(m->node->name, m->key), m->board->title, ETHERNET_MTU);
}

/* Of boot, or of the node's own. */
static const char *boot_key(const struct board_check *x, const struct board_machine *m, const char *key)
{
	const char *own = arena_printf("%s.boot.%s", m->key, key);

	return yaml_get(config_node(x->config, arena_printf("%s.boot", m->key)), key) ? own
										      : arena_printf("boot.%s", key);
}

static bool has_line(const struct boot_config *boot, const char *start)
{
	vec_foreach (line, &boot->config)
		if (starts_with(*line, start))
			return true;
	return false;
}

/* arm64's COMMAND_LINE_SIZE is 2048, of which base and device tree have their part. */
enum { CMDLINE_LIMIT = 1024 };

static void check_boot(struct board_check *x, const struct board_machine *m)
{
	const struct config *c = x->config;
	const struct boot_config boot = config_node_boot(c, m->node);
	const char *name = str_or(m->node->name, m->key), *key = boot_key(x, m, "wifi");
	size_t length = 0;

	if (boot.wifi == STATE_OFF && interface_is_wifi(board_lan_interface(m->board, c, m->node)))
		fault_key(
			x->faults, c, key,
			"%s: %s has its address on Wi-Fi, and would be cut off; remove this, or give nodes[].interface",
			key, name);
	vec_foreach (word, &boot.cmdline)
		length += strlen(*word) + 1;
	if (m->node->boot.eeprom.n && !m->board->eeprom)
		fault_key(x->faults, c, arena_printf("%s.boot.eeprom", m->key),
			  "%s.boot.eeprom: %s has no bootloader that its own system may set; remove this", m->key,
			  m->board->title);
	key = boot_key(x, m, "cmdline");
	if (length > CMDLINE_LIMIT)
		fault_key(x->faults, c, key,
			  "%s: the words for %s have %zu characters together, and the kernel has room for some %d", key,
			  name, length, CMDLINE_LIMIT);
}

/* The first Raspberry Pi OS whose kernel looks for a stalled port itself: it has 6.18.34, the one before 6.12.75, and
 * raspberrypi/linux pull 7340 went into rpi-6.18.y on 2026-05-08 (cilium/cilium issue 43198). */
static const char macb_watched[] = "2026-06-18";

static void check_port_stalls(struct board_check *x)
{
	const char *date = NULL;

	vec_foreach (v, &x->config->versions)
		if (streq(v->name, "raspios"))
			date = v->version;
	if (!date || strcmp(date, macb_watched) >= 0 || !streq(x->config->os.base, "raspios"))
		return;
	vec_foreach (m, &x->machines) {
		if (!streq(m->board->soc, "bcm2712"))
			continue;
		note_key(
			x->faults, x->config, "versions.raspios",
			"versions.raspios: the network port of %s can stop sending for good with the kernel of %s, and the first that looks after it is that of %s (raspberrypi/linux issue 7339)%s",
			m->board->title, date, macb_watched,
			x->config->os.network_watchdog == NETWORK_WATCHDOG_AUTO
				? "; until then os.networkWatchdog takes the link down and up"
				: "; os.networkWatchdog: auto would take the link down and up");
		return;
	}
}

/* Its own system is its owner's, and only agents join by a script. */
static void check_external(struct board_check *x, const struct board_machine *m)
{
	const struct {
		bool given;
		const char *key, *words;
	} rows[] = {
		{ m->node->role == ROLE_CONTROL_PLANE, "role", "a server has a card: external machines are workers" },
		{ m->node->arch == ARCH_UNKNOWN, "board",
		  "say which programs it runs: arch: amd64, or arch: arm64, as `uname -m` on it says (x86_64 is amd64)" },
		{ m->node->packages.n > 0, "packages", "install them there; pibuild changes nothing of its system" },
		{ m->node->data.device != NULL, "data", "mount a disk there; pibuild changes nothing of its system" },
		{ m->node->boot.config.n || m->node->boot.cmdline.n || m->node->boot.eeprom.n, "boot",
		  "it starts without a card of pibuild's; remove this" },
	};

	for (size_t i = 0; i < ARRAY_SIZE(rows); i++) {
		const char *key = arena_printf("%s.%s", m->key, rows[i].key);

		if (rows[i].given)
			fault_key(x->faults, x->config, key, "%s: %s is external: %s", key, str_or(m->node->name, "it"),
				  rows[i].words);
	}
}

static void check_arch(struct board_check *x, const struct board_machine *m)
{
	const char *key = arena_printf("%s.arch", m->key);

	if (m->node->arch == ARCH_AMD64)
		fault_key(x->faults, x->config, key,
			  "%s: %s is arm64, as all boards are; amd64 goes with board: external", key, m->board->title);
}

static void check_data_disk(struct board_check *x, const struct board_machine *m)
{
	const char *key = arena_printf("%s.data.device", m->key);

	if (m->node->data.device && streq(m->node->data.device, "nvme") && !m->board->pcie)
		fault_key(x->faults, x->config, key,
			  "%s: %s has no PCIe, so there is no NVMe disk; use usb for one in an enclosure", key,
			  m->board->title);
}

static void check_machines(struct board_check *x)
{
	vec_foreach (m, &x->machines) {
		if (m->board->external) {
			check_external(x, m);
			continue;
		}
		check_arch(x, m);
		check_kernel(x, m);
		check_memory(x, m);
		check_kept_memory(x, m);
		check_kept_processors(x, m);
		check_link(x, m);
		check_frames(x, m);
		check_boot(x, m);
		check_data_disk(x, m);
	}
}

/* ---- the cluster as a whole ---- */

/* Names that no port of a Pi has. raspi-firmware, too, boots with net.ifnames=0. */
static const struct strange_interface {
	const char *pattern, *why;
	bool by_base; /* WHY goes on behind the name of the base */
} strange_interfaces[] = {
	{ "en*", " calls the Ethernet of every board eth0", true },
	{ "wl[!a]*", " calls the Wi-Fi of every board wlan0", true },
	{ "*.+([0-9])", "network.vlan makes the interface of a VLAN, upon the one that is named here", false },
	{ "@(br|bridge|bond|team|virbr|docker|veth|tun|tap|wg|dummy|lxc|cni|cilium|flannel|kube|tailscale)*([-_0-9]*)",
	  "a node's address goes onto a port of the board, eth0 say, and nothing makes bridges, bonds and tunnels before",
	  false },
	{ "@(any|auto|none|eth|ethernet|wifi|[A-Z]*)", "the ports of a Pi are called eth0, eth1, wlan0", false },
};

static void fault_interface_name(struct board_check *x, const char *key, const char *name)
{
	const char *base = streq(x->config->os.base, "debian") ? "the Debian of os.base" : "Raspberry Pi OS";

	for (size_t i = 0; i < ARRAY_SIZE(strange_interfaces); i++) {
		const struct strange_interface *s = &strange_interfaces[i];

		if (fnmatch(s->pattern, name, FNM_EXTMATCH) != 0)
			continue;
		fault_key(x->faults, x->config, key, "%s: %s%s, so %s would never come up", key, s->by_base ? base : "",
			  s->why, name);
		return;
	}
}

static void check_interface_name(struct board_check *x)
{
	fault_interface_name(x, "network.interface", x->config->network.interface);
	vec_foreach (m, &x->machines)
		if (m->node->interface && !m->board->external)
			fault_interface_name(x, arena_printf("%s.interface", m->key), m->node->interface);
}

static void check_unused_wifi(struct board_check *x)
{
	const struct config *c = x->config;

	if (!c->network.wifi.ssid || !x->machines.n)
		return;
	vec_foreach (m, &x->machines)
		if (interface_is_wifi(board_lan_interface(m->board, c, m->node)))
			return;
	note_key(
		x->faults, c, "network.wifi",
		"network.wifi: every node has Ethernet and uses it; for Wi-Fi on all nodes set network.interface: wlan0");
}

static void check_gpu_memory(struct board_check *x)
{
	vec_foreach (m, &x->machines) {
		const struct boot_config boot = config_node_boot(x->config, m->node);

		if (!streq(m->board->soc, "bcm2712") || !has_line(&boot, "gpu_mem"))
			continue;
		note_key(x->faults, x->config, boot_key(x, m, "config"),
			 "%s: gpu_mem does nothing on %s: a Pi 5 gives its GPU what it asks for",
			 boot_key(x, m, "config"), str_or(m->node->name, m->key));
		return;
	}
}

/* One that stands in boot or os is told of once, whatever nodes it is for. */
static bool setting_is_known(const struct memory_settings *known, const struct memory_setting *s)
{
	vec_foreach (k, &known->list)
		if (streq(k->key, s->key) && streq(k->text, s->text))
			return true;
	return false;
}

static void check_memory_settings(struct board_check *x)
{
	struct memory_settings told = { 0 };
	char a[SIZE_TEXT_MAX], b[SIZE_TEXT_MAX], d[SIZE_TEXT_MAX];

	vec_foreach (m, &x->machines) {
		uint64_t memory = machine_memory(m), least = machine_least_memory(m);
		struct memory_settings settings = { 0 };

		if (!m->board->external && memory >= least)
			settings = board_memory_settings(x->config, m->node, m->key, m->board, memory);
		vec_foreach (s, &settings.list) {
			if (s->left >= (s->by_gpu ? least - least / 4 : least) || setting_is_known(&told, s))
				continue;
			*vec_push(&told.list) = *s;
			fault_key(
				x->faults, x->config, s->key,
				"%s: %s leaves %s (%s) %s of %s%s of memory, and a %s needs %s; the kernel would kill K3s again and again: take it away",
				s->key, s->text, str_or(m->node->name, m->key), m->board->title, size_text(s->left, a),
				m->node->memory ? "" : "at most ", size_text(memory, b),
				m->node->role == ROLE_CONTROL_PLANE ? "server" : "worker", size_text(least, d));
		}
	}
}

/* "usb-storage.quirks" of "usb-storage.quirks=152d:0578:u": a module's parameter, of which the kernel takes the last
 * alone; NULL for other words, some of which may well stand there twice. */
static const char *module_parameter(const char *word)
{
	size_t n = strcspn(word, "=");

	return word[n] && memchr(word, '.', n) ? arena_strndup(word, n) : NULL;
}

static void check_repeated_words(struct board_check *x)
{
	vec_foreach (m, &x->machines) {
		const struct boot_config boot = config_node_boot(x->config, m->node);

		for (size_t i = 0; i < boot.cmdline.n; i++) {
			const char *word = boot.cmdline.v[i], *name = module_parameter(word);

			for (size_t j = i + 1; name && j < boot.cmdline.n; j++) {
				const char *later = boot.cmdline.v[j];

				if (!streq(str_or(module_parameter(later), ""), name) || streq(word, later))
					continue;
				note_key(
					x->faults, x->config, boot_key(x, m, "cmdline"),
					"%s: %s stands there twice for %s, and the kernel takes the last one alone, %s: make one word of them, such as %s,%s, if it takes a list",
					boot_key(x, m, "cmdline"), name, str_or(m->node->name, m->key), later, word,
					later + strlen(name) + 1);
				return;
			}
		}
	}
}

/* Of all nodes: those without are passed over, but some board has to have it. */
static void check_eeprom(struct board_check *x)
{
	if (!x->config->boot.eeprom.n || !x->machines.n)
		return;
	vec_foreach (m, &x->machines)
		if (m->board->eeprom)
			return;
	fault_key(x->faults, x->config, "boot.eeprom",
		  "boot.eeprom: no board of this file has a bootloader that its own system may set; remove this");
}

static const struct board_machine *machine_on(const struct board_check *x, const char *interface)
{
	vec_foreach (m, &x->machines)
		if (streq(interface, board_lan_interface(m->board, x->config, m->node)))
			return m;
	return NULL;
}

/* One whose address is on a VLAN of that interface, or NULL. */
static const struct board_machine *machine_above(const struct board_check *x, const char *interface)
{
	const struct config *c = x->config;

	vec_foreach (m, &x->machines)
		if (c->network.vlan && streq(interface, config_interface(c, m->node)) &&
		    !streq(interface, board_lan_interface(m->board, c, m->node)))
			return m;
	return NULL;
}

/* An interface that was asked for, and that no announcing node has its address on. */
static void fault_announce_interface(struct board_check *x, const char *name, const char *key)
{
	const struct config *c = x->config;
	const struct board_machine *first = &x->machines.v[0], *owner = machine_on(x, name),
				   *above = machine_above(x, name);

	if (above)
		fault_key(
			x->faults, c, key,
			"%s: %s carries no address, because network.vlan: %u puts it on %s; nobody would answer for service addresses: write %s",
			key, name, c->network.vlan, config_lan_interface(c, above->node),
			config_lan_interface(c, above->node));
	else if (owner)
		fault_key(
			x->faults, c, key,
			"%s: %s is only on %s, a server, and loadBalancer.announce.nodes: %s lets the workers answer; set nodes: all, or remove %s",
			key, name, str_or(owner->node->name, "one"), announce_names[c->lb.nodes], name);
	else
		fault_key(
			x->faults, c, key,
			"%s: no node has %s (%s is on %s), so nobody would answer for service addresses; write the interface of your nodes, or remove interfaces",
			key, name, str_or(first->node->name, "the first"),
			board_lan_interface(first->board, c, first->node));
}

static bool announces_on(const struct announcers *a, const char *interface)
{
	vec_foreach (i, &a->list)
		if (streq(i->interface, interface))
			return true;
	return false;
}

static void note_announce_wifi(struct board_check *x, const struct announcers *a)
{
	_cleanup_strbuf_ struct strbuf names = { 0 };

	vec_foreach (i, &a->list)
		if (interface_is_wifi(i->interface))
			strbuf_item(&names, ", ", str_or(i->node->name, "a node"));
	if (names.n)
		note_key(
			x->faults, x->config, "loadBalancer",
			"loadBalancer: service addresses are answered for over Wi-Fi (%s): wlan0 is set to promiscuous mode there, without which a Pi's Wi-Fi answers for its own address alone; some access points drop such answers all the same, a node on Ethernet is surer",
			names.s);
}

static void check_announce(struct board_check *x)
{
	const struct config *c = x->config;
	VEC(const struct board *) boards = { 0 };
	struct announcers a;

	if (!config_uses_arp(c) || c->lb.nodes == ANNOUNCE_COUNT || !c->nodes.n || x->machines.n != c->nodes.n)
		return;
	vec_foreach (m, &x->machines)
		*vec_push(&boards) = m->board;
	a = board_announcers(c, boards.v);
	for (size_t i = 0; i < c->lb.interfaces.n; i++) {
		const char *name = c->lb.interfaces.v[i]; /* a wrong name has its own fault */

		if (name && !announces_on(&a, name))
			fault_announce_interface(x, name, arena_printf("loadBalancer.announce.interfaces[%zu]", i));
	}
	/* A wrong role has its own fault. */
	if (!config_announce_roles(c) && !config_count_role(c, ROLE_COUNT))
		fault_key(
			x->faults, c, "loadBalancer.announce.nodes",
			"loadBalancer.announce.nodes: there is no worker, so no node would ever answer for a service address, and nothing would report it; use auto or all");
	note_announce_wifi(x, &a);
}

/* The first node whose kernel has too few address bits, or NULL. */
static const struct board_machine *without_envoy(const struct board_check *x)
{
	vec_foreach (m, &x->machines)
		if (board_kernel_for(m->board, x->config->os.base) && !board_runs_envoy(m->board, x->config->os.base))
			return m;
	return NULL;
}

/* os.base is one for all: Debian is a cure only when every board boots it. */
static bool debian_cures(const struct board_check *x)
{
	vec_foreach (m, &x->machines)
		if (!board_runs_envoy(m->board, "debian"))
			return false;
	return true;
}

static void envoy_feature(struct board_check *x, const struct board_machine *m, const char *key, enum tristate state)
{
	const struct board_kernel *k = board_kernel_for(m->board, x->config->os.base);
	const char *cure = debian_cures(x) ? "set os.base: debian, or " : "";

	if (state == STATE_ON)
		fault_key(
			x->faults, x->config, key,
			"%s: Envoy would crash on %s: %s boots %s with %u address bits, and Envoy needs more; %sset %s: false",
			key, str_or(m->node->name, "a node"), m->board->title, k->file, k->address_bits, cure, key);
}

static void check_envoy(struct board_check *x)
{
	const struct config *c = x->config;
	const struct board_machine *m = without_envoy(x);
	bool ingress = c->cilium.ingress == STATE_AUTO, gateway = c->cilium.gateway_api == STATE_AUTO;

	if (!m)
		return;
	envoy_feature(x, m, "cilium.ingress", c->cilium.ingress);
	envoy_feature(x, m, "cilium.gatewayAPI", c->cilium.gateway_api);
	if (c->gateway.enabled && gateway)
		fault_key(
			x->faults, c, "gateway",
			"gateway: Envoy, which would serve it, crashes on %s: %s boots %s with %u address bits, and Envoy needs more; %sremove gateway",
			str_or(m->node->name, "a node"), m->board->title, board_kernel_for(m->board, c->os.base)->file,
			board_kernel_for(m->board, c->os.base)->address_bits,
			debian_cures(x) ? "set os.base: debian, or " : "");
	if (ingress || gateway)
		note_key(x->faults, c, "cilium",
			 "cilium: %s off, because Envoy does not run on %s (%s, %u address bits)%s",
			 ingress && gateway ? "ingress and Gateway API stay"
			 : ingress	    ? "ingress stays"
					    : "Gateway API stays",
			 str_or(m->node->name, "a node"), m->board->title,
			 board_kernel_for(m->board, c->os.base)->address_bits,
			 debian_cures(x) ? "; with os.base: debian it does" : "");
}

/* BGP's password is a signature of TCP's packets (RFC 2385). Kernels of Raspberry Pi OS are built without: it has
 * CONFIG_TCP_MD5SIG in neither of arch/arm64/configs/bcm2711_defconfig and bcm2712_defconfig (raspberrypi/linux), and
 * its packages are made of those (RPi-Distro/linux-packaging debian/bin/rpi/genconfigs). Debian's have it. The kernel
 * of somebody's own base says so itself at first boot (preflight). */
static void check_signing(struct board_check *x)
{
	static const char key[] = "loadBalancer.announce.bgp.password";
	const struct config *c = x->config;
	_cleanup_strbuf_ struct strbuf names = { 0 };

	if (!config_signs_bgp(c) || !streq(c->os.base, "raspios"))
		return;
	vec_foreach (m, &x->machines)
		if (config_speaks_bgp(c, m->node) && !m->board->external && !streq(m->board->soc, "virt"))
			strbuf_item(&names, ", ", str_or(m->node->name, "a node"));
	if (names.n)
		note_key(
			x->faults, c, key,
			"%s: with it no session of %s comes up: kernels of Raspberry Pi OS are built without what signs packets (CONFIG_TCP_MD5SIG); leave it out, here and on the router%s",
			key, names.s, debian_cures(x) ? ", or set os.base: debian" : "");
}

static void check_load_boards(struct board_check *x)
{
	vec_foreach (n, &x->config->nodes) {
		struct board_machine m = { .node = n };
		struct err e = { 0 };

		m.key = arena_printf("nodes[%zu]", (size_t)(n - x->config->nodes.v));
		if (!n->board)
			continue;
		if (board_load(n->board, &m.board, &e) == 0)
			*vec_push(&x->machines) = m;
		else
			fault_key_failed(x->faults, x->config, arena_printf("%s.board", m.key), &e);
	}
}

static const struct {
	const char *name;
	void (*run)(struct board_check *x);
} checks[] = {
	{ "boards", check_load_boards },
	{ "machines", check_machines },
	{ "interface name", check_interface_name },
	{ "unused Wi-Fi", check_unused_wifi },
	{ "stalls of the port", check_port_stalls },
	{ "GPU memory", check_gpu_memory },
	{ "settings that take memory", check_memory_settings },
	{ "words of cmdline.txt that stand there twice", check_repeated_words },
	{ "EEPROM", check_eeprom },
	{ "announcing interfaces", check_announce },
	{ "Envoy", check_envoy },
	{ "signed BGP", check_signing },
};

void cluster_check(const struct config *c, const struct cluster_versions *v, struct faults *f)
{
	struct board_check x = { .config = c, .faults = f };

	config_check(c, v, f);
	for (size_t i = 0; i < ARRAY_SIZE(checks); i++) {
		log_debug("check: %s", checks[i].name);
		checks[i].run(&x);
	}
}
