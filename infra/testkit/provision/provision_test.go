package provision

import (
	"path/filepath"
	"strings"
	"testing"

	"github.com/geminivideo/geminivideo/infra/testkit/cluster"
)

func TestWhereAllIsThereEnsureInstallsNothing(t *testing.T) {
	if in, err := cluster.Find(); err != nil || !in.HasVector() {
		t.Fatal("no PostgreSQL with pgvector on this machine: `go run ./infra/local test` provides one and runs the tests")
	}
	var log strings.Builder
	source, err := Ensure(t.Context(), &log)
	if err != nil {
		t.Fatal(err)
	}
	if log.Len() > 0 {
		t.Errorf("said %q", log.String())
	}
	dir := filepath.Join(t.TempDir(), "data")
	server, err := source.Start(t.Context(), cluster.Options{Dir: dir, Throwaway: true, MaxConnections: 20})
	if err != nil {
		t.Fatal(err)
	}
	if err := cluster.Ping(t.Context(), server.AdminURL()); err != nil {
		t.Error(err)
	}
	if err := server.Close(); err != nil {
		t.Error(err)
	}
	if err := source.Remove(t.Context(), dir); err != nil {
		t.Error(err)
	}
}
