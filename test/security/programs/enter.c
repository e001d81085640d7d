/* enter PID: a runtime as careless as those of 2018: it enters a container from outside and runs there what is asked for, /proc/self/exe, which
   is its own file on the host. The control of overwrite.c. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int count, char **words) {
  if (strcmp(words[0], "inside") == 0) return usleep(300000);
  char path[64];
  int spaces[2];
  for (int at = 0; at < 2; at++) {
    snprintf(path, sizeof path, "/proc/%s/ns/%s", count > 1 ? words[1] : "self", at == 0 ? "pid" : "mnt");
    if ((spaces[at] = open(path, O_RDONLY | O_CLOEXEC)) < 0) return perror(path), 1;
  }
  for (int at = 0; at < 2; at++)
    if (setns(spaces[at], 0) != 0) return perror("setns"), 1;
  pid_t child = fork();
  if (child == 0) {
    for (int capability = 0; capability < 64; capability++) prctl(PR_CAPBSET_DROP, capability);
    execl("/proc/self/exe", "inside", NULL);
    _exit(127);
  }
  int status = 1;
  waitpid(child, &status, 0);
  return status != 0;
}
