/* SPDX-License-Identifier: GPL-2.0 */
/* What several of the guest's programs need. */
#ifndef UTIL_H
#define UTIL_H

#include <errno.h>
#include <stdbool.h>
#include <string.h>

#include "kselftest.h"

/* Whether something holds, with a line in the log if it does not. */
#define CHECK(cond) ({							\
	bool ok_ = (cond);						\
	if (!ok_)							\
		ksft_print_msg("line %d: %s: errno %d (%s)\n",		\
			       __LINE__, #cond, errno, strerror(errno)); \
	ok_; })

#endif /* UTIL_H */
