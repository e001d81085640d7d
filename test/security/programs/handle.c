/* handle make FILE: prints the file's handle. handle open HANDLE: opens it through every file system that is seen here, and prints what is in
   the file, whoever's it is (the "shocker" of 2014). */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *ANCHORS[] = {"/", "/etc/hosts", "/etc/resolv.conf", "/etc/hostname", "/data"};

int main(int count, char **words) {
  struct { struct file_handle handle; unsigned char bytes[MAX_HANDLE_SZ]; } one = {.handle.handle_bytes = MAX_HANDLE_SZ};
  if (count != 3) return 2;
  if (strcmp(words[1], "make") == 0) {
    int mount;
    if (name_to_handle_at(AT_FDCWD, words[2], &one.handle, &mount, 0) != 0) return perror("name_to_handle_at"), 1;
    printf("%d:", one.handle.handle_type);
    for (unsigned at = 0; at < one.handle.handle_bytes; at++) printf("%02x", one.bytes[at]);
    puts("");
    return 0;
  }
  char *hex = strchr(words[2], ':');
  if (hex == NULL || strlen(++hex) > 2 * MAX_HANDLE_SZ) return 2;
  one.handle.handle_type = atoi(words[2]);
  one.handle.handle_bytes = strlen(hex) / 2;
  for (unsigned at = 0; at < one.handle.handle_bytes; at++) sscanf(hex + 2 * at, "%2hhx", &one.bytes[at]);
  for (size_t at = 0; at < sizeof ANCHORS / sizeof *ANCHORS; at++) {
    int anchor = open(ANCHORS[at], O_RDONLY), file;
    if (anchor < 0 || (file = open_by_handle_at(anchor, &one.handle, O_RDONLY)) < 0) {
      printf("%s: %s\n", ANCHORS[at], strerror(errno));
      continue;
    }
    char bytes[4096];
    ssize_t got = read(file, bytes, sizeof bytes);
    if (got > 0) printf("%.*s\n", (int)got, bytes);
  }
  return 0;
}
