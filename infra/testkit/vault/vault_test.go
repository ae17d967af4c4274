package vault_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/geminivideo/geminivideo/infra/testkit/vault"
	"github.com/geminivideo/geminivideo/shared/fault"
	"github.com/geminivideo/geminivideo/shared/secrets"
)

const name = "projects/p/secrets/s"

func put(t *testing.T, s *secrets.Store, value, want string) {
	t.Helper()
	version, err := s.Put(t.Context(), name, value, map[string]string{"tenant": "a"})
	if err != nil || version != name+"/versions/"+want {
		t.Fatalf("put %s, %v, want version %s", version, err, want)
	}
	if got, err := s.Get(t.Context(), version); err != nil || got != value {
		t.Errorf("read %q, %v", got, err)
	}
}

func TestAValueIsWrittenOnce(t *testing.T) {
	t.Parallel()
	server, s := vault.New(t)
	put(t, s, "one", "1")
	put(t, s, "one", "1")
	put(t, s, "two", "2")
	put(t, s, "one", "3")
	if n := len(server.Versions(name)); n != 3 {
		t.Errorf("%d versions", n)
	}
}

func TestADisabledVersionIsNotReadAndNotTakenForTheValue(t *testing.T) {
	t.Parallel()
	_, s := vault.New(t)
	put(t, s, "one", "1")
	for range 2 {
		if err := s.Disable(t.Context(), name+"/versions/1"); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.Get(t.Context(), name+"/versions/1"); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	put(t, s, "one", "2")
	if err := s.Disable(t.Context(), name+"/versions/9"); err != nil {
		t.Errorf("a version that is not there: %v", err)
	}
}

func TestASecretLeftWithoutVersionsIsFilled(t *testing.T) {
	t.Parallel()
	server, s := vault.New(t)
	server.Before(func(method string) error {
		if method == "AddSecretVersion" {
			return status.Error(codes.Internal, "broken")
		}
		return nil
	})
	if _, err := s.Put(t.Context(), name, "hunter2", nil); fault.Of(err) != fault.Unavailable || strings.Contains(err.Error(), "hunter2") {
		t.Errorf("%v", err)
	}
	server.Before(nil)
	put(t, s, "hunter2", "1")
}

func TestTwinsThatCreateOneSecretBothSucceed(t *testing.T) {
	t.Parallel()
	_, s := vault.New(t)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			if _, err := s.Put(t.Context(), name, "one", nil); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestAServerThatHangsIsGivenUp(t *testing.T) {
	t.Parallel()
	server, s := vault.New(t)
	release := make(chan struct{})
	server.Before(func(string) error { <-release; return nil })
	t.Cleanup(func() { close(release) })
	ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond)
	defer cancel()
	if _, err := s.Put(ctx, name, "one", nil); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
	if err := s.Disable(ctx, name+"/versions/1"); fault.Of(err) != fault.Unavailable {
		t.Errorf("%v", err)
	}
}

func TestWhatIsNoSecretIsRefused(t *testing.T) {
	t.Parallel()
	_, s := vault.New(t)
	for bad, value := range map[string]string{"s": "x", "projects/p/secrets/a b": "x", name: ""} {
		var e *secrets.Error
		if _, err := s.Put(t.Context(), bad, value, nil); !errors.As(err, &e) || !e.Write {
			t.Errorf("%q: %v", bad, err)
		}
	}
}

func TestAFileOfBeforeIsReadAndKeepsWhatIsDisabled(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "secrets.json")
	if err := os.WriteFile(file, []byte(`{"`+name+`":["one","two"]}`), 0o600); err != nil {
		t.Fatal(err)
	}
	for i := range 2 {
		server, err := vault.Start(file)
		if err != nil {
			t.Fatal(err)
		}
		s := secrets.New(secrets.Insecure(server.Addr())...)
		if got, err := s.Get(t.Context(), name); err != nil || got != "two" {
			t.Errorf("%q, %v", got, err)
		}
		if i == 0 {
			if err := s.Disable(t.Context(), name+"/versions/1"); err != nil {
				t.Error(err)
			}
		} else if got := server.Versions(name); len(got) != 1 || got[0] != name+"/versions/2" {
			t.Errorf("enabled: %v", got)
		}
		server.Close()
	}
}
