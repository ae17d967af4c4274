package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/geminivideo/geminivideo/infra/testkit/pgtest"
)

// TestGooglesEmulatorTakesTheQueuesPlace runs where the Google Cloud SDK has the
// emulator; elsewhere there is nothing to prove.
func TestGooglesEmulatorTakesTheQueuesPlace(t *testing.T) {
	t.Parallel()
	program, ok := findEmulator()
	if !ok {
		t.Log("no cloud-pubsub-emulator on this machine")
		return
	}
	host := startEmulator(t, program)
	dir := t.TempDir()
	database := pgtest.Empty(t).AdminURL
	// The second start finds the subscriptions there, and gives them its address.
	for n := 1; n <= 2; n++ {
		p := launchWith(t, []string{"PUBSUB_EMULATOR_HOST=" + host}, "-addr", anyPort, "-db", database, "-data", dir, "-demo=false").ready(dir)
		p.want(200, "POST", "/_local/hubspot/control/portals/"+p.env["PORTAL_ID"]+"/deals", "",
			`{"name": "d", "stage": "appointmentscheduled", "amount": "100.00"}`)
		p.eventually(fmt.Sprintf("%d deals are in the ledger", n), func() bool {
			return query[int](p, "ADMIN_DATABASE_URL", `SELECT count(*) FROM gv.deals`) == n
		})
		p.end(syscall.SIGTERM)
	}
}

func findEmulator() (string, bool) {
	const name = "cloud-pubsub-emulator"
	if path, err := exec.LookPath(name); err == nil {
		return path, true
	}
	home, _ := os.UserHomeDir()
	for _, sdk := range []string{os.Getenv("CLOUDSDK_ROOT_DIR"), "/usr/lib/google-cloud-sdk", "/opt/google-cloud-sdk", filepath.Join(home, "google-cloud-sdk")} {
		path := filepath.Join(sdk, "platform", "pubsub-emulator", "bin", name)
		if _, err := os.Stat(path); err == nil {
			return path, true
		}
	}
	return "", false
}

// startEmulator starts one; it is a shell script that starts Java, so its whole group ends.
func startEmulator(t *testing.T, program string) string {
	t.Helper()
	port, err := freePort()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(program, "--host=127.0.0.1", "--port="+port)
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	})
	address := net.JoinHostPort("127.0.0.1", port)
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(100 * time.Millisecond) {
		conn, err := net.Dial("tcp", address)
		if err == nil {
			conn.Close()
			return address
		}
		if time.Now().After(deadline) {
			t.Fatalf("the emulator does not answer: %v", err)
		}
	}
}
