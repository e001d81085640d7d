/* talk path|abstract NAME [REQUEST]: connects to a unix socket, says the request, and prints what is answered. Abstract names cross every
   mount namespace within one network namespace (CVE-2020-15257). */
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

int main(int count, char **words) {
  if (count < 3) return 2;
  struct sockaddr_un address = {.sun_family = AF_UNIX};
  size_t abstract = strcmp(words[1], "abstract") == 0, length = strlen(words[2]);
  if (length + abstract >= sizeof address.sun_path) return 2;
  memcpy(address.sun_path + abstract, words[2], length);
  int connection = socket(AF_UNIX, SOCK_STREAM, 0);
  socklen_t size = offsetof(struct sockaddr_un, sun_path) + abstract + length;
  if (connection < 0 || connect(connection, (struct sockaddr *)&address, size) != 0) return perror("connect"), 1;
  if (count > 3 && write(connection, words[3], strlen(words[3])) < 0) return perror("write"), 1;
  char bytes[4096];
  for (ssize_t got; (got = read(connection, bytes, sizeof bytes)) > 0;)
    if (write(1, bytes, got) < 0) return 1;
  return 0;
}
