// The system calls a graded program may not make: starting processes or threads, sockets, memory that no
// limit counts, looking into other processes, changing the kernel's state. A classic BPF program for seccomp,
// made by hand.
#pragma once
#include <string>

namespace kakeya::acceptance {

// Bytes of a sock_filter array for this machine; empty where the architecture is not known (limits still
// hold).
std::string seccomp_filter();

}  // namespace kakeya::acceptance
