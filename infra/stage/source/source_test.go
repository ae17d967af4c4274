package source_test

import (
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	// What the buildpack's generated main imports: so it stays in go.sum.
	_ "github.com/GoogleCloudPlatform/functions-framework-go/funcframework"

	"github.com/geminivideo/geminivideo/infra/stage/source"
)

func root(t *testing.T) string {
	t.Helper()
	dir, err := filepath.Abs("../../..")
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAStagedFunctionBuildsAndServesAsTheBuildpackMakesIt(t *testing.T) {
	t.Parallel()
	out := filepath.Join(t.TempDir(), "revenue")
	files, err := source.Write(t.Context(), root(t), "revenue", out)
	if err != nil {
		t.Fatal(err)
	}
	var there []string
	if err := filepath.WalkDir(out, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			name, _ := filepath.Rel(out, path)
			there = append(there, name)
		}
		return err
	}); err != nil {
		t.Fatal(err)
	}
	slices.Sort(there)
	if !slices.Equal(files, there) {
		t.Errorf("wrote %v, there is %v", files, there)
	}
	for _, name := range there {
		if strings.HasSuffix(name, "_test.go") || strings.HasPrefix(name, "functions/") && !strings.HasPrefix(name, "functions/revenue/") {
			t.Errorf("%s does not belong to revenue", name)
		}
	}
	if err := source.WriteMain(out); err != nil {
		t.Fatal(err)
	}
	program := filepath.Join(t.TempDir(), "revenue")
	build := exec.CommandContext(t.Context(), "go", "build", "-ldflags=-s -w", "-o", program, "./"+source.MainDir)
	build.Dir = out
	build.Env = append(os.Environ(), "CGO_ENABLED=0", "GOFLAGS=-trimpath")
	if text, err := build.CombinedOutput(); err != nil {
		t.Fatalf("build: %v\n%s", err, text)
	}
	status, body := served(t, program)
	if status != http.StatusServiceUnavailable || !strings.Contains(body, "postgres") && !strings.Contains(body, "database") {
		t.Errorf("without a database /health answers %d %s, want 503 naming the database", status, body)
	}
}

// served starts the program as Cloud Run does and returns what /health answers.
func served(t *testing.T, program string) (int, string) {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	l.Close()
	_, port, _ := net.SplitHostPort(addr)
	cmd := exec.CommandContext(t.Context(), program)
	cmd.Env = []string{
		"FUNCTION_TARGET=revenue", "PORT=" + port, "SUPABASE_URL=http://127.0.0.1:1", "GOOGLE_CLOUD_PROJECT=test",
		"DATABASE_URL=postgres://nobody:nothing@127.0.0.1:1/none",
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	defer func() { _ = cmd.Process.Kill(); _ = cmd.Wait() }()
	for deadline := time.Now().Add(30 * time.Second); ; {
		resp, err := http.Get("http://" + addr + "/health")
		if err == nil {
			defer resp.Body.Close()
			body, _ := io.ReadAll(resp.Body)
			return resp.StatusCode, string(body)
		}
		if time.Now().After(deadline) {
			t.Fatal(err)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func TestAFolderIsReplacedOnlyIfItWasStaged(t *testing.T) {
	t.Parallel()
	out := t.TempDir()
	mine := filepath.Join(out, "thesis.txt")
	if err := os.WriteFile(mine, []byte("precious"), 0o644); err != nil {
		t.Fatal(err)
	}
	if _, err := source.Write(t.Context(), root(t), "revenue", out); err == nil || !strings.Contains(err.Error(), "left alone") {
		t.Errorf("got %v", err)
	}
	if _, err := os.Stat(mine); err != nil {
		t.Error(err)
	}

	staged := filepath.Join(t.TempDir(), "revenue")
	for range 2 {
		if _, err := source.Write(t.Context(), root(t), "revenue", staged); err != nil {
			t.Fatal(err)
		}
		stray := filepath.Join(staged, "stray.go")
		if _, err := os.Stat(stray); err == nil {
			t.Error("the second staging kept a stray file")
		}
		if err := os.WriteFile(stray, nil, 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

func TestAFunctionThatIsNotThereIsNamed(t *testing.T) {
	t.Parallel()
	_, err := source.Write(t.Context(), root(t), "nothing", filepath.Join(t.TempDir(), "out"))
	if err == nil || !strings.Contains(err.Error(), "stage nothing") {
		t.Errorf("got %v", err)
	}
}
