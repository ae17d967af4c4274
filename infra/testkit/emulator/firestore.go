// Package emulator starts Google's Firestore emulator where the Google Cloud SDK has it.
package emulator

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"syscall"
	"time"
)

// ErrAbsent is returned where this machine has no Firestore emulator.
var ErrAbsent = errors.New("there is no Firestore emulator: install it with `gcloud components install cloud-firestore-emulator` or the package google-cloud-cli-firestore-emulator, and Java")

// Firestore is a running emulator.
type Firestore struct {
	addr  string
	cmd   *exec.Cmd
	stdin io.Closer
	rules string
	ended chan struct{}
}

// jar returns the emulator's program, or "".
func jar() string {
	home, _ := os.UserHomeDir()
	roots := []string{
		os.Getenv("CLOUDSDK_ROOT_DIR"), "/usr/lib/google-cloud-sdk", "/opt/google-cloud-sdk",
		filepath.Join(home, "google-cloud-sdk"),
	}
	if gcloud, err := exec.LookPath("gcloud"); err == nil {
		if file, err := filepath.EvalSymlinks(gcloud); err == nil {
			roots = append(roots, filepath.Dir(filepath.Dir(file)))
		}
	}
	for _, root := range roots {
		path := filepath.Join(root, "platform", "cloud-firestore-emulator", "cloud-firestore-emulator.jar")
		if info, err := os.Stat(path); root != "" && err == nil && info.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// start runs the emulator until its standard input ends: it ends with its parent, even
// where that is killed.
const start = `exec 3<&0; "$@" </dev/null & child=$!; (cat <&3 >/dev/null; kill -9 $child) & wait $child`

// StartFirestore starts an emulator with security rules. It answers a little later: see
// Ready.
func StartFirestore(rules string) (*Firestore, error) {
	program, java := jar(), os.Getenv("JAVA")
	if java == "" {
		java = "java"
	}
	if _, err := exec.LookPath(java); err != nil || program == "" {
		return nil, ErrAbsent
	}
	file, err := os.CreateTemp("", "firestore-*.rules")
	if err != nil {
		return nil, err
	}
	if _, err = file.WriteString(rules); err == nil {
		err = file.Close()
	}
	if err != nil {
		return nil, err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	port := l.Addr().(*net.TCPAddr).Port
	if err := l.Close(); err != nil {
		return nil, err
	}
	f := &Firestore{addr: net.JoinHostPort("127.0.0.1", strconv.Itoa(port)), rules: file.Name(), ended: make(chan struct{})}
	f.cmd = exec.Command("sh", "-c", start, "sh", java, "-Duser.language=en", "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", program,
		"com.google.cloud.datastore.emulator.firestore.CloudFirestore", "start", "--host", "127.0.0.1", "--port", strconv.Itoa(port), "--rules", file.Name())
	f.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true} // a Ctrl-C is for its parent
	if f.stdin, err = f.cmd.StdinPipe(); err != nil {
		return nil, err
	}
	if err := f.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start the Firestore emulator: %w", err)
	}
	go func() {
		_ = f.cmd.Wait()
		close(f.ended)
	}()
	return f, nil
}

// Addr is the emulator's host:port, for FIRESTORE_EMULATOR_HOST.
func (f *Firestore) Addr() string { return f.addr }

// Ready waits until the emulator answers, which takes some seconds.
func (f *Firestore) Ready(ctx context.Context) error {
	for {
		r, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+f.addr+"/", nil)
		if err != nil {
			return err
		}
		if answer, err := http.DefaultClient.Do(r); err == nil {
			return answer.Body.Close()
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("the Firestore emulator does not answer: %w", ctx.Err())
		case <-f.ended:
			return errors.New("the Firestore emulator ended before it answered")
		case <-time.After(50 * time.Millisecond):
		}
	}
}

// Close ends the emulator.
func (f *Firestore) Close() {
	_ = f.stdin.Close()
	<-f.ended
	_ = os.Remove(f.rules)
}
