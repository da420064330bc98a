/* Copyright: Contributors to the patchbay.netdev project
 * GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
 * SPDX-License-Identifier: GPL-3.0-or-later
 *
 * A ptrace() that sets the whole register state of a process, preloaded into linux.uml.
 *
 * User-mode Linux 6.1 saves and restores the first 2,688 bytes of that state (arch/x86/um/os-Linux/registers.c). The kernel refuses to
 * set less than the processor has (EFAULT, xstateregs_set in arch/x86/kernel/fpu/regset.c), which is 11,008 bytes with AMX, and user-mode
 * Linux stops with "ptrace set fp regs failed". This function therefore adds the rest of the current state.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <elf.h>
#include <stdarg.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>

long ptrace(enum __ptrace_request request, ...) {
  static long (*next)(int, ...);
  static char state[1 << 16];
  va_list arguments;
  va_start(arguments, request);
  int process = va_arg(arguments, int);
  void *set = va_arg(arguments, void *);
  struct iovec *part = va_arg(arguments, void *);
  va_end(arguments);
  if (!next)
    next = dlsym(RTLD_NEXT, "ptrace");
  struct iovec whole = {state, sizeof state};
  if (request == PTRACE_SETREGSET && (long)set == NT_X86_XSTATE && next(PTRACE_GETREGSET, process, set, &whole) == 0 &&
      part->iov_len < whole.iov_len) {
    memcpy(state, part->iov_base, part->iov_len);
    return next(request, process, set, &whole);
  }
  return next(request, process, set, part);
}
