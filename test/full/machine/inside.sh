#!/bin/sh
# Run inside the emulated Debian machine by its checks.service: installs the product from the second disk as a user would, and
# tries what only such a host has. Speaks to the host in lines: `# word` is told, `ok TITLE` and `FAILED TITLE` are verdicts.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin HOME=/root LC_ALL=C NO_COLOR=1
checks=/product/test/full/machine
. "$checks/words.sh"

tell "kernel $(uname -r), $(systemctl --version | head -1), $(crun --version | head -1), node $(/product/node_modules/.bin/node --version)"
tell "security modules: $(cat /sys/kernel/security/lsm); $(findmnt -n -o FSTYPE,OPTIONS /sys/fs/cgroup)"

# A checkout that can be written, as a user's can.
mkdir -p /scratch/upper /scratch/work /src
mount -t overlay -o lowerdir=/product,upperdir=/scratch/upper,workdir=/scratch/work overlay /src
cd /src || exit 1
for part in install guards escapes limits network conformance restart removal; do
  case " $(cat /product/parts 2>/dev/null || echo all) " in
    *" all "* | *" $part "*) . "$checks/$part.sh" ;;
  esac
done
tell "end of checks"
