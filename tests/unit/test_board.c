/* SPDX-License-Identifier: Apache-2.0 */
#include "board/board.h"

#include "check.h"

static const struct {
	const char *name, *base, *kernel;
	unsigned page_kib, bits;
	bool envoy;
} kernels[] = {
	{ "rpi3", "raspios", "kernel8.img", 4, 39, false },
	{ "rpi4", "raspios", "kernel8.img", 4, 39, false },
	{ "rpi400", "raspios", "kernel8.img", 4, 39, false },
	{ "cm4", "raspios", "kernel8.img", 4, 39, false },
	{ "zero2w", "raspios", "kernel8.img", 4, 39, false },
	{ "rpi5", "raspios", "kernel_2712.img", 16, 47, true },
	{ "rpi500", "raspios", "kernel_2712.img", 16, 47, true },
	{ "cm5", "raspios", "kernel_2712.img", 16, 47, true },
	{ "rpi4", "/home/me/own.img", "kernel8.img", 4, 39, false },
	{ "rpi4", "debian", "vmlinuz", 4, 48, true },
	{ "rpi3", "debian", "vmlinuz", 4, 48, true },
	{ "rpi5", "debian", NULL, 0, 0, false },
	{ "rpi500", "debian", NULL, 0, 0, false },
	{ "cm5", "debian", NULL, 0, 0, false },
	{ "virt", "raspios", "kernel8.img", 4, 48, true },
	{ "virt", "debian", "vmlinuz", 4, 48, true },
};

static void test_kernels(void)
{
	for (size_t i = 0; i < ARRAY_SIZE(kernels); i++) {
		CASE(arena_printf("the kernel of %s on %s", kernels[i].name, kernels[i].base))
		{
			const struct board_kernel *k;
			const struct board *b;
			struct err e = { 0 };

			CHECK_ERR(board_load(kernels[i].name, &b, &e), 0);
			k = board_kernel_for(b, kernels[i].base);
			CHECK(!k == !kernels[i].kernel);
			CHECK(board_runs_envoy(b, kernels[i].base) == kernels[i].envoy);
			if (!k)
				continue;
			CHECK_STR(k->file, kernels[i].kernel);
			CHECK_INT(k->page_kib, kernels[i].page_kib);
			CHECK_INT(k->address_bits, kernels[i].bits);
		}
	}
}

static bool has(const char *const *v, size_t n, const char *word)
{
	for (size_t i = 0; i < n; i++)
		if (streq(v[i], word))
			return true;
	return false;
}

static void test_all(void)
{
	const char *const *names = NULL;
	struct err e = { 0 };
	size_t n = 0;

	CASE("boards are sorted")
	{
		CHECK_ERR(board_names(&names, &n, &e), 0);
		CHECK(n > 1);
		for (size_t i = 1; i < n; i++)
			CHECK(strcmp(names[i - 1], names[i]) < 0);
	}
	for (size_t i = 0; i < n; i++) {
		CASE(arena_printf("%s turns the memory cgroup on and forces no kernel", names[i]))
		{
			const struct board *b;

			CHECK_ERR(board_load(names[i], &b, &e), 0);
			CHECK(b->external || has(b->cmdline.v, b->cmdline.n, "cgroup_enable=memory"));
			for (size_t k = 0; k < b->config_lines.n; k++)
				CHECK(!strstr(b->config_lines.v[k], "kernel="));
			for (size_t k = 1; k < b->memory.n; k++)
				CHECK(b->memory.v[k - 1] < b->memory.v[k]);
			CHECK(b->nic || b->wifi);
			CHECK(b->watchdog == starts_with(b->soc, "bcm"));
		}
	}
}

static void test_unknown(void)
{
	const struct board *b;
	struct err e = { 0 };

	CASE("an unknown board names the nearest and all there are")
	{
		CHECK(board_load("rpi55", &b, &e) < 0);
		CHECK(starts_with(e.msg, "there is no board 'rpi55'; did you mean rpi5? boards are "));
		CHECK_INT(e.class, CLASS_CONFIG);
	}
	CASE("a name never becomes a path")
	{
		CHECK(board_load("../configs/demo", &b, &e) < 0);
	}
}

static void test_interface(void)
{
	const struct node_config any = { 0 }, wired = { .interface = "eth1" }, wireless = { .interface = "wlan0" };
	const struct board *zero, *pi5;
	struct config c = { 0 };
	struct err e = { 0 };

	CASE("Wi-Fi carries boards without Ethernet, and all with interface: wlan0")
	{
		CHECK_ERR(board_load("zero2w", &zero, &e), 0);
		CHECK_ERR(board_load("rpi5", &pi5, &e), 0);
		c.network.interface = "eth0";
		c.network.wifi.ssid = "Home";
		CHECK_STR(board_lan_interface(zero, &c, &any), "wlan0");
		CHECK_STR(board_lan_interface(pi5, &c, &any), "eth0");
		c.network.vlan = 20;
		CHECK_STR(board_lan_interface(pi5, &c, &any), "eth0.20");
		c.network.interface = "wlan0";
		CHECK_STR(board_lan_interface(pi5, &c, &any), "wlan0");
		CHECK_STR(board_lan_interface(pi5, &c, &wired), "eth1.20");
		CHECK_STR(board_lan_interface(zero, &c, &wired), "eth1.20");
		c.network.interface = "eth0";
		CHECK_STR(board_lan_interface(pi5, &c, &wireless), "wlan0");
	}
}

int main(void)
{
	int r;

	setenv("PIBUILD_DATA", ".", 0);
	test_kernels();
	test_all();
	test_unknown();
	test_interface();
	r = check_done();
	arena_done();
	return r;
}
