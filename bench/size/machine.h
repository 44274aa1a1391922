/* What the machine allows this process. */
#ifndef ANTPOOL_SIZE_MACHINE_H
#define ANTPOOL_SIZE_MACHINE_H

struct machine {
    double cores;      /* by the affinity mask and the quota of the cgroup (v1 or v2); may be 0.5 */
    const char *cores_by; /* "affinity mask", "cgroup quota" or "machine" */
    double nproc;      /* RLIMIT_NPROC, soft; INFINITY: none, or not enforced (root, CAP_SYS_RESOURCE or
                        * CAP_SYS_ADMIN, unless in a user namespace) */
    double nproc_used; /* threads of this user, as far as /proc shows them */
    double pids_max, pids_current; /* of the cgroup and those above it, the tightest; INFINITY and 0: none */
    double threads_max, pid_max; /* kernel.threads-max, kernel.pid_max: threads of the whole system */
    double map_count;  /* vm.max_map_count: mappings; a thread takes two, its stack and its guard page */
    double nofile;     /* RLIMIT_NOFILE, soft */
    double memory;     /* bytes: the cgroup's limit, or what the machine has */
};

/* root: "" for the running system; a test gives a folder that holds proc/ and sys/fs/cgroup/ (the
 * affinity mask, the user and the RLIMITs stay those of the process). What is missing or cannot
 * be understood is INFINITY: no limit. */
struct machine machine_look(const char *root);

#endif
