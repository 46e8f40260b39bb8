# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash
make_bootable() { die "the bootable base is not there yet"; }
