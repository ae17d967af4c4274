package publish_test

import (
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"testing"
	"time"
)

// started is Google's emulator, one for all tests of this package.
var started struct {
	sync.Mutex
	tried bool
	addr  string
	note  string
	stop  func()
}

func TestMain(m *testing.M) {
	code := m.Run()
	if started.stop != nil {
		started.stop()
	}
	os.Exit(code)
}

// emulator returns the address of Google's Pub/Sub emulator, empty where the
// Google Cloud SDK has none installed.
func emulator(t *testing.T) string {
	t.Helper()
	started.Lock()
	defer started.Unlock()
	if !started.tried {
		started.tried = true
		started.addr, started.note = start()
	}
	if started.addr == "" {
		t.Logf("without Google's emulator, against pstest only: %s", started.note)
	}
	return started.addr
}

func start() (addr, note string) {
	program := findEmulator()
	if program == "" {
		return "", "no cloud-pubsub-emulator in a Google Cloud SDK on this machine"
	}
	free, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err.Error()
	}
	addr = free.Addr().String()
	port := free.Addr().(*net.TCPAddr).Port
	free.Close()
	cmd := exec.Command(program, "--host=127.0.0.1", "--port="+strconv.Itoa(port))
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a script that starts java: they end together
	if err := cmd.Start(); err != nil {
		return "", err.Error()
	}
	started.stop = func() {
		_ = syscall.Kill(-cmd.Process.Pid, syscall.SIGKILL)
		_ = cmd.Wait()
	}
	for range 300 {
		if conn, err := net.DialTimeout("tcp", addr, time.Second); err == nil {
			conn.Close()
			return addr, ""
		}
		time.Sleep(100 * time.Millisecond)
	}
	return "", "cloud-pubsub-emulator did not start within 30 s"
}

// findEmulator looks in the SDK that gcloud belongs to, and where SDKs are put.
func findEmulator() string {
	roots := []string{"/usr/lib/google-cloud-sdk", "/opt/google-cloud-sdk", "/snap/google-cloud-sdk/current"}
	if home, err := os.UserHomeDir(); err == nil {
		roots = append(roots, filepath.Join(home, "google-cloud-sdk"))
	}
	if gcloud, err := exec.LookPath("gcloud"); err == nil {
		if real, err := filepath.EvalSymlinks(gcloud); err == nil {
			roots = append([]string{filepath.Dir(filepath.Dir(real))}, roots...)
		}
	}
	if _, err := exec.LookPath("java"); err != nil {
		return ""
	}
	for _, root := range roots {
		program := filepath.Join(root, "platform", "pubsub-emulator", "bin", "cloud-pubsub-emulator")
		if info, err := os.Stat(program); err == nil && !info.IsDir() {
			return program
		}
	}
	return ""
}
