/* peek PID: attaches to a process and prints what stands on its stack behind "SECRET=", which is its environment. */
#define _GNU_SOURCE
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static int find_stack(pid_t pid, unsigned long *from, unsigned long *to) {
  char line[512];
  snprintf(line, sizeof line, "/proc/%d/maps", pid);
  FILE *maps = fopen(line, "r");
  int found = 0;
  while (maps != NULL && !found && fgets(line, sizeof line, maps) != NULL)
    found = strstr(line, "[stack]") != NULL && sscanf(line, "%lx-%lx", from, to) == 2;
  if (maps != NULL) fclose(maps);
  return found;
}

int main(int count, char **words) {
  pid_t pid = count == 2 ? atoi(words[1]) : 0;
  if (pid <= 0) return 2;
  if (ptrace(PTRACE_ATTACH, pid, NULL, NULL) != 0) return perror("ptrace"), 1;
  waitpid(pid, NULL, __WALL);
  unsigned long from, to;
  static char stack[1 << 20];
  size_t held = 0;
  if (find_stack(pid, &from, &to))
    for (unsigned long at = from; at < to && held + sizeof(long) < sizeof stack; at += sizeof(long), held += sizeof(long)) {
      errno = 0;
      long word = ptrace(PTRACE_PEEKDATA, pid, (void *)at, NULL);
      if (errno != 0) break;
      memcpy(stack + held, &word, sizeof word);
    }
  ptrace(PTRACE_DETACH, pid, NULL, NULL);
  char *found = memmem(stack, held, "SECRET=", 7);
  if (found != NULL) puts(found);
  return found == NULL;
}
