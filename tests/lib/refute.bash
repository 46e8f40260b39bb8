# SPDX-License-Identifier: Apache-2.0
# shellcheck shell=bash

# refute COMMAND...: it must fail. A bare `! COMMAND` that is not the last line of a test is never noticed.
refute() {
	! "$@"
}
