/* bomb processes N: every process forks until N live or none can be made. bomb memory MIB: touches so much. Prints how far it came. */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static int processes(int most) {
  volatile int *live = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  pid_t first = getpid();
  for (int failures = 0; *live < most && failures < 50;) {
    pid_t child = fork();
    if (child < 0) failures++, usleep(10000);
    else if (child == 0) __sync_fetch_and_add(live, 1);
  }
  if (getpid() != first) pause();
  sleep(1);
  printf("made %d\n", *live);
  return 0;
}

static int memory(size_t mib) {
  setvbuf(stdout, NULL, _IONBF, 0);
  for (size_t at = 0; at < mib; at++) {
    char *block = malloc(1 << 20);
    if (block == NULL) return 1;
    for (size_t byte = 0; byte < 1 << 20; byte += 64) block[byte] = (char)(at + byte + 1);
  }
  printf("made %zu\n", mib);
  return 0;
}

int main(int count, char **words) {
  if (count != 3) return 2;
  return strcmp(words[1], "memory") == 0 ? memory(atoi(words[2])) : processes(atoi(words[2]));
}
