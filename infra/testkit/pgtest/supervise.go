package pgtest

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"syscall"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

// The supervisor waits until it can lock the users' file alone, which is when
// the last test process has ended, however it ended. It gives the next package
// of the same run a moment, then stops the server while it holds the lock, so
// that a newcomer waits until that is done. Only one of them lives at a time.
const shell = `
exec 8>"$1/supervisor.lock" 9>"$1/users.lock"
flock -n 8 || exit 0
while :; do
	flock 9
	flock -u 9
	sleep 3 8>&- 9>&-
	flock -n 9 && break
done
read -r pid < "$2/postmaster.pid" && kill -INT "$pid"
n=0
while [ -e "$2/postmaster.pid" ] && [ $n -lt 200 ]; do
	sleep 0.1 8>&- 9>&-
	n=$((n + 1))
done
`

// The same for systems without flock(1), such as macOS, which have Perl.
const perl = `
use Fcntl ':flock';
my ($dir, $data) = @ARGV;
open(my $one, '>', "$dir/supervisor.lock") or exit 1;
flock($one, LOCK_EX | LOCK_NB) or exit 0;
open(my $users, '+>>', "$dir/users.lock") or exit 1;
while (1) {
	flock($users, LOCK_EX);
	flock($users, LOCK_UN);
	sleep 3;
	last if flock($users, LOCK_EX | LOCK_NB);
}
open(my $pid, '<', "$data/postmaster.pid") or exit 0;
kill 'INT', int(<$pid>);
for (my $n = 0; -e "$data/postmaster.pid" && $n < 200; $n++) { select(undef, undef, undef, 0.1) }
`

// supervise starts a supervisor; one that finds another at work ends at once,
// so that a supervisor that was killed is replaced by the next test process.
func supervise(dir string, c *cluster.Cluster) error {
	data := filepath.Join(c.Home(), "data")
	var cmd *exec.Cmd
	if _, err := exec.LookPath("flock"); err == nil {
		cmd = exec.Command("sh", "-c", shell, "pgtest", dir, data)
	} else if _, err := exec.LookPath("perl"); err == nil {
		cmd = exec.Command("perl", "-e", perl, dir, data)
	} else {
		return nil // the server stays until the next run, which finds it
	}
	cmd.Dir = "/"
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true} // a Ctrl-C ends the tests, not this
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the test cluster's supervisor: %w", err)
	}
	go func() { _ = cmd.Wait() }()
	return nil
}
